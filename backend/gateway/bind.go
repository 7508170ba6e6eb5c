package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// NewBinding is what a holder's card is bound by: payments of product [channel.Quick] then need no card data.
type NewBinding struct {
	Key       string // names the binding at the app, for ever; 1 to 64 characters
	Product   code.Product
	Holder    string // the app's name for whose card it is, 1 to 64 bytes: nobody else pays by it
	Typed     string `json:"-"` // the vault's reference of what the payer has typed; "" : he binds on the channel's page
	ReturnURL string // where the payer's browser goes after the page; proves nothing
	Order     string // an order to pay once it is bound; "" : none
	Attach    string // the app's own, at most 1,024 bytes; comes back in messages
}

// Binding is a bound card as its app sees it.
type Binding struct {
	Number   string
	App      string
	Key      string
	Holder   string
	Account  string // our account at the channel
	Context  string
	Page     bool // the payer binds on the channel's page
	State    order.BindingState
	Last     string // four digits of the card's number; "" : not known
	Bank     string
	Kind     string         // debit, credit, prepaid; "" : not known
	Unproven bool           // nobody proved whose card it is
	Action   channel.Action // what the payer's device needs to bind
	Order    string         // that is paid once it is bound
	Attach   string
	Code     string // the channel's
	Message  string
	Created  time.Time
	Changed  time.Time
	Bound    time.Time // zero: it is not
}

// TypedCard is what may be known of a card whose number was typed.
type TypedCard struct {
	Card string // a keyed name, the same for the same number
	Last string // four digits
	Bank string // "" : not known
	Kind string // debit, credit, prepaid; "" : not known
}

// PhoneCodes sends codes of ours to payers whose channel does not check whose card it is, and checks them. Both are bounded by it in number and time.
type PhoneCodes interface {
	Send(ctx context.Context, b Binding, typed string) error // typed is the vault's reference: the phone's number is there
	Check(ctx context.Context, b Binding, code string) (bool, error)
}

const (
	bindFor     = 24 * time.Hour // a payer may take to bind
	bindTries   = 5              // openings that a bank refuses because of what was typed
	bindCodes   = 10             // codes of one binding
	bindAtOnce  = 20             // cards of one holder
	byTyping    = "typed"
	byPage      = "page"
	isDuplicate = "DUPLICATE" // code of a card that its channel has bound already, for another holder or another app
)

// Bind applies for a binding, and has the payer's bank send its code where it sends one. The same key with the same content is the same binding, as it is by now; so is a
// card that the holder has bound or is binding, by whatever key: its channel is not asked. Where it is bound, an order to pay is paid by it.
//
// Errors: [ErrRequest], [ErrConflict], [ErrCards], [ErrNotTyped], [ErrUnknownOrder], [ErrNoChannel], [ErrUnsupported], [order.ErrState], [code.ErrUnknown].
func (s *Service) Bind(ctx context.Context, app string, n NewBinding) (Binding, error) {
	row, err := s.bind(ctx, app, n)
	if err != nil {
		return Binding{}, fmt.Errorf("bind card: %w", err)
	}
	return bindingOf(row), nil
}

func (s *Service) bind(ctx context.Context, app string, n NewBinding) (store.GatewayBinding, error) {
	none := store.GatewayBinding{}
	have, err := s.bindingByKey(ctx, app, n.Key)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return none, err
	}
	card, err := s.typed(ctx, n.Typed)
	if known && errors.Is(err, ErrNotTyped) {
		card.Card, err = have.Card, nil // it was typed long ago, and is not needed any more
	}
	if err != nil {
		return none, err
	}
	digest, err := digestOf(struct {
		NewBinding
		Card string
	}{n, card.Card})
	if err != nil {
		return none, err
	}
	if !known {
		if have, err = s.addBinding(ctx, app, n, card, digest); err != nil {
			return none, err
		}
	}
	if have.IdempotencyKey == n.Key && have.Digest != digest {
		return none, fmt.Errorf("key %q is binding %s: %w", n.Key, have.Number, ErrConflict)
	}
	switch state := order.BindingState(have.State); {
	case state == order.Bound && have.PayOrder != "":
		return s.payBound(ctx, have)
	case state == order.Applied && have.Way == byPage:
		return s.openPage(ctx, have, n.ReturnURL)
	case state == order.Applied && have.Codes == 0 && s.codeOf(have.Channel):
		return s.bindCode(ctx, app, have.Number, n.Typed)
	}
	return have, nil
}

