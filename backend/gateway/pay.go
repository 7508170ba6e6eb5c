package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// NewPayment is one attempt to pay an order, as its app asks for it.
type NewPayment struct {
	Key       string // names the attempt within the order, for ever; 1 to 64 characters
	Product   channel.Product
	Payer     channel.Payer
	Company   code.Company `json:",omitempty"` // that the payer has chosen to pay with; 0: any
	ReturnURL string       // where the payer's browser goes after paying; proves nothing
	Binding   string       `json:",omitempty"` // Quick: our number of a bound card, in place of a token
	Holder    string       `json:",omitempty"` // whose binding it is
	IP        string       // of the payer, "" if not known
	Proof     string       // what the payer proved after a challenge, "" for nothing

	// What the app says of payer and card. None of it makes another attempt of one that comes again.
	Device   string `json:"-"` // the app's name for the device that pays; "" : not known. At most 128 characters
	Unproven bool   `json:"-"` // the card was bound where nobody proved whose it is
	Tolerant bool   `json:"-"` // the payer takes a failure well: he may be among the first over a channel that comes back

	bank, card string // of the payer's card, where it is known
	expired    error  // of that card
	token      string // the channel's of a bound card
	over       string // our account that has the agreement, "" for the router's choice
}

// digest leaves out what may differ when the same attempt comes again.
func (n NewPayment) digest() (string, error) {
	n.Proof, n.IP = "", ""
	return digestOf(n)
}

// tolerant reports a payment whose failure bothers nobody much: its app says so, or it is a charge under an agreement, for which nobody waits.
func (n NewPayment) tolerant() bool { return n.Tolerant || n.Product == channel.Agreement }

// chosen is what the payer saw and chose, beside the account that is used: a bank's credit card may be paid over another company. The payment's bank is what
// its channel says in the end.
func (n NewPayment) chosen() string {
	what := strings.TrimSpace(n.bank + " " + n.card)
	if n.Company != 0 {
		what = strings.TrimSpace(fmt.Sprintf("company %d %s", n.Company, what))
	}
	if what == "" {
		return ""
	}
	return fmt.Sprintf("; chosen: %s, %s", n.Product, what)
}

// Pay tries to pay an order. The steps: check, idempotency, route, create (first transaction), risk (second: from here on the channel may have been
// called), the channel's call, its answer (third). Where a channel certainly did not take the money and another one may, that is tried.
//
// The same key with the same content is the same attempt: it is returned as it is by now, and carried on only where no channel was called.
// A payment in doubt is no error: it is asked about by [Service.Scan]. An error of the store after the call says nothing about the money.
// With product [channel.Agreement] nobody need be there: Payer.Agreement is our number of an agreement in force.
//
// With Binding a bound card pays, and only for its holder.
//
// Errors: [ErrUnknownOrder], [ErrUnknownAgreement], [ErrUnknownBinding], [ErrRequest], [ErrCardNumber], [ErrConflict], [ErrExpired], [ErrNoChannel], [order.ErrState].
func (s *Service) Pay(ctx context.Context, app, id string, n NewPayment) (Payment, error) {
	out, err := s.pay(ctx, app, id, n)
	if err != nil {
		return out, fmt.Errorf("pay order %s: %w", id, err)
	}
	return out, nil
}

func (s *Service) pay(ctx context.Context, app, id string, n NewPayment) (Payment, error) {
	if err := s.step(ctx, "check", id, "", func(context.Context) error { return checkPayment(n) }); err != nil {
		return Payment{}, err
	}
	digest, err := n.digest()
	if err != nil {
		return Payment{}, err
	}
	if n, err = s.agreed(ctx, app, id, n); err != nil {
		return Payment{}, err
	}
	if n.bank, n.card, err = s.cardOf(ctx, n.Payer); errors.Is(err, ErrCardExpired) {
		n.expired = err // it matters only to what was not paid with it before
	} else if err != nil {
		return Payment{}, err
	}
	if n, err = s.byBinding(ctx, app, id, n); err != nil {
		return Payment{}, err
	}
	var last Payment
	for range s.cfg.Attempts {
		row, o, err := s.attempt(ctx, app, id, digest, n)
		if err != nil {
			if last.Number != "" && errors.Is(err, ErrNoChannel) {
				return last, nil // the last refusal is the answer
			}
			return Payment{}, err
		}
		state := order.PaymentState(row.State)
		if state == order.Created || state == order.Challenged {
			var mine bool
			if row, mine, err = s.assess(ctx, o, row, n); err != nil {
				return Payment{}, err
			}
			if mine {
				if row, err = s.call(ctx, o, row, n); err != nil {
					return Payment{}, err
				}
			}
		}
		last = paymentOf(row)
		if !another(last) {
			break
		}
	}
	if n.Binding != "" && last.State == order.Failed && last.Class == channel.ByPayer {
		return last, s.refusedBy(ctx, n.Binding)
	}
	return last, nil
}

