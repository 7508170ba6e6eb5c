package tap

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// Purchase is one tap, top to bottom. The result says what the rider is shown. An error means that the terminal itself has failed
// (journal, SAM, a fare table that does not fit its place) and must stop selling; nothing shown then may let a rider
// pass.
func (t *Terminal) Purchase(ctx context.Context, card apdu.Transmitter, r Request) (Result, error) {
	v := &visit{t: t, ctx: ctx, r: r}

	// 1. Select the purse, read identity, validity and transit state.
	if stop := v.identify(card); stop != nil {
		return *stop, nil
	}
	// 2. Refuse early: nothing has been written anywhere.
	if stop := v.refuseEarly(); stop != nil {
		return *stop, nil
	}
	// 3. An open intent for this card is settled before anything else is debited.
	if stop, err := v.recoverOpen(); stop != nil || err != nil {
		return v.done(stop), err
	}
	if stop := v.alreadyPaid(); stop != nil {
		return *stop, nil
	}
	// 4. Quote: the profile, the card's own trip record and the time decide. A trip never closed is closed first, by a
	// debit of its own.
	orders, stop, err := v.quote()
	if stop != nil || err != nil {
		return v.done(stop), err
	}
	// 5 to 7, once an order: intent on disk, DEBIT, record on disk, and only then the light.
	taken := money.Amount{}
	for _, o := range orders {
		if stop, err = v.debit(o); err != nil {
			break
		}
		if stop.Amount, err = stop.Amount.Add(taken); err != nil || !stop.Outcome.Pass() {
			break
		}
		taken = stop.Amount
	}
	// 8. The record is queued; the uplink sends it when it can.
	return v.done(stop), err
}

// visit is one presentation of one card: what was read of it, and what it has done so far.
type visit struct {
	t   *Terminal
	ctx context.Context
	r   Request

	card    *ep.Card
	public  ep.Public
	trip    ep.MetroTrip
	newest  ep.TripHistory // record 1 of EF 1E
	at      ep.DateTime
	settled *Recovery
	// settledAt is the purse time of the debit that settled tells of.
	settledAt ep.DateTime
}

func (v *visit) number() ids.CardNumber { return v.public.CardNumber }

// stop makes a result that ends the tap.
func (v *visit) stop(o Outcome, format string, args ...any) *Result {
	return &Result{Outcome: o, Reason: fmt.Sprintf(format, args...), Card: v.public.CardNumber, Recovered: v.settled}
}

func (v *visit) done(r *Result) Result {
	if r == nil {
		return Result{Outcome: OutOfService, Card: v.public.CardNumber, Recovered: v.settled}
	}
	r.Recovered = v.settled
	return *r
}

// identify is step 1.
func (v *visit) identify(t apdu.Transmitter) *Result {
	var err error
	for _, aid := range v.t.Profile.Card.AIDs {
		v.card, _, err = ep.Select(v.ctx, t, aid)
		if !errors.Is(err, ep.ErrNoPurse) {
			break
		}
	}
	if err != nil {
		return v.before(err)
	}
	if v.public, err = v.card.ReadPublic(v.ctx); err != nil {
		return v.before(err)
	}
	if v.t.Profile.Card.Management {
		if _, err = v.card.ReadManagement(v.ctx); err != nil {
			return v.before(err)
		}
	}
	if v.r.Mode == MetroEntry || v.r.Mode == MetroExit {
		if v.trip, err = v.card.ReadMetroTrip(v.ctx); err != nil {
			return v.before(err)
		}
	}
	if v.r.Mode == BusFlat {
		if v.newest, err = v.card.ReadTripHistory(v.ctx, 1); err != nil {
			return v.before(err)
		}
	}
	return nil
}

// refuseEarly is step 2.
func (v *visit) refuseEarly() *Result {
	var err error
	if v.at, err = ep.DateTimeOf(v.r.Now.In(v.t.Location)); err != nil {
		return v.stop(OutOfService, "clock: %v", err)
	}
	today := [4]byte(v.at[:4])
	switch p := v.t.Profile; {
	case v.r.Clock == wire.ClockState_CLOCK_BAD && !p.Limits.SellWithBadClock:
		return v.stop(OutOfService, "the clock is bad and the profile does not sell by it")
	case !p.ValidUntil.IsZero() && v.r.Now.After(p.ValidUntil):
		return v.stop(OutOfService, "profile %d expired on %s", p.Version, p.ValidUntil.Format("2006-01-02"))
	case string(v.public.Expiry[:]) < string(today[:]): // BCD dates sort as they read
		return v.stop(RefusedExpired, "card expired on %X", v.public.Expiry)
	case string(v.public.Start[:]) > string(today[:]):
		return v.stop(RefusedNotYetValid, "card is valid from %X", v.public.Start)
	case v.t.Denied != nil && v.t.Denied(v.number()):
		return v.stop(RefusedDenied, "card is on the deny list")
	}
	if v.t.Ready != nil {
		if err := v.t.Ready(v.r.Now); err != nil {
			return v.stop(OutOfService, "%v", err)
		}
	}
	return nil
}

// before turns a fault of the card before any DEBIT into an outcome. Nothing was taken, whatever it is.
func (v *visit) before(err error) *Result {
	o := RefusedFaulty
	switch {
	case errors.Is(err, apdu.ErrNotSent), errors.Is(err, apdu.ErrNoAnswer):
		o = PresentAgain
	case errors.Is(err, ep.ErrNoPurse), errors.Is(err, ep.ErrNotFound):
		o = RefusedUnknown
	case errors.Is(err, ep.ErrBlocked):
		o = RefusedBlocked
	case errors.Is(err, ep.ErrInsufficient):
		o = RefusedBalance
	case errors.Is(err, ep.ErrKeyIndex), errors.Is(err, keys.ErrUnknownKey):
		o = RefusedKeyVersion
	}
	return v.stop(o, "nothing taken: %v", err)
}

// order is one debit to make.
type order struct {
	kind   wire.Kind
	amount money.Amount
	rule   string
	entry  []byte // entry station, of an exit

	// records makes the trip records to write with the debit, given the balance after it. Nil: a plain purchase.
	records func(after money.Amount) (trip *ep.MetroTrip, history ep.TripHistory)
}
