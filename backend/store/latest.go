package store

import (
	"context"
	"slices"
	"strings"
)

// latestClaims is the condition, with its arguments, of the claims c that n newest by arrival are among, for a query that sorts those; "" where there is no claim. Claims stand in
// their index by clearing day and then by arrival: one by arrival alone would cost each tap what two pages would save.
func (t *Tx) latestClaims(ctx context.Context, n int) (where string, args []any, err error) {
	var arrivals []int64
	before := afterAllDays
	for beyond := 0; beyond <= daysApart; {
		found, err := t.one(ctx, "day before", `SELECT day FROM claim WHERE day < ? ORDER BY day DESC LIMIT 1`, []any{before}, &before)
		if err != nil {
			return "", nil, err
		}
		if !found {
			break
		}
		args = append(args, before)
		if err := t.rows(ctx, "latest arrivals of day", func(scan func(...any) error) error {
			var ms int64
			err := scan(&ms)
			arrivals = append(arrivals, ms)
			return err
		}, `SELECT received_ms FROM claim WHERE day = ? ORDER BY received_ms DESC LIMIT ?`, before, n); err != nil {
			return "", nil, err
		}
		if len(arrivals) >= n {
			beyond++
		}
	}
	if n <= 0 || len(arrivals) == 0 {
		return "", nil, nil
	}
	slices.Sort(arrivals)
	return `c.day IN (?` + strings.Repeat(`, ?`, len(args)-1) + `) AND c.received_ms >= ?`, append(args, arrivals[max(len(arrivals)-n, 0)]), nil
}

const (
	afterAllDays = "~"
	// daysApart is by how many clearing days two claims that arrive at once may differ: parties end their days at times of their own, in time zones of their own.
	daysApart = 2
)
