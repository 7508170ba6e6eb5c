package epdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// debit is one debit under way.
type debit struct {
	order    purse.Order
	kind     ep.Type
	terminal ep.TerminalNumber
	at       ep.DateTime
	init     ep.PurchaseInit
	after    money.Amount
	serial   uint32
	mac1     ep.MAC
	reply    ep.Debit
}

// Begin implements purse.Card: INITIALIZE, and MAC1 of the SAM. A SAM is held from here on, because its number goes to the card with
// INITIALIZE already, until its MAC2 is checked or the debit has failed.
func (v *visit) Begin(ctx context.Context, o purse.Order) (purse.Attempt, error) {
	if err := v.askCode(ctx); err != nil {
		return purse.Attempt{}, told(err)
	}
	if err := v.acquire(ctx); err != nil {
		return purse.Attempt{}, err
	}
	a, err := v.begin(ctx, o)
	if errors.Is(err, purse.ErrTerminal) && v.another(ctx) {
		a, err = v.begin(ctx, o) // INITIALIZE again, with that SAM's number
	}
	if err != nil {
		return purse.Attempt{}, v.failed(err)
	}
	return a, nil
}

// askCode asks a city-union card for its code, once a visit, and while no SAM is held. It ends a purchase that was begun, so it
// comes before INITIALIZE.
func (v *visit) askCode(ctx context.Context) error {
	if !v.s.CityCode || v.code != nil {
		return nil
	}
	code, err := v.card.CityCode(ctx)
	if err == nil {
		v.code = code[:]
	}
	return err
}

func (v *visit) acquire(ctx context.Context) error {
	v.giveBack()
	sam, release, err := v.d.sams.Acquire(ctx)
	if err != nil {
		return samTold(err)
	}
	v.sam, v.release = sam, release
	return nil
}

// another takes another SAM for one that has failed before anything was debited, and reports whether there was one.
func (v *visit) another(ctx context.Context) bool {
	failed := v.sam.TerminalNumber()
	return v.acquire(ctx) == nil && v.sam.TerminalNumber() != failed
}

func (v *visit) begin(ctx context.Context, o purse.Order) (a purse.Attempt, err error) {
	v.debit = debit{order: o, kind: ep.TypeComposite}
	b := &v.debit
	if o.Kind == purse.Sale {
		b.kind = ep.TypePurchase
	}
	if b.at, err = ep.DateTimeOf(o.At.In(v.s.Location)); err != nil {
		return a, err
	}
	b.terminal = v.sam.TerminalNumber()

	if b.init, err = v.card.InitPurchase(ctx, b.kind, v.s.KeyIndex, o.Amount, b.terminal); err != nil {
		return a, told(err)
	}
	// An overdraft limit is in the balance (purse facts 3.2): a card that tells one and less than the amount has not the money either.
	if b.init.Balance.Cmp(o.Amount) < 0 {
		return a, fmt.Errorf("%w: balance %v, amount %v", purse.ErrInsufficient, b.init.Balance, o.Amount)
	}
	if b.after, err = b.init.Balance.Sub(o.Amount); err != nil {
		return a, err
	}
	// A slow card must not look like a broken SAM: the visit's deadline does not end a command to it.
	b.serial, b.mac1, err = v.sam.InitPurchase(context.WithoutCancel(ctx), keys.PurchaseRequest{
		Random: b.init.Random, Counter: b.init.Counter, Amount: o.Amount, Type: byte(b.kind), DateTime: b.at,
		Version: b.init.Version, Algorithm: b.init.Algorithm, Factors: v.public.Factors(v.s.KeyLevels), CityCode: v.code,
	})
	if err != nil {
		return a, samTold(err)
	}
	return purse.Attempt{
		Family: Family, Application: v.aid, Card: v.public.CardNumber, Issuer: bytes.Clone(v.public.Issuer[:]), KeyLevels: v.s.KeyLevels,
		KeyVersion: b.init.Version, Algorithm: b.init.Algorithm, Type: byte(b.kind), Counter: uint32(b.init.Counter),
		Amount: o.Amount, Before: b.init.Balance, After: b.after, SAM: bytes.Clone(b.terminal[:]),
		Serial: b.serial, Time: bytes.Clone(b.at[:]), MAC1: bytes.Clone(b.mac1[:]),
	}, nil
}

// failed gives the SAM back with an error that ends the debit.
func (v *visit) failed(err error) error {
	v.giveBack()
	return err
}

// Commit implements purse.Card by DEBIT.
func (v *visit) Commit(ctx context.Context) (err error) {
	v.debit.reply, err = v.card.Debit(ctx, v.debit.serial, v.debit.at, v.debit.mac1)
	switch {
	case err == nil:
		return nil
	case surelyNotDebited(err):
		return v.failed(fmt.Errorf("%w: %w", purse.ErrNotDebited, told(err)))
	}
	return v.failed(told(err))
}

// surelyNotDebited reports an error of DEBIT after which the card has certainly not debited: the command was not sent, or
// the card said that it did nothing. A memory failure or a word that says nothing is not one of them.
func surelyNotDebited(err error) bool {
	var status *ep.StatusError
	return errors.Is(err, apdu.ErrNotSent) || errors.As(err, &status) && status.NothingDone()
}

// Evidence implements purse.Card: the SAM checks MAC2, and the card is read back.
func (v *visit) Evidence(ctx context.Context) (purse.Evidence, error) {
	if v.sam == nil {
		return purse.Evidence{}, errors.New("epdriver: evidence of no debit")
	}
	reply := v.debit.reply
	err := v.sam.CheckMAC2(context.WithoutCancel(ctx), reply.MAC2)
	v.giveBack()
	if errors.Is(err, keys.ErrBadMAC) {
		return purse.Evidence{}, fmt.Errorf("%w: the card's MAC2 does not verify: %w", purse.ErrBadProof, err)
	}
	if err != nil {
		return purse.Evidence{}, samTold(err)
	}
	e := purse.Evidence{How: purse.Reply, Kind: evidenceKind, MAC2: reply.MAC2[:], TAC: reply.TAC[:], Balance: v.debit.after}
	v.readBack(ctx, &e)
	return e, nil
}

// readBack reads the card's new balance and newest log record and compares them with what the debit should have made: MAC2
// covers the amount alone, so a card that subtracts wrongly has a good one. A card that has left by now is fine, because its MAC2
// was good.
func (v *visit) readBack(ctx context.Context, e *purse.Evidence) {
	if v.s.Readback == ReadNothing {
		return
	}
	got, err := v.card.Balance(ctx)
	if err != nil {
		e.Unread = true
		return
	}
	e.Balance = got
	if got != v.debit.after {
		e.Mismatch = fmt.Sprintf("the balance reads %v, not %v", got, v.debit.after)
		return
	}
	if v.s.Readback == ReadBalance {
		return
	}
	log, err := v.card.ReadLog(ctx, 1)
	if err != nil {
		e.Unread = true
		return
	}
	b := v.debit
	if !isOurs(log, b.kind, b.init.Counter, b.order.Amount, b.terminal, b.at) {
		e.Mismatch = "the card's log does not show the debit"
	}
}

// isOurs reports whether a log record is that of the debit with that counter before the increment. Cards in the field log
// the counter before or after it (conflict C1), and one scheme may have both kinds.
func isOurs(l ep.LogRecord, kind ep.Type, before uint16, amount money.Amount, term ep.TerminalNumber, at ep.DateTime) bool {
	return (l.Counter == before || l.Counter == before+1) && l.Type == kind && l.Amount == amount && l.Terminal == term && l.At == at
}
