package ep_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
)

// unhex reads hexadecimal digits with spaces, as the purse facts print exchanges.
func unhex(t require.TestingT, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err, s)
	return raw
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

// transcript is a golden exchange of testdata: what the card and the PSAM are sent, in this order and no other, and what
// they answer.
type transcript struct {
	t     require.TestingT
	lines []line
	next  int
}

type line struct{ to, command, answer string }

func readTranscript(t *testing.T, name string) *transcript {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	tr := &transcript{t: t}
	for l := range strings.Lines(string(raw)) {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		to, rest, _ := strings.Cut(l, " ")
		command, answer, ok := strings.Cut(rest, "->")
		require.True(t, ok, l)
		tr.lines = append(tr.lines, line{to, strings.ReplaceAll(command, " ", ""), strings.ReplaceAll(answer, " ", "")})
	}
	return tr
}

// done wants every line to have been played.
func (tr *transcript) done() {
	require.Equal(tr.t, len(tr.lines), tr.next, "lines played")
}

// end is the card's or the PSAM's end of a transcript.
type end struct {
	*transcript
	name string
}

func (e end) Transmit(_ context.Context, command []byte) ([]byte, error) {
	require.Less(e.t, e.next, len(e.lines), "one command too many: %X", command)
	l := e.lines[e.next]
	e.next++
	require.Equal(e.t, l.to+" "+l.command, e.name+" "+upper(command), "line %d", e.next)
	return unhex(e.t, l.answer), nil
}

// t0 makes a contact card of protocol T=0 of one that answers at once: data is announced by 61xx and fetched by GET
// RESPONSE, and a READ with a Le of 00 is told the right one.
type t0 struct {
	apdu.Transmitter
	waiting []byte
}

func (c *t0) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == 0xC0 {
		answer := c.waiting
		c.waiting = nil
		return answer, nil
	}
	answer, err := c.Transmitter.Transmit(ctx, command)
	if err != nil || len(answer) <= 2 {
		return answer, err
	}
	c.waiting = answer
	return []byte{0x61, byte(len(answer) - 2)}, nil
}

// answers is a card that gives these answers whatever it is asked, and keeps what it was asked.
type answers struct {
	t      require.TestingT
	give   []string
	asked  []string
	errors []error // instead of an answer, where not nil
}

func (a *answers) Transmit(_ context.Context, command []byte) ([]byte, error) {
	n := len(a.asked)
	a.asked = append(a.asked, upper(command))
	if n < len(a.errors) && a.errors[n] != nil {
		return nil, a.errors[n]
	}
	require.Less(a.t, n, len(a.give), "one command too many: %X", command)
	return unhex(a.t, a.give[n]), nil
}

// turns is a card that gives two answers in turn, for ever.
type turns struct {
	give [2][]byte
	n    int
}

func (c *turns) Transmit(context.Context, []byte) ([]byte, error) {
	answer := c.give[c.n%2]
	c.n++
	return answer, nil
}