// notSent is the code of a payment whose request never left.
const notSent = "NOT_SENT"

// another reports that another channel may be tried: this one has certainly not taken the money.
func another(p Payment) bool {
	return p.State == order.Failed && p.Class.TryAnother()
}

// step runs one step of the pipeline under the tracer.
func (s *Service) step(ctx context.Context, name, id, code string, f func(context.Context) error) error {
	inner, done := s.cfg.Trace.Step(ctx, name, id, code)
	err := f(inner)
	done(err)
	return err
}

func checkPayment(n NewPayment) error {
	switch {
	case n.Key == "" || len(n.Key) > 64:
		return fmt.Errorf("key: want 1 to 64 characters, have %d: %w", len(n.Key), ErrRequest)
	case len(n.Device) > 128:
		return fmt.Errorf("device: want at most 128 characters, have %d: %w", len(n.Device), ErrRequest)
	case looksLikeCard(n.Payer.Token) || looksLikeCard(n.Payer.Account):
		return ErrCardNumber
	case n.Product == channel.Payout:
		return fmt.Errorf("%s: nobody pays by it: %w", n.Product, ErrRequest)
	}
	if _, err := code.WayOf(string(n.Product)); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return nil
}

// cardOf is the bank that the payer chose, or whose card he pays with, and the kind of that card; "" for what is not known. Error: [ErrCardExpired], also of a part.
func (s *Service) cardOf(ctx context.Context, p channel.Payer) (bank, card string, err error) {
	if s.cfg.Cards != nil && p.Token != "" {
		if bank, card, err = s.cfg.Cards(ctx, p.Token); err != nil {
			return "", "", fmt.Errorf("whose card it is: %w", err)
		}
	}
	for _, part := range p.Parts {
		if s.cfg.Cards == nil || part.Account == "" {
			continue
		}
		if _, _, err := s.cfg.Cards(ctx, part.Account); err != nil {
			return "", "", fmt.Errorf("whose card %s is paid with: %w", part.With, err)
		}
	}
	if p.Bank != "" {
		bank = p.Bank
	}
	return bank, card, nil
}

