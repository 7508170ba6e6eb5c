package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/ids"
)

// Setting reads a setting of the connection, by the engine's own words.
func (t *Tx) Setting(ctx context.Context, query string) (string, error) {
	var v string
	_, err := t.one(ctx, query, query, nil, &v)
	return v, err
}

// PostGroupTheLongWay is PostGroup that follows no card: it reads all claims that may matter, and audits whole chains.
func (t *Tx) PostGroupTheLongWay(ctx context.Context, g Group, records []Verified) error {
	return t.postGroup(ctx, g, records, func(_ *posting, _ context.Context, records []Verified) ([]Verified, map[ids.CardNumber]*follower, error) {
		return records, nil, nil
	})
}

// PostGroupCounting is PostGroup, and counts the cards that were followed and those that were not.
func (t *Tx) PostGroupCounting(ctx context.Context, g Group, records []Verified) (followed, others int, err error) {
	err = t.postGroup(ctx, g, records, func(p *posting, ctx context.Context, records []Verified) ([]Verified, map[ids.CardNumber]*follower, error) {
		rest, short, err := p.follow(ctx, records)
		followed, others = len(short), len(rest)
		return rest, short, err
	})
	return followed, others, err
}

// Table is every row of a table as text, in order.
func (t *Tx) Table(ctx context.Context, query string) ([]string, error) {
	r, err := t.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	columns, err := r.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for r.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprintf("%v", row))
	}
	slices.Sort(out)
	return out, r.Err()
}

// PutJournal writes a row of the journal.
func (t *Tx) PutJournal(ctx context.Context, number int64, body []byte) error {
	_, err := t.exec(ctx, "write journal", `INSERT INTO posting_journal (number, lanes, body) VALUES (?, 0, ?)`, number, body)
	return err
}

// Coming is how many callers of Together wait for their turn.
func (s *Store) Coming() int64 { return s.coming.Load() }

// Undo undoes the whole transaction behind the store's back, as the engine does when the disk is full.
func (t *Tx) Undo(ctx context.Context) error {
	_, err := t.tx.ExecContext(ctx, `ROLLBACK`)
	return err
}

// EncodeStamps and DecodeStamps are the two ways of a row of watch_stamp.
func EncodeStamps(all []Stamped) []byte { return encodeStamps(all) }

func DecodeStamps(first uint64, in []byte) ([]Stamped, error) { return decodeStamps(first, in) }

// StampsARow is how many stamps a row takes.
const StampsARow = stampsARow

// RowsOf is how many rows keeping stamps writes.
func RowsOf(s Stamps) int { return len(s.rows) + len(s.gone) }
