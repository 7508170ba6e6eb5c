package store

import (
	"context"
	"slices"

	"github.com/purselane/purselane/shadowaccount"
)

// Serial is a PSAM's own number of a purchase, and when a record of it came.
type Serial struct {
	Number     uint32
	ReceivedMS int64
}

// Serials are runs of a PSAM's numbers of which records have come, as far as some that came change them. See [Tx.SerialsWith].
type Serials struct {
	psam [6]byte
	gone []uint64 // first numbers of the runs that go
	runs []serialRun
}

// serialRun is a row of watch_serial.
type serialRun struct {
	first, last uint64
	sinceMS     int64 // when the first came
}

// SerialsWith is what the numbers that came, which must be of one stretch, make of the runs that are kept near them. It changes nothing; [Tx.KeepSerials] does.
func (t *Tx) SerialsWith(ctx context.Context, psam [6]byte, came []Serial) (Serials, error) {
	s := Serials{psam: psam}
	if len(came) == 0 {
		return s, nil
	}
	came = slices.SortedFunc(slices.Values(came), func(a, b Serial) int { return compareUint(uint64(a.Number), uint64(b.Number)) })
	lo, hi := int64(came[0].Number), int64(came[len(came)-1].Number)
	kept, err := t.serialRuns(ctx, `SELECT first, last, since_ms FROM watch_serial WHERE psam = ?
		AND first >= COALESCE((SELECT first FROM watch_serial WHERE psam = ? AND first < ? ORDER BY first DESC LIMIT 1), ?) AND first <= ? ORDER BY first`, psam[:], psam[:], lo, lo, hi+1)
	if err != nil {
		return s, err
	}
	return s.with(kept, came), nil
}

func (t *Tx) serialRuns(ctx context.Context, query string, args ...any) ([]serialRun, error) {
	var out []serialRun
	err := t.rows(ctx, "serials", func(scan func(...any) error) error {
		var first, last int64
		var r serialRun
		err := scan(&first, &last, &r.sinceMS)
		r.first, r.last = uint64(first), uint64(last)
		out = append(out, r)
		return err
	}, query, args...)
	return out, err
}

// with is pure: kept are runs in order, and came is sorted.
func (s Serials) with(kept []serialRun, came []Serial) Serials {
	all := slices.Clone(kept)
	for _, c := range came {
		all = append(all, serialRun{uint64(c.Number), uint64(c.Number), c.ReceivedMS})
	}
	slices.SortFunc(all, func(a, b serialRun) int { return compareUint(a.first, b.first) })
	var joined []serialRun
	for _, r := range all {
		n := len(joined)
		switch {
		case n == 0 || r.first > joined[n-1].last+1:
			joined = append(joined, r)
		case r.first == joined[n-1].first:
			joined[n-1].last, joined[n-1].sinceMS = max(joined[n-1].last, r.last), min(joined[n-1].sinceMS, r.sinceMS)
		default:
			joined[n-1].last = max(joined[n-1].last, r.last)
		}
	}
	for _, r := range kept {
		if !slices.Contains(joined, r) {
			s.gone = append(s.gone, r.first)
		}
	}
	for _, r := range joined {
		if !slices.Contains(kept, r) {
			s.runs = append(s.runs, r)
		}
	}
	return s
}

// KeepSerials keeps what [Tx.SerialsWith] made.
func (t *Tx) KeepSerials(ctx context.Context, s Serials) error {
	for _, first := range s.gone {
		if slices.ContainsFunc(s.runs, func(r serialRun) bool { return r.first == first }) {
			continue
		}
		if _, err := t.exec(ctx, "join serials", `DELETE FROM watch_serial WHERE psam = ? AND first = ?`, s.psam[:], int64(first)); err != nil {
			return err
		}
	}
	for _, r := range s.runs {
		if _, err := t.exec(ctx, "keep serials", `INSERT INTO watch_serial (psam, first, last, since_ms) VALUES (?, ?, ?, ?)
			ON CONFLICT (psam, first) DO UPDATE SET last = excluded.last, since_ms = excluded.since_ms`, s.psam[:], int64(r.first), int64(r.last), r.sinceMS); err != nil {
			return err
		}
	}
	return nil
}

// HolesOfPSAM lists the runs of a PSAM's numbers of which no record has come, between those of which some have, and since when that is known.
func (t *Tx) HolesOfPSAM(ctx context.Context, psam [6]byte) ([]Aging, error) {
	runs, err := t.serialRuns(ctx, `SELECT first, last, since_ms FROM watch_serial WHERE psam = ? ORDER BY first`, psam[:])
	var out []Aging
	for i := 1; i < len(runs); i++ {
		out = append(out, Aging{Hole: shadowaccount.Hole{First: runs[i-1].last + 1, Last: runs[i].first - 1}, SinceMS: runs[i].sinceMS})
	}
	return out, err
}
