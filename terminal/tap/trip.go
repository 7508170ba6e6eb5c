package tap

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// alreadyPaid asks the card's own trip record whether this very trip is paid: a torn tap may come back at another door or
// another gate, which has no intent for it. The same line, or the same station and direction, within the profile's window is
// one trip.
func (v *visit) alreadyPaid() *Result {
	var paid bool
	switch trip, ride := v.reading.Trip, v.reading.Ride; v.r.Mode {
	case BusFlat:
		paid = ride.Bus && ride.Line == v.r.Line && v.recent(ride.Point) || v.settledRide
	case MetroEntry:
		paid = trip.Open && trip.Entry.Station == v.r.Station && v.recent(trip.Entry)
	case MetroExit:
		paid = trip.Left && trip.Exit.Station == v.r.Station && (v.recent(trip.Exit) || v.justSettled(trip.Exit))
	}
	if !paid {
		return v.paidElsewhere()
	}
	if v.settled != nil && v.settled.Completed {
		r := v.stop(RecoveredGranted, "the debit took place when the card left")
		r.Tap, r.Amount = v.settled.Tap, v.settled.Amount
		return r
	}
	return v.stop(AlreadyPaid, "the card shows this trip as paid")
}

// paidElsewhere asks the other readers of this terminal and the terminals linked to it. A card whose number is not known yet is asked about again when it
// is.
func (v *visit) paidElsewhere() *Result {
	if v.t.Paid == nil || v.r.Mode != BusFlat || v.number == (ids.CardNumber{}) {
		return nil
	}
	where, paid := v.t.Paid(v.number, v.r.Line)
	if !paid {
		return nil
	}
	return v.stop(AlreadyPaid, "paid at %s", where)
}

// justSettled reports that the debit which wrote that end of a trip is the one this visit has settled: it took place, and
// the gate has not opened for it.
func (v *visit) justSettled(p purse.Point) bool {
	return v.settled != nil && v.settled.Completed && v.settledMark == p.Mark
}

// quote is step 4: the orders to debit, most often one.
func (v *visit) quote() ([]order, *Result, error) {
	tables := v.t.Profile.Fares
	switch v.r.Mode {
	case BusFlat:
		q, err := tables.BusFlat(v.r.Line)
		if err != nil {
			return nil, nil, err
		}
		return []order{v.order(purse.BusRide, wire.Kind_KIND_PURCHASE, q)}, nil, nil
	case MetroEntry:
		return v.quoteEntry()
	case MetroExit:
		return v.quoteExit()
	case Sale:
		if v.r.Amount.Sign() <= 0 || v.r.Amount.Cmp(MaxSale()) > 0 {
			return nil, v.stop(RefusedTrip, "sale of %v: want more than 0.00 and at most %v", v.r.Amount, MaxSale()), nil
		}
		return []order{v.order(purse.Sale, wire.Kind_KIND_PURCHASE, fare.Quote{Amount: v.r.Amount, Rule: "sale"})}, nil, nil
	}
	return nil, nil, fmt.Errorf("tap: mode %d is not known", v.r.Mode)
}

// MaxSale is the largest amount that a till can ask for: what every family's purse can carry in four bytes.
func MaxSale() money.Amount { return money.Minor(0xFFFFFFFF) }

func (v *visit) order(does purse.Kind, kind wire.Kind, q fare.Quote) order {
	return order{
		Order: purse.Order{
			Kind: does, Amount: q.Amount, Marked: q.Marked, At: v.now, Merchant: string(v.t.Merchant),
			Place: purse.Place{Line: v.r.Line, Station: v.r.Station},
		},
		kind: kind, rule: q.Rule,
	}
}

func (v *visit) quoteEntry() ([]order, *Result, error) {
	q, err := v.t.Profile.Fares.MetroEntry(v.r.Station)
	if err != nil {
		return nil, nil, err
	}
	trip := v.reading.Trip
	if trip.Locked {
		return nil, v.stop(RefusedTrip, "the trip record is locked"), nil
	}
	if stop := v.mayTellEntry(); stop != nil {
		return nil, stop, nil
	}
	var orders []order
	owed := money.Amount{}
	// Never left: the marked fare of that trip is due first. But a rider whose entry was settled just now was never let in.
	if trip.Open && !v.justSettled(trip.Entry) {
		owed = trip.Marked
		due := v.order(purse.CloseTrip, wire.Kind_KIND_CORRECTION, fare.Quote{Amount: owed, Rule: "metro-missing-exit"})
		due.entry = trip.Entry.Station[:]
		orders = append(orders, due)
	}
	left, err := v.reading.Balance.Sub(owed)
	if err != nil {
		return nil, nil, err
	}
	if min := v.t.Profile.Limits.MetroMinBalance; left.Cmp(min) < 0 {
		return nil, v.stop(RefusedBalance, "nothing taken: %v left to enter with, %v wanted", left, min), nil
	}
	enter := v.order(purse.Enter, wire.Kind_KIND_ENTRY, q)
	enter.Amount = money.Amount{} // nothing is due before the rider leaves
	return append(orders, enter), nil, nil
}

func (v *visit) quoteExit() ([]order, *Result, error) {
	tables, trip := v.t.Profile.Fares, v.reading.Trip
	if trip.Locked {
		return nil, v.stop(RefusedTrip, "the trip record is locked"), nil
	}
	if !trip.Open {
		return []order{v.order(purse.LeaveUnmet, wire.Kind_KIND_CORRECTION, tables.MetroMissingEntry())}, nil, nil
	}
	var stayed time.Duration
	if !trip.Entry.At.IsZero() {
		stayed = v.r.Now.Sub(trip.Entry.At)
	}
	q, err := tables.MetroExitWithin(trip.Entry.Station, v.r.Station, stayed, v.doubt())
	if err != nil {
		// A card from a station that this gate's tables do not have is the rider's trip, not the gate's fault.
		return nil, v.stop(RefusedTrip, "%v", err), nil
	}
	leave := v.order(purse.Leave, wire.Kind_KIND_EXIT, q)
	leave.entry = trip.Entry.Station[:]
	return []order{leave}, nil, nil
}
