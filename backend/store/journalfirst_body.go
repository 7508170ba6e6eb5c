package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// journalBody is what became of a group's cards, as a row of posting_journal keeps it: a version, and then each card with its records. Integers are
// varints, times are told as the difference to the one before, and each text stands once.
type journalBody []journalCard

// journalCard is a card as a group left it, with the records that made it so.
type journalCard struct {
	number    ids.CardNumber
	change    money.Amount // of the shadow balance
	end       shadowaccount.End
	missing   int
	findings  []shadowaccount.Finding // new ones
	gaps      []shadowaccount.Gap     // new ones
	explained []uint16
	records   []journalRecord
}

// journalRecord is the claim of a record that stands.
type journalRecord struct {
	counter    uint32
	claim      shadowaccount.Claim // a proof of its own, not spent, nothing decided
	kind       int32
	rule       string
	day        string
	receivedMS int64
}

const journalVersion = 1

// errJournal says that a row of the journal was not written by this program.
var errJournal = errors.New("store: a row of posting_journal cannot be read: it was changed, or a newer program wrote it")

type journalWriter struct {
	out   []byte
	texts map[string]uint64
	last  int64
}

func (w *journalWriter) uint(n uint64) { w.out = binary.AppendUvarint(w.out, n) }
func (w *journalWriter) int(n int64)   { w.out = binary.AppendVarint(w.out, n) }

func (w *journalWriter) amount(a money.Amount) { w.int(a.Minor()) }

func (w *journalWriter) time(ms int64) {
	w.int(ms - w.last)
	w.last = ms
}

func (w *journalWriter) bytes(s string) {
	w.uint(uint64(len(s)))
	w.out = append(w.out, s...)
}

func (w *journalWriter) text(s string) {
	n, known := w.texts[s]
	if known {
		w.uint(n)
		return
	}
	n = uint64(len(w.texts))
	w.texts[s] = n
	w.uint(n)
	w.bytes(s)
}

func (b journalBody) encode() []byte {
	w := journalWriter{out: make([]byte, 0, 128*len(b)), texts: map[string]uint64{}}
	w.out = append(w.out, journalVersion)
	w.uint(uint64(len(b)))
	for i := range b {
		c := &b[i]
		w.out = append(w.out, c.number[:]...)
		w.amount(c.change)
		w.uint(uint64(c.end.Complete))
		w.uint(uint64(c.end.Next))
		w.amount(c.end.Tail)
		w.int(int64(c.end.LoadsFrom))
		w.int(int64(c.missing))
		w.uint(uint64(len(c.findings)))
		for _, f := range c.findings {
			w.text(string(f.Code))
			w.uint(uint64(f.Counter))
			w.text(f.Detail)
		}
		w.uint(uint64(len(c.gaps)))
		for _, g := range c.gaps {
			w.uint(uint64(g.First))
			w.uint(uint64(g.Last))
			w.amount(g.Value)
		}
		w.uint(uint64(len(c.explained)))
		for _, e := range c.explained {
			w.uint(uint64(e))
		}
		w.uint(uint64(len(c.records)))
		for j := range c.records {
			w.record(&c.records[j])
		}
	}
	return w.out
}

func (w *journalWriter) record(r *journalRecord) {
	c := &r.claim
	w.text(r.day)
	w.time(r.receivedMS)
	w.uint(uint64(r.counter))
	w.text(string(c.Tap.Terminal))
	w.uint(c.Tap.Epoch)
	w.uint(c.Tap.Tap)
	w.uint(c.Seq)
	w.time(c.At)
	w.text(string(c.Merchant))
	w.amount(c.Amount)
	w.amount(c.Before)
	w.amount(c.After)
	w.int(int64(c.Said))
	w.int(int64(c.Proof))
	w.uint(uint64(c.Flags))
	w.bytes(c.Debit)
	w.int(int64(r.kind))
	w.text(r.rule)
}