// codeOf reports an account whose payers' banks send a code first.
func (s *Service) codeOf(id string) bool {
	_, b, err := s.binder(id)
	return err == nil && b.Binds().Code
}

// addBinding writes a new binding, unless the holder has this card already, or the same request beside this one was faster.
func (s *Service) addBinding(ctx context.Context, app string, n NewBinding, card TypedCard, digest string) (store.GatewayBinding, error) {
	row, err := s.newBinding(ctx, app, n, card, digest)
	if err != nil {
		return row, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.GatewayBindingByKey(ctx, app, n.Key)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			row = have
			return err
		}
		if n.Order != "" {
			o, err := owned(ctx, tx, app, n.Order)
			if err != nil {
				return err
			}
			if err := s.payable(o); err != nil {
				return err
			}
		}
		all, err := tx.GatewayBindingsIn(ctx, app, n.Holder, string(order.Applied), string(order.CodeSent), string(order.Opening), string(order.PreBound), string(order.Bound), string(order.Unbinding))
		if err != nil {
			return err
		}
		for _, b := range all {
			switch {
			case row.Card == "" || b.Card != row.Card:
				continue
			case !order.BindingState(b.State).Live():
				return fmt.Errorf("the card is being unbound: apply again in a moment: %w", order.ErrState)
			case n.Order == "":
				row = b
				return nil
			}
			c := bindingChange{s: s, tx: tx, at: row.Created, b: b}
			if err := c.toPay(ctx, n.Order); err != nil {
				return err
			}
			row = c.b
			return tx.SetGatewayBinding(ctx, c.b)
		}
		if len(all) >= bindAtOnce {
			return fmt.Errorf("%d of one holder: %w", len(all), ErrCards)
		}
		if err := tx.AddGatewayBinding(ctx, row); err != nil {
			return err
		}
		c := bindingChange{s: s, tx: tx, at: row.Created, b: row}
		if err := c.tell(ctx, "created", "", ByRequest, ""); err != nil {
			return err
		}
		row = c.b
		return tx.SetGatewayBinding(ctx, c.b)
	})
	return row, err
}

// newBinding checks, and finds the account.
func (s *Service) newBinding(ctx context.Context, app string, n NewBinding, card TypedCard, digest string) (store.GatewayBinding, error) {
	none := store.GatewayBinding{}
	check := NewOrder{Key: n.Key, Product: n.Product, Merchant: "any", Money: channel.Money{Amount: money.Minor(1), Currency: s.cfg.Currency}, Subject: "any", Attach: n.Attach}
	if err := s.checkFields(app, check); err != nil {
		return none, err
	}
	switch {
	case n.Holder == "" || len(n.Holder) > 64 || !utf8.ValidString(n.Holder):
		return none, fmt.Errorf("holder: want the app's name for whose card it is, 1 to 64 bytes: %w", ErrRequest)
	case looksLikeCard(n.Holder):
		return none, ErrCardNumber
	case s.cfg.Box == nil:
		return none, fmt.Errorf("channels' tokens are sealed, and Config.Box is not set: %w", ErrUnsupported)
	}
	number, err := s.number(order.OfBinding)
	if err != nil {
		return none, err
	}
	at := s.now()
	row := store.GatewayBinding{Number: number, App: app, Holder: n.Holder, IdempotencyKey: n.Key, Digest: digest, Way: byPage, State: string(order.Applied), Card: card.Card, Last: card.Last, Bank: card.Bank,
		Kind: card.Kind, Attach: n.Attach, PayOrder: n.Order, Attempt: 1, Created: at, Changed: at, Due: at.Add(bindFor)}
	if n.Typed != "" {
		row.Way = byTyping
	}
	of := code.Context{Product: n.Product, Mode: code.Instant, Action: code.Pay}
	all, err := s.candidates(ctx, Wanted{Product: channel.Quick, Money: check.Money, Bank: card.Bank, Card: card.Kind, Context: of.String(), App: app, Order: number})
	if err != nil {
		return none, err
	}
	for _, a := range all {
		if !s.bindsBy(a, row.Way) {
			continue
		}
		way, err := code.WayOf(string(channel.Quick))
		row.Channel, row.Context = a.ID, of.Over(code.ChannelOf(a.Company, way), a.Number).String()
		return row, err
	}
	return none, fmt.Errorf("to bind a card (%s): %w", row.Way, ErrNoChannel)
}

