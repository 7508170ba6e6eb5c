package ecdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/bcd"
	"github.com/purselane/purselane/internal/money"
)

// purchase is the transaction type (9C) of all debits.
const purchase = 0x00

// Begin implements purse.Card by GET PROCESSING OPTIONS: the card decides, and tells who it is. It has not debited, unless it is one of those that early.go is for.
func (v *visit) Begin(ctx context.Context, o purse.Order) (purse.Attempt, error) {
	v.tap = nil
	if err := v.fresh(ctx); err != nil {
		return purse.Attempt{}, err
	}
	writes, err := v.writes(ctx, o)
	if err != nil {
		return purse.Attempt{}, err
	}
	terminal, err := v.terminal(o)
	if err != nil {
		return purse.Attempt{}, err
	}
	if writes {
		tap, err := v.askTransit(ctx, o, terminal)
		if err != nil {
			return purse.Attempt{}, told(err)
		}
		return v.attempt(ctx, tap, o)
	}
	var early toldBefore
	if v.s.EarlyDebit {
		if early, err = v.learn(ctx); err != nil {
			return purse.Attempt{}, declined(err)
		}
	}
	tap, sent, err := v.ask(ctx, terminal)
	if err != nil && v.s.EarlyDebit && mayHave(err) {
		return v.unanswered(early, o, sent, err)
	}
	if err != nil {
		return purse.Attempt{}, told(err)
	}
	a, err := v.attempt(ctx, tap, o)
	if !v.s.EarlyDebit || tap.Decision != ec.TC {
		return a, err
	}
	if err != nil {
		return v.unanswered(early, o, sent, err)
	}
	return a, v.stillThere(ctx, early)
}

// writes reports whether an order goes to the card with a transit record. A ride does where the card has one, a trip must.
func (v *visit) writes(ctx context.Context, o purse.Order) (bool, error) {
	if o.Kind == purse.Sale || o.Kind == purse.BusRide && v.s.Transit == nil {
		return false, nil
	}
	switch _, err := v.readTransit(ctx); {
	case err == nil:
		return true, nil
	case !errors.Is(err, errNoRecord):
		return false, told(err)
	case o.Kind == purse.BusRide:
		return false, nil
	default:
		return false, fmt.Errorf("%w: %w", purse.ErrDeclined, err)
	}
}

// attempt is that of a card which has approved.
func (v *visit) attempt(ctx context.Context, tap *ec.Tap, o purse.Order) (purse.Attempt, error) {
	before, after, err := v.balances(ctx, tap, o.Amount)
	if err != nil {
		return purse.Attempt{}, err
	}
	var sam []byte
	state, err := keep(tap)
	if err != nil {
		return purse.Attempt{}, err
	}
	if t := v.s.Transit; t != nil {
		sam = bytes.Clone(t.Terminal[:])
	}
	v.tap, v.token, v.after = tap, Token(v.s.TokenKey, tap.Track2.PAN, tap.PSN), after
	if v.sealed, err = Seal(v.s.SealTo, v.token, tap.Track2.PAN, tap.PSN); err != nil {
		return purse.Attempt{}, fmt.Errorf("%w: %w", purse.ErrTerminal, err)
	}
	return purse.Attempt{
		Family: Family, Application: bytes.Clone(tap.AID), Card: v.token, KeyVersion: tap.IAD.DKI, Algorithm: tap.IAD.Algorithm, Type: purchase,
		Counter: uint32(tap.ATC), Amount: o.Amount, Before: before, After: after, SAM: sam, Time: purseTime(o, v.s), State: state,
		Sealed: bytes.Clone(v.sealed),
	}, nil
}

