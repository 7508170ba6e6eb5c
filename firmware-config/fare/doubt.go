package fare

import "time"

// Doubt is how far a time given to a quote may be from the truth. What depends on the time is quoted for each time that it may be, and the
// cheapest counts, because the rider does not keep the clock. Such a quote's rule ends in [TimeUnsure].
type Doubt struct {
	By  time.Duration // at most that far, either way
	Any bool          // nobody knows how far: any time is possible
}

// TimeUnsure ends the rule of a quote that is cheaper than the time shown would have made it.
const TimeUnsure = "+time-unsure"

// MetroExitWithin is MetroExit for a time inside that is not quite known: the shortest that it may be counts.
func (t Tables) MetroExitWithin(entry, exit Code, stayed time.Duration, d Doubt) (Quote, error) {
	shortest := stayed - d.By
	if d.Any {
		shortest = 0
	}
	shown, err := t.MetroExit(entry, exit, stayed)
	if err != nil {
		return Quote{}, err
	}
	q, err := t.MetroExit(entry, exit, shortest)
	if err != nil {
		return Quote{}, err
	}
	return cheaper(q, shown), nil
}

// cheaper is the cheaper one of what a quote may be and what the time shown makes it.
func cheaper(may, shown Quote) Quote {
	if may.Amount.Cmp(shown.Amount) >= 0 {
		return shown
	}
	may.Rule += TimeUnsure
	return may
}
