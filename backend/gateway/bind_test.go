package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
)

// binder is a bank that binds cards. What is typed is CARD/PHONE; the phone it knows is "right", and the code it sends "123456".
type binder struct {
	*bank
	how        channel.Binds
	bound      map[string]*opening // by our number of the opening
	duplicates bool                // one card is bound once
	first      bool                // … and that is looked at before anything else
	opens      int
}

type opening struct {
	card, token string
	ended       bool
}

var byBank = channel.Binds{Page: true, Typed: true, Code: true, Proves: true}

func (b *binder) Binds() channel.Binds { return b.how }

func (b *binder) says(name string, f func() channel.Signed) (channel.Signed, error) {
	var out channel.Signed
	_, err := b.call(name, func() channel.Result { out = f(); return channel.Result{} })
	if err != nil {
		out = channel.Signed{}
	}
	return out, err
}

// checks is a refusal, if there is one.
func (b *binder) checks(r channel.SignRequest) (string, *channel.Signed) {
	card, phone := typedIs(r.Payer.Token)
	wrong := phone != "right"
	twice := false
	for number, o := range b.bound {
		twice = twice || b.duplicates && o.card == card && !o.ended && number != r.Number
	}
	duplicate := &channel.Signed{Outcome: channel.Failed, Number: r.Number, Code: "D1", Class: channel.ByPayer, Duplicate: true}
	switch {
	case twice && b.first:
		return card, duplicate
	case wrong:
		return card, &channel.Signed{Outcome: channel.Failed, Number: r.Number, Code: "66", Class: channel.ByPayer}
	}
	return card, nil
}

func (b *binder) BindCode(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return b.says("code", func() channel.Signed {
		if _, no := b.checks(r); no != nil {
			return *no
		}
		return channel.Signed{Outcome: channel.Pending, Number: r.Number}
	})
}

func (b *binder) open(number, card string) channel.Signed {
	if b.bound[number] == nil {
		b.opens++
		b.bound[number] = &opening{card: card, token: fmt.Sprintf("secret-%s-%d", card, b.opens)}
	}
	return channel.Signed{Outcome: channel.Succeeded, Number: number, Agreement: b.bound[number].token}
}

func (b *binder) Bind(_ context.Context, r channel.SignRequest, code string) (channel.Signed, error) {
	return b.says("bind", func() channel.Signed {
		card, no := b.checks(r)
		if no != nil {
			return *no
		}
		if b.how.Code && code != "123456" {
			return channel.Signed{Outcome: channel.Failed, Number: r.Number, Code: "71", Class: channel.ByPayer}
		}
		for number, o := range b.bound {
			if b.duplicates && o.card == card && !o.ended && number != r.Number {
				return channel.Signed{Outcome: channel.Failed, Number: r.Number, Code: "D2", Class: channel.ByPayer, Duplicate: true}
			}
		}
		return b.open(r.Number, card)
	})
}

func (b *binder) BindPage(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return b.says("page", func() channel.Signed {
		return channel.Signed{Outcome: channel.Pending, Number: r.Number, Action: channel.Action{URL: "https://bank.example/bind/" + r.Number}}
	})
}

func (b *binder) QueryBinding(_ context.Context, number string) (channel.Signed, error) {
	return b.says("ask", func() channel.Signed {
		switch o := b.bound[number]; {
		case o == nil:
			return channel.Signed{Outcome: channel.Missing, Number: number}
		case o.ended:
			return channel.Signed{Outcome: channel.Closed, Number: number}
		default:
			return channel.Signed{Outcome: channel.Succeeded, Number: number, Agreement: o.token}
		}
	})
}

func (b *binder) Unbind(_ context.Context, number, token string) (channel.Signed, error) {
	return b.says("unbind", func() channel.Signed {
		if o := b.bound[number]; o != nil && o.token == token {
			o.ended = true
		}
		return channel.Signed{Outcome: channel.Closed, Number: number}
	})
}

// Pay is paid at once by a token that is in force.
func (b *binder) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	if r.Product != channel.Quick {
		return b.bank.Pay(ctx, r)
	}
	for _, o := range b.bound {
		if o.token == r.Payer.Token && !o.ended {
			if _, err := b.bank.Pay(ctx, r); err != nil {
				return channel.Result{}, err
			}
			b.pays(r.Number, false)
			return b.Query(ctx, channel.Ref{Number: r.Number})
		}
	}
	return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "80", Class: channel.ByPayer}, nil
}

