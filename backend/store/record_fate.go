package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/purselane/purselane/internal/ids"
)

// A record is not changed once it is kept. That it waits to be posted, and later what became of it, stands beside it: in runs of numbers that have all in common, or
// alone where no group has it. A batch of plain taps waits in a few rows and leaves a few, where changing its records would write them all again. A number is in one
// of the three tables.

// waiting is a run that is accepted and not posted.
type waiting struct {
	run
	lane       int
	day        string
	receivedMS int64
}

// posted is a run of one group.
type posted struct {
	run
	Verdict
	day string
}

// apart is a record that is decided and in no group.
type apart struct {
	recordKey
	verdict, reason, day string
}

// runsBy joins records, which are in order, to runs of those that are alike.
func runsBy[K comparable](keys []recordKey, like func(recordKey) K, each func(run, K)) {
	type kind struct {
		terminal string
		epoch    int64
		like     K
	}
	open := map[kind]*run{} // that may still grow
	for _, k := range keys {
		is := kind{k.terminal, k.epoch, like(k)}
		if r := open[is]; r != nil {
			if r.add(k.seq) {
				continue
			}
			each(*r, is.like)
		}
		r := runOf(k)
		open[is] = &r
	}
	rest := make([]kind, 0, len(open))
	for is := range open {
		rest = append(rest, is)
	}
	slices.SortFunc(rest, func(a, b kind) int { return open[a].key().compare(open[b].key()) })
	for _, is := range rest {
		each(*open[is], is.like)
	}
}

const (
	waitingColumns = `x.terminal, x.epoch, x.first, x.last, x.marks, x.lane, x.day, x.received_ms`
	postedColumns  = `x.terminal, x.epoch, x.first, x.last, x.marks, x.posted_in, x.verdict, x.label, x.reason, x.day`
)

func scanWaiting(scan func(...any) error) (w waiting, err error) {
	var marks []byte
	err = scan(&w.terminal, &w.epoch, &w.first, &w.last, &marks, &w.lane, &w.day, &w.receivedMS)
	w.setBytes(marks)
	return w, err
}

func scanPosted(scan func(...any) error) (p posted, err error) {
	var marks []byte
	err = scan(&p.terminal, &p.epoch, &p.first, &p.last, &marks, &p.group, &p.Verdict.Verdict, &p.Label, &p.Reason, &p.day)
	p.setBytes(marks)
	return p, err
}

// waitingOf are the runs that wait and may have some of the numbers, which are in order: a number may be between those of a run and not be in it.
func (t *Tx) waitingOf(ctx context.Context, keys []recordKey) ([]waiting, error) {
	var out []waiting
	err := t.overlapping(ctx, "waiting records", waitingColumns+` FROM record_waiting x`, reachOf(keys), func(scan func(...any) error) error {
		w, err := scanWaiting(scan)
		out = append(out, w)
		return err
	})
	slices.SortFunc(out, func(a, b waiting) int { return a.key().compare(b.key()) })
	return slices.CompactFunc(out, func(a, b waiting) bool { return a.key() == b.key() }), err // one may reach into two
}

// overlapping reads the rows of a table of runs, "columns FROM table x", that reach into spans.
func (t *Tx) overlapping(ctx context.Context, what, columns string, spans []span, each func(scan func(...any) error) error) error {
	if t.dialect == postgres {
		return t.overlappingAtOnce(ctx, what, columns, spans, each)
	}
	for _, s := range spans {
		if err := t.rows(ctx, what, each, `SELECT `+columns+` WHERE x.terminal = ? AND x.epoch = ? AND x.first > ? AND x.first <= ? AND x.last >= ?`,
			s.terminal, s.epoch, s.first-longestRun, s.last, s.first); err != nil {
			return err
		}
	}
	return nil
}

