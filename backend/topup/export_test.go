package topup

// Arrow is one move of an order.
type Arrow struct {
	From State
	On   Event
	To   State
}

// Arrows is the table of moves.
func Arrows() []Arrow {
	var out []Arrow
	for _, a := range arrows {
		out = append(out, Arrow{a.from, a.on, a.to})
	}
	return out
}

// MaxSessions bounds the sessions of one order.
const MaxSessions = maxSessions