// bindsBy reports an account over which cards are bound in this way. One that does not prove whose they are needs codes of ours.
func (s *Service) bindsBy(a Account, way string) bool {
	b, can := a.Channel.(channel.Binder)
	if !can {
		return false
	}
	how := b.Binds()
	return way == byPage && how.Page || way == byTyping && how.Typed && (how.Proves || s.cfg.PhoneCodes != nil)
}

// typed is what may be known of what was typed; nothing where nothing was.
func (s *Service) typed(ctx context.Context, ref string) (TypedCard, error) {
	switch {
	case ref == "":
		return TypedCard{}, nil
	case s.cfg.Typed == nil:
		return TypedCard{}, fmt.Errorf("nothing that a payer types is held here: %w", ErrUnsupported)
	}
	return s.cfg.Typed(ctx, ref)
}

// BindCode has a code sent once more, to a payer who may have typed something else of the same card: his bank's, or our own where the channel has not checked whose the card
// is. Errors: [ErrUnknownBinding], [ErrRequest], [ErrCards], [ErrNotTyped], [ErrUnsupported], [order.ErrState].
func (s *Service) BindCode(ctx context.Context, app, number, typed string) (Binding, error) {
	row, err := s.bindCode(ctx, app, number, typed)
	if err != nil {
		return Binding{}, fmt.Errorf("code for binding %s: %w", number, err)
	}
	return bindingOf(row), nil
}

func (s *Service) bindCode(ctx context.Context, app, number, typed string) (store.GatewayBinding, error) {
	card, err := s.typed(ctx, typed)
	if err != nil {
		return store.GatewayBinding{}, err
	}
	row, err := s.bindingChange(ctx, app, number, func(c *bindingChange) error {
		state := order.BindingState(c.b.State)
		switch {
		case state != order.Applied && state != order.CodeSent && state != order.PreBound:
			return fmt.Errorf("binding is %s: %w", state, order.ErrState)
		case typed == "" || card.Card != c.b.Card:
			return fmt.Errorf("typed: want the card that was applied for: %w", ErrRequest)
		case c.b.Codes >= bindCodes:
			return fmt.Errorf("%d codes were sent for it: %w", c.b.Codes, ErrCards)
		}
		c.b.Codes++
		return nil
	})
	if err != nil {
		return row, err
	}
	if row.State == string(order.PreBound) {
		return row, s.ownCode(ctx, row, typed)
	}
	_, b, err := s.binder(row.Channel)
	if err != nil || !b.Binds().Code {
		return row, err
	}
	said, err, died := s.callBinder(ctx, func(ctx context.Context) (channel.Signed, error) {
		return b.BindCode(ctx, s.opening(row, typed, ""))
	})
	if died != nil {
		return row, died
	}
	return s.heardCode(ctx, row, said, err)
}

// heardCode writes what a channel answered to the request for a code. An answer that was lost changes nothing: the code may have come.
func (s *Service) heardCode(ctx context.Context, row store.GatewayBinding, said channel.Signed, callErr error) (store.GatewayBinding, error) {
	if callErr != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "binding", row.Number, "error", callErr)
		return row, nil
	}
	return s.bindingChange(context.WithoutCancel(ctx), "", row.Number, func(c *bindingChange) error {
		state := order.BindingState(c.b.State)
		if state != order.Applied && state != order.CodeSent || c.b.Attempt != row.Attempt {
			return nil
		}
		switch {
		case said.Outcome == channel.Pending || said.Outcome == channel.Succeeded && !said.Duplicate:
			return c.move(ctx, order.CodeWasSent, ByAnswer, "")
		case said.Outcome != channel.Failed:
			return nil
		}
		return c.refuse(ctx, said, ByAnswer, said.Class == channel.ByPayer && !said.Duplicate)
	})
}

