package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// NewAgreement is what a payer is asked to agree to: to be debited, when an app orders it or again and again.
type NewAgreement struct {
	Key       string // names the agreement at the app, for ever; 1 to 64 characters
	Product   code.Product
	Merchant  ids.MerchantID
	Payer     string // the app's name for who signs, 1 to 64 bytes: what recurs is charged to this one, whoever is logged in
	Currency  string
	Subject   string        // what the payer agrees to, for the payer's eyes, 1 to 127 bytes
	Attach    string        // the app's own, at most 1,024 bytes; comes back in messages
	By        channel.Payer // how the channel knows the payer
	ReturnURL string
	Recurs    *Recurring // nil: only what the app orders ([channel.Agreement])
	Reload    *NewReload `json:",omitempty"` // in place of Recurs: a card is loaded when it holds little
}

// Recurring is what is charged by itself.
type Recurring struct {
	Months int // between two payments
	Trial  recurring.Trial
	Amount money.Amount
	TopUp  bool // each payment is a load, which is on its card at the next presentation
}

// Agreement is an agreement as its app sees it.
type Agreement struct {
	Number    string
	App       string
	Key       string
	Merchant  ids.MerchantID
	Payer     string
	Subject   string
	Attach    string
	Account   string // our account at the channel
	Context   string
	Currency  string
	State     order.AgreementState
	Action    channel.Action // what the payer's device needs to sign
	Code      string         // the channel's
	Message   string
	Created   time.Time
	Changed   time.Time
	Signed    time.Time
	Recurs    *Terms // nil: nothing does
	Standing  recurring.Standing
	Period    int       // to be paid next, 0 the first
	NextDue   time.Time // zero: never
	LastOrder string    // of the last charge
	Reload    *Reload   // nil: no card is
}

// Terms are what recurs, as it is kept.
type Terms struct {
	Months int               `json:"months"`
	Trial  recurring.Trial   `json:"trial"`
	TopUp  bool              `json:"top_up"`
	Prices []recurring.Price `json:"prices"`
}

// signFor is how long a payer may take to sign.
const signFor = 24 * time.Hour

// Sign asks a payer's channel for an agreement. The same key with the same content is the same agreement, as it is by now. One in doubt is no error: it is asked
// about by [Service.Scan]. Errors: [ErrRequest], [ErrCardNumber], [ErrConflict], [ErrNoChannel], [code.ErrUnknown].
func (s *Service) Sign(ctx context.Context, app string, n NewAgreement) (Agreement, error) {
	row, err := s.sign(ctx, app, n)
	if err != nil {
		return Agreement{}, fmt.Errorf("sign agreement: %w", err)
	}
	return s.agreementOf(row), nil
}

func (s *Service) sign(ctx context.Context, app string, n NewAgreement) (store.GatewayAgreement, error) {
	none := store.GatewayAgreement{}
	digest, err := digestOf(n)
	if err != nil {
		return none, err
	}
	row, err := s.agreementByKey(ctx, app, n.Key)
	switch {
	case err == nil && row.Digest != digest:
		return none, fmt.Errorf("key %q is agreement %s: %w", n.Key, row.Number, ErrConflict)
	case err == nil:
		return row, nil // whether the channel was called is found out by asking it
	case !errors.Is(err, store.ErrNotFound):
		return none, err
	}
	if row, err = s.newAgreement(ctx, app, n, digest); err != nil {
		return none, err
	}
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.GatewayAgreementByKey(ctx, app, n.Key)
		if err == nil { // the same request beside this one was faster
			row = have
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.AddGatewayAgreement(ctx, row); err != nil {
			return err
		}
		c := covenant{s: s, tx: tx, at: row.Created, a: row}
		if err := c.tell(ctx, "created", "", ByRequest, ""); err != nil {
			return err
		}
		return tx.SetGatewayAgreement(ctx, c.a)
	}); err != nil {
		return none, err
	}
	if row.Digest != digest {
		return none, fmt.Errorf("key %q is agreement %s: %w", n.Key, row.Number, ErrConflict)
	}
	return s.callSign(ctx, row, n)
}

