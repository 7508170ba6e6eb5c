package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Stamped is when a tap was taken, by one of its records.
type Stamped struct {
	Seq uint64
	shadowaccount.Stamp
}

// Stamps are stamps of a terminal's journal that prove something, with those that are kept near them. See [Tx.StampsWith].
type Stamps struct {
	terminal ids.TerminalID
	epoch    uint64
	all      []Stamped // by tap, one a tap
	gone     []uint64  // first taps of the rows that go
	rows     []stampRow
}

// stampRow is a row of watch_stamp.
type stampRow struct{ stamps []Stamped }

// stampsARow is how many stamps a row takes: one more is added by writing the row anew.
const stampsARow = 256

// All are the stamps, by tap and one a tap: its first record's. Those that are neighbours of a tap that came are among them.
func (s Stamps) All() []shadowaccount.Stamp {
	out := make([]shadowaccount.Stamp, len(s.all))
	for i := range s.all {
		out[i] = s.all[i].Stamp
	}
	return out
}

// StampsWith is what the taps that came, which must be of one stretch, make of the stamps that are kept near them. It changes nothing; [Tx.KeepStamps] does.
func (t *Tx) StampsWith(ctx context.Context, terminal ids.TerminalID, epoch uint64, came []Stamped) (Stamps, error) {
	s := Stamps{terminal: terminal, epoch: epoch}
	came = slices.DeleteFunc(slices.Clone(came), func(c Stamped) bool { return !c.Proves() })
	if len(came) == 0 {
		return s, nil
	}
	slices.SortFunc(came, Stamped.compare)
	lo, hi := int64(came[0].Tap), int64(came[len(came)-1].Tap)
	var kept []stampRow
	if err := t.rows(ctx, "stamps", func(scan func(...any) error) error {
		var first int64
		var body []byte
		if err := scan(&first, &body); err != nil {
			return err
		}
		stamps, err := decodeStamps(uint64(first), body)
		kept = append(kept, stampRow{stamps})
		return err
	}, `SELECT first, body FROM watch_stamp WHERE terminal = ? AND epoch = ?
		AND first >= COALESCE((SELECT first FROM watch_stamp WHERE terminal = ? AND epoch = ? AND first < ? ORDER BY first DESC LIMIT 1), ?)
		AND first <= COALESCE((SELECT first FROM watch_stamp WHERE terminal = ? AND epoch = ? AND first > ? ORDER BY first LIMIT 1), ?)
		ORDER BY first`, string(terminal), int64(epoch), string(terminal), int64(epoch), lo, lo, string(terminal), int64(epoch), hi, hi); err != nil {
		return s, err
	}
	return s.with(kept, came), nil
}

// with is pure: kept are neighbouring rows, in order, and came is sorted.
func (s Stamps) with(kept []stampRow, came []Stamped) Stamps {
	var below, above []stampRow
	lo, hi := came[0].Tap, came[len(came)-1].Tap
	for len(kept) > 0 && kept[0].last() < lo && (len(kept[0].stamps) >= stampsARow || len(kept) > 1 && kept[1].first() <= lo) {
		below, kept = append(below, kept[0]), kept[1:]
	}
	for len(kept) > 0 && kept[len(kept)-1].first() > hi && len(kept[len(kept)-1].stamps) >= stampsARow {
		above, kept = append(above, kept[len(kept)-1]), kept[:len(kept)-1]
	}
	slices.Reverse(above)
	var middle []Stamped
	for _, r := range kept {
		middle = append(middle, r.stamps...)
	}
	was := slices.Clone(middle)
	middle = append(middle, came...)
	slices.SortStableFunc(middle, Stamped.compare)
	middle = slices.CompactFunc(middle, func(a, b Stamped) bool { return a.Tap == b.Tap })
	for _, r := range below {
		s.all = append(s.all, r.stamps...)
	}
	s.all = append(s.all, middle...)
	for _, r := range above {
		s.all = append(s.all, r.stamps...)
	}
	if slices.Equal(was, middle) {
		return s // all of them are kept
	}
	for _, r := range kept {
		s.gone = append(s.gone, r.first())
	}
	for part := range slices.Chunk(middle, stampsARow) {
		s.rows = append(s.rows, stampRow{part})
	}
	return s
}

