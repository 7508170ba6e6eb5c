package tap

import (
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/uplink/wire"
)

// sure reports whether the profile lets this clock charge by the time.
//
//	clock    | its bound is above max_error | worst_clock | sure
//	good     | no                           | any         | yes
//	holdover | no                           | holdover    | yes
//	else     |                              |             | no: the rider has the benefit of the doubt
func (v *visit) sure() bool {
	may := v.t.Profile.Limits.TimeFares
	kept := v.r.Clock == wire.ClockState_CLOCK_GOOD || v.r.Clock == wire.ClockState_CLOCK_HOLDOVER && may.WorstClock == "holdover"
	return kept && v.r.ClockErr <= may.MaxError
}

// off is how far this clock is taken to be off: its bound, and not more than a clock that may charge.
func (v *visit) off() time.Duration {
	if most := v.t.Profile.Limits.TimeFares.MaxError; !v.sure() {
		return most
	}
	return v.r.ClockErr
}

// doubt is how far the time since something on the card may be off: by this clock and by the one that wrote it, which was one that may
// charge.
func (v *visit) doubt() fare.Doubt {
	return fare.Doubt{By: v.off() + v.t.Profile.Limits.TimeFares.MaxError, Any: !v.sure()}
}

// recent reports a time on the card within the window of one trip, either way: another terminal's clock may be ahead. The window is as
// much wider as this clock may be off. A clock that is worse has mostly stood still or lags, so that what is later on the card may be now;
// and at a gate, where the next fare would be a penalty, any time may be.
func (v *visit) recent(p purse.Point) bool {
	if p.At.IsZero() {
		return false
	}
	ago := v.r.Now.Sub(p.At)
	if !v.sure() && (ago < 0 || v.r.Mode == MetroEntry || v.r.Mode == MetroExit) {
		return true
	}
	return ago.Abs() <= v.t.Profile.SameTrip+v.off()
}

// outOfDate refuses a card that is out of date at whatever time it may be. A clock that may not charge lags: no card is too new for it.
func (v *visit) outOfDate() *Result {
	valid := v.reading
	if valid.ValidUntil != 0 && valid.ValidUntil < dayOf(v.now.Add(-v.off())) {
		return v.stop(RefusedExpired, "card expired on %08d", valid.ValidUntil)
	}
	if v.sure() && valid.ValidFrom > dayOf(v.now.Add(v.off())) {
		return v.stop(RefusedNotYetValid, "card is valid from %08d", valid.ValidFrom)
	}
	return nil
}

// dayOf is a date as cards write it: 20261125.
func dayOf(t time.Time) int { return t.Year()*10000 + int(t.Month())*100 + t.Day() }

// mayTellEntry refuses to write an entry by a clock that may not charge where another gate would charge by it. The rider can go to another
// gate; on the way out nobody could tell any more which clock wrote it.
func (v *visit) mayTellEntry() *Result {
	if m := v.t.Profile.Fares.Metro; v.sure() || m.MaxStay == 0 || m.OverTime.IsZero() {
		return nil
	}
	return v.stop(OutOfService, "the clock is not good enough to write an entry by: its time would be charged by on the way out")
}