// newAgreement checks, and finds the account.
func (s *Service) newAgreement(ctx context.Context, app string, n NewAgreement, digest string) (store.GatewayAgreement, error) {
	none := store.GatewayAgreement{}
	check := NewOrder{Key: n.Key, Product: n.Product, Merchant: n.Merchant, Money: channel.Money{Amount: money.Minor(1), Currency: n.Currency}, Subject: n.Subject, Attach: n.Attach}
	if n.Recurs != nil {
		check.Money.Amount = n.Recurs.Amount
	}
	if n.Reload != nil {
		check.Money.Amount = n.Reload.Amount
	}
	if err := s.checkFields(app, check); err != nil {
		return none, err
	}
	if looksLikeCard(n.By.Token) || looksLikeCard(n.By.Account) || looksLikeCard(n.Payer) {
		return none, ErrCardNumber
	}
	if n.Recurs != nil && n.Reload != nil {
		return none, fmt.Errorf("want what recurs or a card to reload, not both: %w", ErrRequest)
	}
	if n.Payer == "" || len(n.Payer) > 64 || !utf8.ValidString(n.Payer) {
		return none, fmt.Errorf("payer: want the app's name for who signs, 1 to 64 bytes: %w", ErrRequest)
	}
	number, err := s.number(order.OfAgreement)
	if err != nil {
		return none, err
	}
	at := s.now()
	of := code.Context{Product: n.Product, Mode: code.Instant, Action: code.Pay}
	row := store.GatewayAgreement{Number: number, App: app, IdempotencyKey: n.Key, Digest: digest, Merchant: n.Merchant, Payer: n.Payer, Subject: n.Subject, Attach: n.Attach, Currency: n.Currency,
		State: string(order.Signing), Created: at, Changed: at, Due: at.Add(s.cfg.CallTimeout + time.Second)}
	if r := n.Recurs; r != nil {
		if r.TopUp {
			of.Action = code.TopUp
			if s.cfg.OnPaid == nil {
				return none, fmt.Errorf("top-up: nobody here loads cards: %w", ErrUnsupported)
			}
			if s.cfg.OnTopUp != nil {
				if err := s.cfg.OnTopUp(check.Money); err != nil {
					return none, err
				}
			}
		}
		t := Terms{Months: r.Months, Trial: r.Trial, TopUp: r.TopUp, Prices: []recurring.Price{{From: at, Amount: r.Amount, Agreed: true}}}
		if row.Terms, err = jsonOf(t); err != nil {
			return none, err
		}
		if row.Progress, err = jsonOf(recurring.State{}); err != nil {
			return none, err
		}
		if err := s.recurs(row, t, at).Check(); err != nil {
			return none, fmt.Errorf("%w: %w", err, ErrRequest)
		}
	}
	if n.Reload != nil {
		of.Action = code.TopUp
		if row.Reload, err = s.newReload(ctx, *n.Reload); err != nil {
			return none, err
		}
		if s.cfg.OnTopUp != nil {
			if err := s.cfg.OnTopUp(check.Money); err != nil {
				return none, err
			}
		}
	}
	all, err := s.candidates(ctx, Wanted{Product: channel.Agreement, Money: check.Money, Bank: n.By.Bank, Context: of.String(), App: app, Order: number})
	if err != nil {
		return none, err
	}
	for _, a := range all {
		if _, can := a.Channel.(channel.Agreements); can && a.Channel.Capabilities().Agreements {
			way, err := code.WayOf(string(channel.Agreement))
			row.Channel, row.Context = a.ID, of.Over(code.ChannelOf(a.Company, way), a.Number).String()
			return row, err
		}
	}
	return none, fmt.Errorf("an agreement: %w", ErrNoChannel)
}

