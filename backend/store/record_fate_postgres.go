package store

import (
	"context"
	"strconv"
)

// runArrays are runs as PostgreSQL takes many at once.
type runArrays struct {
	terminal           []string
	epoch, first, last []int64
	marks              [][]byte
}

func (a *runArrays) add(r run) {
	a.terminal, a.epoch, a.first, a.last = append(a.terminal, r.terminal), append(a.epoch, r.epoch), append(a.first, r.first), append(a.last, r.last)
	a.marks = append(a.marks, r.bytes())
}

const unnestSpans = `unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[])`

func spanArrays(spans []span) []any {
	terminal, epoch, first, last := make([]string, len(spans)), make([]int64, len(spans)), make([]int64, len(spans)), make([]int64, len(spans))
	for i, s := range spans {
		terminal[i], epoch[i], first[i], last[i] = s.terminal, s.epoch, s.first, s.last
	}
	return []any{terminal, epoch, first, last}
}

// A span's rows stand together in an index. OFFSET 0 has the planner look there for each span: it cannot know how few they are.

// overlappingAtOnce is overlapping in one statement.
func (t *Tx) overlappingAtOnce(ctx context.Context, what, columns string, spans []span, each func(scan func(...any) error) error) error {
	if len(spans) == 0 {
		return nil
	}
	return t.rows(ctx, what, each, `SELECT y.* FROM `+unnestSpans+` AS s (terminal, epoch, first, last) CROSS JOIN LATERAL (SELECT `+columns+`
		WHERE x.terminal = s.terminal AND x.epoch = s.epoch AND x.first > s.first - `+strconv.Itoa(longestRun)+` AND x.first <= s.last AND x.last >= s.first OFFSET 0) AS y`, spanArrays(spans)...)
}

// recordsInAtOnce is recordsIn in one statement.
func (t *Tx) recordsInAtOnce(ctx context.Context, what, columns string, spans []span, each func(scan func(...any) error) error) error {
	if len(spans) == 0 {
		return nil
	}
	return t.rows(ctx, what, each, `SELECT y.* FROM `+unnestSpans+` WITH ORDINALITY AS s (terminal, epoch, first, last, n) CROSS JOIN LATERAL (SELECT `+columns+` FROM record r
		WHERE r.terminal = s.terminal AND r.epoch = s.epoch AND r.seq BETWEEN s.first AND s.last OFFSET 0) AS y ORDER BY s.n, y.seq`, spanArrays(spans)...)
}

// addWaitingAtOnce is addWaiting in one statement.
func (t *Tx) addWaitingAtOnce(ctx context.Context, all []waiting) error {
	if len(all) == 0 {
		return nil
	}
	var a runArrays
	var records, lane, received []int64
	var day []string
	for _, w := range all {
		a.add(w.run)
		records, lane, day, received = append(records, int64(w.count())), append(lane, int64(w.lane)), append(day, w.day), append(received, w.receivedMS)
	}
	_, err := t.exec(ctx, "add waiting records", `INSERT INTO record_waiting (terminal, epoch, first, last, marks, records, lane, day, received_ms)
		SELECT * FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bigint[], ?::bigint[], ?::text[], ?::bigint[])`,
		a.terminal, a.epoch, a.first, a.last, a.marks, records, lane, day, received)
	return err
}

// dropWaitingAtOnce deletes runs in one statement, and says how many were there.
func (t *Tx) dropWaitingAtOnce(ctx context.Context, runs []run) (int64, error) {
	if len(runs) == 0 {
		return 0, nil
	}
	var a runArrays
	for _, r := range runs {
		a.add(r)
	}
	done, err := t.exec(ctx, "drop waiting records", `DELETE FROM record_waiting x USING unnest(?::text[], ?::bigint[], ?::bigint[]) AS r (terminal, epoch, first)
		WHERE x.terminal = r.terminal AND x.epoch = r.epoch AND x.first = r.first`, a.terminal, a.epoch, a.first)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// addPostedAtOnce is addPosted in one statement.
func (t *Tx) addPostedAtOnce(ctx context.Context, all []posted) error {
	if len(all) == 0 {
		return nil
	}
	var a runArrays
	var group []int64
	var verdict, label, reason, day []string
	for _, p := range all {
		a.add(p.run)
		group, verdict, label, reason, day = append(group, p.group), append(verdict, p.Verdict.Verdict), append(label, string(p.Label)), append(reason, p.Reason), append(day, p.day)
	}
	_, err := t.exec(ctx, "add posted records", `INSERT INTO record_posted (terminal, epoch, first, last, marks, posted_in, verdict, label, reason, day)
		SELECT * FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[])`,
		a.terminal, a.epoch, a.first, a.last, a.marks, group, verdict, label, reason, day)
	return err
}
