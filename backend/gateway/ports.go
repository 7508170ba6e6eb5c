package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/store"
)

// Wanted is what a route is looked for.
type Wanted struct {
	Product channel.Product
	Money   channel.Money
	Bank    string // chosen by the payer, or whose card it is; "" for none
	Card    string // debit, credit or prepaid; "" : not known, or no card
	Context string // of the order, without a channel
	Reserve bool   // reserve only
	App     string
	Order   string       // its id: a router that draws by chance draws by it
	Company code.Company // that the payer has chosen, 0 for any: the gateway itself leaves out the others

	Tolerant bool // its payer takes a failure well

	Scanned string `json:"-"` // the payment code of product [channel.Code]: channels to which it says nothing are left out by the gateway itself
}

// Router names our accounts that may take a payment, best first. What a channel cannot do is left out by the gateway itself. Naming none means
// that nobody can take it now.
type Router interface {
	Route(context.Context, Wanted) ([]string, error)
}

// Rule of a [FixedRouter]. Empty fields fit everything.
type Rule struct {
	Product  channel.Product
	Currency string
	Accounts []string
}

// FixedRouter takes the first rule that fits.
type FixedRouter []Rule

// Route implements [Router].
func (r FixedRouter) Route(_ context.Context, w Wanted) ([]string, error) {
	for _, rule := range r {
		if (rule.Product == "" || rule.Product == w.Product) && (rule.Currency == "" || rule.Currency == w.Money.Currency) {
			return rule.Accounts, nil
		}
	}
	return nil, nil
}

// candidatesOver is one account where it is set, and else the router's.
func (s *Service) candidatesOver(ctx context.Context, over string, w Wanted) ([]Account, error) {
	if over == "" {
		return s.candidates(ctx, w)
	}
	if a, known := s.accounts[over]; known && able(a.Channel, w) {
		all, err := s.ofApp(ctx, w.App, []Account{a})
		if err != nil || len(all) > 0 {
			return all, err
		}
	}
	return nil, fmt.Errorf("%s over %s: %w", w.Product, over, ErrNoChannel)
}

// candidates asks the router, and leaves out what cannot do it.
func (s *Service) candidates(ctx context.Context, w Wanted) ([]Account, error) {
	names, err := s.cfg.Router.Route(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	var out []Account
	for _, name := range names {
		a, known := s.accounts[name]
		if !known {
			return nil, fmt.Errorf("route: the router names %q, which is no channel account", name)
		}
		if able(a.Channel, w) && (w.Company == 0 || a.Company == w.Company) {
			out = append(out, a)
		}
	}
	if out, err = s.ofApp(ctx, w.App, out); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s of %v %s: %w", w.Product, w.Money.Amount, w.Money.Currency, ErrNoChannel)
	}
	return out, nil
}

// ofApp leaves those of accounts that may be used for an app, in their order: see [Config].Own.
func (s *Service) ofApp(ctx context.Context, app string, accounts []Account) ([]Account, error) {
	if s.cfg.Own == nil {
		return accounts, nil
	}
	own, others, err := s.cfg.Own(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	at := map[code.Company]bool{}
	for _, id := range own {
		if a, known := s.accounts[id]; known {
			at[a.Company] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(accounts), func(a Account) bool {
		return slices.Contains(others, a.ID) || at[a.Company] && !slices.Contains(own, a.ID)
	}), nil
}

// partsOfApp refuses a combined payment a part of which would go over an account that may not be used for its app.
func (s *Service) partsOfApp(ctx context.Context, app string, parts []channel.Part) error {
	for _, p := range parts {
		id, _, _ := strings.Cut(p.With, "/")
		a, known := s.accounts[id]
		if !known {
			continue
		}
		if left, err := s.ofApp(ctx, app, []Account{a}); err != nil || len(left) == 0 {
			return errors.Join(err, fmt.Errorf("%s is not for app %s: %w", p.With, app, ErrNoChannel))
		}
	}
	return nil
}

// able reports whether a channel can do it at all.
func able(ch channel.Channel, w Wanted) bool {
	caps := ch.Capabilities()
	_, authorises := ch.(channel.Authoriser)
	if own, reads := ch.(channel.CodeReader); reads && w.Product == channel.Code && w.Scanned != "" && !own.OwnCode(w.Scanned) {
		return false
	}
	if _, pays := ch.(channel.Payouts); w.Product == channel.Payout && !(caps.Payout && pays) {
		return false
	}
	if len(caps.Cards) > 0 && w.Card != "" && !slices.Contains(caps.Cards, w.Card) {
		return false
	}
	return (!w.Reserve || caps.Authorise && authorises) && slices.Contains(caps.Products, w.Product) && slices.Contains(caps.Currencies, w.Money.Currency)
}

// Assessed is what risk is asked about.
type Assessed struct {
	Order   Order
	Payment Payment
	N       int // of the order's attempts: 1, 2, 3 …
	Payer   channel.Payer
	Card    string // debit, credit or prepaid; "": not known, or no card

	Unproven bool   // nobody proved whose card it is when it was bound
	Device   string // the app's name for the device that pays, "" if not known
	IP       string // of the payer, "" if not known
	Proof    string // what the payer proved after a challenge, "" for nothing
}

// Verdict is what risk says. The zero value blocks.
type Verdict int

// Verdicts.
const (
	Block     Verdict = iota // refuse it, and try no other channel
	Challenge                // the payer must prove more: the same attempt comes again with a proof
	Pass
)

// Assessment is what risk answers. The zero value blocks.
type Assessment struct {
	Verdict Verdict
	Why     string // rule and version; goes into the order's timeline

	// Keep, if set, keeps what was decided on, inside the transaction in which the verdict comes to count.
	Keep func(context.Context, *store.Tx) error
}

// Risk assesses attempts. It may be asked about one more than once. An error leaves the attempt as it is: it may be made again.
type Risk interface {
	Assess(context.Context, Assessed) (Assessment, error)
}

// PassAll lets everything pass.
type PassAll struct{}

// Assess implements [Risk].
func (PassAll) Assess(context.Context, Assessed) (Assessment, error) {
	return Assessment{Verdict: Pass}, nil
}

// Tracer sees the steps of the pipeline. The context it returns is used within the step; done is told how it ended.
type Tracer interface {
	Step(ctx context.Context, name, order, code string) (inner context.Context, done func(error))
}

type noTrace struct{}

func (noTrace) Step(ctx context.Context, _, _, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}