func (b *binder) Notified(ctx context.Context, n channel.Notification) ([]channel.Event, error) {
	number := string(n.Body)
	if o := b.bound[number]; o != nil && n.Query != "forged" {
		return []channel.Event{{ID: "bound-" + number, About: channel.OfAgreement, Agreement: o.token, Result: channel.Result{Outcome: channel.Succeeded, Number: number}}}, nil
	}
	return b.bank.Notified(ctx, n)
}

func typedIs(ref string) (card, phone string) {
	for i := range ref {
		if ref[i] == '/' {
			return ref[:i], ref[i+1:]
		}
	}
	return ref, ""
}

// phones are codes of ours: the right one is "000111".
type phones struct{ sent map[string]int }

func (p *phones) Send(_ context.Context, b gateway.Binding, _ string) error {
	p.sent[b.Number]++
	return nil
}
func (*phones) Check(_ context.Context, _ gateway.Binding, code string) (bool, error) {
	return code == "000111", nil
}

// binds is a desk whose account one binds cards.
func binds(t *testing.T, how channel.Binds) (*desk, *binder, *phones) {
	d := start(t, nil)
	b, p := &binder{}, &phones{sent: map[string]int{}}
	d.bindsOver(t, b, p, how)
	return d, b, p
}

func (d *desk) bindsOver(t require.TestingT, b *binder, p *phones, how channel.Binds) {
	*b = binder{bank: d.one, how: how, bound: map[string]*opening{}}
	d.one.caps.Products = append(d.one.caps.Products, channel.Quick)
	d.cfg = func(c *gateway.Config) {
		box, err := sealed.New(bytesOf(32))
		require.NoError(t, err)
		c.Accounts[0].Channel, c.Box, c.PhoneCodes = b, box, p
		c.Typed = func(_ context.Context, ref string) (gateway.TypedCard, error) {
			if ref == "gone" {
				return gateway.TypedCard{}, gateway.ErrNotTyped
			}
			card, _ := typedIs(ref)
			return gateway.TypedCard{Card: "card_" + card, Last: "0048", Bank: "icbc", Kind: "debit"}, nil
		}
	}
	d.serve()
}

const cardHolder = "rider-7"

func aBinding(key, typed string) gateway.NewBinding {
	return gateway.NewBinding{Key: key, Product: 1, Holder: cardHolder, Typed: typed}
}

func (d *desk) binding(number string) gateway.Binding {
	b, err := d.Binding(d.ctx, "", number)
	require.NoError(d.t, err)
	return b
}

// isBound binds a card the whole way.
func (d *desk) isBound(key, typed string) gateway.Binding {
	b, err := d.Bind(d.ctx, app, aBinding(key, typed))
	require.NoError(d.t, err)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, typed, "123456")
	require.NoError(d.t, err)
	require.Equal(d.t, order.Bound, b.State)
	return b
}

func quick(key string, b gateway.Binding) gateway.NewPayment {
	return gateway.NewPayment{Key: key, Product: channel.Quick, Binding: b.Number, Holder: b.Holder}
}

func (d *desk) paysBy(key string, b gateway.Binding) (gateway.Payment, error) {
	return d.Pay(d.ctx, app, d.order(key, 1000).ID, quick("p", b))
}

