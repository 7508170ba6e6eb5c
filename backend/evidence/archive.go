package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The archive is the plainest tar there is (POSIX ustar, regular files, one owner, no times), so that there is one way to write a day. A reader
// holds every block to that way: no byte of a file can be changed without being noticed.
const (
	block     = 512
	maxName   = 100     // bytes: the field of a ustar header
	maxMember = 1 << 28 // bytes; far above what a day's report of millions of taps needs
)

// Member is a file of the archive as the manifest names it.
type Member struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

func memberOf(name string, body []byte) Member {
	sum := sha256.Sum256(body)
	return Member{name, int64(len(body)), hex.EncodeToString(sum[:])}
}

// header is the one header block that a member of that name and size has.
func header(name string, size int64) ([]byte, error) {
	if name == "" || len(name) >= maxName || strings.ContainsRune(name, 0) || size < 0 || size > maxMember {
		return nil, fmt.Errorf("member %.120q of %d bytes: want a name of 1 to %d bytes, and at most %d", name, size, maxName-1, maxMember)
	}
	b := make([]byte, block)
	copy(b, name)
	copy(b[100:], "0000644\x00"+"0000000\x00"+"0000000\x00") // mode, user, group
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00") // time
	copy(b[148:], "        ")        // the sum is taken with blanks in its place
	b[156] = '0'
	copy(b[257:], "ustar\x0000")
	copy(b[329:], "0000000\x00"+"0000000\x00") // device
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b, nil
}

func padding(size int64) int64 { return (block - size%block) % block }

// writeMember writes a member whole.
func writeMember(w io.Writer, name string, body []byte) error {
	h, err := header(name, int64(len(body)))
	if err != nil {
		return err
	}
	for _, part := range [][]byte{h, body, make([]byte, padding(int64(len(body))))} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// writeEnd writes the two empty blocks after the last member.
func writeEnd(w io.Writer) error {
	_, err := w.Write(make([]byte, 2*block))
	return err
}

// readMember reads the next member; a name "" says that the archive ended as it should.
func readMember(r io.Reader) (name string, body []byte, err error) {
	form := func(format string, args ...any) (string, []byte, error) {
		return "", nil, fmt.Errorf("%w: "+format, append([]any{ErrForm}, args...)...)
	}
	head := make([]byte, block)
	if _, err := io.ReadFull(r, head); err != nil {
		return form("it ends where a member begins: %w", err)
	}
	if bytes.Equal(head, make([]byte, block)) {
		rest, err := io.ReadAll(io.LimitReader(r, block+1))
		if err != nil {
			return "", nil, err
		}
		if !bytes.Equal(rest, make([]byte, block)) {
			return form("its end is not two empty blocks")
		}
		return "", nil, nil
	}
	n, _, _ := strings.Cut(string(head[:maxName]), "\x00")
	size, err := strconv.ParseInt(strings.TrimRight(string(head[124:136]), "\x00"), 8, 64)
	if err != nil {
		return form("a member without a size: %w", err)
	}
	want, err := header(n, size)
	if err != nil {
		return form("%w", err)
	}
	if !bytes.Equal(head, want) {
		return form("the header of %q is not in the one form", n)
	}
	var b bytes.Buffer // grows with what comes, not with what is promised
	if got, err := io.CopyN(&b, r, size+padding(size)); err != nil {
		if errors.Is(err, io.EOF) {
			return form("%s ends after %d of %d bytes", n, got, size)
		}
		return "", nil, err
	}
	body = b.Bytes()
	if !bytes.Equal(body[size:], make([]byte, padding(size))) {
		return form("something is hidden behind %s", n)
	}
	return n, body[:size], nil
}
