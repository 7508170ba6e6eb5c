package store

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Contract is what a party is charged, over time. Schedule is JSON (see docs/settlement.md).
type Contract struct {
	Kind, Party string // kind: acquirer, channel or merchant
	Schedule    string
	NotedAt     time.Time
}

// PutContract notes or replaces a party's contract.
func (t *Tx) PutContract(ctx context.Context, c Contract) error {
	_, err := t.exec(ctx, "put contract", `INSERT INTO contract (kind, party, schedule, noted_ms) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, party) DO UPDATE SET schedule = excluded.schedule, noted_ms = excluded.noted_ms`, c.Kind, c.Party, c.Schedule, c.NotedAt.UnixMilli())
	return err
}

// Contracts lists all contracts by kind and party.
func (t *Tx) Contracts(ctx context.Context) ([]Contract, error) {
	return t.contracts(ctx, `ORDER BY kind, party`)
}

// Contract finds a party's contract, or ErrNotFound.
func (t *Tx) Contract(ctx context.Context, kind, party string) (Contract, error) {
	all, err := t.contracts(ctx, `WHERE kind = ? AND party = ?`, kind, party)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("contract of %s %s: %w", kind, party, ErrNotFound)
	}
	if err != nil {
		return Contract{}, err
	}
	return all[0], nil
}

func (t *Tx) contracts(ctx context.Context, where string, args ...any) ([]Contract, error) {
	var out []Contract
	err := t.rows(ctx, "contracts", func(scan func(...any) error) error {
		var c Contract
		var noted int64
		err := scan(&c.Kind, &c.Party, &c.Schedule, &noted)
		c.NotedAt = time.UnixMilli(noted)
		out = append(out, c)
		return err
	}, `SELECT kind, party, schedule, noted_ms FROM contract `+where, args...)
	return out, err
}

// MerchantFees is what a merchant with a contract of its own was charged by on a closed day.
type MerchantFees struct {
	Merchant ids.MerchantID
	Fees     string // JSON list of fee standards
	Since    string // first day that charges per month count
}

// PutMerchantFees freezes a merchant's fee standards of a day.
func (t *Tx) PutMerchantFees(ctx context.Context, day string, m MerchantFees) error {
	_, err := t.exec(ctx, "freeze merchant", `INSERT INTO settlement_merchant (day, merchant, fees, since) VALUES (?, ?, ?, ?)`, day, string(m.Merchant), m.Fees, m.Since)
	return err
}

// MerchantFees lists the merchants of a closed day that have contracts of their own.
func (t *Tx) MerchantFees(ctx context.Context, day string) ([]MerchantFees, error) {
	var out []MerchantFees
	err := t.rows(ctx, "merchants of day", func(scan func(...any) error) error {
		var m MerchantFees
		err := scan(&m.Merchant, &m.Fees, &m.Since)
		out = append(out, m)
		return err
	}, `SELECT merchant, fees, since FROM settlement_merchant WHERE day = ? ORDER BY merchant`, day)
	return out, err
}

// DaySum is what a closed day accepted from a merchant and what it took back, as fees are charged on it.
type DaySum struct {
	Day      string
	Acquirer ids.AcquirerID
	Merchant ids.MerchantID
	Gross    money.Amount
	Count    int64 // of taps with an amount
}

// DaySums lists what the closed days from one day to before another came to, by day, acquirer and merchant.
func (t *Tx) DaySums(ctx context.Context, from, before string) ([]DaySum, error) {
	var out []DaySum
	err := t.rows(ctx, "day sums", func(scan func(...any) error) error {
		var s DaySum
		var gross int64
		err := scan(&s.Day, &s.Acquirer, &s.Merchant, &gross, &s.Count)
		s.Gross = money.Minor(gross)
		out = append(out, s)
		return err
	}, `SELECT day, acquirer, merchant,
			SUM(CASE WHEN class = 'accepted' THEN amount ELSE 0 END) - SUM(CASE WHEN was_class = 'accepted' THEN was_amount ELSE 0 END),
			SUM(CASE WHEN class = 'accepted' AND amount <> 0 THEN 1 ELSE 0 END) - SUM(CASE WHEN was_class = 'accepted' AND was_amount <> 0 THEN 1 ELSE 0 END)
		FROM settlement_item WHERE day >= ? AND day < ? GROUP BY day, acquirer, merchant ORDER BY day, acquirer, merchant`, from, before)
	return out, err
}