// ownCode sends a code of ours.
func (s *Service) ownCode(ctx context.Context, row store.GatewayBinding, typed string) error {
	if s.cfg.PhoneCodes == nil {
		return fmt.Errorf("nobody here sends codes: %w", ErrUnsupported)
	}
	return s.cfg.PhoneCodes.Send(ctx, bindingOf(row), typed)
}

// ConfirmBinding binds the card with the code that its bank has sent, or checks the code of ours. A binding in doubt is no error: it is asked about by [Service.Scan], and by this
// request when it comes again. One that is bound stays as it is.
//
// Errors: [ErrUnknownBinding], [ErrRequest], [ErrNotTyped], [ErrCode], [ErrUnsupported], [order.ErrState].
func (s *Service) ConfirmBinding(ctx context.Context, app, number, typed, code string) (Binding, error) {
	row, err := s.confirmBinding(ctx, app, number, typed, code)
	if err != nil {
		return Binding{}, fmt.Errorf("confirm binding %s: %w", number, err)
	}
	return bindingOf(row), nil
}

func (s *Service) confirmBinding(ctx context.Context, app, number, typed, code string) (store.GatewayBinding, error) {
	row, err := s.bindingOfApp(ctx, app, number)
	if err != nil {
		return row, err
	}
	switch order.BindingState(row.State) {
	case order.Bound:
		return row, nil
	case order.Opening:
		return s.askBinding(ctx, row)
	case order.PreBound:
		return s.proveBinding(ctx, row, typed, code)
	case order.Applied, order.CodeSent:
	default:
		return row, fmt.Errorf("binding is %s: %w", row.State, order.ErrState)
	}
	card, err := s.typed(ctx, typed)
	if err != nil {
		return row, err
	}
	_, b, err := s.binder(row.Channel)
	if err != nil {
		return row, err
	}
	if typed == "" || card.Card != row.Card || row.Way == byPage {
		return row, fmt.Errorf("typed: want the card that was applied for: %w", ErrRequest)
	}
	mine := false
	if row, err = s.bindingChange(ctx, app, number, func(c *bindingChange) error {
		state := order.BindingState(c.b.State)
		if mine = state == order.Applied || state == order.CodeSent; !mine {
			return nil // the same request beside this one was faster
		}
		c.b.Called = c.at
		return c.move(ctx, order.BindCalled, ByRequest, "")
	}); err != nil || !mine {
		return row, err
	}
	said, err, died := s.callBinder(ctx, func(ctx context.Context) (channel.Signed, error) {
		return b.Bind(ctx, s.opening(row, typed, ""), code)
	})
	if died != nil {
		return row, died
	}
	if row, err = s.heardBinding(ctx, row, said, err, ByAnswer); err != nil {
		return row, err
	}
	if row.State == string(order.Bound) {
		s.forgetTyped(ctx, row, typed)
	}
	switch {
	case row.State == string(order.PreBound):
		if err := s.ownCode(ctx, row, typed); err != nil { // it can be asked for again
			s.cfg.Log.WarnContext(ctx, "a code of ours is not sent", "binding", row.Number, "error", err)
		}
	case row.State == string(order.Bound) && row.PayOrder != "":
		return s.payBound(ctx, row)
	}
	return row, nil
}

// forgetTyped has the vault forget what was typed. It would do so by itself a little later.
func (s *Service) forgetTyped(ctx context.Context, row store.GatewayBinding, typed string) {
	if s.cfg.ForgetTyped == nil || typed == "" {
		return
	}
	if err := s.cfg.ForgetTyped(context.WithoutCancel(ctx), typed); err != nil {
		s.cfg.Log.WarnContext(ctx, "what was typed is not forgotten", "binding", row.Number, "error", err)
	}
}