type journalReader struct {
	in    []byte
	texts []string
	last  int64
	bad   bool
}

func (r *journalReader) uint() uint64 {
	n, used := binary.Uvarint(r.in)
	if used <= 0 {
		r.bad, r.in = true, nil
		return 0
	}
	r.in = r.in[used:]
	return n
}

func (r *journalReader) int() int64 {
	n, used := binary.Varint(r.in)
	if used <= 0 {
		r.bad, r.in = true, nil
		return 0
	}
	r.in = r.in[used:]
	return n
}

func (r *journalReader) uint32() uint32 {
	n := r.uint()
	r.bad = r.bad || n > math.MaxUint32
	return uint32(n)
}

func (r *journalReader) amount() money.Amount { return money.Minor(r.int()) }

func (r *journalReader) time() int64 {
	r.last += r.int()
	return r.last
}

// count is a number of things that follow, each of at least one byte.
func (r *journalReader) count() int {
	n := r.uint()
	if n > uint64(len(r.in)) {
		r.bad, r.in = true, nil
		return 0
	}
	return int(n)
}

func (r *journalReader) bytes() string {
	n := r.count()
	s := string(r.in[:n])
	r.in = r.in[n:]
	return s
}

func (r *journalReader) text() string {
	n := r.uint()
	switch {
	case r.bad || n > uint64(len(r.texts)):
		r.bad, r.in = true, nil
		return ""
	case n == uint64(len(r.texts)):
		r.texts = append(r.texts, r.bytes())
	}
	return r.texts[n]
}

// decodeJournal reads a row's body. It takes nothing for granted: a row may have been changed by SQL.
func decodeJournal(raw []byte) (journalBody, error) {
	if len(raw) == 0 || raw[0] != journalVersion {
		return nil, fmt.Errorf("%w: its version is not %d", errJournal, journalVersion)
	}
	r := journalReader{in: raw[1:]}
	var out journalBody
	for range r.count() {
		var c journalCard
		if copy(c.number[:], r.in) < len(c.number) {
			return nil, errJournal
		}
		r.in = r.in[len(c.number):]
		c.change = r.amount()
		c.end.Complete, c.end.Next, c.end.Tail, c.end.LoadsFrom = r.uint32(), r.uint32(), r.amount(), int(r.int())
		c.missing = int(r.int())
		for range r.count() {
			c.findings = append(c.findings, shadowaccount.Finding{Code: shadowaccount.Code(r.text()), Counter: r.uint32(), Detail: r.text()})
		}
		for range r.count() {
			c.gaps = append(c.gaps, shadowaccount.Gap{First: r.uint32(), Last: r.uint32(), Value: r.amount()})
		}
		for range r.count() {
			c.explained = append(c.explained, uint16(r.uint()))
		}
		n := r.count()
		c.records = make([]journalRecord, 0, min(n, len(r.in)/20))
		for range n {
			if r.bad {
				break
			}
			c.records = append(c.records, r.record())
		}
		if r.bad {
			return nil, errJournal
		}
		out = append(out, c)
	}
	if r.bad || len(r.in) > 0 {
		return nil, errJournal
	}
	return out, nil
}

func (r *journalReader) record() journalRecord {
	var out journalRecord
	c := &out.claim
	out.day, out.receivedMS = r.text(), r.time()
	out.counter = r.uint32()
	c.Tap = ids.TapID{Terminal: ids.TerminalID(r.text()), Epoch: r.uint(), Tap: r.uint()}
	c.Seq, c.At, c.Merchant = r.uint(), r.time(), ids.MerchantID(r.text())
	c.Amount, c.Before, c.After = r.amount(), r.amount(), r.amount()
	c.Said, c.Proof, c.Flags, c.Debit = shadowaccount.Said(r.int()), shadowaccount.Proof(r.int()), shadowaccount.Flags(r.uint()), r.bytes()
	out.kind, out.rule = int32(r.int()), r.text()
	return out
}