// callSign calls the channel, outside of any transaction, and writes its answer.
func (s *Service) callSign(ctx context.Context, row store.GatewayAgreement, n NewAgreement) (store.GatewayAgreement, error) {
	a, signs, err := s.signsBy(row.Channel)
	if err != nil {
		return row, err
	}
	if err := s.fault("call"); err != nil {
		return row, err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	said, err := signs.Sign(limited, channel.SignRequest{Number: row.Number, Payer: n.By, Plan: n.Subject, NotifyURL: a.NotifyURL, ReturnURL: n.ReturnURL})
	if errors.Is(err, channel.ErrNotSent) {
		said, err = channel.Signed{Outcome: channel.Failed, Code: notSent}, nil
	}
	return s.heardAgreement(ctx, row.Number, said, err, ByAnswer)
}

func (s *Service) signsBy(id string) (Account, channel.Agreements, error) {
	a, known := s.accounts[id]
	signs, can := a.Channel.(channel.Agreements)
	if !known || !can {
		return a, nil, fmt.Errorf("channel account %s is not there any more, or signs nothing: %w", id, ErrUnsupported)
	}
	return a, signs, nil
}

func (s *Service) agreementByKey(ctx context.Context, app, key string) (row store.GatewayAgreement, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error { row, err = tx.GatewayAgreementByKey(ctx, app, key); return err })
	return row, err
}

// ownedAgreement finds an agreement that the app may see; an empty app is the operator.
func ownedAgreement(ctx context.Context, tx *store.Tx, app, number string) (store.GatewayAgreement, error) {
	a, err := tx.GatewayAgreement(ctx, number)
	if errors.Is(err, store.ErrNotFound) || err == nil && app != "" && a.App != app {
		return store.GatewayAgreement{}, fmt.Errorf("agreement %q: %w", number, ErrUnknownAgreement)
	}
	return a, err
}

// Agreement finds an app's agreement; an empty app is the operator. Error: [ErrUnknownAgreement].
func (s *Service) Agreement(ctx context.Context, app, number string) (Agreement, error) {
	var row store.GatewayAgreement
	err := s.store.View(ctx, func(tx *store.Tx) (err error) { row, err = ownedAgreement(ctx, tx, app, number); return err })
	if err != nil {
		return Agreement{}, err
	}
	return s.agreementOf(row), nil
}

// Agreements lists agreements, newest first, at most limit; of one app and in one state where these are not empty.
func (s *Service) Agreements(ctx context.Context, app string, state order.AgreementState, limit int) (out []Agreement, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.GatewayAgreements(ctx, app, string(state), limit)
		for _, a := range all {
			out = append(out, s.agreementOf(a))
		}
		return err
	})
	return out, err
}

// EndAgreement ends an agreement: no debit is made from here on, and the channel is told until it knows. One that is ending or has ended stays as it is.
// Errors: [ErrUnknownAgreement], [order.ErrState].
func (s *Service) EndAgreement(ctx context.Context, app, number string) (Agreement, error) {
	row, err := s.covenant(ctx, app, number, func(c *covenant) error {
		switch order.AgreementState(c.a.State) {
		case order.Ending, order.EndedThen, order.NotSigned:
			return nil
		}
		return c.end(ctx, recurring.Cancelled, ByRequest, "")
	})
	if err == nil && row.State == string(order.Ending) {
		if err = s.askAgreement(ctx, row); err == nil {
			return s.Agreement(context.WithoutCancel(ctx), app, number)
		}
	}
	if err != nil {
		return Agreement{}, fmt.Errorf("end agreement %s: %w", number, err)
	}
	return s.agreementOf(row), nil
}

// agreementOf is an agreement as it is kept.
func (s *Service) agreementOf(a store.GatewayAgreement) Agreement {
	out := Agreement{Number: a.Number, App: a.App, Key: a.IdempotencyKey, Merchant: a.Merchant, Payer: a.Payer, Subject: a.Subject, Attach: a.Attach, Account: a.Channel, Context: a.Context,
		Currency: a.Currency, State: order.AgreementState(a.State), Action: actionOf(a.Action), Code: a.Code, Message: a.Message, Created: a.Created, Changed: a.Changed, Signed: a.Signed, LastOrder: a.LastOrder}
	if a.Reload != "" {
		r := reloadOf(a)
		out.Reload = &r
	}
	if a.Terms == "" {
		return out
	}
	t, p := termsOf(a)
	out.Recurs, out.Period = &t, p.Period
	if !a.Signed.IsZero() {
		plan := s.recurs(a, t, a.Signed)
		out.Standing = plan.Standing(p, s.now())
		if p.End == "" {
			out.NextDue = plan.Due(p.Period)
		}
	}
	return out
}