// TestACardIsBoundAndPays: the second payment needs no card data; an unbound card pays nothing, and binding it again gives a new number.
func TestACardIsBoundAndPays(t *testing.T) {
	d, bank, _ := binds(t, byBank)
	b, err := d.Bind(d.ctx, app, aBinding("b1", "c/right"))
	require.NoError(t, err)
	require.Equal(t, order.CodeSent, b.State)
	require.Equal(t, []string{"0048", "icbc", "debit"}, []string{b.Last, b.Bank, b.Kind})
	again, err := d.Bind(d.ctx, app, aBinding("b1", "gone"))
	require.NoError(t, err, "what was typed is not needed to hear how it stands")
	require.Equal(t, b, again)

	_, err = d.ConfirmBinding(d.ctx, app, b.Number, "other/right", "123456")
	require.ErrorIs(t, err, gateway.ErrRequest)
	_, err = d.ConfirmBinding(d.ctx, app, b.Number, "gone", "123456")
	require.ErrorIs(t, err, gateway.ErrNotTyped)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
	require.NoError(t, err)
	require.Equal(t, order.Bound, b.State)
	require.False(t, b.Unproven)
	same, err := d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
	require.NoError(t, err)
	require.Equal(t, b, same)
	require.Equal(t, 1, bank.opens)

	for _, key := range []string{"o1", "o2"} {
		p, err := d.paysBy(key, b)
		require.NoError(t, err)
		require.Equal(t, order.PaymentPaid, p.State)
		require.Equal(t, "one", p.Account)
		require.Equal(t, "icbc", p.Bank)
	}
	d.keepsNoToken(t)

	o := d.order("late", 1000)
	ended, err := d.Unbind(d.ctx, app, b.Number)
	require.NoError(t, err)
	require.Equal(t, order.Unbound, ended.State)
	_, err = d.Pay(d.ctx, app, o.ID, quick("p", b))
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
	require.ErrorIs(t, err, order.ErrState)
	require.NotEqual(t, b.Number, d.isBound("b2", "c/right").Number)

	listed, err := d.Bindings(d.ctx, app, cardHolder, order.Bound, 10)
	require.NoError(t, err)
	require.Len(t, listed, 1)
	d.bindingAgrees(t, b.Number)
}

// keepsNoToken: the channel's token is in no row in the clear.
func (d *desk) keepsNoToken(t *testing.T) {
	t.Helper()
	require.NoError(t, d.store.View(d.ctx, func(tx *store.Tx) error {
		all, err := tx.GatewayBindings(d.ctx, "", "", "", 100)
		require.NoError(t, err)
		for _, b := range all {
			require.NotContains(t, fmt.Sprintf("%+v", b), "secret")
		}
		waiting, err := tx.OutboxWaiting(d.ctx, 1<<20)
		require.NoError(t, err)
		for _, m := range waiting {
			require.NotContains(t, string(m.Body), "secret")
		}
		return nil
	}))
}

// bindingAgrees: the timeline is the state's own story.
func (d *desk) bindingAgrees(t require.TestingT, number string) {
	all, err := d.BindingTimeline(d.ctx, app, number)
	require.NoError(t, err)
	is := ""
	for _, e := range all {
		require.Equal(t, is, e.Was, e.Event)
		is = e.Became
	}
	require.Equal(t, string(d.binding(number).State), is)
}

// TestABindingIsOneAppsAndOneHolders: to others it is as unknown as none.
func TestABindingIsOneAppsAndOneHolders(t *testing.T) {
	d, _, _ := binds(t, byBank)
	b := d.isBound("b1", "c/right")
	_, err := d.Binding(d.ctx, "other", b.Number)
	require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	_, err = d.Unbind(d.ctx, "other", b.Number)
	require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	_, err = d.ConfirmBinding(d.ctx, "other", b.Number, "c/right", "123456")
	require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	_, err = d.BindCode(d.ctx, "other", b.Number, "c/right")
	require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	for _, n := range []gateway.NewPayment{{Key: "p", Product: channel.Quick, Binding: b.Number, Holder: "rider-8"}, {Key: "p", Product: channel.Quick, Binding: b.Number}} {
		_, err = d.Pay(d.ctx, app, d.order("o", 1000).ID, n)
		require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	}
	n := anOrder("o", 1000)
	theirs, err := d.Create(d.ctx, "other", n)
	require.NoError(t, err)
	_, err = d.Pay(d.ctx, "other", theirs.ID, quick("p", b))
	require.ErrorIs(t, err, gateway.ErrUnknownBinding)
	_, err = d.Pay(d.ctx, app, d.order("o", 1000).ID, gateway.NewPayment{Key: "p", Product: channel.QR, Binding: b.Number, Holder: cardHolder})
	require.ErrorIs(t, err, gateway.ErrRequest)

	for _, n := range []gateway.NewBinding{{Key: "x", Product: 1, Typed: "c/right"}, {Key: "", Product: 1, Holder: cardHolder}, {Key: "x", Product: 1, Holder: cardHolder, Typed: "c/right", Order: "O-none"}} {
		_, err := d.Bind(d.ctx, app, n)
		require.Error(t, err)
	}
	_, err = d.Bind(d.ctx, app, aBinding("b1", "c2/right"))
	require.ErrorIs(t, err, gateway.ErrConflict)
	for i := range 19 {
		_, err := d.Bind(d.ctx, app, aBinding(fmt.Sprint("more", i), fmt.Sprintf("m%d/right", i)))
		require.NoError(t, err)
	}
	_, err = d.Bind(d.ctx, app, aBinding("toomany", "last/right"))
	require.ErrorIs(t, err, gateway.ErrCards)
}

