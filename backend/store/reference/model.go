package reference

import (
	"bytes"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Key names a record for ever.
type Key struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
}

// Epoch names one life of a terminal's journal.
type Epoch struct {
	Terminal ids.TerminalID
	Epoch    uint64
}

// Looked is a record that was read and verified. Its Pending is not looked at.
type Looked struct {
	store.Verified
	Unreadable string          // why it never becomes a tap; "" for one that does
	Unnamed    *ids.CardNumber // it names its card by this alias alone
}

// Model is everything that was told. Telling the same again changes nothing.
type Model struct {
	look func(Key, []byte) Looked

	records   map[Key][]byte // nil: quarantined
	conflicts map[Key][][]byte
	passed    map[Epoch]uint64 // numbers up to here were given up
	issued    map[ids.CardNumber]store.Card
	blocked   map[ids.CardNumber]time.Time
	loads     map[ids.CardNumber]map[uint16]shadowaccount.Load
	entries   map[string]books.Entry
	decided   map[Tapped]shadowaccount.Decision
}

// Tapped names a tap's claim to a slot.
type Tapped struct {
	Card    ids.CardNumber
	Counter uint32
	Tap     ids.TapID
}

// Told lists the records of each tap's claim to a slot, those that wait for a name that is known included.
func (m *Model) Told() map[Tapped][]Key {
	out := map[Tapped][]Key{}
	for n, records := range m.fates(&State{Records: map[Key]Fate{}}) {
		for _, r := range records {
			t := Tapped{n, r.Counter, r.Claim.Tap}
			out[t] = append(out[t], Key{r.Claim.Tap.Terminal, r.Claim.Tap.Epoch, r.Claim.Seq})
		}
	}
	return out
}

// New is a model of nothing. look reads and verifies a record's bytes: a function of the bytes alone.
func New(look func(Key, []byte) Looked) *Model {
	return &Model{look: look, records: map[Key][]byte{}, conflicts: map[Key][][]byte{}, passed: map[Epoch]uint64{}, issued: map[ids.CardNumber]store.Card{},
		blocked: map[ids.CardNumber]time.Time{}, loads: map[ids.CardNumber]map[uint16]shadowaccount.Load{}, entries: map[string]books.Entry{},
		decided: map[Tapped]shadowaccount.Decision{}}
}

// Keep tells of records numbered from first on. A number that other bytes have keeps them.
func (m *Model) Keep(e Epoch, first uint64, bodies [][]byte) {
	for i, body := range bodies {
		k := Key{e.Terminal, e.Epoch, first + uint64(i)}
		have := m.records[k]
		switch {
		case have == nil:
			m.records[k] = body
		case !bytes.Equal(have, body) && !contains(m.conflicts[k], body):
			m.conflicts[k] = append(m.conflicts[k], body)
		}
	}
}

func contains(all [][]byte, one []byte) bool {
	for _, b := range all {
		if bytes.Equal(b, one) {
			return true
		}
	}
	return false
}

// Quarantine tells of numbers whose batch could not be read.
func (m *Model) Quarantine(e Epoch, first, last uint64) {
	for seq := first; seq <= last; seq++ {
		k := Key{e.Terminal, e.Epoch, seq}
		if _, there := m.records[k]; !there {
			m.records[k] = nil
		}
	}
}

// GiveUp tells that a terminal no longer holds what is missing up to a number.
func (m *Model) GiveUp(e Epoch, last uint64) { m.passed[e] = max(m.passed[e], last) }

// Issue tells of a card that was issued.
func (m *Model) Issue(c store.Card) {
	if _, there := m.issued[c.Number]; !there {
		m.issued[c.Number] = c
	}
}

// Block tells that a card is blocked from a moment on; the first moment counts.
func (m *Model) Block(n ids.CardNumber, at time.Time) {
	if _, there := m.blocked[n]; !there {
		m.blocked[n] = at
	}
}

// Load tells of a load that is on its way, or on the card.
func (m *Model) Load(n ids.CardNumber, l shadowaccount.Load) {
	if m.loads[n] == nil {
		m.loads[n] = map[uint16]shadowaccount.Load{}
	}
	if !m.loads[n][l.Counter].Loaded {
		m.loads[n][l.Counter] = l
	}
}

// Forget tells that a load did not reach the card.
func (m *Model) Forget(n ids.CardNumber, counter uint16) {
	if !m.loads[n][counter].Loaded {
		delete(m.loads[n], counter)
	}
}

// Decide tells what officers decided of a claim; the last word counts.
func (m *Model) Decide(t Tapped, d shadowaccount.Decision) { m.decided[t] = d }

// Post tells of an entry in the books that is not of a posting group, such as a load's.
func (m *Model) Post(e books.Entry) { m.entries[e.ID] = e }

// Through is the highest number of an epoch up to which nothing is missing.
func (m *Model) Through(e Epoch) uint64 {
	through := uint64(0)
	for m.has(e, through+1) {
		through++
	}
	return through
}

// Missing is the set of the numbers of an epoch that are missing below its highest, or up to a number.
func (m *Model) Missing(e Epoch, upTo uint64) map[uint64]bool {
	for k := range m.records {
		if (Epoch{k.Terminal, k.Epoch}) == e {
			upTo = max(upTo, k.Seq)
		}
	}
	out := map[uint64]bool{}
	for seq := uint64(1); seq <= upTo; seq++ {
		if !m.has(e, seq) {
			out[seq] = true
		}
	}
	return out
}

func (m *Model) has(e Epoch, seq uint64) bool {
	_, there := m.records[Key{e.Terminal, e.Epoch, seq}]
	return there || seq <= m.passed[e]
}

// Body is a record as it is kept; nil for one that is not, or a quarantined number.
func (m *Model) Body(k Key) []byte { return m.records[k] }