// recurs is the plan of an agreement that was signed at a time.
func (s *Service) recurs(a store.GatewayAgreement, t Terms, signed time.Time) recurring.Agreement {
	return recurring.Agreement{Number: a.Number, Payer: a.Payer, Start: signed, Zone: s.cfg.Location, Months: t.Months, Trial: t.Trial, Currency: a.Currency, Prices: t.Prices}
}

// termsOf reads what recurs of an agreement, and how far it is.
func termsOf(a store.GatewayAgreement) (t Terms, p recurring.State) {
	if err := errors.Join(json.Unmarshal([]byte(a.Terms), &t), json.Unmarshal([]byte(a.Progress), &p)); err != nil {
		panic("gateway: what recurs of agreement " + a.Number + " is not what was written")
	}
	return t, p
}

func jsonOf(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

// covenant is one transaction on one agreement.
type covenant struct {
	s  *Service
	tx *store.Tx
	at time.Time
	a  store.GatewayAgreement
}

// covenant runs f on an app's agreement in one transaction and writes its row.
func (s *Service) covenant(ctx context.Context, app, number string, f func(*covenant) error) (row store.GatewayAgreement, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		a, err := ownedAgreement(ctx, tx, app, number)
		if err != nil {
			return err
		}
		c := covenant{s: s, tx: tx, at: s.now(), a: a}
		if err := f(&c); err != nil {
			return err
		}
		row = c.a
		return tx.SetGatewayAgreement(ctx, c.a)
	})
	return row, err
}

// AgreementMessage is the data of an event about an agreement: agreement.signed, agreement.upcoming …
type AgreementMessage struct {
	Agreement string `json:"agreement"`
	Key       string `json:"key"` // the app's name for it
	Event     string `json:"event"`
	State     string `json:"state"`
	Detail    string `json:"detail,omitempty"` // an order, an amount, or why
	AtMS      int64  `json:"at_ms"`
	Attach    string `json:"attach"`
}

// tell writes a line of the agreement's timeline, and leaves the message of it.
func (c *covenant) tell(ctx context.Context, event, was string, by Source, detail string) error {
	c.a.Lines++
	c.a.Changed = c.at
	if err := c.tx.AddGatewayLine(ctx, store.GatewayLine{Order: c.a.Number, N: c.a.Lines, At: c.at, About: c.a.Number, Event: event, Was: was, Became: c.a.State, Source: string(by),
		Context: c.a.Context, Detail: detail}); err != nil {
		return err
	}
	data, err := json.Marshal(AgreementMessage{Agreement: c.a.Number, Key: c.a.IdempotencyKey, Event: event, State: c.a.State, Detail: detail, AtMS: c.at.UnixMilli(), Attach: c.a.Attach})
	if err != nil {
		return err
	}
	m, err := webhook.Message(fmt.Sprintf("%s-%d", c.a.Number, c.a.Lines), c.a.Number, c.at, webhook.Notice{App: c.a.App, Type: "agreement." + strings.ReplaceAll(event, "-", "_"), Data: data})
	if err != nil {
		return err
	}
	return c.tx.AddOutbox(ctx, m)
}

// move takes the agreement on by its table.
func (c *covenant) move(ctx context.Context, e order.AgreementEvent, by Source, detail string) error {
	was := c.a.State
	next, err := order.NextAgreement(order.AgreementState(was), e)
	if err != nil {
		return err
	}
	c.a.State, c.a.Tries, c.a.Due = string(next), 0, time.Time{}
	switch {
	case next == order.Ending:
		c.a.Due = c.at
	case next == order.Active && (c.a.Terms != "" || c.a.Reload != ""):
		c.a.Due = c.at
	case next == order.Active:
		c.dueAt(c.at.Add(lookEvery))
	}
	return c.tell(ctx, string(e), was, by, detail)
}

// end has no debit made any more.
func (c *covenant) end(ctx context.Context, e recurring.Event, by Source, why string) error {
	if err := c.over(e); err != nil {
		return err
	}
	return c.move(ctx, order.EndAsked, by, why)
}

// over notes that nothing recurs any more.
func (c *covenant) over(e recurring.Event) error {
	if c.a.Terms == "" {
		return nil
	}
	_, p := termsOf(c.a)
	if p.End != "" {
		return nil
	}
	next, err := recurring.Apply(p, e, c.at)
	if err != nil {
		return err
	}
	c.a.Progress, err = jsonOf(next)
	return err
}
