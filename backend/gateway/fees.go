package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// Rated is what a rate is looked for.
type Rated struct {
	App     string
	Account string // ours at the channel that was paid over
	Product channel.Product
	Paid    calendar.Date // the day of the payment, in the scheme's time zone
}

// Rate is what a payment costs its merchant. All standards apply; none is a payment that costs nothing.
type Rate struct {
	Name      string        // the operator's for the standards, "" for none
	Since     calendar.Date // first day of the term that they are of, "" for none
	Standards []fee.Standard
	GivesBack bool // a refund of what has been earned gives its part of the fee back
}

// Plain is the rate of a part of the amount, in millionths.
func Plain(ppm int64) Rate {
	if ppm == 0 {
		return Rate{}
	}
	return Rate{Standards: []fee.Standard{fee.Percent("plain", "", ppm)}}
}

// CheckRate refuses a fee standard that says what is nothing for one payment online.
func CheckRate(s fee.Standard) error {
	if s.Collect == fee.OnceAMonth {
		return fmt.Errorf("standard %q: collect: month: a fee online is taken when its payment is earned", s.Name)
	}
	if s.Side == fee.Outside {
		return fmt.Errorf("standard %q: side: outside: payers pay what is ordered, so the app adds what they bear to the order", s.Name)
	}
	for _, c := range s.Charges {
		switch {
		case c.Side == fee.Outside:
			return fmt.Errorf("standard %q, kind %s: side: outside: payers pay what is ordered, so the app adds what they bear to the order", s.Name, c.Kind)
		case c.Per == fee.Month:
			return fmt.Errorf("standard %q, kind %s: per: month: want transaction; a fee online is one payment's", s.Name, c.Kind)
		case c.To != "":
			return fmt.Errorf("standard %q, kind %s: to: %s: fees online are the scheme's", s.Name, c.Kind, c.To)
		}
	}
	return nil
}

// Fee is one part of what an order costs its merchant, or of what came back of it.
type Fee struct {
	About     string // the order, or the refund that gave it back
	Kind      string // of the charge or the tax, "" for a plain rate
	Amount    money.Amount
	GivenBack bool // to the merchant
	Rate      string
	Since     calendar.Date
	At        time.Time
}

func feeOf(f store.GatewayFee) Fee {
	about, _, _ := strings.Cut(strings.TrimPrefix(f.Entry, "gateway:"), ":")
	out := Fee{About: about, Kind: f.Kind, Amount: f.Amount, Rate: f.Rate, Since: calendar.Date(f.Since), At: f.At}
	if f.Amount.Sign() < 0 {
		out.Amount, out.GivenBack = money.Minor(-f.Amount.Minor()), true
	}
	return out
}

// fees are the parts of what an order costs of which so much is left. Error: [ErrRate].
func (c *change) fees(ctx context.Context, p store.GatewayPayment, left money.Amount) ([]store.GatewayFee, error) {
	if c.s.cfg.Rate == nil {
		return nil, nil
	}
	r, err := c.s.cfg.Rate(ctx, c.tx, Rated{App: c.o.App, Account: p.Channel, Product: channel.Product(p.Product), Paid: calendar.DateOf(c.o.PaidAt.In(c.s.cfg.Location))})
	if err != nil {
		return nil, err
	}
	var out []store.GatewayFee
	part := func(kind string, account books.Account, amount money.Amount) {
		if !amount.IsZero() {
			out = append(out, store.GatewayFee{Kind: kind, Account: account, Amount: amount, Rate: r.Name, Since: string(r.Since), Basis: left, GivesBack: r.GivesBack})
		}
	}
	for _, s := range r.Standards {
		q, err := s.Quote(fee.Basis{Gross: left, Count: 1, Each: []fee.Each{{Amount: left, Count: 1}}})
		if err != nil {
			return nil, err
		}
		for _, x := range q.Parts {
			account := books.FeeMerchant
			switch {
			case x.Tax:
				account = books.Tax(x.Kind)
			case x.Kind != "":
				account += books.Account(":" + x.Kind)
			}
			part(x.Kind, account, x.Amount)
		}
		part("rounding", books.Rounding, q.Residue)
	}
	return out, nil
}

