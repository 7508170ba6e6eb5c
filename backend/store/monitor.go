package store

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// The queries of this file count over some hours, by indexes, for people who look: what they read grows with those hours and not with the database. None of them is on the
// way of a payment.

// SalesHour counts the orders that one app made for one merchant within one hour.
type SalesHour struct {
	App      string
	Merchant ids.MerchantID
	Context  string // code
	Currency string
	Hour     int // from 0 on, counted from the begin of the time asked for
	Orders   int64
	Paid     int64 // of them
	Amount   money.Amount
	Received money.Amount
	Returned money.Amount // given back, or on its way back
	Fee      money.Amount // that channels keep
}

// SalesHours counts the orders that were made from a time until before another, by app, merchant, context and hour.
func (t *Tx) SalesHours(ctx context.Context, from, until time.Time) ([]SalesHour, error) {
	var out []SalesHour
	err := t.each(ctx, "apps", `SELECT app FROM gateway_order WHERE app > ? ORDER BY app LIMIT 1`, func(app string) error {
		return t.rows(ctx, "orders by the hour", func(scan func(...any) error) error {
			s := SalesHour{App: app}
			var amount, received, returned, fee int64
			err := scan(&s.Merchant, &s.Context, &s.Currency, &s.Hour, &s.Orders, &s.Paid, &amount, &received, &returned, &fee)
			s.Amount, s.Received, s.Returned, s.Fee = money.Minor(amount), money.Minor(received), money.Minor(returned), money.Minor(fee)
			out = append(out, s)
			return err
		}, `SELECT merchant, context, currency, (created_ms - ?1) / 3600000 AS hour, COUNT(*), CAST(SUM(CASE WHEN paid_ms > 0 THEN 1 ELSE 0 END) AS BIGINT),
			CAST(SUM(amount) AS BIGINT), CAST(SUM(received) AS BIGINT), CAST(SUM(refunding + refunded) AS BIGINT), CAST(SUM(fee) AS BIGINT)
			FROM gateway_order WHERE app = ?2 AND created_ms >= ?1 AND created_ms < ?3 GROUP BY merchant, context, currency, hour ORDER BY merchant, context, currency, hour`,
			from.UnixMilli(), app, until.UnixMilli())
	})
	return out, err
}

// each calls f with every value of the first column of an index: next is the query for the one after a value.
func (t *Tx) each(ctx context.Context, what, next string, f func(string) error) error {
	at := ""
	for {
		found, err := t.one(ctx, what, next, []any{at}, &at)
		if err != nil || !found {
			return err
		}
		if err := f(at); err != nil {
			return err
		}
	}
}

// AttemptHour counts the attempts to pay orders that one app made for one merchant, within one hour.
type AttemptHour struct {
	App      string
	Merchant ids.MerchantID
	Hour     int // as in [SalesHour]
	Paid     int64
	Refused  int64 // those that nobody paid in time are neither
}

// AttemptHours counts the attempts that were made from a time until before another, by app, merchant and hour.
func (t *Tx) AttemptHours(ctx context.Context, from, until time.Time) ([]AttemptHour, error) {
	sums := map[AttemptHour][2]int64{}
	var order []AttemptHour // keys, as they came
	err := t.each(ctx, "accounts at channels", `SELECT channel FROM gateway_payment WHERE channel > ? ORDER BY channel LIMIT 1`, func(channel string) error {
		return t.rows(ctx, "attempts by the hour", func(scan func(...any) error) error {
			var a AttemptHour
			var paid, refused int64
			err := scan(&a.App, &a.Merchant, &a.Hour, &paid, &refused)
			was, known := sums[a]
			if !known {
				order = append(order, a)
			}
			sums[a] = [2]int64{was[0] + paid, was[1] + refused}
			return err
		}, `SELECT o.app, o.merchant, (p.created_ms - ?1) / 3600000 AS hour, CAST(SUM(CASE WHEN p.state IN ('paid', 'authorised', 'released') THEN 1 ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN p.state = 'failed' THEN 1 ELSE 0 END) AS BIGINT) FROM gateway_payment p JOIN gateway_order o ON o.id = p.order_id
			WHERE p.channel = ?2 AND p.created_ms >= ?1 AND p.created_ms < ?3 GROUP BY o.app, o.merchant, hour ORDER BY o.app, o.merchant, hour`,
			from.UnixMilli(), channel, until.UnixMilli())
	})
	var out []AttemptHour
	for _, a := range order {
		a.Paid, a.Refused = sums[a][0], sums[a][1] // the key has neither
		out = append(out, a)
	}
	return out, err
}

// Blocked counts the attempts that risk blocked, of one app for one merchant.
type Blocked struct {
	App      string
	Merchant ids.MerchantID
	Attempts int64
}

