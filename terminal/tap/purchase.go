package tap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// Purchase is one tap, top to bottom. The result says what the rider is shown. An error means that the terminal itself has failed
// (journal, SAM, a fare table that does not fit its place) and must stop selling; nothing shown then may let a rider
// pass.
func (t *Terminal) Purchase(ctx context.Context, card apdu.Transmitter, r Request) (Result, error) {
	v := &visit{t: t, ctx: ctx, r: r, field: card, now: r.Now.In(t.Location)}
	defer v.close()

	// 1. Open the purse, read identity, validity and transit state.
	if stop, err := v.identify(); stop != nil || err != nil {
		return v.done(stop), err
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
	// 5 to 7, once an order: intent on disk, debit, record on disk, and only then the light.
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
	t     *Terminal
	ctx   context.Context
	r     Request
	field apdu.Transmitter
	now   time.Time // r.Now, where the purses are

	driver  purse.Driver
	card    purse.Card // nil: none is open
	reading purse.Reading
	number  ids.CardNumber // zero: not told yet
	settled *Recovery
	// settledMark names the debit that settled tells of, as the card's trip records do.
	settledMark string
	// settledRide: it was a ride on this line a moment ago, which a card without ride records does not show.
	settledRide bool
	list        uint64 // version of the deny list that was asked
}

// stop makes a result that ends the tap.
func (v *visit) stop(o Outcome, format string, args ...any) *Result {
	return &Result{Outcome: o, Reason: fmt.Sprintf(format, args...), Card: v.number, Recovered: v.settled}
}

func (v *visit) done(r *Result) Result {
	if r == nil {
		return Result{Outcome: OutOfService, Card: v.number, Recovered: v.settled}
	}
	r.Recovered = v.settled
	return *r
}

func (v *visit) close() {
	if v.card != nil {
		v.card.Close()
		v.card = nil
	}
}

// identify is step 1.
func (v *visit) identify() (*Result, error) {
	err := purse.ErrNoPurse
	for _, v.driver = range v.t.Drivers {
		if err = v.open(); !errors.Is(err, purse.ErrNoPurse) {
			break
		}
	}
	if err != nil {
		return v.fault(err)
	}
	return v.read()
}

// open opens the card with the driver.
func (v *visit) open() error {
	v.close()
	card, err := v.driver.Open(v.ctx, v.field)
	if err == nil {
		v.card = card
	}
	return err
}

// read reads the opened card.
func (v *visit) read() (*Result, error) {
	metro := v.r.Mode == MetroEntry || v.r.Mode == MetroExit
	var err error
	if v.reading, err = v.card.Read(v.ctx, purse.Need{Trip: metro, Ride: v.r.Mode == BusFlat, Balance: v.r.Mode == MetroEntry}); err != nil {
		return v.fault(err)
	}
	v.number = v.reading.Card
	return nil, nil
}

// refuseEarly is step 2.
func (v *visit) refuseEarly() *Result {
	switch p := v.t.Profile; {
	case v.now.Year() < 0 || v.now.Year() > 9999:
		return v.stop(OutOfService, "clock: year %d fits no purse", v.now.Year())
	case v.r.Clock == wire.ClockState_CLOCK_BAD && !p.Limits.SellWithBadClock:
		return v.stop(OutOfService, "the clock is bad and the profile does not sell by it")
	case !p.ValidUntil.IsZero() && v.r.Now.After(p.ValidUntil):
		return v.stop(OutOfService, "profile %d expired on %s", p.Version, p.ValidUntil.Format("2006-01-02"))
	}
	if stop := v.outOfDate(); stop != nil {
		return stop
	}
	if stop := v.denied(); stop != nil {
		return stop
	}
	if v.t.Ready != nil {
		if err := v.t.Ready(v.r.Now); err != nil {
			return v.stop(OutOfService, "%v", err)
		}
	}
	return nil
}

// denied looks at the deny list, where the card's number is known.
func (v *visit) denied() *Result {
	if v.t.DenyVersion != nil {
		v.list = v.t.DenyVersion() // before it is asked: should a newer one come between, the record claims no more than was looked at
	}
	if v.t.Denied == nil || v.number == (ids.CardNumber{}) || !v.t.Denied(v.number) {
		return nil
	}
	return v.stop(RefusedDenied, "card is on the deny list")
}

// fault turns an error from before any debit into an outcome; one of the terminal's own stays an error.
func (v *visit) fault(err error) (*Result, error) {
	if errors.Is(err, purse.ErrTerminal) {
		return nil, err
	}
	return v.before(err), nil
}

// before turns a fault of the card before any debit into an outcome. Nothing was taken, whatever it is.
func (v *visit) before(err error) *Result {
	o := RefusedFaulty
	switch {
	case isLeft(err), errors.Is(err, purse.ErrBusy):
		o = PresentAgain
	case errors.Is(err, purse.ErrNoPurse):
		o = RefusedUnknown
	case errors.Is(err, purse.ErrBlocked):
		o = RefusedBlocked
	case errors.Is(err, purse.ErrExpired):
		o = RefusedExpired
	case errors.Is(err, purse.ErrInsufficient):
		o = RefusedBalance
	case errors.Is(err, purse.ErrKey):
		o = RefusedKeyVersion
	}
	return v.stop(o, "nothing taken: %v", err)
}

func isLeft(err error) bool {
	return errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer)
}

// order is one debit to make.
type order struct {
	purse.Order
	kind  wire.Kind
	rule  string
	entry []byte // entry station, of an exit
}
