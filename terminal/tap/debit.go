package tap

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// debit is steps 5 to 7 for one order.
func (v *visit) debit(o order) (*Result, error) {
	// 5. The card begins, and the terminal's SAM with it.
	attempt, err := v.card.Begin(v.ctx, o.Order)
	if errors.Is(err, purse.ErrMaybeDebited) {
		return v.begunTooFar(o, attempt, err)
	}
	if err != nil {
		return v.fault(err)
	}
	if stop, err := v.numberTold(attempt.Card); stop != nil || err != nil {
		return stop, err
	}
	draft := v.draft(o, attempt)

	// What the card may have before its debit goes to it while the intent goes to disk; both are done before Commit. The disk
	// keeps this goroutine: it is the longer of the two on a fast card, and need not be waited for across threads.
	staged := make(chan error, 1)
	go func() { staged <- v.card.Stage(v.ctx) }()
	tap, err := v.t.Journal.Begin(draft)
	stageErr := <-staged // in any case: nothing may talk to the card after this visit
	if err != nil {
		return nil, fmt.Errorf("write the intent: %w", err)
	}
	if stageErr != nil {
		return v.notDebited(tap, stageErr)
	}

	// 6. The card debits.
	err = v.card.Commit(v.ctx)
	if errors.Is(err, purse.ErrNotDebited) {
		return v.notDebited(tap, err)
	}
	if err != nil {
		return v.unknown(tap, o.Amount, PresentAgain, err)
	}
	evidence, err := v.card.Evidence(v.ctx)
	switch {
	case errors.Is(err, purse.ErrBadProof):
		return v.unknown(tap, o.Amount, RefusedFaulty, err)
	case err != nil:
		return v.unknown(tap, o.Amount, PresentAgain, err)
	}

	// 7. The record is on disk before the light.
	if err := v.t.Journal.Finish(tap, finalOf(draft, purse.Completed, evidence)); err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	r := v.stop(Granted, "")
	switch {
	case evidence.Mismatch != "":
		r = v.stop(RefusedFaulty, "debited, but %s", evidence.Mismatch)
	case evidence.Balance.Cmp(v.t.Profile.Limits.LowBalance) < 0:
		r = v.stop(GrantedLow, "")
	}
	r.Balance = evidence.Balance
	return v.of(tap, o.Amount, r), nil
}

// of says which tap a result is of, and what it takes or may have taken.
func (v *visit) of(tap uint64, amount money.Amount, r *Result) *Result {
	r.Tap, r.Amount = v.tapID(tap), amount
	return r
}

// notDebited ends a tap whose card has certainly not debited: its intent goes without a record.
func (v *visit) notDebited(tap uint64, err error) (*Result, error) {
	if err := v.t.Journal.Drop(tap); err != nil {
		return nil, fmt.Errorf("drop the intent: %w", err)
	}
	return v.fault(err)
}

// unknown ends a tap whose card may have debited.
func (v *visit) unknown(tap uint64, amount money.Amount, o Outcome, cause error) (*Result, error) {
	if err := v.t.Journal.MarkUnknown(tap); err != nil {
		return nil, fmt.Errorf("record the unknown outcome: %w", err)
	}
	if errors.Is(cause, purse.ErrTerminal) {
		return nil, cause
	}
	return v.of(tap, amount, v.stop(o, "outcome unknown: %v", cause)), nil
}

// numberTold takes in the number of a card that tells it only with the attempt, and looks where it could not be looked for it before: at
// the deny list, and for an open intent. Nothing was debited yet.
func (v *visit) numberTold(number ids.CardNumber) (*Result, error) {
	switch {
	case number == (ids.CardNumber{}):
		return v.stop(RefusedFaulty, "nothing taken: the card has no number"), nil
	case number == v.number:
		return nil, nil
	case v.number != (ids.CardNumber{}):
		return v.stop(RefusedFaulty, "nothing taken: the card changes its number"), nil
	}
	v.number = number
	if stop := v.denied(); stop != nil {
		return stop, nil
	}
	draft, unknown, found, err := v.t.Journal.OpenIntent(number)
	if err != nil {
		return nil, fmt.Errorf("look for an open intent: %w", err)
	}
	if !found {
		return v.paidElsewhere(), nil
	}
	// It was not among those that the card was asked about. It is asked now, opened afresh; what it may buy is for its next visit.
	if err := v.open(); err != nil {
		return v.fault(err)
	}
	if stop, err := v.read(); stop != nil || err != nil {
		return stop, err
	}
	v.number = number
	if stop, err := v.settle(draft, unknown); stop != nil || err != nil {
		return stop, err
	}
	if stop := v.alreadyPaid(); stop != nil {
		return stop, nil
	}
	return v.stop(PresentAgain, "nothing taken: an earlier debit of this card had to be settled first"), nil
}

// begunTooFar is for a card that may have debited in Begin: its intent is written and marked unknown at once.
func (v *visit) begunTooFar(o order, a purse.Attempt, cause error) (*Result, error) {
	v.number = a.Card
	// A card has one open intent. An older one that it did not tell of when it was asked is given up: the backend must find out.
	if old, unknown, found, err := v.t.Journal.OpenIntent(a.Card); err == nil && found {
		if !unknown {
			if err := v.t.Journal.MarkUnknown(old.GetTap()); err != nil {
				return nil, fmt.Errorf("record the unknown outcome: %w", err)
			}
		}
		if err := v.t.Journal.Finish(old.GetTap(), finalOf(old, purse.Aged, purse.Evidence{})); err != nil {
			return nil, fmt.Errorf("give the older intent up: %w", err)
		}
	}
	draft := v.draft(o, a)
	draft.State = maybeDebited
	tap, err := v.t.Journal.Begin(draft)
	if err != nil {
		return nil, fmt.Errorf("write the intent of a card that may have debited: %w", err)
	}
	return v.unknown(tap, o.Amount, PresentAgain, cause)
}