// TestADuplicateHasOneAnswer: whichever a channel checks first, whose card it is or whether it has the card.
func TestADuplicateHasOneAnswer(t *testing.T) {
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprint("looks first ", first), func(t *testing.T) {
			d, bank, _ := binds(t, byBank)
			bank.duplicates, bank.first = true, first
			b := d.isBound("b1", "c/right")

			// The same holder: it is the binding that he has, and the bank is not asked.
			calls := len(bank.calls)
			same, err := d.Bind(d.ctx, app, aBinding("b2", "c/wrong"))
			require.NoError(t, err)
			require.Equal(t, b, same)
			require.Len(t, bank.calls, calls)

			// Another holder: refused, at whichever step the bank finds it.
			n := aBinding("b3", "c/right")
			n.Holder = "rider-8"
			other, err := d.Bind(d.ctx, app, n)
			require.NoError(t, err)
			if other.State == order.CodeSent {
				other, err = d.ConfirmBinding(d.ctx, app, other.Number, "c/right", "123456")
				require.NoError(t, err)
			}
			require.Equal(t, order.BindingRefused, other.State)
			require.Equal(t, "DUPLICATE", other.Code)
			require.Equal(t, 1, bank.opens)
		})
	}
}

// TestWhatWasMistypedIsTypedAgain: another opening, with a code of its own, and not without end.
func TestWhatWasMistypedIsTypedAgain(t *testing.T) {
	d, bank, _ := binds(t, byBank)
	b, err := d.Bind(d.ctx, app, aBinding("b1", "c/wrong"))
	require.NoError(t, err)
	require.Equal(t, order.Applied, b.State)
	require.Equal(t, "66", b.Code)
	b, err = d.BindCode(d.ctx, app, b.Number, "c/right")
	require.NoError(t, err)
	require.Equal(t, order.CodeSent, b.State)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "999999")
	require.NoError(t, err)
	require.Equal(t, order.Applied, b.State)
	require.Equal(t, "71", b.Code)
	b, err = d.BindCode(d.ctx, app, b.Number, "c/right")
	require.NoError(t, err)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
	require.NoError(t, err)
	require.Equal(t, order.Bound, b.State)
	require.Contains(t, bank.bound, b.Number+"03")
	d.bindingAgrees(t, b.Number)

	b, err = d.Bind(d.ctx, app, aBinding("b2", "c2/right"))
	require.NoError(t, err)
	for range 5 {
		require.NotEqual(t, order.BindingRefused, b.State)
		b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c2/right", "999999")
		require.NoError(t, err)
	}
	require.Equal(t, order.BindingRefused, b.State)
	require.Equal(t, 1, bank.opens)
}

// TestABindingInDoubtIsAskedAbout: a bind in doubt is neither made again nor called refused.
func TestABindingInDoubtIsAskedAbout(t *testing.T) {
	for name, at := range map[string]func(*bank){
		"the answer": func(b *bank) {
			b.after = func(call string, r channel.Result) (channel.Result, error) {
				if call == "bind" {
					return r, errLost
				}
				return r, nil
			}
		},
		"the request": func(b *bank) {
			b.before = func(call string) error {
				if call == "bind" {
					return errLost
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, bank, _ := binds(t, byBank)
			b, err := d.Bind(d.ctx, app, aBinding("b1", "c/right"))
			require.NoError(t, err)
			at(d.one)
			b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
			require.NoError(t, err)
			require.Equal(t, order.Opening, b.State)
			d.one.before, d.one.after = nil, nil
			d.pass(time.Minute, time.Second)
			if name == "the answer" {
				require.Equal(t, order.Bound, d.binding(b.Number).State)
				require.Equal(t, 1, bank.opens)
				return
			}
			require.Equal(t, order.Opening, d.binding(b.Number).State, "it may be on its way still")
			d.pass(6*time.Minute, 10*time.Second)
			require.Equal(t, order.Applied, d.binding(b.Number).State, "the payer goes on where he was")
			b, err = d.BindCode(d.ctx, app, b.Number, "c/right")
			require.NoError(t, err)
			b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "123456")
			require.NoError(t, err)
			require.Equal(t, order.Bound, b.State)
			d.bindingAgrees(t, b.Number)
		})
	}
}

