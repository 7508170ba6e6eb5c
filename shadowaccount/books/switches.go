package books

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Switches are what an account may do: nine of them, one bit each. The bits are kept in rows and never given a new meaning.
type Switches uint16

// The nine switches.
const (
	SwitchLoad        Switches = 1 << iota // value may come in by loads
	SwitchWithdraw                         // value may leave to a bank
	SwitchOverdraft                        // the balance may change its side
	SwitchPay                              // purchases may move it
	SwitchTransferIn                       // value may come in from another account of the book
	SwitchTransferOut                      // value may leave to another account of the book
	SwitchSafeguard                        // other people's money: it is never overdrawn, whatever SwitchOverdraft says
	SwitchActive                           // opened; off: nothing moves
	SwitchFrozen                           // closed for now: nothing moves
)

// DefaultSwitches are those of an account that nobody has switched. Overdraft is on: a balance on its wrong side is a fact to look into, and the
// nightly proof names it; a refused posting would hide it.
const DefaultSwitches = SwitchLoad | SwitchWithdraw | SwitchOverdraft | SwitchPay | SwitchTransferIn | SwitchTransferOut | SwitchActive

var switchNames = []string{"load", "withdraw", "overdraft", "pay", "transfer-in", "transfer-out", "safeguard", "active", "frozen"}

// String names the switches that are on.
func (s Switches) String() string {
	var on []string
	for i, name := range switchNames {
		if s&(1<<i) != 0 {
			on = append(on, name)
		}
	}
	return strings.Join(on, " ")
}

// ParseSwitch finds a switch by its name.
func ParseSwitch(name string) (Switches, error) {
	if i := slices.Index(switchNames, name); i >= 0 {
		return 1 << i, nil
	}
	return 0, fmt.Errorf("%q is no switch of an account: want one of %s", name, strings.Join(switchNames, ", "))
}

// Operation is what a line of an entry does to its account.
type Operation int

// Operations.
const (
	OpLoad        Operation = iota // a step of a load
	OpWithdraw                     // payment at the bank
	OpPay                          // purchases
	OpTransferIn                   // the account's own side grows
	OpTransferOut                  // the account's own side shrinks
	OpOverdraw                     // the balance changes its side, beside whatever else the line does
)

// String names the operation.
func (o Operation) String() string {
	return []string{"load", "withdraw", "pay", "transfer-in", "transfer-out", "overdraw"}[o]
}

// matrix is switch by operation: Y where the operation needs the switch on, N where a switch that is on forbids it, - where they do not
// touch. The whole rule is this table.
var matrix = []struct {
	of  Switches
	row string
}{
	//                  load withdraw pay in out overdraw
	{SwitchLoad, "         Y    -      -   -  -    -"},
	{SwitchWithdraw, "     -    Y      -   -  -    -"},
	{SwitchOverdraft, "    -    -      -   -  -    Y"},
	{SwitchPay, "          -    -      Y   -  -    -"},
	{SwitchTransferIn, "   -    -      -   Y  -    -"},
	{SwitchTransferOut, "  -    -      -   -  Y    -"},
	{SwitchSafeguard, "    -    -      -   -  -    N"},
	{SwitchActive, "       Y    Y      Y   Y  Y    Y"},
	{SwitchFrozen, "       N    N      N   N  N    N"},
}

// ErrSwitched says that an account's switches do not allow what an entry would do to it.
var ErrSwitched = errors.New("the account's switches do not allow it")

// Allow reports why switches do not allow an operation. Error: [ErrSwitched].
func Allow(s Switches, o Operation) error {
	for _, m := range matrix {
		on := s&m.of != 0
		switch want := strings.Fields(m.row)[o]; {
		case want == "Y" && !on:
			return fmt.Errorf("%v: %w: %v is off", o, ErrSwitched, m.of)
		case want == "N" && on:
			return fmt.Errorf("%v: %w: %v is on", o, ErrSwitched, m.of)
		}
	}
	return nil
}

// OperationOf is what a line of an entry of a kind does to its account. Purchases, loads and payments are told by the kind; all other
// entries are transfers, and their direction is that of the account's own side: liabilities and income grow by credits, the others by
// debits.
func OperationOf(kind string, class Class, l Line) Operation {
	switch {
	case kind == KindRecords:
		return OpPay
	case strings.HasPrefix(kind, "load-"):
		return OpLoad
	case strings.HasPrefix(kind, "settle-pay"):
		return OpWithdraw
	case grows(class, l.Amount.Sign()):
		return OpTransferIn
	}
	return OpTransferOut
}

// grows reports whether a debit (sign 1) or a credit (-1) is on the own side of accounts of a class.
func grows(class Class, sign int) bool {
	if class == Liability || class == Income {
		return sign < 0
	}
	return sign > 0
}

// Overdrawn reports whether a balance stands on the wrong side of its account. Clearing has no wrong side: a position may be either way.
func Overdrawn(class Class, sign int) bool {
	return class != Clearing && sign != 0 && !grows(class, sign)
}

// Kinds of entries that package books itself tells apart.
const (
	KindRecords = "records"         // a posting group
	KindLoaded  = "load-loaded"     // a load that is on its card
	KindRelease = "account-release" // what was set aside goes back to its account

	KindPaidOnline = "gateway-paid" // a payer's money that a channel has
	KindBackOnline = "gateway-back" // a refund that a channel has refused: the money is where it was
)

// Fact reports whether an entry of a kind tells what a card, a payer or a channel has done already. Refusing it would not undo it, so what it means for a
// frozen account is set aside.
func Fact(kind string) bool {
	return kind == KindRecords || kind == KindLoaded || kind == KindPaidOnline || kind == KindBackOnline
}
