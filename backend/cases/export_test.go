package cases

// Arrow is one move of the table.
type Arrow struct {
	From State
	On   Event
	To   State
}

// Arrows lists the table.
func Arrows() []Arrow {
	var out []Arrow
	for _, a := range arrows {
		out = append(out, Arrow{a.from, a.on, a.to})
	}
	return out
}