// TestWhatAChannelDoesNotProveIsPreBound: until a code of ours is typed, and with lower limits afterwards.
func TestWhatAChannelDoesNotProveIsPreBound(t *testing.T) {
	d, bank, own := binds(t, channel.Binds{Typed: true})
	o := d.order("o", 1000)
	n := aBinding("b1", "c/right")
	n.Order = o.ID
	b, err := d.Bind(d.ctx, app, n)
	require.NoError(t, err)
	require.Equal(t, order.Applied, b.State)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c/right", "")
	require.NoError(t, err)
	require.Equal(t, order.PreBound, b.State)
	require.Equal(t, 1, own.sent[b.Number])
	_, err = d.Pay(d.ctx, app, o.ID, quick("p", b))
	require.ErrorIs(t, err, order.ErrState)
	_, err = d.ConfirmBinding(d.ctx, app, b.Number, "", "999999")
	require.ErrorIs(t, err, gateway.ErrCode)
	_, err = d.BindCode(d.ctx, app, b.Number, "c/right")
	require.NoError(t, err)
	require.Equal(t, 2, own.sent[b.Number])
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "", "000111")
	require.NoError(t, err)
	require.Equal(t, order.Bound, b.State)
	require.True(t, b.Unproven)
	require.Equal(t, order.Paid, d.now(o.ID).State, "the order that it was bound for")
	d.bindingAgrees(t, b.Number)

	// One who does not go on has nothing bound.
	b, err = d.Bind(d.ctx, app, aBinding("b2", "c2/right"))
	require.NoError(t, err)
	b, err = d.ConfirmBinding(d.ctx, app, b.Number, "c2/right", "")
	require.NoError(t, err)
	d.pass(25*time.Hour, time.Hour)
	d.pass(10*time.Second, time.Second)
	require.Equal(t, order.Unbound, d.binding(b.Number).State)
	require.True(t, bank.bound[b.Number+"01"].ended)
}

// TestACardIsBoundOnTheChannelsPage: it is told by notification, and nobody proves whose it is.
func TestACardIsBoundOnTheChannelsPage(t *testing.T) {
	d, bank, _ := binds(t, byBank)
	b, err := d.Bind(d.ctx, app, aBinding("b1", ""))
	require.NoError(t, err)
	require.Equal(t, order.Opening, b.State)
	require.NotEmpty(t, b.Action.URL)
	d.pass(time.Hour, 10*time.Minute)
	require.Equal(t, order.Opening, d.binding(b.Number).State)
	require.Error(t, d.notify("one", "forged", b.Number+"01"))
	bank.open(b.Number+"01", "c")
	require.NoError(t, d.notify("two", "", b.Number+"01"), "two tells what is one's: it knows it only as a payment")
	require.Equal(t, order.Opening, d.binding(b.Number).State)
	for range 2 {
		require.NoError(t, d.notify("one", "", b.Number+"01"))
	}
	b = d.binding(b.Number)
	require.Equal(t, order.Bound, b.State)
	require.True(t, b.Unproven)
	p, err := d.paysBy("o1", b)
	require.NoError(t, err)
	require.Equal(t, order.PaymentPaid, p.State)

	late, err := d.Bind(d.ctx, app, aBinding("b2", ""))
	require.NoError(t, err)
	d.pass(26*time.Hour, time.Hour)
	require.Equal(t, order.BindingExpired, d.binding(late.Number).State)
	bank.open(late.Number+"01", "c2")
	require.NoError(t, d.notify("one", "", late.Number+"01"))
	require.Equal(t, order.Bound, d.binding(late.Number).State, "later than we waited for")
	require.NoError(t, d.notify("one", "", "B0000000000000000000000000001")) // nobody's
}

