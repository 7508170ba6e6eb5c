package order

import (
	"errors"
	"fmt"
)

// ErrState says that the state does not allow what was asked.
var ErrState = errors.New("the state does not allow it")

// arrow is one move.
type arrow[S, E ~string] struct {
	from S
	on   E
	to   S
}

// next finds the state that follows s on e, or ErrState.
func next[S, E ~string](what string, arrows []arrow[S, E], s S, e E) (S, error) {
	for _, a := range arrows {
		if a.from == s && a.on == e {
			return a.to, nil
		}
	}
	return s, fmt.Errorf("%s is %s, cannot be %s: %w", what, s, e, ErrState)
}
