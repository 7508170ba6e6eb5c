package tcc

// State is how far a combined payment is. The text is stored.
type State string

// States.
const (
	Reserving State = "trying"
	Taking    State = "confirming" // everybody has reserved: it will be paid, whatever happens now
	GivingUp  State = "cancelling" // it will come to nothing, whatever happens now
	Paid      State = "confirmed"
	CalledOff State = "cancelled"
)

// Final reports that nothing will happen any more.
func (s State) Final() bool { return s == Paid || s == CalledOff }

// Op is what participants are told in a state; false in a final one.
func (s State) Op() (Op, bool) {
	switch s {
	case Reserving:
		return Try, true
	case Taking:
		return Confirm, true
	case GivingUp:
		return Cancel, true
	}
	return 0, false
}

// News is what a coordinator moves on.
type News int

// News.
const (
	AllDone News = iota // every participant has done what it is told in this state
	OneRefused
	TimeIsUp
)

// Next is the move of a state; false where the news changes nothing. There is no way back from Taking and GivingUp, because participants may
// have heard of them.
func (s State) Next(n News) (State, bool) {
	switch {
	case s == Reserving && n == AllDone:
		return Taking, true
	case s == Reserving:
		return GivingUp, true
	case s == Taking && n == AllDone:
		return Paid, true
	case s == GivingUp && n == AllDone:
		return CalledOff, true
	}
	return s, false
}
