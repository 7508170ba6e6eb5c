package tap

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// Bits of wire.Record.flags.
const (
	flagNoReadback  = 1 << 0 // the card left before its new balance was read
	flagBadReadback = 1 << 1 // it reads other than the debit should have made it
)

// debit is steps 5 to 7 for one order.
func (v *visit) debit(o order) (*Result, error) {
	kind := ep.TypeComposite
	if o.records == nil {
		kind = ep.TypePurchase
	}
	term := ep.TerminalNumber(v.t.SAM.TerminalNumber())

	// 5. INITIALIZE; the SAM makes MAC1.
	init, err := v.card.InitPurchase(v.ctx, kind, v.t.Profile.Card.KeyIndex, o.amount, term)
	if err != nil {
		return v.before(err), nil
	}
	if init.Balance.Cmp(o.amount) < 0 && init.Overdraft == 0 {
		return v.stop(RefusedBalance, "nothing taken: balance %v, amount %v", init.Balance, o.amount), nil
	}
	after, err := init.Balance.Sub(o.amount)
	if err != nil {
		return nil, err
	}
	serial, mac1, err := v.t.SAM.InitPurchase(v.ctx, keys.PurchaseRequest{
		Random: init.Random, Counter: init.Counter, Amount: o.amount, Type: byte(kind), DateTime: v.at,
		Version: init.Version, Algorithm: init.Algorithm, Factors: v.public.Factors(v.t.Profile.Card.KeyLevels),
	})
	if errors.Is(err, keys.ErrUnknownKey) {
		return v.before(err), nil
	}
	if err != nil {
		return nil, fmt.Errorf("SAM: %w", err)
	}
	draft := v.draft(o, kind, init, after, serial, mac1)

	// The trip records go to the card's cache while the intent goes to disk; both are done before DEBIT is on the air. The disk
	// keeps this goroutine: it is the longer of the two on a fast card, and need not be waited for across threads.
	cached := make(chan error, 1)
	if o.records == nil {
		cached <- nil
	} else {
		go func() { cached <- v.cache(o, after) }()
	}
	tap, err := v.t.Journal.Begin(draft)
	cacheErr := <-cached // in any case: nothing may talk to the card after this visit
	if err != nil {
		return nil, fmt.Errorf("write the intent: %w", err)
	}
	result := func(out Outcome, format string, args ...any) *Result {
		r := v.stop(out, format, args...)
		r.Tap = ids.TapID{Terminal: v.t.ID, Epoch: v.t.Journal.Epoch(), Tap: tap}
		r.Amount = o.amount
		return r
	}
	if cacheErr != nil {
		if err := v.t.Journal.Drop(tap); err != nil {
			return nil, fmt.Errorf("drop the intent: %w", err)
		}
		return v.before(cacheErr), nil
	}

	// 6. DEBIT.
	reply, err := v.card.Debit(v.ctx, serial, v.at, mac1)
	if surelyNotDebited(err) {
		if err := v.t.Journal.Drop(tap); err != nil {
			return nil, fmt.Errorf("drop the intent: %w", err)
		}
		return v.before(err), nil
	}
	if err != nil {
		if err := v.t.Journal.MarkUnknown(tap); err != nil {
			return nil, fmt.Errorf("record the unknown outcome: %w", err)
		}
		return result(PresentAgain, "outcome unknown: %v", err), nil
	}
	if err := v.t.SAM.CheckMAC2(v.ctx, reply.MAC2); err != nil {
		if err := v.t.Journal.MarkUnknown(tap); err != nil {
			return nil, fmt.Errorf("record the unknown outcome: %w", err)
		}
		if errors.Is(err, keys.ErrBadMAC) {
			return result(RefusedFaulty, "the card's MAC2 does not verify"), nil
		}
		return nil, fmt.Errorf("SAM: %w", err)
	}
	final := draft
	final.State, final.Evidence = wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_REPLY
	final.Mac2, final.Tac = reply.MAC2[:], reply.TAC[:]
	balance, flags, fault := v.readBack(kind, init, o.amount, after, term)
	final.BalanceAfter, final.Flags = balance.Minor(), flags

	// 7. The record is on disk before the light.
	if err := v.t.Journal.Finish(tap, final); err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	var r *Result
	switch {
	case fault != "":
		r = result(RefusedFaulty, "debited, but %s", fault)
	case balance.Cmp(v.t.Profile.Limits.LowBalance) < 0:
		r = result(GrantedLow, "")
	default:
		r = result(Granted, "")
	}
	r.Balance = balance
	return r, nil
}