// looksLikeCard reports 12 to 19 digits with a right check digit.
func looksLikeCard(s string) bool {
	if len(s) < 12 || len(s) > 19 {
		return false
	}
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// attempt finds the attempt of this key, or makes one over the first channel that this key has not tried: the first transaction.
func (s *Service) attempt(ctx context.Context, app, id, digest string, n NewPayment) (store.GatewayPayment, store.GatewayOrder, error) {
	var row store.GatewayPayment
	var o store.GatewayOrder
	var tried []string
	found := false
	look := func(ctx context.Context, tx *store.Tx) (err error) {
		row, found, tried = store.GatewayPayment{}, false, nil
		if o, err = owned(ctx, tx, app, id); err != nil {
			return err
		}
		all, err := tx.GatewayPayments(ctx, id)
		if err != nil {
			return err
		}
		for _, p := range all {
			if p.IdempotencyKey != n.Key {
				continue
			}
			row, found = p, true
			tried = append(tried, p.Channel)
		}
		return nil
	}
	conflict := fmt.Errorf("key %q: %w", n.Key, ErrConflict)
	if err := s.step(ctx, "idempotency", id, "", func(ctx context.Context) error {
		if err := s.store.View(ctx, func(tx *store.Tx) error { return look(ctx, tx) }); err != nil {
			return err
		}
		if found && row.Digest != digest {
			return conflict
		}
		return nil
	}); err != nil {
		if errors.Is(err, ErrConflict) {
			err = errors.Join(err, s.store.Together(ctx, func(tx *store.Tx) error {
				return s.find(ctx, tx, id, FindConflict, fmt.Sprintf("payment key %q came again with other content", n.Key))
			}))
		}
		return row, o, err
	}
	if found && !another(paymentOf(row)) || len(tried) >= s.cfg.Attempts {
		return row, o, nil
	}
	if err := cmp.Or(s.payable(o), n.expired); err != nil {
		if found {
			return row, o, nil // what is known of the attempt is the answer
		}
		return row, o, err
	}
	if fills(o) && (n.Product == channel.Balance || n.Product == channel.Combined) {
		return row, o, fmt.Errorf("a balance is filled by %s: balances do not fill balances: %w", n.Product, ErrUnsupported)
	}

	var a Account
	if err := s.step(ctx, "route", id, o.Context, func(ctx context.Context) error {
		all, err := s.candidatesOver(ctx, n.over, Wanted{Product: n.Product, Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Bank: n.bank, Card: n.card, Context: o.Context, Reserve: reserves(o.Context), App: app, Order: o.ID, Company: n.Company, Tolerant: n.tolerant(), Scanned: n.Payer.Code})
		if err == nil {
			err = s.partsOfApp(ctx, app, n.Payer.Parts)
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a Account) bool { return !slices.Contains(tried, a.ID) })
		if i < 0 {
			return fmt.Errorf("%s: each of %d was tried: %w", n.Product, len(all), ErrNoChannel)
		}
		a = all[i]
		return nil
	}); err != nil {
		return row, o, err
	}
	number, err := s.number(order.OfPayment)
	if err != nil {
		return row, o, err
	}
	seen := len(tried)
	err = s.step(ctx, "create", id, o.Context, func(ctx context.Context) error {
		return s.store.Together(ctx, func(tx *store.Tx) error {
			if err := look(ctx, tx); err != nil {
				return err
			}
			if found && row.Digest != digest {
				return conflict
			}
			if len(tried) != seen {
				return nil // the same request beside this one was faster
			}
			if err := s.payable(o); err != nil {
				return err
			}
			c := change{s: s, tx: tx, at: s.now(), o: o}
			var err error
			if row, err = c.newPayment(ctx, number, digest, a, n); err != nil {
				return err
			}
			o = c.o
			return tx.SetGatewayOrder(ctx, c.o)
		})
	})
	if err != nil {
		return row, o, err
	}
	return row, o, nil
}

// newPayment writes a new attempt.
func (c *change) newPayment(ctx context.Context, number, digest string, a Account, n NewPayment) (store.GatewayPayment, error) {
	all, err := c.tx.GatewayPayments(ctx, c.o.ID)
	if err != nil {
		return store.GatewayPayment{}, err
	}
	way, err := code.WayOf(string(n.Product))
	if err != nil {
		return store.GatewayPayment{}, err
	}
	of, err := code.Parse(c.o.Context)
	if err != nil {
		return store.GatewayPayment{}, err
	}
	expires := c.o.Expires
	if wait := c.at.Add(c.s.cfg.CodeWait); n.Product == channel.Code && wait.Before(expires) {
		expires = wait
	}
	p := store.GatewayPayment{Number: number, Order: c.o.ID, N: len(all) + 1, IdempotencyKey: n.Key, Digest: digest, Channel: a.ID, Context: of.Over(code.ChannelOf(a.Company, way), a.Number).String(),
		Product: string(n.Product), Amount: c.o.Amount, Currency: c.o.Currency, Reserve: of.Mode == code.Reserved, State: string(order.Created), Bank: n.bank, Created: c.at, Changed: c.at, Expires: expires,
		Asking: store.Asking{Slice: order.Slice(c.at)}}
	if err := c.tx.AddGatewayPayment(ctx, p); err != nil {
		return p, err
	}
	return p, c.tell(ctx, number, "created", "", p.State, ByRequest, p.Context, a.ID+n.chosen())
}

// payable reports why an order takes no attempt now.
func (s *Service) payable(o store.GatewayOrder) error {
	if c, err := code.Parse(o.Context); err != nil || c.Action == code.Withdraw {
		return errors.Join(err, fmt.Errorf("a withdrawal is paid out, not paid: %w", order.ErrState))
	}
	if o.State != string(order.Open) {
		return fmt.Errorf("order is %s: %w", o.State, order.ErrState)
	}
	if !s.now().Before(o.Expires) {
		return ErrExpired
	}
	return nil
}