// addWaiting has runs wait to be posted.
func (t *Tx) addWaiting(ctx context.Context, all []waiting) error {
	if t.dialect == postgres {
		return t.addWaitingAtOnce(ctx, all)
	}
	for _, w := range all {
		if _, err := t.exec(ctx, "add waiting records", `INSERT INTO record_waiting (terminal, epoch, first, last, marks, records, lane, day, received_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			w.terminal, w.epoch, w.first, w.last, w.bytes(), w.count(), w.lane, w.day, w.receivedMS); err != nil {
			return err
		}
	}
	return nil
}

// takeWaiting takes numbers out of the runs they wait in.
func (t *Tx) takeWaiting(ctx context.Context, had []waiting, taken map[recordKey]bool) error {
	var gone []run
	var rest []waiting
	for _, w := range had {
		left, some := w.without(taken)
		if left == w.run {
			continue
		}
		gone = append(gone, w.run)
		if some {
			rest = append(rest, waiting{left, w.lane, w.day, w.receivedMS})
		}
	}
	if err := t.dropWaiting(ctx, gone); err != nil {
		return err
	}
	return t.addWaiting(ctx, rest)
}

// dropWaiting deletes rows that this transaction has read. One that is gone was taken by another transaction meanwhile.
func (t *Tx) dropWaiting(ctx context.Context, runs []run) error {
	dropped := int64(0)
	if t.dialect == postgres {
		var err error
		if dropped, err = t.dropWaitingAtOnce(ctx, runs); err != nil {
			return err
		}
	} else {
		for _, r := range runs {
			done, err := t.exec(ctx, "drop waiting records", `DELETE FROM record_waiting WHERE terminal = ? AND epoch = ? AND first = ?`, r.terminal, r.epoch, r.first)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			dropped += n
		}
	}
	if dropped != int64(len(runs)) {
		return t.failed("drop waiting records", ErrRunAgain)
	}
	return nil
}

// addPosted writes runs of a group.
func (t *Tx) addPosted(ctx context.Context, all []posted) error {
	if t.dialect == postgres {
		return t.addPostedAtOnce(ctx, all)
	}
	for _, p := range all {
		if _, err := t.exec(ctx, "add posted records", `INSERT INTO record_posted (terminal, epoch, first, last, marks, posted_in, verdict, label, reason, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.terminal, p.epoch, p.first, p.last, p.bytes(), p.group, p.Verdict.Verdict, string(p.Label), p.Reason, p.day); err != nil {
			return err
		}
	}
	return nil
}

// apartOf finds a record that is decided and in no group.
func (t *Tx) apartOf(ctx context.Context, k recordKey) (a apart, found bool, err error) {
	a.recordKey = k
	found, err = t.one(ctx, "record apart", `SELECT verdict, reason, day FROM record_apart WHERE terminal = ? AND epoch = ? AND seq = ?`, []any{k.terminal, k.epoch, k.seq}, &a.verdict, &a.reason, &a.day)
	return a, found, err
}

// setApart notes what became of a record that is in no group, in place of what was noted.
func (t *Tx) setApart(ctx context.Context, a apart) error {
	_, err := t.exec(ctx, "set record apart", `INSERT INTO record_apart (terminal, epoch, seq, verdict, reason, day) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (terminal, epoch, seq) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, day = excluded.day`, a.terminal, a.epoch, a.seq, a.verdict, a.reason, a.day)
	return err
}

func (t *Tx) dropApart(ctx context.Context, k recordKey) error {
	_, err := t.exec(ctx, "drop record apart", `DELETE FROM record_apart WHERE terminal = ? AND epoch = ? AND seq = ?`, k.terminal, k.epoch, k.seq)
	return err
}

// setVerdicts notes what became of the records of a group, and returns its evidence. A record that another group has posted stays that
// group's, and is no part of the evidence of this one; nor is one that is not kept. Of a record that is given twice the first counts.
func (t *Tx) setVerdicts(ctx context.Context, group int64, records []Verified, verdicts []Verdict) (evidence string, err error) {
	index := make(map[recordKey]int, len(records))
	keys := make([]recordKey, 0, len(records))
	for i, r := range records {
		k := keyOf(r.Pending)
		if _, twice := index[k]; !twice {
			index[k] = i
			keys = append(keys, k)
		}
	}
	sortKeys(keys)
	if keys, err = t.post(ctx, group, keys, func(k recordKey) Verdict { return verdicts[index[k]] }); err != nil {
		return "", err
	}
	all := make([]exhibit, len(keys))
	for i, k := range keys {
		all[i] = exhibit{k, records[index[k]].hash}
	}
	if slices.ContainsFunc(all, func(x exhibit) bool { return x.hash == nil }) { // they were not read from here
		if all, err = t.exhibits(ctx, keys); err != nil {
			return "", err
		}
	}
	return evidenceOf(all), nil
}

// post gives records, which are in order, to a group, and returns those that no group had, and are kept.
func (t *Tx) post(ctx context.Context, group int64, keys []recordKey, verdict func(recordKey) Verdict) ([]recordKey, error) {
	had, err := t.waitingOf(ctx, keys)
	if err != nil {
		return nil, err
	}
	days := make(map[recordKey]string, len(keys))
	for _, w := range had {
		for k := range w.members {
			days[k] = w.day
		}
	}
	taken := make(map[recordKey]bool, len(keys))
	var ours []recordKey
	for _, k := range keys {
		if _, waits := days[k]; waits {
			taken[k] = true
			ours = append(ours, k)
			continue
		}
		a, found, err := t.apartOf(ctx, k)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		days[k] = a.day
		ours = append(ours, k)
		if err := t.dropApart(ctx, k); err != nil {
			return nil, err
		}
	}
	if err := t.takeWaiting(ctx, had, taken); err != nil {
		return nil, err
	}
	type fate struct {
		Verdict
		day string
	}
	var runs []posted
	runsBy(ours, func(k recordKey) fate { return fate{verdict(k), days[k]} }, func(r run, f fate) {
		f.group = group
		runs = append(runs, posted{r, f.Verdict, f.day})
	})
	return ours, t.addPosted(ctx, runs)
}

// exhibits reads the hashes of records, which are in order.
func (t *Tx) exhibits(ctx context.Context, keys []recordKey) ([]exhibit, error) {
	wanted := make(map[recordKey]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
	}
	var out []exhibit
	err := t.recordsIn(ctx, "hashes of records", `r.terminal, r.epoch, r.seq, r.hash`, spansOf(keys), func(scan func(...any) error) error {
		var x exhibit
		err := scan(&x.terminal, &x.epoch, &x.seq, &x.hash)
		if wanted[x.recordKey] {
			out = append(out, x)
		}
		return err
	})
	return out, err
}

// recordsIn reads the records of spans, which are in order, in that order.
func (t *Tx) recordsIn(ctx context.Context, what, columns string, spans []span, each func(scan func(...any) error) error) error {
	if t.dialect == postgres {
		return t.recordsInAtOnce(ctx, what, columns, spans, each)
	}
	for _, s := range spans {
		if err := t.rows(ctx, what, each, `SELECT `+columns+` FROM record r WHERE r.terminal = ? AND r.epoch = ? AND r.seq BETWEEN ? AND ? ORDER BY r.seq`, s.terminal, s.epoch, s.first, s.last); err != nil {
			return err
		}
	}
	return nil
}

// SetVerdict notes what became of a record that never became a tap. One that a group has, or that is not kept, stays as it is.
func (t *Tx) SetVerdict(ctx context.Context, p Pending, verdict, reason string) error {
	k := keyOf(p)
	had, err := t.waitingOf(ctx, []recordKey{k})
	if err != nil {
		return err
	}
	for _, w := range had {
		left, _ := w.without(map[recordKey]bool{k: true})
		if left == w.run {
			continue // it is between the numbers of this one
		}
		if err := t.takeWaiting(ctx, []waiting{w}, map[recordKey]bool{k: true}); err != nil {
			return err
		}
		return t.setApart(ctx, apart{k, verdict, reason, w.day})
	}
	a, found, err := t.apartOf(ctx, k)
	if err != nil || !found {
		return err
	}
	return t.setApart(ctx, apart{k, verdict, reason, a.day})
}

// RecordVerdict reads what became of a record; its Verdict is empty while it waits. A record never kept is ErrNotFound.
func (t *Tx) RecordVerdict(ctx context.Context, terminal ids.TerminalID, epoch, seq uint64) (Verdict, error) {
	k := recordKey{string(terminal), int64(epoch), int64(seq)}
	var v Verdict
	err := t.overlapping(ctx, "record verdict", postedColumns+` FROM record_posted x`, []span{{k.terminal, k.epoch, k.seq, k.seq}}, func(scan func(...any) error) error {
		p, err := scanPosted(scan)
		for m := range p.members {
			if m == k {
				v = p.Verdict
			}
		}
		return err
	})
	if err != nil || v.Verdict != "" {
		return v, err
	}
	a, found, err := t.apartOf(ctx, k)
	if err != nil || found {
		return Verdict{Verdict: a.verdict, Reason: a.reason}, err
	}
	var one int
	found, err = t.one(ctx, "look for record", `SELECT 1 FROM record WHERE terminal = ? AND epoch = ? AND seq = ?`, []any{k.terminal, k.epoch, k.seq}, &one)
	if err == nil && !found {
		err = fmt.Errorf("record %s/%x/%d: %w", terminal, epoch, seq, ErrNotFound)
	}
	return v, err
}

// runsAtOnce is how many waiting runs are read at a time: a group needs a few, and a backlog has many.
const runsAtOnce = 32

// pendingRecords lists accepted records that are not posted, at most limit, those that came first: of a lane, or with lane < 0 of all.
func (t *Tx) pendingRecords(ctx context.Context, lane, limit int) ([]Pending, error) {
	where, args := ``, []any{}
	if lane >= 0 {
		where, args = `lane = ? AND `, []any{lane}
	}
	var found []place
	from := place{ms: math.MinInt64} // where the last run begins
	for more := true; more; {
		n := 0
		err := t.rows(ctx, "waiting records", func(scan func(...any) error) error {
			w, err := scanWaiting(scan)
			if err != nil {
				return err
			}
			n++
			from = place{w.receivedMS, w.key(), w.day}
			for k := range w.members {
				found = append(found, place{w.receivedMS, k, w.day})
			}
			return nil
		}, `SELECT `+waitingColumns+` FROM record_waiting x WHERE `+where+`x.received_ms >= ? AND (x.received_ms, x.terminal, x.epoch, x.first) > (?, ?, ?, ?)
			ORDER BY x.received_ms, x.terminal, x.epoch, x.first LIMIT ?`, append(args[:len(args):len(args)], from.ms, from.ms, from.terminal, from.epoch, from.seq, runsAtOnce)...)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(found, place.compare) // runs of different lanes run side by side
		before, _ := slices.BinarySearchFunc(found, from, place.compare)
		more = n == runsAtOnce && before < limit // what is found up to where the last run begins is all there is
	}
	found = found[:min(limit, len(found))]
	slices.SortFunc(found, func(a, b place) int { return a.recordKey.compare(b.recordKey) })
	keys := make([]recordKey, len(found))
	for i, p := range found {
		keys[i] = p.recordKey
	}
	at := 0 // where the record that is read stands among those found: both are in order
	out := make([]Pending, 0, len(keys))
	err := t.recordsIn(ctx, "pending records", `r.terminal, r.epoch, r.seq, r.body, r.received_ms, r.hash`, spansOf(keys), func(scan func(...any) error) error {
		var p Pending
		var epoch int64
		err := scan(&p.Terminal, &epoch, &p.Seq, &p.Body, &p.ReceivedMS, &p.hash)
		p.Epoch = uint64(epoch)
		for ; at < len(found) && found[at].recordKey.compare(keyOf(p)) < 0; at++ {
		}
		if at < len(found) && found[at].recordKey == keyOf(p) {
			p.Day = found[at].day
		}
		out = append(out, p)
		return err
	})
	slices.SortFunc(out, func(a, b Pending) int { return placeOf(a).compare(placeOf(b)) })
	return out, err
}

// place is where a record stands among those that wait.
type place struct {
	ms int64
	recordKey
	day string
}

func placeOf(p Pending) place { return place{p.ReceivedMS, keyOf(p), p.Day} }

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.ms, o.ms), p.recordKey.compare(o.recordKey))
}

// postedIn are the runs of a group, in order.
func (t *Tx) postedIn(ctx context.Context, group int64) ([]posted, error) {
	var out []posted
	err := t.rows(ctx, "runs of group", func(scan func(...any) error) error {
		p, err := scanPosted(scan)
		out = append(out, p)
		return err
	}, `SELECT `+postedColumns+` FROM record_posted x WHERE posted_in = ? ORDER BY x.terminal, x.epoch, x.first`, group)
	return out, err
}

// keysOfRuns are the numbers of runs, in order, with the run that each is of.
func keysOfRuns(runs []posted) ([]recordKey, map[recordKey]*posted) {
	var keys []recordKey
	of := map[recordKey]*posted{}
	for i := range runs {
		for k := range runs[i].members {
			keys = append(keys, k)
			of[k] = &runs[i]
		}
	}
	sortKeys(keys)
	return keys, of
}