// proveBinding checks a code of ours.
func (s *Service) proveBinding(ctx context.Context, row store.GatewayBinding, typed, code string) (store.GatewayBinding, error) {
	if s.cfg.PhoneCodes == nil {
		return row, fmt.Errorf("nobody here sends codes: %w", ErrUnsupported)
	}
	ok, err := s.cfg.PhoneCodes.Check(ctx, bindingOf(row), code)
	if err == nil && !ok {
		err = ErrCode
	}
	if err != nil {
		return row, err
	}
	row, err = s.bindingChange(ctx, "", row.Number, func(c *bindingChange) error {
		if c.b.State == string(order.Bound) {
			return nil
		}
		c.b.Bound = c.at
		return c.move(ctx, order.BindProven, ByRequest, "")
	})
	if err != nil {
		return row, err
	}
	s.forgetTyped(ctx, row, typed)
	if row.PayOrder != "" {
		return s.payBound(ctx, row)
	}
	return row, nil
}

// openPage has the payer bind on the channel's page.
func (s *Service) openPage(ctx context.Context, row store.GatewayBinding, back string) (store.GatewayBinding, error) {
	_, b, err := s.binder(row.Channel)
	if err != nil {
		return row, err
	}
	mine := false
	if row, err = s.bindingChange(ctx, "", row.Number, func(c *bindingChange) error {
		if mine = c.b.State == string(order.Applied); !mine {
			return nil
		}
		c.b.Called = c.at
		return c.move(ctx, order.BindCalled, ByRequest, "")
	}); err != nil || !mine {
		return row, err
	}
	said, err, died := s.callBinder(ctx, func(ctx context.Context) (channel.Signed, error) {
		return b.BindPage(ctx, s.opening(row, "", back))
	})
	if died != nil {
		return row, died
	}
	return s.heardBinding(ctx, row, said, err, ByAnswer)
}

// opening is a request of the attempt that a binding is at.
func (s *Service) opening(row store.GatewayBinding, typed, back string) channel.SignRequest {
	return channel.SignRequest{Number: openingNumber(row), Payer: channel.Payer{Token: typed}, NotifyURL: s.accounts[row.Channel].NotifyURL, ReturnURL: back}
}

// openingNumber is how a channel knows an opening. A bank that has refused one is asked under the next: the same number is never two openings.
func openingNumber(row store.GatewayBinding) string {
	return fmt.Sprintf("%s%02d", row.Number, row.Attempt)
}

// bindingNumber is the binding of an opening, "" where it is none.
func bindingNumber(opening string) string {
	const length = 27
	if len(opening) != length+2 || opening[0] != order.OfBinding {
		return ""
	}
	return opening[:length]
}

// callBinder calls a channel, outside of any transaction. err is that nobody knows what the channel did, died that a test lets the process end here.
func (s *Service) callBinder(ctx context.Context, call func(context.Context) (channel.Signed, error)) (said channel.Signed, err, died error) {
	if died = s.fault("call"); died != nil {
		return said, nil, died
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	said, err = call(limited)
	return said, err, s.fault("called")
}

func (s *Service) binder(id string) (Account, channel.Binder, error) {
	a, known := s.accounts[id]
	b, can := a.Channel.(channel.Binder)
	if !known || !can {
		return a, nil, fmt.Errorf("channel account %s is not there any more, or binds nothing: %w", id, ErrUnsupported)
	}
	return a, b, nil
}

// Unbind ends a binding: no payment is made by it from here on, and the channel is told until it knows. One that is ending or has ended stays as it is.
// Errors: [ErrUnknownBinding].
func (s *Service) Unbind(ctx context.Context, app, number string) (Binding, error) {
	row, err := s.bindingChange(ctx, app, number, func(c *bindingChange) error {
		if !order.BindingState(c.b.State).Live() {
			return nil
		}
		return c.move(ctx, order.UnbindAsked, ByRequest, "")
	})
	if err == nil && row.State == string(order.Unbinding) {
		row, err = s.askBinding(ctx, row)
	}
	if err != nil {
		return Binding{}, fmt.Errorf("unbind %s: %w", number, err)
	}
	return bindingOf(row), nil
}

// AskBinding asks the channel about a binding: a holder may end it there, without us. Errors: [ErrUnknownBinding], [ErrUnsupported].
func (s *Service) AskBinding(ctx context.Context, app, number string) (Binding, error) {
	row, err := s.bindingOfApp(ctx, app, number)
	if err == nil {
		switch order.BindingState(row.State) {
		case order.Opening, order.PreBound, order.Bound, order.Unbinding:
			row, err = s.askBinding(ctx, row)
		}
	}
	if err != nil {
		return Binding{}, fmt.Errorf("ask about binding %s: %w", number, err)
	}
	return bindingOf(row), nil
}

// Binding finds an app's binding; an empty app is the operator. Error: [ErrUnknownBinding].
func (s *Service) Binding(ctx context.Context, app, number string) (Binding, error) {
	row, err := s.bindingOfApp(ctx, app, number)
	if err != nil {
		return Binding{}, err
	}
	return bindingOf(row), nil
}

// Bindings lists bindings, newest first, at most limit; of one app, of one holder and in one state where these are not empty.
func (s *Service) Bindings(ctx context.Context, app, holder string, state order.BindingState, limit int) (out []Binding, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.GatewayBindings(ctx, app, holder, string(state), limit)
		for _, b := range all {
			out = append(out, bindingOf(b))
		}
		return err
	})
	return out, err
}

