package tap

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// alreadyPaid asks the card's own trip record whether this very trip is paid: a torn tap may come back at another door or
// another gate, which has no intent for it. The same line, or the same station and direction, within the profile's window is
// one trip.
func (v *visit) alreadyPaid() *Result {
	var paid bool
	switch v.r.Mode {
	case BusFlat:
		paid = v.newest.Industry == ep.IndustryBus && v.newest.Kind == ep.HistorySingle && fare.Code(v.newest.Line) == v.r.Line && v.recent(v.newest.At)
	case MetroEntry:
		paid = v.trip.Open() && station(v.trip.EntryStation) == v.r.Station && v.recent(v.trip.EntryTime)
	case MetroExit:
		paid = v.trip.State == ep.TripLeft && station(v.trip.ExitStation) == v.r.Station &&
			(v.recent(v.trip.ExitTime) || v.justSettled(v.trip.ExitTerminal, v.trip.ExitTime))
	}
	if !paid {
		return nil
	}
	if v.settled != nil && v.settled.Completed {
		r := v.stop(RecoveredGranted, "the debit took place when the card left")
		r.Tap, r.Amount = v.settled.Tap, v.settled.Amount
		return r
	}
	return v.stop(AlreadyPaid, "the card shows this trip as paid")
}

// justSettled reports that the debit which wrote that terminal and time is the one this visit has settled: it took place, and
// the gate has not opened for it.
func (v *visit) justSettled(terminal [8]byte, at ep.DateTime) bool {
	return v.settled != nil && v.settled.Completed && v.settledAt == at && terminal == ep.Terminal8(v.t.SAM.TerminalNumber())
}

// recent reports a time on the card within the window of one trip, either way: another terminal's clock may be ahead.
func (v *visit) recent(at ep.DateTime) bool {
	then, err := at.Time(v.t.Location)
	if err != nil {
		return false
	}
	d := v.r.Now.Sub(then)
	return d.Abs() <= v.t.Profile.SameTrip
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
		return []order{{kind: wire.Kind_KIND_PURCHASE, amount: q.Amount, rule: q.Rule, records: v.busRecords(q)}}, nil, nil
	case MetroEntry:
		return v.quoteEntry()
	case MetroExit:
		return v.quoteExit()
	case Sale:
		if v.r.Amount.Sign() <= 0 || v.r.Amount.Cmp(ep.MaxAmount()) > 0 {
			return nil, v.stop(RefusedTrip, "sale of %v: want more than 0.00", v.r.Amount), nil
		}
		return []order{{kind: wire.Kind_KIND_PURCHASE, amount: v.r.Amount, rule: "sale"}}, nil, nil
	}
	return nil, nil, fmt.Errorf("tap: mode %d is not known", v.r.Mode)
}

func (v *visit) quoteEntry() ([]order, *Result, error) {
	q, err := v.t.Profile.Fares.MetroEntry(v.r.Station)
	if err != nil {
		return nil, nil, err
	}
	if v.trip.Lock != 0 {
		return nil, v.stop(RefusedTrip, "the trip record is locked"), nil
	}
	var orders []order
	owed := money.Amount{}
	// Never left: the marked fare of that trip is due first. But a rider whose entry was settled just now was never let in.
	if v.trip.Open() && !v.justSettled(v.trip.EntryTerminal, v.trip.EntryTime) {
		owed = v.trip.MarkedFare
		orders = append(orders, order{kind: wire.Kind_KIND_CORRECTION, amount: owed, rule: "metro-missing-exit",
			entry: v.trip.EntryStation[:2], records: v.closeRecords(owed)})
	}
	balance, err := v.card.Balance(v.ctx)
	if err != nil {
		return nil, v.before(err), nil
	}
	left, err := balance.Sub(owed)
	if err != nil {
		return nil, nil, err
	}
	if min := v.t.Profile.Limits.MetroMinBalance; left.Cmp(min) < 0 {
		return nil, v.stop(RefusedBalance, "nothing taken: %v left to enter with, %v wanted", left, min), nil
	}
	return append(orders, order{kind: wire.Kind_KIND_ENTRY, rule: q.Rule, records: v.entryRecords(q)}), nil, nil
}

