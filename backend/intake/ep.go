package intake

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// epDebit is what is an EP purse's own in a record.
type epDebit struct {
	card      ids.CardNumber
	issuer    ep.Factor
	levels    int
	version   byte
	algorithm byte
	kind      ep.Type
	counter   uint16
	amount    money.Amount
	sam       ep.TerminalNumber
	serial    uint32
	at        ep.DateTime
	tac       *ep.MAC // nil: none came
}

// readEP is the reader of EP purses, whose proof is the TAC.
func readEP(r *wire.Record, d *debit) (evidence, error) {
	e := epDebit{
		levels: int(r.GetKeyLevels()), version: byte(r.GetKeyVersion()), algorithm: byte(r.GetAlgorithm()), kind: ep.Type(r.GetTxnType()),
		counter: uint16(r.GetOfflineCounter()), amount: d.amount, serial: r.GetPsamSerial(),
	}
	if err := (fields{
		{"card_number", take(e.card[:], r.GetCardNumber())},
		{"issuer", take(e.issuer[:], r.GetIssuer())},
		{"key_levels", e.levels == 1 || e.levels == 2},
		{"key_version", r.GetKeyVersion() <= 0xFF},
		{"algorithm", r.GetAlgorithm() <= 0xFF},
		{"txn_type", e.kind == ep.TypePurchase || e.kind == ep.TypeComposite},
		{"offline_counter", r.GetOfflineCounter() <= 0xFFFF},
		{"amount", fits4(r.GetAmount())},
		{"balance_before", fits4(r.GetBalanceBefore())},
		{"balance_after", r.GetBalanceAfter() <= math.MaxUint32 && r.GetBalanceAfter() >= -math.MaxUint32},
		{"psam_terminal", take(e.sam[:], r.GetPsamTerminal())},
		{"purse_time", take(e.at[:], r.GetPurseTime())},
	}).check(); err != nil {
		return nil, err
	}
	if raw := r.GetTac(); d.wantsProof && len(raw) == len(ep.MAC{}) {
		e.tac = (*ep.MAC)(raw)
	}
	d.sam, d.issuer, d.levels = (*[6]byte)(&e.sam), e.issuer, e.levels
	return e, nil
}

func fits4(n int64) bool { return n >= 0 && n <= math.MaxUint32 }

func (e epDebit) whose(doors) (name, error) { return name{number: &e.card}, nil }

// input is what the card's TAC was made over (purse facts 6.5).
func (e epDebit) input() []byte { return ep.PurchaseTAC(e.amount, e.kind, e.sam, e.serial, e.at) }

func (e epDebit) verify(ctx context.Context, k doors, d *debit) (verdict, error) {
	job, stands, ok := e.asks(d)
	if !ok {
		return stands, nil
	}
	return e.judge(keys.VerifyTAC(ctx, k.ep, job))
}

// asks is what the keys are asked. False: nothing, and the verdict stands.
func (e epDebit) asks(d *debit) (job keys.TACJob, stands verdict, ok bool) {
	switch {
	case !d.wantsProof:
		return job, verdict{}, false
	case e.tac == nil:
		return job, bad(reasonNoTAC), false
	}
	job.Card = keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: e.version, Algorithm: e.algorithm},
		Factors: ep.Public{Issuer: e.issuer, CardNumber: e.card}.Factors(e.levels)}
	job.Message, job.TAC = e.input(), *e.tac
	return job, verdict{}, true
}

// judge reads the keys' answer.
func (e epDebit) judge(answer error) (verdict, error) {
	switch {
	case errors.Is(answer, keys.ErrUnknownKey):
		return noKey, nil
	case errors.Is(answer, keys.ErrBadMAC):
		return bad(reasonBadTAC), nil
	case answer != nil:
		return verdict{}, fmt.Errorf("TAC: %w", answer)
	}
	return verdict{proof: shadowaccount.ProofGood, debit: string(e.input())}, nil
}

// EPDebit is what a stored record says of a debit of an EP purse, and what the keys say of its TAC now.
type EPDebit struct {
	Card    ids.CardNumber
	Counter uint16 // before the debit
	Amount  money.Amount
	Type    ep.Type
	SAM     ep.TerminalNumber
	At      ep.DateTime
	TAC     *ep.MAC // nil: it came without one
	Good    bool    // TAC is what the card makes over the rest
	NoKey   bool    // nobody can say: the keys are not of its version and algorithm
	Reason  string  // why it is not good
}

// Recheck reads the bytes of a stored record of an EP purse, and makes its TAC anew. Errors are the keys' own, or
// [ErrUnreadable]: the bytes are no such record.
func Recheck(ctx context.Context, hsm keys.HSM, body []byte, terminal ids.TerminalID, epoch, seq uint64) (EPDebit, error) {
	d, err := read(map[string]reader{"ep": readEP}, body, terminal, epoch, seq)
	if err != nil {
		return EPDebit{}, err
	}
	e := d.evidence.(epDebit)
	out := EPDebit{Card: e.card, Counter: e.counter, Amount: e.amount, Type: e.kind, SAM: e.sam, At: e.at, TAC: e.tac, Reason: reasonNoTAC}
	if e.tac == nil {
		return out, nil
	}
	v, err := e.verify(ctx, doors{ep: hsm}, &d)
	out.Good, out.NoKey, out.Reason = v.proof == shadowaccount.ProofGood, v.noKey, v.reason
	return out, err
}