// KeepStamps keeps what [Tx.StampsWith] made.
func (t *Tx) KeepStamps(ctx context.Context, s Stamps) error {
	stays := map[uint64]bool{}
	for _, r := range s.rows {
		stays[r.first()] = true
		received := int64(math.MinInt64)
		for _, c := range r.stamps {
			received = max(received, c.ReceivedMS)
		}
		if _, err := t.exec(ctx, "keep stamps", `INSERT INTO watch_stamp (terminal, epoch, first, last, received_ms, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (terminal, epoch, first) DO UPDATE SET last = excluded.last, received_ms = excluded.received_ms, body = excluded.body`,
			string(s.terminal), int64(s.epoch), int64(r.first()), int64(r.last()), received, encodeStamps(r.stamps)); err != nil {
			return err
		}
	}
	for _, first := range s.gone {
		if stays[first] {
			continue
		}
		if _, err := t.exec(ctx, "drop stamps", `DELETE FROM watch_stamp WHERE terminal = ? AND epoch = ? AND first = ?`, string(s.terminal), int64(s.epoch), int64(first)); err != nil {
			return err
		}
	}
	return nil
}

func (r stampRow) first() uint64 { return r.stamps[0].Tap }
func (r stampRow) last() uint64  { return r.stamps[len(r.stamps)-1].Tap }

// compare is by tap, and of one tap the first record first.
func (s Stamped) compare(o Stamped) int {
	if s.Tap != o.Tap {
		return compareUint(s.Tap, o.Tap)
	}
	return compareUint(s.Seq, o.Seq)
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// encodeStamps packs stamps of rising taps: a version, and of each the difference of its tap, its record's number, its times and its error to those of the one before, as varints.
func encodeStamps(all []Stamped) []byte {
	out := append(make([]byte, 0, 1+10*len(all)), stampsVersion)
	var last Stamped
	for i, s := range all {
		if i > 0 {
			out = binary.AppendUvarint(out, s.Tap-last.Tap)
		}
		out = binary.AppendVarint(out, int64(s.Seq-last.Seq))
		out = binary.AppendVarint(out, s.AtMS-last.AtMS)
		out = binary.AppendVarint(out, s.ErrorMS-last.ErrorMS)
		out = binary.AppendVarint(out, s.ReceivedMS-last.ReceivedMS)
		last = s
	}
	return out
}

const stampsVersion = 1

// errStamps says that a row of watch_stamp was not written by this program.
var errStamps = errors.New("store: a row of watch_stamp cannot be read: it was changed, or a newer program wrote it")

// decodeStamps is the way back; first is the tap of the first one.
func decodeStamps(first uint64, in []byte) ([]Stamped, error) {
	if len(in) == 0 || in[0] != stampsVersion {
		return nil, fmt.Errorf("taps from %d: %w", first, errStamps)
	}
	in = in[1:]
	out := make([]Stamped, 0, len(in)/5+1)
	last := Stamped{Stamp: shadowaccount.Stamp{Tap: first, Sure: shadowaccount.Bounded}}
	for len(in) > 0 {
		if len(out) > 0 {
			n, used := binary.Uvarint(in)
			if used <= 0 || n == 0 || last.Tap+n < last.Tap {
				return nil, fmt.Errorf("taps from %d: %w", first, errStamps)
			}
			last.Tap, in = last.Tap+n, in[used:]
		}
		var more [4]int64
		for i := range more {
			n, used := binary.Varint(in)
			if used <= 0 {
				return nil, fmt.Errorf("taps from %d: %w", first, errStamps)
			}
			more[i], in = n, in[used:]
		}
		last.Seq += uint64(more[0])
		last.AtMS, last.ErrorMS, last.ReceivedMS = last.AtMS+more[1], last.ErrorMS+more[2], last.ReceivedMS+more[3]
		out = append(out, last)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("taps from %d: %w", first, errStamps)
	}
	return out, nil
}