// BindingTimeline lists what happened to an app's binding, in order. Error: [ErrUnknownBinding].
func (s *Service) BindingTimeline(ctx context.Context, app, number string) (out []Event, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		if _, err := ownedBinding(ctx, tx, app, number); err != nil {
			return err
		}
		all, err := tx.GatewayTimeline(ctx, number)
		for _, l := range all {
			out = append(out, Event{At: l.At, About: l.About, Event: l.Event, Was: l.Was, Became: l.Became, Source: Source(l.Source), Context: l.Context, Detail: l.Detail})
		}
		return err
	})
	return out, err
}

func (s *Service) bindingByKey(ctx context.Context, app, key string) (row store.GatewayBinding, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error { row, err = tx.GatewayBindingByKey(ctx, app, key); return err })
	return row, err
}

func (s *Service) bindingOfApp(ctx context.Context, app, number string) (row store.GatewayBinding, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error { row, err = ownedBinding(ctx, tx, app, number); return err })
	return row, err
}

// ownedBinding finds a binding that the app may see; an empty app is the operator.
func ownedBinding(ctx context.Context, tx *store.Tx, app, number string) (store.GatewayBinding, error) {
	b, err := tx.GatewayBinding(ctx, number)
	if errors.Is(err, store.ErrNotFound) || err == nil && app != "" && b.App != app {
		return store.GatewayBinding{}, fmt.Errorf("binding %q: %w", number, ErrUnknownBinding)
	}
	return b, err
}

func bindingOf(b store.GatewayBinding) Binding {
	return Binding{Number: b.Number, App: b.App, Key: b.IdempotencyKey, Holder: b.Holder, Account: b.Channel, Context: b.Context, Page: b.Way == byPage, State: order.BindingState(b.State), Last: b.Last, Bank: b.Bank,
		Kind: b.Kind, Unproven: b.Unproven, Action: actionOf(b.Action), Order: b.PayOrder, Attach: b.Attach, Code: b.Code, Message: b.Message, Created: b.Created, Changed: b.Changed, Bound: b.Bound}
}

// sealToken seals a channel's token for its row, and openToken opens it.
func (s *Service) sealToken(number, token string) string {
	return base64.StdEncoding.EncodeToString(s.cfg.Box.Seal(tokenRow(number), []byte(token)))
}

func (s *Service) openToken(row store.GatewayBinding) (string, error) {
	if row.Token == "" {
		return "", nil
	}
	if s.cfg.Box == nil {
		return "", fmt.Errorf("the token of binding %s is sealed, and Config.Box is not set: %w", row.Number, ErrUnsupported)
	}
	raw, err := base64.StdEncoding.DecodeString(row.Token)
	if err != nil {
		return "", fmt.Errorf("the token of binding %s: %w", row.Number, err)
	}
	token, err := s.cfg.Box.Open(tokenRow(row.Number), raw)
	if err != nil {
		return "", fmt.Errorf("the token of binding %s: %w", row.Number, err)
	}
	return string(token), nil
}

func tokenRow(number string) string { return "binding " + number }
