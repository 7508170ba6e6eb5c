package store

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// GatewayFee is one part of what a payment costs its merchant, or of what came back of it.
type GatewayFee struct {
	Order     string
	N         int    // 1, 2, 3 … within the order
	Entry     string // that books it
	Kind      string // of the charge or the tax, "" for a plain rate
	Account   books.Account
	Amount    money.Amount // negative: given back
	Rate      string       // the operator's name for the fee standards, "" for none
	Since     string       // first day of the term that was in force, YYYY-MM-DD; "" for none
	Basis     money.Amount // what the fee was taken of
	GivesBack bool         // refunds give a part of it back
	At        time.Time
}

func (f *GatewayFee) columns() []column {
	return []column{{"order_id", &f.Order}, {"n", &f.N}, {"entry", &f.Entry}, {"kind", &f.Kind}, {"account", &f.Account}, {"amount", &f.Amount}, {"rate", &f.Rate},
		{"since", &f.Since}, {"basis", &f.Basis}, {"gives_back", &f.GivesBack}, {"at_ms", &f.At}}
}

// AddGatewayFee writes a part of what an order costs.
func (t *Tx) AddGatewayFee(ctx context.Context, f GatewayFee) error {
	return t.addRow(ctx, "gateway_fee", f.columns())
}

// GatewayFees lists what an order costs its merchant, in the order in which it was booked.
func (t *Tx) GatewayFees(ctx context.Context, order string) (all []GatewayFee, err error) {
	err = t.rows(ctx, "fees of an order", func(scan func(...any) error) error {
		var f GatewayFee
		err := scanColumns(scan, f.columns())
		all = append(all, f)
		return err
	}, `SELECT `+names((&GatewayFee{}).columns())+` FROM gateway_fee WHERE order_id = ? ORDER BY n`, order)
	return all, err
}

// verifyFees compares the fees of orders with their entries. A fee that the books have and no row tells of is found by its entry's kind.
func (t *Tx) verifyFees(ctx context.Context) (faults []string, err error) {
	if err := t.rows(ctx, "entries of fees", func(scan func(...any) error) error {
		var entry, account string
		var amount, posted int64
		err := scan(&entry, &account, &amount, &posted)
		faults = append(faults, fmt.Sprintf("entry %s gave %v to %s, the fee is %v", entry, money.Minor(posted), account, money.Minor(amount)))
		return err
	}, `SELECT entry, account, amount, posted FROM (SELECT f.entry, f.account, f.amount,
				CAST(COALESCE((SELECT -SUM(l.amount) FROM journal_line l WHERE l.entry = f.entry AND l.account = f.account), 0) AS BIGINT) AS posted
			FROM (SELECT entry, account, CAST(SUM(amount) AS BIGINT) AS amount FROM gateway_fee GROUP BY entry, account) f) x
		WHERE posted <> amount ORDER BY entry, account`); err != nil {
		return nil, err
	}
	err = t.rows(ctx, "fees of nobody", func(scan func(...any) error) error {
		var entry string
		err := scan(&entry)
		faults = append(faults, fmt.Sprintf("entry %s gives a fee back, and no order tells of it", entry))
		return err
	}, `SELECT e.id FROM journal_entry e WHERE e.id >= 'gateway:' AND e.id < 'gateway;' AND e.kind IN ('gateway-fee-out', 'gateway-fee-back')
			AND e.id NOT IN (SELECT entry FROM gateway_fee) ORDER BY e.id`)
	return faults, err
}
