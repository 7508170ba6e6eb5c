package tcc

// Op is what a participant is told.
type Op int

// Operations.
const (
	Try Op = iota
	Confirm
	Cancel
)

func (o Op) String() string { return [...]string{"try", "confirm", "cancel"}[o] }

// Branch is what a participant has done of its part. The text is stored.
type Branch string

// Branches.
const (
	Unheard    Branch = ""
	Trying     Branch = "trying"     // a channel was called, and nobody knows yet
	Tried      Branch = "tried"      // reserved; of a direct part: done
	Refused    Branch = "refused"    // there was nothing to reserve; nothing is held
	Confirmed  Branch = "confirmed"  // taken
	Cancelling Branch = "cancelling" // a channel is being told to give up what it may have
	Undoing    Branch = "undoing"    // the same, of what it has
	Cancelled  Branch = "cancelled"  // given up, or cancelled before it was heard of
)

// Duty is what a participant has to do with a message.
type Duty int

// Duties.
const (
	Act    Duty = iota // do it
	Same               // it was done; answer so
	Empty              // a cancel for what was never tried: nothing to undo, but it is remembered
	Never              // a try after the cancel, or again after a refusal: reserve nothing
	Absurd             // a coordinator would have to be wrong, or two of them at work: do nothing and raise the alarm
)

// duties is the whole rule. A column for each operation.
var duties = map[Branch][3]Duty{
	//          try    confirm  cancel
	Unheard:    {Act, Absurd, Empty},
	Trying:     {Act, Absurd, Act},
	Tried:      {Same, Act, Act},
	Refused:    {Never, Absurd, Same},
	Confirmed:  {Same, Same, Absurd},
	Cancelling: {Never, Absurd, Act},
	Undoing:    {Never, Absurd, Act},
	Cancelled:  {Never, Absurd, Same},
}

// Decide says what a participant in that state has to do.
func Decide(b Branch, o Op) Duty {
	row, known := duties[b]
	if !known {
		return Absurd
	}
	return row[o]
}