// TestABindingThatEndsAtTheBank is found when it is asked about, or when it pays nothing.
func TestABindingThatEndsAtTheBank(t *testing.T) {
	d, bank, _ := binds(t, byBank)
	asked, failing := d.isBound("b1", "c/right"), d.isBound("b2", "c2/right")
	same, err := d.AskBinding(d.ctx, app, asked.Number)
	require.NoError(t, err)
	require.Equal(t, order.Bound, same.State)
	for _, o := range bank.bound {
		o.ended = true
	}
	same, err = d.AskBinding(d.ctx, app, asked.Number)
	require.NoError(t, err)
	require.Equal(t, order.Unbound, same.State)
	p, err := d.paysBy("o1", failing)
	require.NoError(t, err)
	require.Equal(t, order.Failed, p.State)
	d.pass(5*time.Second, time.Second)
	require.Equal(t, order.Unbound, d.binding(failing.Number).State)
}

// TestTheProcessDiesWhileACardIsBound: at each commit, before and after it, and before and after each call of the channel. What was bound once is bound once, and the
// order that it was bound for is paid once.
func TestTheProcessDiesWhileACardIsBound(t *testing.T) {
	d, bank, own := binds(t, byBank)
	for point := 1; ; point++ {
		d.again(t, point)
		d.bindsOver(t, bank, own, byBank)
		left, died := point, ""
		d.fault = func(name string) error {
			if left--; left > 0 {
				return nil
			}
			if left == 0 {
				died = name
			}
			return fmt.Errorf("%s: %w", name, errDied)
		}
		d.bindingDay(t, point)
		if died == "" {
			require.Greater(t, point, 20, "the walk has lost the points")
			return
		}
		d.restart()
		d.pass(time.Minute, 10*time.Second)
		d.bindingDay(t, point)
		d.pass(7*time.Minute, time.Minute)
		d.bindingDay(t, point)
		d.pass(2*time.Minute, 10*time.Second)
		all, err := d.Bindings(d.ctx, app, fmt.Sprint("rider", point), "", 10)
		require.NoError(t, err)
		require.Len(t, all, 1, "point %d (%s)", point, died)
		require.Equal(t, order.Bound, all[0].State, "point %d (%s)", point, died)
		d.bindingAgrees(t, all[0].Number)
		require.Equal(t, 1, bank.opens, "point %d (%s)", point, died)
		o, err := d.OrderByKey(d.ctx, app, d.key)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State, "point %d (%s)", point, died)
		d.settled(o.ID)

		d.fault = nil
		ended, err := d.Unbind(d.ctx, app, all[0].Number)
		require.NoError(t, err)
		require.Equal(t, order.Unbound, ended.State)
	}
}

// bindingDay is a rider who binds a card and pays by it. It stops at the first error, and is done again another time.
func (d *desk) bindingDay(t *testing.T, point int) {
	t.Helper()
	err := func() error {
		n := anOrder(d.key, 1000)
		n.Merchant = d.shop
		o, err := d.Create(d.ctx, app, n)
		if err != nil {
			return err
		}
		if o.State == order.Paid {
			return nil
		}
		typed := fmt.Sprintf("c%d/right", point)
		b, err := d.Bind(d.ctx, app, gateway.NewBinding{Key: d.key, Product: 1, Holder: fmt.Sprint("rider", point), Typed: typed, Order: o.ID})
		if err != nil {
			return err
		}
		if b.State == order.Applied {
			if b, err = d.BindCode(d.ctx, app, b.Number, typed); err != nil {
				return err
			}
		}
		if b, err = d.ConfirmBinding(d.ctx, app, b.Number, typed, "123456"); err != nil || b.State != order.Bound {
			return err
		}
		if o, err = d.Order(d.ctx, app, o.ID); err != nil {
			return err
		}
		for _, p := range o.Payments { // one that never reached the bank is followed by another, of the app's
			if p.Key == b.PayKey() && (p.State == order.PaymentClosed || p.State == order.Failed) {
				_, err = d.Pay(d.ctx, app, o.ID, quick("again", b))
			}
		}
		return err
	}()
	if err != nil && !errors.Is(err, errDied) {
		require.NoError(t, err)
	}
}
