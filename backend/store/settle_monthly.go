package store

import (
	"context"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// FeesDue is what a merchant owes in fees that are taken once a month, through the acquirer that it had when they were charged.
type FeesDue struct {
	Acquirer ids.AcquirerID
	Merchant ids.MerchantID
	Amount   money.Amount // less than zero: it gets back
}

// PutAccrued notes what a closing day adds to what a merchant owes.
func (t *Tx) PutAccrued(ctx context.Context, day string, d FeesDue) error {
	_, err := t.exec(ctx, "fees accrued", `INSERT INTO settlement_monthly (day, acquirer, merchant, accrued) VALUES (?, ?, ?, ?)
		ON CONFLICT (day, acquirer, merchant) DO UPDATE SET accrued = excluded.accrued`, day, string(d.Acquirer), string(d.Merchant), d.Amount.Minor())
	return err
}

// PutCollected notes what a closing day takes of fees of earlier months.
func (t *Tx) PutCollected(ctx context.Context, day string, d FeesDue) error {
	_, err := t.exec(ctx, "fees collected", `INSERT INTO settlement_monthly (day, acquirer, merchant, collected) VALUES (?, ?, ?, ?)
		ON CONFLICT (day, acquirer, merchant) DO UPDATE SET collected = excluded.collected`, day, string(d.Acquirer), string(d.Merchant), d.Amount.Minor())
	return err
}

// FeesOutstanding lists what accrued on days before one and no day has taken, by acquirer and merchant.
func (t *Tx) FeesOutstanding(ctx context.Context, before string) ([]FeesDue, error) {
	return t.feesDue(ctx, `SELECT acquirer, merchant, CAST(SUM(CASE WHEN day < ? THEN accrued ELSE 0 END) - SUM(collected) AS BIGINT) FROM settlement_monthly
		GROUP BY acquirer, merchant HAVING SUM(CASE WHEN day < ? THEN accrued ELSE 0 END) <> SUM(collected) ORDER BY acquirer, merchant`, before, before)
}

// CollectedOn lists what a closed day took of fees of earlier months, by acquirer and merchant.
func (t *Tx) CollectedOn(ctx context.Context, day string) ([]FeesDue, error) {
	return t.feesDue(ctx, `SELECT acquirer, merchant, collected FROM settlement_monthly WHERE day = ? AND collected <> 0 ORDER BY acquirer, merchant`, day)
}

func (t *Tx) feesDue(ctx context.Context, query string, args ...any) ([]FeesDue, error) {
	var out []FeesDue
	err := t.rows(ctx, "fees due", func(scan func(...any) error) error {
		var d FeesDue
		var amount int64
		err := scan(&d.Acquirer, &d.Merchant, &amount)
		d.Amount = money.Minor(amount)
		out = append(out, d)
		return err
	}, query, args...)
	return out, err
}

// FeesDueByMerchant is what each merchant owes in all: what the books must hold of it. A merchant that never had such fees has no entry.
func (t *Tx) FeesDueByMerchant(ctx context.Context) (map[ids.MerchantID]money.Amount, error) {
	out := map[ids.MerchantID]money.Amount{}
	err := t.rows(ctx, "fees due by merchant", func(scan func(...any) error) error {
		var m ids.MerchantID
		var amount int64
		err := scan(&m, &amount)
		out[m] = money.Minor(amount)
		return err
	}, `SELECT merchant, CAST(SUM(accrued) - SUM(collected) AS BIGINT) FROM settlement_monthly GROUP BY merchant ORDER BY merchant`)
	return out, err
}
