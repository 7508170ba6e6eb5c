package purse

import (
	"fmt"
	"io"
)

// Format prints no more of an attempt than a log may have: State and other bytes may hold a card number.
func (a Attempt) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s attempt on card %v: %v, counter %d", a.Family, a.Card, a.Amount, a.Counter)
}

// Format prints no proof: it may hold a card number.
func (e Evidence) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "evidence %q, balance %v", e.Kind, e.Balance)
	if e.Mismatch != "" {
		io.WriteString(f, ", but "+e.Mismatch)
	}
}
