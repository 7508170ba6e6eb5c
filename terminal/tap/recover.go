package tap

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// maybeDebited is the state of the draft of a card that may have debited before its intent was written.
const maybeDebited = wire.State_STATE_UNKNOWN

// askNewest is how many open intents a card is asked about that does not tell its number before a debit.
const askNewest = 5

// recoverOpen is step 3: it settles this card's open intent, if there is one, by what the card itself can tell. A result
// ends the tap: the card left again, so nothing is debited while the old outcome is open.
func (v *visit) recoverOpen() (*Result, error) {
	if v.number == (ids.CardNumber{}) {
		return v.askAround()
	}
	draft, unknown, found, err := v.t.Journal.OpenIntent(v.number)
	if err != nil {
		return nil, fmt.Errorf("look for an open intent: %w", err)
	}
	if !found {
		return nil, nil
	}
	return v.settle(draft, unknown)
}

// settle asks the card about its open intent and writes down what it tells.
func (v *visit) settle(draft *wire.Record, unknown bool) (*Result, error) {
	tap := draft.GetTap()
	if !unknown {
		if err := v.t.Journal.MarkUnknown(tap); err != nil {
			return nil, fmt.Errorf("record the unknown outcome: %w", err)
		}
	}
	became, evidence, err := v.ask(draft)
	switch {
	case errors.Is(err, purse.ErrOtherCard):
		// A card with two purses of one number must not void the debit of the one by what the other has not done.
		r := v.stop(RefusedFaulty, "nothing taken: the card shows another purse than at its open tap; the purse of then must come first")
		r.Tap = v.tapID(tap)
		return r, nil
	case err != nil:
		return v.notTold(tap, err)
	}
	return v.conclude(draft, became, evidence)
}

// ask asks the opened card what became of a draft's debit. A card of another family is another card.
func (v *visit) ask(draft *wire.Record) (purse.Verdict, purse.Evidence, error) {
	if draft.GetFamily() != v.driver.Family() {
		return 0, purse.Evidence{}, purse.ErrOtherCard
	}
	return v.card.Recover(v.ctx, attemptOf(draft))
}

// askAround asks a card that has not told its number about the newest open intents of its family. What it is not asked about is looked at
// again when its number is known.
func (v *visit) askAround() (*Result, error) {
	all, err := v.t.Journal.OpenIntents()
	if err != nil {
		return nil, fmt.Errorf("look for open intents: %w", err)
	}
	asked := 0
	for i := len(all) - 1; i >= 0 && asked < askNewest; i-- {
		draft := all[i]
		if draft.GetFamily() != v.driver.Family() {
			continue
		}
		_, unknown, found, err := v.t.Journal.OpenIntent(numberOf(draft))
		if err != nil {
			return nil, fmt.Errorf("look for an open intent: %w", err)
		}
		if !found || !unknown {
			continue // another reader's tap is under way
		}
		asked++
		became, evidence, err := v.ask(draft)
		if errors.Is(err, purse.ErrOtherCard) {
			continue
		}
		if err != nil {
			return v.notTold(draft.GetTap(), err)
		}
		v.number = numberOf(draft)
		if stop, err := v.conclude(draft, became, evidence); stop != nil || err != nil {
			return stop, err
		}
		return v.denied(), nil
	}
	if _, _, _, err := v.t.Journal.OpenIntent(ids.CardNumber{}); err != nil {
		return nil, fmt.Errorf("look for an open intent: %w", err)
	}
	return nil, nil
}

// notTold ends a visit whose card has not told what became of a tap: the intent stays open.
func (v *visit) notTold(tap uint64, err error) (*Result, error) {
	r, err := v.fault(err)
	if r != nil {
		r.Tap = v.tapID(tap)
	}
	return r, err
}

// conclude writes the final record of an open intent. A result ends the tap: it was the very sale that is asked for.
func (v *visit) conclude(draft *wire.Record, became purse.Verdict, evidence purse.Evidence) (*Result, error) {
	tap, amount := draft.GetTap(), money.Minor(draft.GetAmount())
	if verdicts[became] == wire.State_STATE_UNSPECIFIED {
		return nil, fmt.Errorf("the %s driver's verdict %d on tap %d is none", v.driver.Family(), became, tap)
	}
	if err := v.t.Journal.Finish(tap, finalOf(draft, became, evidence)); err != nil {
		return nil, fmt.Errorf("write the recovered record: %w", err)
	}
	v.settledMark = purse.MarkOf(draft.GetPsamTerminal(), draft.GetPurseTime())
	v.settled = &Recovery{Tap: v.tapID(tap), Amount: amount, Completed: became == purse.Completed, Aged: became == purse.Aged}
	v.settledRide = v.settled.Completed && draft.GetIndustry() == industryBus && bytes.Equal(draft.GetLine(), v.r.Line[:]) &&
		v.recent(purse.Point{At: time.UnixMilli(draft.GetTerminalTimeMs())})
	if v.settled.Completed && v.r.Mode == Sale && v.r.RequestID != "" && draft.GetRequestId() == v.r.RequestID {
		r := v.stop(RecoveredGranted, "the sale was debited when the card left")
		r.Tap, r.Amount, r.Balance = v.tapID(tap), amount, evidence.Balance
		return r, nil
	}
	return nil, nil
}

func (v *visit) tapID(tap uint64) ids.TapID {
	return ids.TapID{Terminal: v.t.ID, Epoch: v.t.Journal.Epoch(), Tap: tap}
}
