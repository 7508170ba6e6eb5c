package risk

import (
	"fmt"
	"slices"
)

// Outcome is what risk decides. A larger one is stronger. The text is part of the rules' file and is stored; the zero value is none.
type Outcome int

// Outcomes.
const (
	Pass   Outcome = 1
	StepUp Outcome = 2 // the payer proves more, and the same attempt goes on
	Block  Outcome = 3 // refused, on every channel
)

// Outcomes lists them, weakest first.
var Outcomes = []Outcome{Pass, StepUp, Block}

var outcomeNames = []string{"none", "pass", "step-up", "block"}

func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("outcome %d", int(o))
	}
	return outcomeNames[o]
}

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an outcome's name.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames, string(text))
	if i <= 0 {
		return fmt.Errorf("outcome %q: want pass, step-up or block", text)
	}
	*o = Outcome(i)
	return nil
}
