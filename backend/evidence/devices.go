package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Devices are the public keys that each terminal has had: one that was replaced has several.
type Devices map[ids.TerminalID][]ed25519.PublicKey

// ParseDevices reads lines "TERMINAL KEY", the key in hexadecimal digits. Empty lines and those that begin with # say nothing.
func ParseDevices(raw []byte) (Devices, error) {
	out := Devices{}
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("line %d: want TERMINAL KEY", n)
		}
		id, err := ids.ParseTerminalID(f[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		key, err := hex.DecodeString(f[1])
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("line %d: key: want %d bytes in hexadecimal digits", n, ed25519.PublicKeySize)
		}
		if !slices.ContainsFunc(out[id], func(k ed25519.PublicKey) bool { return bytes.Equal(k, key) }) {
			out[id] = append(out[id], key)
		}
	}
	return out, nil
}

// Signed says what devices have signed of a file.
type Signed struct {
	Batches    int // all of them: one that is not signed is an error
	Unreadable int // of these, batches that cannot be read
	Records    int // that stand in a batch of the file, byte for byte
	Elsewhere  int // that came in a batch of an earlier day, whose file has them
}

// signatures checks envelopes, and knows which records they held.
type signatures struct {
	devices Devices
	held    map[[sha256.Size]byte]bool
	seen    Signed
}

func heldName(terminal string, epoch, seq uint64, record []byte) [sha256.Size]byte {
	b := append([]byte(terminal), 0)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, epoch), seq)
	sum := wire.RecordHash(record)
	return sha256.Sum256(append(b, sum[:]...))
}

// batch verifies the envelope of a row with each key that its terminal has had.
func (s *signatures) batch(b batchRow, epoch uint64) error {
	err := fmt.Errorf("no key of terminal %.40s is known", b.Terminal)
	for _, key := range s.devices[ids.TerminalID(b.Terminal)] {
		var o wire.Opened
		o, err = wire.OpenEnvelope(key, b.Envelope)
		unreadable := errors.Is(err, wire.ErrMalformed)
		if err != nil && !unreadable {
			continue // another key's, or nobody's
		}
		if h := o.Header; h != nil && (h.GetTerminal() != b.Terminal || h.GetEpoch() != epoch) {
			return wrong("a batch of %.40s is signed as one of %.40s, epoch %016x", b.Terminal, h.GetTerminal(), h.GetEpoch())
		}
		s.seen.Batches++
		if unreadable {
			s.seen.Unreadable++
			return nil
		}
		for i, record := range o.Records {
			s.held[heldName(b.Terminal, epoch, o.Header.GetFirstSeq()+uint64(i), record)] = true
		}
		return nil
	}
	return wrong("a batch of %.40s, records %d to %d: %w", b.Terminal, b.First, b.Last, err)
}

func (s *signatures) record(r recordRow, epoch uint64) {
	if s.held[heldName(r.Terminal, epoch, r.Seq, r.Record)] {
		s.seen.Records++
		return
	}
	s.seen.Elsewhere++
}
