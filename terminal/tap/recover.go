package tap

import (
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
	"google.golang.org/protobuf/proto"
)

// logRecords is how far back a card's log goes (purse facts 2.1: at least 10 records).
const logRecords = 10

// recoverOpen is step 3: it settles this card's open intent, if there is one, by what the card itself can tell. A result
// ends the tap: the card left again, so nothing is debited while the old outcome is open.
func (v *visit) recoverOpen() (*Result, error) {
	draft, unknown, found, err := v.t.Journal.OpenIntent(v.number())
	if err != nil {
		return nil, fmt.Errorf("look for an open intent: %w", err)
	}
	if !found {
		return nil, nil
	}
	tap := draft.GetTap()
	if !unknown {
		if err := v.t.Journal.MarkUnknown(tap); err != nil {
			return nil, fmt.Errorf("record the unknown outcome: %w", err)
		}
	}
	final, cardErr := v.ask(draft)
	if cardErr != nil {
		r := v.before(cardErr)
		r.Tap = v.tapID(tap)
		return r, nil
	}
	if err := v.t.Journal.Finish(tap, final); err != nil {
		return nil, fmt.Errorf("write the recovered record: %w", err)
	}
	v.settledAt = ep.DateTime(draft.GetPurseTime())
	v.settled = &Recovery{
		Tap: v.tapID(tap), Amount: money.Minor(draft.GetAmount()),
		Completed: final.GetState() == wire.State_STATE_COMPLETED, Aged: final.GetState() == wire.State_STATE_AGED,
	}
	if v.settled.Completed && v.r.Mode == Sale && v.r.RequestID != "" && draft.GetRequestId() == v.r.RequestID {
		r := v.stop(RecoveredGranted, "the sale was debited when the card left")
		r.Tap, r.Amount, r.Balance = v.tapID(tap), money.Minor(draft.GetAmount()), money.Minor(final.GetBalanceAfter())
		return r, nil
	}
	return nil, nil
}

func (v *visit) tapID(tap uint64) ids.TapID {
	return ids.TapID{Terminal: v.t.ID, Epoch: v.t.Journal.Epoch(), Tap: tap}
}

// ask finds out from the card what became of a debit (purse facts 4.3): its counter, GET TRANSACTION PROVE, its log. An error
// means that the card left, or will not say, before it had told; the intent stays open.
func (v *visit) ask(draft *wire.Record) (*wire.Record, error) {
	final := proto.Clone(draft).(*wire.Record)
	before := uint16(draft.GetOfflineCounter())
	kind := ep.Type(draft.GetTxnType())
	counter, err := v.counter()
	if err != nil {
		return nil, err
	}
	moved := counter - before // modulo 2^16, as the counter is
	if moved <= 1 {
		proof, err := v.card.Prove(v.ctx, kind, before+1)
		switch {
		case err == nil && moved == 1:
			// The proof is of the last debit with that counter; only the log says that it was ours. A debit at another
			// terminal uses the same counter if ours did not take place.
			return v.byLog(draft, final, proof, counter)
		case err == nil:
			// A card that does not count zero amounts (conflict C3) proves them with the counter unmoved.
			return v.byLog(draft, final, proof, counter)
		case isLeft(err):
			return nil, err
		case moved == 0:
			final.State = wire.State_STATE_VOIDED
			return final, nil
		}
	}
	return v.byLog(draft, final, ep.Proof{}, counter)
}

// counter is the card's offline counter. An INITIALIZE of nothing tells it and costs the card nothing; it does not erase the
// proof (3.10). A card that refuses because its counter is at its end tells it as well.
func (v *visit) counter() (uint16, error) {
	init, err := v.card.InitPurchase(v.ctx, ep.TypeComposite, v.t.Profile.Card.KeyIndex, money.Amount{}, ep.TerminalNumber(v.t.SAM.TerminalNumber()))
	if errors.Is(err, ep.ErrCounterMax) {
		return math.MaxUint16, nil
	}
	return init.Counter, err
}

// byLog reads the card's log for the debit. With a proof in hand the debit is completed with its TAC; without, the log is
// all there is.
func (v *visit) byLog(draft, final *wire.Record, proof ep.Proof, counter uint16) (*wire.Record, error) {
	before := uint16(draft.GetOfflineCounter())
	kind, amount := ep.Type(draft.GetTxnType()), money.Minor(draft.GetAmount())
	term, at := ep.TerminalNumber(draft.GetPsamTerminal()), ep.DateTime(draft.GetPurseTime())
	// Of a card that does not count a debit of nothing (C3), the counter says nothing: there is a proof and the log.
	uncounted := counter == before && proof != (ep.Proof{})
	logged, newest := v.logged(before), true
	for n := byte(1); n <= logRecords; n++ {
		l, err := v.card.ReadLog(v.ctx, n)
		if isLeft(err) {
			return nil, err
		}
		if err != nil || l.Empty() {
			break
		}
		if !isDebit(l.Type) {
			continue
		}
		if newest {
			logged, newest = loggedBy(l, counter, before, logged), false
		}
		ours := isOurs(l, kind, before, amount, term, at)
		if l.Counter != logged && !uncounted || uncounted && !ours {
			continue
		}
		if !ours {
			final.State = wire.State_STATE_VOIDED // the counter went to another tap
			return final, nil
		}
		final.State, final.Evidence = wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_CARD_LOG
		if proof != (ep.Proof{}) {
			final.Evidence = wire.Evidence_EVIDENCE_PROVE
			final.Mac2, final.Tac = proof.MAC2[:], proof.TAC[:]
		}
		return final, nil
	}
	if counter == before {
		final.State = wire.State_STATE_VOIDED
		return final, nil
	}
	final.State = wire.State_STATE_AGED // the log has rolled past it: the backend must find out
	return final, nil
}

// loggedBy is how the card itself logs the counter of a debit, seen from its newest one, whose counter is known: a scheme may
// have cards of both kinds (conflict C1). What fits neither leaves it to the profile.
func loggedBy(newest ep.LogRecord, counter, before, byProfile uint16) uint16 {
	switch newest.Counter {
	case counter:
		return before + 1
	case counter - 1:
		return before
	}
	return byProfile
}

func isDebit(t ep.Type) bool { return t == ep.TypePurchase || t == ep.TypeComposite }

func isLeft(err error) bool {
	return errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer)
}