// assess asks risk, outside of any transaction, and writes what it said: the second transaction. mine is whether this request is the one that calls the
// channel: of the same request twice at once only one does.
func (s *Service) assess(ctx context.Context, o store.GatewayOrder, row store.GatewayPayment, n NewPayment) (_ store.GatewayPayment, mine bool, _ error) {
	err := s.step(ctx, "risk", o.ID, row.Context, func(ctx context.Context) error {
		said, err := s.cfg.Risk.Assess(ctx, Assessed{Order: orderOf(o), Payment: paymentOf(row), N: row.N, Payer: n.Payer, Card: n.card, Unproven: n.Unproven, Device: n.Device, IP: n.IP, Proof: n.Proof})
		if err != nil {
			return fmt.Errorf("risk: %w", err)
		}
		return s.change(ctx, o.ID, func(c *change) error {
			mine = false
			var err error
			if row, err = c.tx.GatewayPayment(ctx, row.Number); err != nil {
				return err
			}
			state := order.PaymentState(row.State)
			switch {
			case state != order.Created && state != order.Challenged:
				return nil
			case s.payable(c.o) != nil:
				return c.movePayment(ctx, &row, order.ChannelEnd, ByTime, "the order takes no payment any more")
			case said.Keep != nil:
				if err := said.Keep(ctx, c.tx); err != nil {
					return err
				}
			}
			switch {
			case said.Verdict == Pass:
				mine = true
				row.Sent = c.at.Truncate(time.Second)
				return c.movePayment(ctx, &row, order.Called, ByRisk, said.Why)
			case said.Verdict == Challenge && state == order.Challenged:
				return nil
			case said.Verdict == Challenge:
				return c.movePayment(ctx, &row, order.StepUp, ByRisk, said.Why)
			}
			row.Class = int(channel.ByRisk)
			return c.movePayment(ctx, &row, order.Blocked, ByRisk, said.Why)
		})
	})
	if err != nil {
		return row, false, err
	}
	return row, mine, nil
}

// call calls the channel, outside of any transaction, and writes its answer: the third transaction.
func (s *Service) call(ctx context.Context, o store.GatewayOrder, row store.GatewayPayment, n NewPayment) (store.GatewayPayment, error) {
	a := s.accounts[row.Channel]
	var r channel.Result
	var callErr error
	if err := s.step(ctx, "call", o.ID, row.Context, func(ctx context.Context) error {
		if err := s.fault("call"); err != nil {
			return err
		}
		limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
		defer stop()
		ended := s.watch(row.Channel, n.bank)
		in := channel.PayRequest{Number: row.Number, Context: row.Context, Product: n.Product, Money: channel.Money{Amount: row.Amount, Currency: row.Currency},
			Subject: o.Subject, Sent: row.Sent, Expires: row.Expires, NotifyURL: a.NotifyURL, ReturnURL: n.ReturnURL, ClientIP: n.IP, Payer: n.Payer}
		if n.Binding != "" {
			in.Payer.Token = n.token
		}
		if auth, can := a.Channel.(channel.Authoriser); can && row.Reserve {
			r, callErr = auth.Authorise(limited, in)
		} else {
			r, callErr = a.Channel.Pay(limited, in)
		}
		ended(r, callErr)
		return s.fault("called")
	}); err != nil {
		return row, err
	}
	if errors.Is(callErr, channel.ErrNotSent) {
		r = channel.Result{Outcome: channel.Failed, Code: notSent, Class: channel.ByChannel}
		if errors.Is(callErr, channel.ErrUnsupported) {
			r.Class = channel.NotSupported
		}
		callErr = nil
	}
	if callErr != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "order", o.ID, "payment", row.Number, "context", row.Context, "error", callErr)
		r = channel.Result{}
	}
	// What the channel said is kept even when the caller has just gone.
	kept := context.WithoutCancel(ctx)
	if err := s.step(kept, "answer", o.ID, row.Context, func(ctx context.Context) error {
		return s.change(ctx, o.ID, func(c *change) error {
			var err error
			if row, err = c.tx.GatewayPayment(ctx, row.Number); err != nil {
				return err
			}
			return c.hear(ctx, &row, r, ByAnswer)
		})
	}); err != nil {
		return row, err
	}
	return row, nil
}

// watch tells who watches channels of a call that begins; what it returns tells of its end.
func (s *Service) watch(account, bank string) func(channel.Result, error) {
	if s.cfg.Watch == nil {
		return func(channel.Result, error) {}
	}
	return s.cfg.Watch(account, bank)
}

func (s *Service) fault(point string) error {
	if s.cfg.Fault == nil {
		return nil
	}
	return s.cfg.Fault(point)
}

// reserves reports an order whose money is reserved first.
func reserves(context string) bool {
	c, err := code.Parse(context)
	return err == nil && c.Mode == code.Reserved
}
