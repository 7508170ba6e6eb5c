package assess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Config of an assessor. Rules, Windows, Hash, Clock and Zone are wanted.
type Config struct {
	Rules   *risk.Engine
	Windows *risk.Velocity
	Hash    risk.Hasher
	Clock   clock.Clock
	Zone    *time.Location // of the fact "hour"

	// Prove says whether what the payer brought after a challenge proves anything.
	//
	// Default: nothing does, so that a challenged attempt stays so.
	Prove func(context.Context, gateway.Assessed) (bool, error)

	// More adds what the gateway does not know: the device, the kind of card, who the payer is, reconciliation. It may set who takes part
	// in the event, but neither its number nor its time. An error leaves the attempt as it is.
	//
	// Default: nothing.
	More func(context.Context, gateway.Assessed, *risk.Event, *risk.Facts) error

	// Challenge is called when the payer must prove more and has not, to send a code, say. An error leaves the attempt as it is.
	//
	// Default: nobody is called.
	Challenge func(context.Context, gateway.Assessed) error

	// Record keeps each decision with its facts, for explanations and for a dry run of rules to come, inside the transaction in which it comes to
	// count. An error leaves the attempt as it is.
	//
	// Default: nobody does.
	Record func(ctx context.Context, tx *store.Tx, r Recorded) error
}

// Recorded is a decision with what it was made of.
type Recorded struct {
	Order    string
	Event    risk.Event // with the number of the payment
	Facts    risk.Facts
	Decision risk.Decision
	At       time.Time
}

// Assessor is a [gateway.Risk]. It is safe for concurrent use.
type Assessor struct {
	cfg   Config
	lists atomic.Pointer[risk.Lists]
}

// ErrLists says that newer lists are in use.
var ErrLists = errors.New("newer risk lists are in use")

// New makes an assessor whose lists are empty.
func New(c Config) (*Assessor, error) {
	if c.Rules == nil || c.Windows == nil || c.Hash.Zero() || c.Clock == nil || c.Zone == nil {
		return nil, errors.New("risk: wants rules, windows, a hash, a clock and a time zone")
	}
	a := &Assessor{cfg: c}
	a.lists.Store(&risk.Lists{})
	return a, nil
}

// Use takes lists from now on. Error: [ErrLists].
func (a *Assessor) Use(l *risk.Lists) error {
	for {
		old := a.lists.Load()
		if l.Version() < old.Version() {
			return fmt.Errorf("version %d: %w: version %d", l.Version(), ErrLists, old.Version())
		}
		if a.lists.CompareAndSwap(old, l) {
			return nil
		}
	}
}

// Assess implements [gateway.Risk]. Errors: [risk.ErrNoRules], or that of a hook.
func (a *Assessor) Assess(ctx context.Context, in gateway.Assessed) (gateway.Assessment, error) {
	now := a.cfg.Clock.Now()
	event := a.event(in)
	f := risk.Facts{
		Product: string(in.Payment.Product), Currency: in.Payment.Money.Currency, Amount: in.Payment.Money.Amount.Minor(),
		Bank: cmp.Or(in.Payment.Bank, in.Payer.Bank), Card: in.Card, App: in.Order.App, Attempts: in.N, Unproven: in.Unproven, Hour: now.In(a.cfg.Zone).Hour(), ReconMinutes: -1,
	}
	if in.Proof != "" && a.cfg.Prove != nil {
		proved, err := a.cfg.Prove(ctx, in)
		if err != nil {
			return gateway.Assessment{}, fmt.Errorf("the payer's proof: %w", err)
		}
		f.SteppedUp = proved
	}
	if a.cfg.More != nil {
		number, at := event.Number, event.At
		if err := a.cfg.More(ctx, in, &event, &f); err != nil {
			return gateway.Assessment{}, fmt.Errorf("facts of %s: %w", in.Payment.Number, err)
		}
		event.Number, event.At = number, at
	}
	f.Device = event.Device != (risk.ID{})
	a.cfg.Windows.Add(event, now)
	a.cfg.Windows.Fill(&f, event, now)
	a.lists.Load().Fill(&f, event, now)

	d, err := a.cfg.Rules.Decide(&f)
	if err != nil {
		return gateway.Assessment{}, err
	}
	if d.Outcome == risk.StepUp && a.cfg.Challenge != nil {
		if err := a.cfg.Challenge(ctx, in); err != nil {
			return gateway.Assessment{}, fmt.Errorf("the challenge of %s: %w", in.Payment.Number, err)
		}
	}
	out := gateway.Assessment{Verdict: verdict(d.Outcome), Why: words(d)}
	if a.cfg.Record != nil {
		out.Keep = func(ctx context.Context, tx *store.Tx) error {
			if err := a.cfg.Record(ctx, tx, Recorded{Order: in.Order.ID, Event: event, Facts: f, Decision: d, At: now}); err != nil {
				return fmt.Errorf("the decision of %s: %w", in.Payment.Number, err)
			}
			return nil
		}
	}
	return out, nil
}

// event says who takes part, by hashes. A payer is known by what the channel will be told of him; of a bound card the payer is its token.
func (a *Assessor) event(in gateway.Assessed) risk.Event {
	p := in.Payer
	return risk.Event{
		Number: in.Payment.Number, At: in.Payment.Created, Amount: in.Payment.Money.Amount.Minor(),
		Payer:    a.cfg.Hash.Of(risk.Payer, cmp.Or(p.Account, p.OpenID, p.Agreement, p.Token)),
		Card:     a.cfg.Hash.Of(risk.CardOf, p.Token),
		Device:   a.device(in),
		Merchant: a.cfg.Hash.Of(risk.Merchant, string(in.Order.Merchant)),
	}
}

// device is whose word an app's name for a device is: two apps may give two devices one name. None is the zero ID.
func (a *Assessor) device(in gateway.Assessed) risk.ID {
	if in.Device == "" {
		return risk.ID{}
	}
	return a.cfg.Hash.Of(risk.Device, in.Order.App+"/"+in.Device)
}

func verdict(o risk.Outcome) gateway.Verdict {
	switch o {
	case risk.Pass:
		return gateway.Pass
	case risk.StepUp:
		return gateway.Challenge
	}
	return gateway.Block
}

func words(d risk.Decision) string {
	if d.Rule == "" {
		return fmt.Sprintf("rules %d", d.Version)
	}
	return fmt.Sprintf("rules %d, %s: %s", d.Version, d.Rule, d.Why)
}