// book writes fees of an entry, and returns the lines that it has for them and what they come to.
func (c *change) book(ctx context.Context, entry string, parts []store.GatewayFee) (lines []books.Line, sum money.Amount, err error) {
	have, err := c.tx.GatewayFees(ctx, c.o.ID)
	if err != nil {
		return nil, sum, err
	}
	for i, f := range parts {
		f.Order, f.N, f.Entry, f.At = c.o.ID, len(have)+i+1, entry, c.at
		if err := c.tx.AddGatewayFee(ctx, f); err != nil {
			return nil, sum, err
		}
		minus, err := f.Amount.Neg()
		if err != nil {
			return nil, sum, err
		}
		lines = append(lines, books.Line{Account: f.Account, Amount: minus})
		if sum, err = sum.Add(f.Amount); err != nil {
			return nil, sum, err
		}
	}
	return lines, sum, nil
}

// feesBack are the parts of the fee that come back, once so much more is given back than the order's row says. Each refund gives what all of them together
// give back of the fee, in proportion, less what was given: the whole of it when the whole of the payment is.
func (c *change) feesBack(ctx context.Context, more money.Amount) (parts []store.GatewayFee, sum money.Amount, err error) {
	if c.o.Earned.IsZero() || c.typeOf() != code.Pay {
		return nil, sum, nil
	}
	all, err := c.tx.GatewayFees(ctx, c.o.ID)
	if err != nil || len(all) == 0 {
		return nil, sum, err
	}
	left, err := c.left()
	if err != nil {
		return nil, sum, err
	}
	earned := earnedEntry(c.o.ID)
	given := map[books.Account]int64{}
	for _, f := range all {
		if f.Entry != earned {
			given[f.Account] -= f.Amount.Minor()
		}
	}
	for _, f := range all {
		if f.Entry != earned || !f.GivesBack {
			continue
		}
		due, err := f.Amount.MulRatio(f.Basis.Minor()-left.Minor()+more.Minor(), f.Basis.Minor())
		if err != nil {
			return nil, sum, err
		}
		// By the rounding of a refund that was refused since, a part may have been given that is not due: it is not taken again.
		back := due.Minor() - given[f.Account]
		if back == 0 || back < 0 == (f.Amount.Sign() > 0) {
			continue
		}
		f.Amount = money.Minor(-back)
		parts = append(parts, f)
		if sum, err = sum.Add(money.Minor(back)); err != nil {
			return nil, sum, err
		}
	}
	return parts, sum, nil
}

func earnedEntry(order string) string { return "gateway:" + order + ":earned" }

// giveFees books what a refund gives back of the fee; the order's row has the refund already.
func (c *change) giveFees(ctx context.Context, o *store.GatewayOperation) error {
	if o.Source != Available(c.o.Merchant) {
		return nil
	}
	parts, _, err := c.feesBack(ctx, money.Amount{})
	if err != nil || len(parts) == 0 {
		return err
	}
	return c.postFees(ctx, *o, "fee-out", parts)
}

// keepFees books back what a refund gave back that was refused.
func (c *change) keepFees(ctx context.Context, o *store.GatewayOperation) error {
	if o.Source != Available(c.o.Merchant) {
		return nil
	}
	all, err := c.tx.GatewayFees(ctx, c.o.ID)
	if err != nil {
		return err
	}
	var parts []store.GatewayFee
	for _, f := range all {
		if f.Entry == feeEntry(o.Number, "fee-out") {
			if f.Amount, err = f.Amount.Neg(); err != nil {
				return err
			}
			parts = append(parts, f)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return c.postFees(ctx, *o, "fee-back", parts)
}

func feeEntry(operation, what string) string { return "gateway:" + operation + ":" + what }

func (c *change) postFees(ctx context.Context, o store.GatewayOperation, what string, parts []store.GatewayFee) error {
	entry := feeEntry(o.Number, what)
	lines, sum, err := c.book(ctx, entry, parts)
	if err != nil {
		return err
	}
	day, err := c.tx.ClearingDay(ctx, c.at.In(c.s.cfg.Location))
	if err != nil {
		return err
	}
	return c.tx.Post(ctx, books.Entry{ID: entry, Kind: "gateway-" + what, Day: day, Ref: c.o.ID + " " + o.Context, Lines: append(lines, books.Line{Account: Available(c.o.Merchant), Amount: sum})})
}
