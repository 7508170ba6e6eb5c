package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/reader"
)

// Patience is how long the kiosk waits. A zero field takes its default.
type Patience struct {
	Choose time.Duration // for a choice; 60 s
	Check  time.Duration // for a channel that does not say; 90 s
	Hold   time.Duration // for the card after the payment; 90 s
	Refund time.Duration // for a refund to be done before the rider's eyes; 15 s
	Notice time.Duration // for a screen to be read; 20 s
	Poll   time.Duration // between two questions about a payment; 1 s
	Keep   time.Duration // between two rounds of the work in the background; 15 s
	Give   time.Duration // after which what was paid and not loaded goes back; 24 h
}

func (p Patience) withDefaults() Patience {
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&p.Choose, time.Minute}, {&p.Check, 90 * time.Second}, {&p.Hold, 90 * time.Second}, {&p.Refund, 15 * time.Second}, {&p.Notice, 20 * time.Second},
		{&p.Poll, time.Second}, {&p.Keep, 15 * time.Second}, {&p.Give, 24 * time.Hour}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return p
}

// Config of a kiosk. Reader, Host, Journal and Amounts are required.
type Config struct {
	Reader  reader.Reader
	Host    kiosk.OnlineHost
	Journal *Journal
	Amounts []money.Amount // that riders choose from
	Request kiosk.Request  // what is said to cards: terminal, purse, key levels

	Patience Patience
	Clock    clock.Clock  // default: the machine's
	Log      *slog.Logger // default slog.Default(); it is told no card number
}

// Kiosk serves one rider after the other. Its methods are safe for concurrent use.
type Kiosk struct {
	Config
	hub     hub
	choices chan Choice
}

// Choice is what a rider says, and of which view.
type Choice struct {
	Seq    uint64
	Choice Event
	Amount money.Amount // with [AmountChosen]
	Way    string       // with [WayChosen]
}

// New makes a kiosk; it starts nothing.
func New(cfg Config) (*Kiosk, error) {
	if cfg.Reader == nil || cfg.Host == nil || cfg.Journal == nil || len(cfg.Amounts) == 0 {
		return nil, errors.New("kiosk: Reader, Host, Journal and Amounts are all needed")
	}
	for _, a := range cfg.Amounts {
		if a.Sign() <= 0 {
			return nil, fmt.Errorf("kiosk: amount %v: want more than zero", a)
		}
	}
	cfg.Patience = cfg.Patience.withDefaults()
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Kiosk{Config: cfg, choices: make(chan Choice, 1)}, nil
}

// Now is what the page shows, and what is closed when there is another view.
func (k *Kiosk) Now() (View, <-chan struct{}) { return k.hub.Now() }

// Say hands in a rider's choice. One for a view that is not shown any more is dropped: the rider meant something else.
func (k *Kiosk) Say(c Choice) {
	select {
	case k.choices <- c:
	default: // the kiosk has not read the one before
	}
}

// Run serves riders until ctx ends.
func (k *Kiosk) Run(ctx context.Context) error {
	r := &rider{Kiosk: k, state: Idle}
	if err := r.resume(); err != nil {
		return err
	}
	done := make(chan struct{})
	defer func() { <-done }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { defer close(done); k.keep(ctx) }()
	for {
		if r.state == Idle {
			r.end()
		}
		event, err := r.act(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		next, err := Next(r.state, event)
		if err != nil {
			return err
		}
		k.Log.Info("kiosk", "state", r.state, "event", event, "next", next, "payment", r.sale.Payment)
		r.state = next
	}
}

// rider is the one who stands before the kiosk: one session.
type rider struct {
	*Kiosk
	state  State
	offer  kiosk.Offer
	seen   kiosk.Seen
	sale   Sale
	ends   time.Time     // until when it can be paid
	qr     string        // a picture
	moving bool          // the load is on its way to the card
	told   bool          // the backend knows that the value is on the card
	after  *money.Amount // on the card, if it is known
	reason string        // of the state to come
	card   reader.Card   // open, in Reading and Loading
	last   reader.Card   // of the last presentation: its session is over, and it may still lie there
	fresh  bool          // another presentation is wanted
}

// end forgets the rider. What the journal has of the sale stays until it has ended.
func (r *rider) end() {
	r.release()
	*r = rider{Kiosk: r.Kiosk, state: Idle, last: r.last, fresh: true}
}

// resumeWithin is how old a sale may be for its rider to be thought of as still standing there.
const resumeWithin = 5 * time.Minute

// resume finds the sale that was under way when the program ended.
func (r *rider) resume() error {
	all, err := r.Journal.Sales()
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(all) {
		state, stands := resumed[s.Phase]
		if !stands || r.Clock.Now().Sub(s.Changed) > resumeWithin {
			continue
		}
		r.take(s)
		r.state = state
		return nil
	}
	return nil
}

// resumed is where a sale goes on after a restart. Of one that is not here no rider has seen a code, or it is on its way back.
var resumed = map[Phase]State{Showed: Checking, Settled: Hold, Credit: Done}

func (r *rider) release() {
	if r.sale.Key != "" {
		r.Journal.release(r.sale.Key)
	}
	r.sale.Key = ""
}

func (r *rider) take(s Sale) {
	r.Journal.claim(s.Key)
	r.sale = s
	r.seen = kiosk.Seen{Token: s.Token, Card: s.Card, Balance: s.Before}
}

// show shows the rider's state, which ends by itself after d; 0: it does not.
func (r *rider) show(d time.Duration) {
	v := View{State: r.state, Money: moneyOf(r.state, r.moving), Choices: Choices(r.state), Card: r.seen.Card, Currency: cmp.Or(r.offer.Currency, r.sale.Currency), Way: r.sale.Way, Payment: r.sale.Payment, Reason: r.reason,
		Seconds: int(d / time.Second), At: r.Clock.Now(), Told: r.told}
	r.reason = ""
	balance, amount := r.seen.Balance, r.sale.Amount // the page reads them while this goes on
	if r.seen.Token != "" {
		v.Balance = &balance
	}
	if amount.Sign() > 0 {
		v.Amount = &amount
	}
	switch r.state {
	case Amount:
		v.Amounts = r.fitting()
	case Way:
		v.Ways = r.offer.Ways
	case QR, QROffline:
		v.QR = r.qr
	case Done:
		v.Balance = r.after
	}
	r.hub.show(v)
}

func moneyOf(s State, moving bool) Money {
	if m := places[s]; m != InOrder || !moving {
		return m
	}
	return Moving
}
