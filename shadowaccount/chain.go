package shadowaccount

// Chain says how a card's offline counter runs.
type Chain int8

// Chains.
const (
	// Dense: it moves with each debit and with nothing else. A number that is missing is a debit that is missing.
	Dense Chain = iota
	// Sparse: it moves with other things too: selections and loads of an electronic cash card (its ATC), every committed transaction of a
	// DESFire card (its TMC). Only value that is missing says that a debit is.
	Sparse
)

// ChainOf is how the counters of a card family run; of one that is not known, as an EP purse's.
func ChainOf(family string) Chain {
	switch family {
	case "ec", "desfire":
		return Sparse
	}
	return Dense
}