func (v *visit) quoteExit() ([]order, *Result, error) {
	tables := v.t.Profile.Fares
	if v.trip.Lock != 0 {
		return nil, v.stop(RefusedTrip, "the trip record is locked"), nil
	}
	if !v.trip.Open() {
		q := tables.MetroMissingEntry()
		return []order{{kind: wire.Kind_KIND_CORRECTION, amount: q.Amount, rule: q.Rule, records: v.exitRecords(q, ep.HistoryCorrection)}}, nil, nil
	}
	var stayed time.Duration
	if in, err := v.trip.EntryTime.Time(v.t.Location); err == nil {
		stayed = v.r.Now.Sub(in)
	}
	q, err := tables.MetroExit(station(v.trip.EntryStation), v.r.Station, stayed)
	if err != nil {
		// A card from a station that this gate's tables do not have is the rider's trip, not the gate's fault.
		return nil, v.stop(RefusedTrip, "%v", err), nil
	}
	return []order{{kind: wire.Kind_KIND_EXIT, amount: q.Amount, rule: q.Rule, entry: v.trip.EntryStation[:2],
		records: v.exitRecords(q, ep.HistoryOut)}}, nil, nil
}

// station is how this scheme writes a station into EF 1A: the first two bytes, the rest zero (purse facts 2.6).
func station(raw [8]byte) fare.Code { return fare.Code(raw[:2]) }

func stationBytes(c fare.Code) (out [8]byte) { copy(out[:], c[:]); return out }

func (v *visit) history(kind, industry byte, amount, after money.Amount) ep.TripHistory {
	op := v.t.Profile.Operator
	return ep.TripHistory{
		Kind: kind, Terminal: ep.Terminal8(v.t.SAM.TerminalNumber()), Industry: industry, Line: v.r.Line, Station: v.r.Station,
		Operator: [2]byte(op.Code), Amount: amount, Balance: after, At: v.at, City: [2]byte(op.City), Institution: [8]byte(op.Institution),
	}
}

func (v *visit) busRecords(q fare.Quote) func(money.Amount) (*ep.MetroTrip, ep.TripHistory) {
	return func(after money.Amount) (*ep.MetroTrip, ep.TripHistory) {
		return nil, v.history(ep.HistorySingle, ep.IndustryBus, q.Amount, after)
	}
}

func (v *visit) entryRecords(q fare.Quote) func(money.Amount) (*ep.MetroTrip, ep.TripHistory) {
	return func(after money.Amount) (*ep.MetroTrip, ep.TripHistory) {
		op := v.t.Profile.Operator
		return &ep.MetroTrip{
			Flag: 1, State: ep.TripEntered, EntryCity: [2]byte(op.City), EntryInstitution: [8]byte(op.Institution),
			EntryStation: stationBytes(v.r.Station), EntryTerminal: ep.Terminal8(v.t.SAM.TerminalNumber()), EntryTime: v.at,
			MarkedFare: q.Marked, EntryLine: v.r.Line[1], Balance: after,
		}, v.history(ep.HistoryIn, ep.IndustryMetro, money.Amount{}, after)
	}
}

func (v *visit) exitRecords(q fare.Quote, kind byte) func(money.Amount) (*ep.MetroTrip, ep.TripHistory) {
	return func(after money.Amount) (*ep.MetroTrip, ep.TripHistory) {
		op := v.t.Profile.Operator
		trip := v.trip
		trip.Flag, trip.State = 1, ep.TripLeft
		trip.ExitCity, trip.ExitInstitution = [2]byte(op.City), [8]byte(op.Institution)
		trip.ExitStation, trip.ExitTerminal = stationBytes(v.r.Station), ep.Terminal8(v.t.SAM.TerminalNumber())
		trip.ExitTime, trip.ExitLine, trip.ExitAmount = v.at, v.r.Line[1], q.Amount
		return &trip, v.history(kind, ep.IndustryMetro, q.Amount, after)
	}
}

// closeRecords closes a trip that was never left.
func (v *visit) closeRecords(amount money.Amount) func(money.Amount) (*ep.MetroTrip, ep.TripHistory) {
	return func(after money.Amount) (*ep.MetroTrip, ep.TripHistory) {
		trip := v.trip
		trip.State, trip.ExitTime, trip.ExitAmount = ep.TripExitCorrected, v.at, amount
		trip.ExitTerminal = ep.Terminal8(v.t.SAM.TerminalNumber())
		return &trip, v.history(ep.HistoryCorrection, ep.IndustryMetro, amount, after)
	}
}