// surelyNotDebited reports an error of DEBIT after which the card has certainly not debited: the command was not sent, or
// the card said that it did nothing. A memory failure or a word that says nothing is not one of them.
func surelyNotDebited(err error) bool {
	var status *ep.StatusError
	return errors.Is(err, apdu.ErrNotSent) || errors.As(err, &status) && status.NothingDone()
}

// cache sends an order's trip records to the card's cache.
func (v *visit) cache(o order, after money.Amount) error {
	trip, history := o.records(after)
	if trip != nil {
		if err := v.card.CacheTripState(v.ctx, ep.IndustryMetro, trip.Bytes()); err != nil {
			return err
		}
	}
	return v.card.CacheTripHistory(v.ctx, history.Bytes())
}

// draft is the record as far as it is known before DEBIT: the intent.
func (v *visit) draft(o order, kind ep.Type, init ep.PurchaseInit, after money.Amount, serial uint32, mac1 [4]byte) *wire.Record {
	term := v.t.SAM.TerminalNumber()
	number, issuer := v.public.CardNumber, v.public.Issuer
	industry := uint32(ep.IndustryBus)
	if v.r.Mode == MetroEntry || v.r.Mode == MetroExit {
		industry = uint32(ep.IndustryMetro)
	}
	if v.r.Mode == Sale {
		industry = 0
	}
	return &wire.Record{
		Version: 1, Kind: o.kind, Family: "ep",
		CardNumber: number[:], Issuer: issuer[:], KeyLevels: uint32(v.t.Profile.Card.KeyLevels),
		KeyVersion: uint32(init.Version), Algorithm: uint32(init.Algorithm), TxnType: uint32(kind),
		OfflineCounter: uint32(init.Counter), Amount: o.amount.Minor(), BalanceBefore: init.Balance.Minor(), BalanceAfter: after.Minor(),
		PsamTerminal: term[:], PsamSerial: serial, PurseTime: append([]byte(nil), v.at[:]...), Mac1: mac1[:],
		Merchant: string(v.t.Merchant), Industry: industry, Line: append([]byte(nil), v.r.Line[:]...),
		Station: append([]byte(nil), v.r.Station[:]...), EntryStation: o.entry, FareRule: o.rule,
		ProfileVersion: v.t.Profile.Version, RequestId: v.r.RequestID,
		TerminalTimeMs: v.r.Now.UnixMilli(), ClockErrorMs: uint32(v.r.ClockErr.Milliseconds()), ClockState: v.r.Clock,
		MonotonicNs: v.r.Monotonic.Nanoseconds(), BootId: v.t.BootID,
	}
}

// readBack reads the card's new balance and newest log record and compares them with what the debit should have made: MAC2
// covers the amount alone, so a card that subtracts wrongly has a good one. A card that has left by now is fine, because its MAC2
// was good. It returns the balance, the record's flags, and what is wrong, empty for nothing.
func (v *visit) readBack(kind ep.Type, init ep.PurchaseInit, amount, want money.Amount, term ep.TerminalNumber) (money.Amount, uint32, string) {
	if v.t.Profile.Card.Readback == "none" {
		return want, 0, ""
	}
	got, err := v.card.Balance(v.ctx)
	if err != nil {
		return want, flagNoReadback, ""
	}
	if got != want {
		return got, flagBadReadback, fmt.Sprintf("the balance reads %v, not %v", got, want)
	}
	if v.t.Profile.Card.Readback == "balance" {
		return got, 0, ""
	}
	log, err := v.card.ReadLog(v.ctx, 1)
	if err != nil {
		return got, flagNoReadback, ""
	}
	if !isOurs(log, kind, init.Counter, amount, term, v.at) {
		return got, flagBadReadback, "the card's log does not show the debit"
	}
	return got, 0, ""
}

// isOurs reports whether a log record is that of the debit with that counter before the increment. Cards in the field log
// the counter before or after it (conflict C1), and one scheme may have both kinds.
func isOurs(l ep.LogRecord, kind ep.Type, before uint16, amount money.Amount, term ep.TerminalNumber, at ep.DateTime) bool {
	return (l.Counter == before || l.Counter == before+1) && l.Type == kind && l.Amount == amount && l.Terminal == term && l.At == at
}

// logged is how this scheme's cards log the counter of a debit, by the profile.
func (v *visit) logged(before uint16) uint16 {
	if v.t.Profile.Card.LogCounter == "after" {
		return before + 1
	}
	return before
}
