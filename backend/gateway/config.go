package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Account is one of our accounts at a payment channel.
type Account struct {
	ID      string       // in routes and rows; its account in the books is channel:<ID>
	Company code.Company // who it is at
	Number  code.Number  // its part of the context code
	Channel channel.Channel

	// NotifyURL is where the channel sends notifications to, without a query.
	NotifyURL string

	// FeePPM is what the channel keeps of a payment, in millionths of the amount, rounded half up: 6000 is 0.6 %.
	FeePPM int64
}

// Config of a service. Registry, Accounts and Router are required.
type Config struct {
	Registry *code.Registry
	Accounts []Account
	Router   Router

	// Risk looks at each attempt before its channel is called.
	//
	// Default: everything passes.
	Risk Risk

	// OnPaid is called when a top-up order is paid, and OnRefund before money of one is given back, inside the transaction that does it: what they
	// return undoes it. OnPaid must not refuse what it could take later, because the money has come.
	//
	// Default nil, both or none: top-up orders are not taken.
	OnPaid   func(context.Context, *store.Tx, Order) error
	OnRefund func(context.Context, *store.Tx, Order, money.Amount) error

	// OnTopUp is called before a top-up order is made: what it returns is why it is not, and nobody pays what no card may be loaded with.
	//
	// Default: every amount is taken.
	OnTopUp func(channel.Money) error

	// MaxBalance is what a card may hold after a load. A reload whose card could hold more by it is not agreed to, because its load would be refused every time.
	//
	// Default: any.
	MaxBalance money.Amount

	// Trace is called at the begin of each step of the pipeline; what it returns is called at its end.
	//
	// Default: nobody looks.
	Trace Tracer

	// Watch is told of each call that asks a channel for a payment, with the bank the payer chose ("" for none); what it returns is told how the call ended.
	//
	// Default: nobody looks.
	Watch func(account, bank string) (ended func(channel.Result, error))

	// Out reports that an account's channel takes nothing now. Refunds and voids there stay ordered, and go on when it is back.
	//
	// Default: no channel is ever out.
	Out func(account string) bool

	// Cards says of a card's token which bank's it is and of what kind; "" for what is not known. An error makes nothing of the attempt:
	// [ErrCardExpired] is the payer's, any other ours.
	//
	// Default: nothing is known of cards.
	Cards func(ctx context.Context, token string) (bank, card string, err error)

	// Typed says what may be known of what a payer has typed to bind a card, by the vault's reference. Error: [ErrNotTyped].
	//
	// Default nil: cards are bound on channels' pages only.
	Typed func(ctx context.Context, ref string) (TypedCard, error)

	// ForgetTyped is told that what a payer has typed is needed no more: his card is bound.
	//
	// Default nil: the vault forgets it by time alone.
	ForgetTyped func(ctx context.Context, ref string) error

	// PhoneCodes are codes of ours for channels that bind a card without checking whose it is.
	//
	// Default nil: such channels bind only on their own page.
	PhoneCodes PhoneCodes

	// Box seals whom pay-outs go to, and channels' tokens of bound cards.
	//
	// Default nil: nothing is paid out, and no card is bound.
	Box *sealed.Box

	// EarnAfter is how long what a payment earns is pending before it is available to its merchant: until then the channel has paid us too.
	//
	// Default a day.
	EarnAfter time.Duration

	// Rate is what an app's merchants pay us for a payment over one of our accounts; each standard of it has passed [CheckRate]. It is taken when what the payment
	// earned becomes available. An [ErrRate] leaves that pending for a day, with a finding.
	//
	// Default nil: nothing.
	Rate func(context.Context, *store.Tx, Rated) (Rate, error)

	// Own is which of our accounts an app has for itself, and which other apps have for themselves. Those are never used for it; and where it has one of its own,
	// no other account at the same company is.
	//
	// Default nil: all apps share all accounts.
	Own func(ctx context.Context, app string) (own, others []string, err error)

	// Currency is the books'. Orders in another one are refused.
	//
	// Default CNY.
	Currency string

	// Location is the scheme's: clearing days are in it.
	//
	// Default time.UTC.
	Location *time.Location

	// MaxAmount bounds an order.
	//
	// Default 50,000.00.
	MaxAmount money.Amount

	// Expires is how long an order may be paid that does not say so itself, and MaxExpires how long at most.
	//
	// Default 30 minutes, and a day.
	Expires    time.Duration
	MaxExpires time.Duration

	// CodeWait is how long a payer whose code was scanned may take for the password. After it the payment is taken back.
	//
	// Default 45 seconds.
	CodeWait time.Duration

	// ReserveFor is how long a reservation is kept that is neither captured nor released. Then it is released.
	//
	// Default 7 days.
	ReserveFor time.Duration

	// HoldFor is how long the money of an escrow order is held that nobody confirms. Then it is the merchant's.
	//
	// Default 15 days.
	HoldFor time.Duration

	// ClaimFor is how long a red packet may be claimed once it is paid. What nobody has claimed then goes back to its payer.
	//
	// Default a day.
	ClaimFor time.Duration

	// CallTimeout bounds one call of a channel, and MissingAfter is how long after it a request may still be on its way: only then a channel that
	// does not know a payment will never know it.
	//
	// Default 10 seconds, and 5 minutes.
	CallTimeout  time.Duration
	MissingAfter time.Duration

	// Attempts is how many channels one attempt may try, one after the other, while none of them can have taken the money.
	//
	// Default 3.
	Attempts int

	// Recurring says when what recurs by agreement is looked after, charged, and given up.
	//
	// Default [recurring.Defaults].
	Recurring recurring.Settings

	// Schedule says when channels are asked again.
	//
	// Default [order.DefaultSchedule].
	Schedule *order.Schedule

	// Lease is how long a worker has a slice of time for itself, and AtOnce how many channels it asks at once.
	//
	// Default a minute, and 8.
	Lease  time.Duration
	AtOnce int

	// Fault, when set, is called before and after each call of a channel ("call", "called"), and what it returns ends the work there: this is how tests let
	// the process die. Commits have theirs in the store.
	Fault func(point string) error

	// Rand makes numbers. Only a simulation sets it.
	//
	// Default crypto/rand.Reader.
	Rand io.Reader

	// Log gets what an operator should hear of at once: findings.
	//
	// Default slog.Default().
	Log *slog.Logger
}

