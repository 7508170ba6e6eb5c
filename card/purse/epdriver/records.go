package epdriver

import (
	"context"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// Stage implements purse.Card: the order's trip records go to the card's cache.
func (v *visit) Stage(ctx context.Context) error {
	trip, history := v.records()
	if trip != nil {
		if err := v.card.CacheTripState(ctx, ep.IndustryMetro, trip.Bytes()); err != nil {
			return v.failed(told(err))
		}
	}
	if history != nil {
		if err := v.card.CacheTripHistory(ctx, history.Bytes()); err != nil {
			return v.failed(told(err))
		}
	}
	return nil
}

// records makes the trip records of the debit under way. A sale has none, a bus ride no trip.
func (v *visit) records() (*ep.MetroTrip, *ep.TripHistory) {
	o, terminal := v.debit.order, ep.Terminal8(v.debit.terminal)
	trip := v.trip
	exit := func() {
		trip.Flag, trip.State = 1, ep.TripLeft
		trip.ExitCity, trip.ExitInstitution = v.s.City, v.s.Institution
		trip.ExitStation, trip.ExitTerminal = stationBytes(o.Place.Station), terminal
		trip.ExitTime, trip.ExitLine, trip.ExitAmount = v.debit.at, o.Place.Line[1], o.Amount
	}
	switch o.Kind {
	case purse.BusRide:
		return nil, v.history(ep.HistorySingle, ep.IndustryBus, o.Amount)
	case purse.Enter:
		return &ep.MetroTrip{
			Flag: 1, State: ep.TripEntered, EntryCity: v.s.City, EntryInstitution: v.s.Institution,
			EntryStation: stationBytes(o.Place.Station), EntryTerminal: terminal, EntryTime: v.debit.at,
			MarkedFare: o.Marked, EntryLine: o.Place.Line[1], Balance: v.debit.after,
		}, v.history(ep.HistoryIn, ep.IndustryMetro, money.Amount{})
	case purse.Leave:
		exit()
		return &trip, v.history(ep.HistoryOut, ep.IndustryMetro, o.Amount)
	case purse.LeaveUnmet:
		exit()
		return &trip, v.history(ep.HistoryCorrection, ep.IndustryMetro, o.Amount)
	case purse.CloseTrip:
		trip.State, trip.ExitTime, trip.ExitAmount = ep.TripExitCorrected, v.debit.at, o.Amount
		trip.ExitTerminal = terminal
		return &trip, v.history(ep.HistoryCorrection, ep.IndustryMetro, o.Amount)
	}
	return nil, nil
}

func (v *visit) history(kind, industry byte, amount money.Amount) *ep.TripHistory {
	o := v.debit.order
	return &ep.TripHistory{
		Kind: kind, Terminal: ep.Terminal8(v.debit.terminal), Industry: industry, Line: o.Place.Line, Station: o.Place.Station,
		Operator: v.s.Operator, Amount: amount, Balance: v.debit.after, At: v.debit.at, City: v.s.City, Institution: v.s.Institution,
	}
}

func stationBytes(s [2]byte) (out [8]byte) { copy(out[:], s[:]); return out }
