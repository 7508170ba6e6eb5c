package intake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// desfireDebit is what is a DESFire value file's own in a record.
type desfireDebit struct {
	card ids.CardNumber
	sam  [6]byte
	kind string
	data []byte // empty: none came
}

// readDESFire is the reader of DESFire cards, whose proof is the transaction MAC.
func readDESFire(r *wire.Record, d *debit) (evidence, error) {
	e := desfireDebit{kind: r.GetEvidenceKind(), data: r.GetEvidenceData()}
	if err := (fields{
		{"card_number", take(e.card[:], r.GetCardNumber())},
		{"offline_counter", r.GetOfflineCounter() < math.MaxUint32}, // the counter after the debit has four bytes too
		{"amount", r.GetAmount() <= math.MaxInt32},
		{"balance_before", fitsValue(r.GetBalanceBefore())},
		{"balance_after", fitsValue(r.GetBalanceAfter())},
		{"psam_terminal", take(e.sam[:], r.GetPsamTerminal())},
	}).check(); err != nil {
		return nil, err
	}
	d.sam = &e.sam
	return e, nil
}

func fitsValue(n int64) bool { return n >= math.MinInt32 && n <= math.MaxInt32 }

func (e desfireDebit) whose(doors) (name, error) { return name{number: &e.card}, nil }

// verify asks the HSM for the transaction MAC anew. A tap that was given up may come with a MAC that its terminal could not tell
// whose it is: here it is told. One that is another transaction's says nothing of the tap.
func (e desfireDebit) verify(ctx context.Context, k doors, d *debit) (verdict, error) {
	switch {
	case !d.wantsProof && (d.said != shadowaccount.SaidAged || len(e.data) == 0):
		return verdict{}, nil
	case len(e.data) == 0:
		return bad(reasonNoProof), nil
	}
	v, err := e.recheck(ctx, k.desfire, d)
	if !d.wantsProof && v.proof != shadowaccount.ProofGood {
		return verdict{}, err
	}
	return v, err
}

func (e desfireDebit) recheck(ctx context.Context, hsm desfire.HSM, d *debit) (verdict, error) {
	if e.kind != desfire.EvidenceKind {
		return bad(reasonNoProof), nil
	}
	p, err := desfire.ParseEvidence(e.data)
	if err != nil {
		return bad(reasonFaulty), nil
	}
	after, err := p.Before.Sub(p.Amount)
	by, written := desfiredriver.WrittenBy(p.Record)
	switch {
	case err != nil || !written:
		return bad(reasonFaulty), nil
	case desfiredriver.CardNumber(p.UID) != e.card:
		return bad(reasonCard), nil
	case p.TMC != d.counter:
		return bad(reasonCounter), nil
	case p.Amount != d.amount:
		return bad(reasonAmount), nil
	case p.Before != d.before || after != d.after && !d.unlike:
		return bad(reasonBalance), nil
	case by != e.sam:
		return bad(reasonTerminal), nil
	}
	switch err := desfire.Recheck(ctx, hsm, p); {
	case errors.Is(err, keys.ErrUnknownKey):
		return noKey, nil
	case errors.Is(err, keys.ErrBadMAC):
		return bad(reasonBadTMV), nil
	case err != nil:
		return verdict{}, fmt.Errorf("transaction MAC: %w", err)
	}
	return verdict{proof: shadowaccount.ProofGood, debit: string(binary.BigEndian.AppendUint32(p.TMI(), p.TMC))}, nil
}