const day = 24 * time.Hour

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if (c.OnPaid == nil) != (c.OnRefund == nil) {
		errs = append(errs, errors.New("gateway: OnPaid and OnRefund: want both or none"))
	}
	if c.Registry == nil || c.Router == nil {
		errs = append(errs, errors.New("gateway: Registry and Router are both needed"))
	}
	for _, f := range []struct {
		name string
		v    *time.Duration
		d    time.Duration
	}{{"Expires", &c.Expires, 30 * time.Minute}, {"MaxExpires", &c.MaxExpires, day}, {"CodeWait", &c.CodeWait, 45 * time.Second}, {"ReserveFor", &c.ReserveFor, 7 * day}, {"EarnAfter", &c.EarnAfter, day}, {"HoldFor", &c.HoldFor, 15 * day}, {"ClaimFor", &c.ClaimFor, day},
		{"CallTimeout", &c.CallTimeout, 10 * time.Second},
		{"MissingAfter", &c.MissingAfter, 5 * time.Minute}, {"Lease", &c.Lease, time.Minute}} {
		if *f.v < 0 {
			errs = append(errs, fmt.Errorf("gateway: %s %v: want zero (the default) or more", f.name, *f.v))
		}
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	if c.MaxAmount.Sign() < 0 || c.Attempts < 0 || c.AtOnce < 0 {
		errs = append(errs, errors.New("gateway: MaxAmount, Attempts and AtOnce: want zero (the default) or more"))
	}
	if c.MaxAmount.IsZero() {
		c.MaxAmount = money.Minor(50_000_00)
	}
	if c.Attempts == 0 {
		c.Attempts = 3
	}
	if c.AtOnce == 0 {
		c.AtOnce = 8
	}
	if c.Recurring.Ahead == 0 {
		c.Recurring = recurring.Defaults()
	}
	errs = append(errs, c.Recurring.Check())
	if c.Schedule == nil {
		s := order.DefaultSchedule()
		c.Schedule = &s
	}
	if c.Risk == nil {
		c.Risk = PassAll{}
	}
	if c.Trace == nil {
		c.Trace = noTrace{}
	}
	if c.Currency == "" {
		c.Currency = "CNY"
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, errors.Join(errs...)
}

// account checks an account and tells the registry what it serves.
func (c Config) account(a Account) error {
	if err := ids.Check(a.ID); err != nil {
		return fmt.Errorf("gateway: channel account %q: %w", a.ID, err)
	}
	if a.Channel == nil || a.FeePPM < 0 || a.FeePPM >= 1_000_000 {
		return fmt.Errorf("gateway: channel account %s: want a channel and a fee from 0 to below 1000000 millionths", a.ID)
	}
	for _, p := range a.Channel.Capabilities().Products {
		way, err := code.WayOf(string(p))
		if err != nil {
			return fmt.Errorf("gateway: channel account %s: %w", a.ID, err)
		}
		if err := c.Registry.Serve(a.Number, code.ChannelOf(a.Company, way)); err != nil {
			return fmt.Errorf("gateway: channel account %s: %w", a.ID, err)
		}
	}
	return nil
}
