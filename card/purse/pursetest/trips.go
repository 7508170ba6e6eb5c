package pursetest

import (
	"github.com/purselane/purselane/card/purse"
)

// trips reads the card again and holds its balance and trip records against what it was before and what it was told.
func (r *report) trips(got ran) {
	v, err := r.open(got.bench, 0, 0, fault{})
	if !r.want(err == nil, Works, "reading the card again: %v", err) {
		return
	}
	v.close()
	now, was := v.before, got.visit.before
	r.want(now.Balance == v.chip.Balance(), Works, "the balance reads %v, and is %v", now.Balance, v.chip.Balance())
	r.want(now.Card == was.Card, Works, "the card has another number than before")
	trip, ride := was.Trip, was.Ride
	var last *result
	for i := range got.results {
		if got.results[i].took {
			last = &got.results[i]
			switch last.order.Kind {
			case purse.Sale:
			case purse.BusRide:
				ride = purse.Ride{Bus: true, Point: point(*last)}
			default:
				trip = told(*last)
				ride = purse.Ride{}
			}
		}
	}
	r.want(sameTrip(now.Trip, trip), Trips, "the trip reads %+v, not %+v", now.Trip, trip)
	r.want(sameRide(now.Ride, ride), Trips, "the ride reads %+v, not %+v", now.Ride, ride)
	if last != nil && last.order.Kind == purse.BusRide {
		r.want(now.Ride.Mark == ride.Mark, Trips, "the ride's mark is %q, not %q", now.Ride.Mark, ride.Mark)
	}
}

// point is where the card should show a debit.
func point(got result) purse.Point {
	return purse.Point{Place: got.order.Place, At: got.order.At, Mark: got.attempt.Mark()}
}

// told is the trip that a debit should leave.
func told(got result) purse.Trip {
	switch got.order.Kind {
	case purse.Enter:
		return purse.Trip{Open: true, Entry: point(got), Marked: got.order.Marked}
	case purse.CloseTrip:
		return purse.Trip{Exit: purse.Point{At: got.order.At}}
	}
	return purse.Trip{Left: true, Exit: point(got)}
}

// sameTrip compares what a terminal decides by: the entry of an open trip, the exit of one that was left.
func sameTrip(a, b purse.Trip) bool {
	switch {
	case a.Open != b.Open || a.Left != b.Left || a.Locked != b.Locked:
		return false
	case a.Open:
		return samePoint(a.Entry, b.Entry) && a.Entry.Mark == b.Entry.Mark && a.Marked == b.Marked
	case a.Left:
		return samePoint(a.Exit, b.Exit) && a.Exit.Mark == b.Exit.Mark
	}
	return true
}

// sameRide compares rides. A later debit that is no ride may hide who wrote one.
func sameRide(a, b purse.Ride) bool {
	return a.Bus == b.Bus && (!a.Bus || samePoint(a.Point, b.Point))
}

func samePoint(a, b purse.Point) bool { return a.Place == b.Place && a.At.Equal(b.At) }