// RiskBlocked counts what risk blocked from a time until before another, by app and merchant.
func (t *Tx) RiskBlocked(ctx context.Context, from, until time.Time) ([]Blocked, error) {
	var out []Blocked
	err := t.rows(ctx, "blocked attempts", func(scan func(...any) error) error {
		var b Blocked
		err := scan(&b.App, &b.Merchant, &b.Attempts)
		out = append(out, b)
		return err
	}, `SELECT o.app, o.merchant, COUNT(*) FROM risk_decision r JOIN gateway_order o ON o.id = r.order_id WHERE r.at_ms >= ? AND r.at_ms < ? AND r.outcome = 3
		GROUP BY o.app, o.merchant ORDER BY o.app, o.merchant`, from.UnixMilli(), until.UnixMilli())
	return out, err
}

// LoadsHour counts the orders to load a card that were made within one hour.
type LoadsHour struct {
	Hour   int // as in [SalesHour]
	Orders int64
	Loaded int64 // of them
	Amount money.Amount
}

// LoadsHours counts the orders to load cards that were made from a time until before another, by hour.
func (t *Tx) LoadsHours(ctx context.Context, from, until time.Time) ([]LoadsHour, error) {
	var out []LoadsHour
	err := t.rows(ctx, "loads by the hour", func(scan func(...any) error) error {
		var l LoadsHour
		var amount int64
		err := scan(&l.Hour, &l.Orders, &l.Loaded, &amount)
		l.Amount = money.Minor(amount)
		out = append(out, l)
		return err
	}, `SELECT (created_ms - ?1) / 3600000 AS hour, COUNT(*), CAST(SUM(CASE WHEN state = 'loaded' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(amount) AS BIGINT)
		FROM load_order WHERE created_ms >= ?1 AND created_ms < ?2 GROUP BY hour ORDER BY hour`, from.UnixMilli(), until.UnixMilli())
	return out, err
}

// Overdue counts things whose end is not known though it should be.
type Overdue struct {
	Count  int64
	Amount money.Amount
	Oldest time.Time // zero for none
}

// LatePayments are attempts that channels are still asked about though they ended before a time.
func (t *Tx) LatePayments(ctx context.Context, ended time.Time) (Overdue, error) {
	return t.late(ctx, "late payments", `SELECT COUNT(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT), COALESCE(MIN(created_ms), 0) FROM gateway_payment WHERE slice >= 0 AND ask_ms > 0 AND expires_ms < ?`, ended)
}

// LateOperations are refunds and pay-outs that channels are still asked about though they were made before a time.
func (t *Tx) LateOperations(ctx context.Context, made time.Time) (Overdue, error) {
	return t.late(ctx, "late refunds and pay-outs", `SELECT COUNT(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT), COALESCE(MIN(created_ms), 0) FROM gateway_operation WHERE slice >= 0 AND ask_ms > 0 AND created_ms < ?`, made)
}

// LateLoads are loads on their way to a card since before a time.
func (t *Tx) LateLoads(ctx context.Context, since time.Time) (Overdue, error) {
	return t.late(ctx, "late loads", `SELECT COUNT(*), CAST(COALESCE(SUM(amount), 0) AS BIGINT), COALESCE(MIN(created_ms), 0) FROM load_order WHERE state IN ('in_progress', 'uncertain') AND changed_ms < ?`, since)
}

func (t *Tx) late(ctx context.Context, what, query string, at time.Time) (l Overdue, err error) {
	var amount, oldest int64
	_, err = t.one(ctx, what, query, []any{at.UnixMilli()}, &l.Count, &amount, &oldest)
	l.Amount, l.Oldest = money.Minor(amount), unstamp(oldest)
	return l, err
}

// BalancesOf lists the accounts whose names begin with a word and a colon, by name, at most limit.
func (t *Tx) BalancesOf(ctx context.Context, word string, limit int) ([]books.Balance, error) {
	var out []books.Balance
	err := t.rows(ctx, "balances", func(scan func(...any) error) error {
		var b books.Balance
		var minor int64
		err := scan(&b.Account, &b.Class, &minor)
		b.Amount = money.Minor(minor)
		out = append(out, b)
		return err
	}, `SELECT name, class, balance FROM account WHERE name >= ? AND name < ? ORDER BY name LIMIT ?`, word+":", word+";", limit) // the sign after the colon
	return out, err
}

// UnmatchedBankSum counts the lines of bank statements that payments of ours do not explain, and adds up what is not explained.
func (t *Tx) UnmatchedBankSum(ctx context.Context) (lines int64, sum money.Amount, err error) {
	var minor int64
	_, err = t.one(ctx, "unmatched bank entries", `SELECT COUNT(*), CAST(COALESCE(SUM(ABS(unmatched)), 0) AS BIGINT) FROM bank_entry WHERE unmatched <> 0`, nil, &lines, &minor)
	return lines, money.Minor(minor), err
}