// terminal is what is said to the card of an order.
func (v *visit) terminal(o purse.Order) (ec.Terminal, error) {
	limits := v.s.Limits
	limits.ZeroAllowed = o.Kind == purse.Enter
	q, err := ec.Prepare(v.s.TTQ, limits, o.Amount)
	if err != nil {
		return ec.Terminal{}, told(err)
	}
	at := o.At.In(v.s.Location)
	t := ec.Terminal{
		SM: v.s.SM, TTQ: q, Amount: o.Amount, Country: v.s.Country, Currency: v.s.Currency, Date: ec.DateOf(at), Type: purchase, Merchant: v.s.Merchant,
	}
	if t.Merchant == "" {
		t.Merchant = o.Merchant
	}
	copy(t.Time[:], purseTime(o, v.s)[4:])
	if err := draw(v.d.rand, t.UN[:]); err != nil {
		return ec.Terminal{}, fmt.Errorf("%w: %w", purse.ErrTerminal, err)
	}
	return t, nil
}

// purseTime is the order's time as YYYYMMDDhhmmss in packed decimal, as attempts of all families have it.
func purseTime(o purse.Order, s *Settings) []byte {
	at := o.At.In(s.Location)
	y, m, d := at.Date()
	n := uint64(y)*1e10 + uint64(m)*1e8 + uint64(d)*1e6 + uint64(at.Hour())*1e4 + uint64(at.Minute())*1e2 + uint64(at.Second())
	out := make([]byte, 7)
	if err := bcd.Put(out, n); err != nil {
		panic(err) // the terminal refuses years that are no four digits
	}
	return out
}

// ask sends GET PROCESSING OPTIONS. It is the first half of [ec.Card.Begin], whose records go to the card while the attempt goes to disk.
func (v *visit) ask(ctx context.Context, terminal ec.Terminal) (tap *ec.Tap, sent map[tlv.Tag][]byte, err error) {
	if sent, err = terminal.Values(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", purse.ErrDeclined, err) // an amount that no card holds
	}
	pdol := v.card.FCI.PDOL
	data := pdol.Fill(sent)
	asked, at := map[tlv.Tag]int{}, 0
	for _, a := range pdol {
		sent[a.Tag], asked[a.Tag] = data[at:at+a.Length], a.Length
		at += a.Length
	}
	for tag, n := range map[tlv.Tag]int{ec.TagTTQ: 4, ec.TagUN: 4, ec.TagAmount: 6, ec.TagCurrency: 2} {
		if asked[tag] != n {
			return nil, sent, ec.ErrPDOL
		}
	}
	template, err := tlv.Encode([]tlv.Object{{Tag: 0x83, Value: data}})
	if err != nil {
		return nil, sent, err
	}
	v.asked = true
	const name = "GET PROCESSING OPTIONS"
	r, err := apdu.Exchange(ctx, v.t, apdu.Command{CLA: 0x80, INS: 0xA8, Data: template, Le: 256})
	if err != nil {
		return nil, sent, fmt.Errorf("%s: %w", name, err)
	}
	if r.SW != apdu.OK {
		return nil, sent, &ec.StatusError{Command: name, SW: r.SW}
	}
	tap, err = tapOf(v.card.FCI.AID, sent, r.Data, nil)
	return tap, sent, err
}

// tapOf is a tap by what was said, with all its checks.
func tapOf(aid []byte, sent map[tlv.Tag][]byte, answer []byte, records []ec.Record) (*ec.Tap, error) {
	raw, err := (&ec.Tap{AID: aid, Sent: sent, GPO: answer, Records: records}).Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ec.ErrMalformed, err)
	}
	return ec.ParseTap(raw)
}

// balances are the card's before and after the debit. A card that does not approve ends the debit here.
func (v *visit) balances(ctx context.Context, tap *ec.Tap, amount money.Amount) (before, after money.Amount, err error) {
	now, known := tap.IAD.Balance()
	if tap.Decision != ec.TC {
		why := ec.ErrCardDeclined
		if tap.Decision == ec.ARQC {
			why = ec.ErrNeedsOnline
		}
		if known && now.Cmp(amount) < 0 { // of a refusal it is the balance of before
			return before, after, fmt.Errorf("%w: balance %v, amount %v: %w", purse.ErrInsufficient, now, amount, why)
		}
		return before, after, fmt.Errorf("%w: %w", purse.ErrDeclined, why)
	}
	if known {
		before, err = now.Add(amount)
		return before, now, err
	}
	if before, err = v.balance(ctx); err != nil {
		return before, after, told(err)
	}
	after, err = before.Sub(amount)
	return before, after, err
}
