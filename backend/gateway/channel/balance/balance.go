package balance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Kinds of the entries in the books.
const (
	KindPaid     = "balance-paid"
	KindRefunded = "balance-refunded"
	KindToppedUp = "balance-topped-up"
)

// Codes of failure. They are an outside contract.
const (
	NoFunds     = "NO_FUNDS"     // less is there than is asked for, or the rest is held
	Frozen      = "FROZEN"       // the account's switches do not allow it
	TooMuch     = "TOO_MUCH"     // more than was paid, reserved, or is left
	NotReserved = "NOT_RESERVED" // nothing is held under that number any more
)

// holdFor is when a reservation should have ended. It does not end by itself.
const holdFor = 7 * 24 * time.Hour

// Settings of the channel. Store, ID and Currency are required.
type Settings struct {
	Store    *store.Store
	ID       string // of the channel: its account in the books is channel:<ID>, and stands at nothing once the gateway has booked its half
	Currency string // the books'

	// Clock is the time.
	//
	// Default: the machine's.
	Clock clock.Clock

	// Location is the scheme's: days are in it.
	//
	// Default UTC.
	Location *time.Location
}

// Channel pays from balances.
type Channel struct{ set Settings }

var (
	_ channel.Channel    = (*Channel)(nil)
	_ channel.Authoriser = (*Channel)(nil)
)

// New checks the settings.
func New(s Settings) (*Channel, error) {
	if s.Store == nil || s.ID == "" || len(s.Currency) != 3 {
		return nil, errors.New("balance: a store, the channel's id and the books' currency are needed")
	}
	if _, err := books.TypeOf(books.Channel(s.ID)); err != nil {
		return nil, fmt.Errorf("balance: %q is no channel's id: %w", s.ID, err)
	}
	if s.Clock == nil {
		s.Clock = clock.System{}
	}
	if s.Location == nil {
		s.Location = time.UTC
	}
	return &Channel{s}, nil
}

// Capabilities: a payment is done or refused at once, so there is nothing to close.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.Balance}, Currencies: []string{c.set.Currency}, Sync: true, Refund: true, Authorise: true, Bill: true, DayZone: c.set.Location}
}

// Notified refuses everything: nobody is there to send it.
func (c *Channel) Notified(context.Context, channel.Notification) ([]channel.Event, error) {
	return nil, &channel.ForgedError{Why: "balances send no notifications"}
}

// Answer refuses it too.
func (c *Channel) Answer(error) channel.Reply { return channel.Reply{Status: http.StatusNotFound} }

// holder checks a holder's name: letters in lower case, digits, dots and dashes, 64 at most.
func holder(name string) error {
	ok := len(name) > 0 && len(name) <= 64
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	if !ok {
		return errors.New("balance: a holder's name has letters in lower case, digits, dots and dashes, 64 at most")
	}
	return nil
}

// Account is a holder's account in the books. Error: the name is no holder's.
func Account(name string) (books.Account, error) { return books.HolderBalance(name), holder(name) }

func (c *Channel) check(number string, m channel.Money) error {
	if len(number) < 20 || len(number) > 32 {
		return fmt.Errorf("balance: number %q has not 20 to 32 characters", number)
	}
	if m.Currency != c.set.Currency || m.Amount.Sign() <= 0 {
		return fmt.Errorf("balance: %v %s: balances are in %s, and amounts are more than nothing: %w", m.Amount, m.Currency, c.set.Currency, channel.ErrUnsupported)
	}
	return nil
}

// TopUp puts value on a holder's balance that is owed to him already, as in books.Funding. It is part of the caller's transaction. A second call
// with the same id changes nothing; with other content it is [books.ErrConflict].
func TopUp(ctx context.Context, tx *store.Tx, id, name, day, ref string, from books.Account, amount money.Amount) error {
	to, err := Account(name)
	if err != nil {
		return err
	}
	lines, err := books.Move(from, to, amount)
	if err != nil {
		return err
	}
	return tx.Post(ctx, books.Entry{ID: "balance:" + id + ":topped-up", Kind: KindToppedUp, Day: day, Ref: ref, Lines: lines})
}

// entry moves an amount between two accounts, on the day that is open now.
func (c *Channel) entry(ctx context.Context, tx *store.Tx, number, kind, ref string, debit, credit books.Account, amount money.Amount) (books.Entry, error) {
	day, err := tx.ClearingDay(ctx, c.set.Clock.Now().In(c.set.Location))
	if err != nil {
		return books.Entry{}, err
	}
	lines, err := books.Move(debit, credit, amount)
	return books.Entry{ID: "balance:" + number, Kind: kind, Day: day, Ref: ref, Lines: lines}, err
}

// refusal is the code of what the books refuse for good, "" for any other error.
func refusal(err error) string {
	switch {
	case errors.Is(err, books.ErrFunds):
		return NoFunds
	case errors.Is(err, books.ErrSwitched):
		return Frozen
	}
	return ""
}

var classes = map[string]channel.Class{NoFunds: channel.ByPayer, Frozen: channel.ByRisk, TooMuch: channel.BySetting, NotReserved: channel.BySetting}

func (c *Channel) money(a money.Amount) channel.Money {
	return channel.Money{Amount: a, Currency: c.set.Currency}
}

func failed(number, code string) channel.Result {
	return channel.Result{Outcome: channel.Failed, Number: number, ChannelID: number, Code: code, Class: classes[code]}
}

// result is what a row says.
func (c *Channel) result(p store.BalancePayment) channel.Result {
	r := channel.Result{Number: p.Number, ChannelID: p.Number}
	switch p.State {
	case store.BalancePaid:
		r.Outcome, r.Money, r.At = channel.Succeeded, c.money(p.Paid), p.PaidAt
	case store.BalanceHeld:
		r.Outcome, r.Money, r.At = channel.Succeeded, c.money(p.Amount), p.Made
	case store.BalanceFailed:
		return failed(p.Number, p.Code)
	case store.BalanceClosed, store.BalanceReleased:
		r.Outcome = channel.Closed
	}
	return r
}

// Bill lists a day's payments and refunds, once it is over.
func (c *Channel) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	from, err := time.ParseInLocation(time.DateOnly, day, c.set.Location)
	if err != nil {
		return fmt.Errorf("balance: %q is no day: %w", day, err)
	}
	to := from.AddDate(0, 0, 1)
	if c.set.Clock.Now().Before(to) {
		return channel.ErrNoBillYet
	}
	var rows []channel.BillRow
	err = c.set.Store.View(ctx, func(tx *store.Tx) error {
		rows = nil
		paid, err := tx.BalancePaymentsBetween(ctx, from, to)
		if err != nil {
			return err
		}
		back, err := tx.BalanceRefundsBetween(ctx, from, to)
		for _, p := range paid {
			rows = append(rows, channel.BillRow{Kind: channel.OfPayment, Number: p.Number, ChannelID: p.Number, Money: c.money(p.Paid), At: p.PaidAt})
		}
		for _, s := range back {
			rows = append(rows, channel.BillRow{Kind: channel.OfRefund, Number: s.Number, Of: s.Payment, ChannelID: s.Number, Money: c.money(s.Amount), At: s.At})
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b channel.BillRow) int { return a.At.Compare(b.At) })
	for _, r := range rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}
