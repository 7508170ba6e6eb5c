package tcc

import (
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

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

// classes of a refusal, by the names that are stored.
var classes = []channel.Class{channel.ByPayer, channel.ByIssuer, channel.ByChannel, channel.BySetting, channel.ByRisk, channel.NotSupported}

// refusedBy is why a payment comes to nothing that a leg has refused. The text is stored.
func refusedBy(leg int, code string, class channel.Class) string {
	if class == channel.NoClass {
		return fmt.Sprintf("leg %d: %s", leg, code)
	}
	return fmt.Sprintf("leg %d: %s (%v)", leg, code, class)
}

// refusal reads what refusedBy has written. Not refused is what was called off, or had its time up.
func refusal(why string) (code string, class channel.Class, refused bool) {
	leg, code, refused := strings.Cut(why, ": ")
	if !refused || !strings.HasPrefix(leg, "leg ") {
		return "", channel.NoClass, false
	}
	for _, c := range classes {
		if bare, is := strings.CutSuffix(code, " ("+c.String()+")"); is {
			return bare, c, true
		}
	}
	return code, channel.ByPayer, true
}
