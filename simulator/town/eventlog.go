package town

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/purselane/purselane/internal/clock"
)

// nobody is the rider of an event that concerns no card.
const nobody = -1

// remembered is how many of its last events a failing card is printed with.
const remembered = 60

// eventLog hashes every event of a run, so that two runs can be compared, and remembers each card's last ones.
type eventLog struct {
	clock  *clock.Manual
	print  io.Writer // nil: nobody reads along
	hash   hash.Hash
	events int
	last   map[int][]string
}

func newEventLog(c *clock.Manual, print io.Writer) *eventLog {
	return &eventLog{clock: c, print: print, hash: sha256.New(), last: map[int][]string{}}
}

// add notes an event of a rider's card, or of nobody's.
func (l *eventLog) add(rider int, format string, args ...any) {
	line := l.clock.Now().Format("02 15:04:05.000 ")
	if rider != nobody {
		line += fmt.Sprintf("card %d: ", rider)
	}
	line += fmt.Sprintf(format, args...)
	l.events++
	io.WriteString(l.hash, line+"\n") //nolint:errcheck // a hash takes everything
	if l.print != nil {
		fmt.Fprintln(l.print, line)
	}
	kept := append(l.last[rider], line)
	l.last[rider] = kept[max(0, len(kept)-remembered):]
}

// digest is the SHA-256 of all events so far.
func (l *eventLog) digest() string { return hex.EncodeToString(l.hash.Sum(nil)) }

func (l *eventLog) of(rider int) string { return strings.Join(l.last[rider], "\n") }
