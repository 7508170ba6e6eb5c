package ecdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// errNoDebit is for a caller that has begun none.
var errNoDebit = errors.New("ecdriver: no debit was begun")

// Stage implements purse.Card: all records but the last, and with them every check that can refuse the card while it is not debited (EC facts 10).
func (v *visit) Stage(ctx context.Context) error {
	if v.tap == nil {
		return errNoDebit
	}
	tap := v.tap
	if len(tap.Records) < len(tap.Places)-1 { // else Begin has read them, to write a transit record
		var err error
		if tap, err = v.records(ctx, tap); err != nil {
			return told(err)
		}
		v.tap = tap
	}
	// The deny list is the caller's: it has looked the card up by its token.
	switch decision, err := tap.Check(v.s.Authorities, false); {
	case err != nil:
		return declined(err)
	case decision != ec.Approve:
		return fmt.Errorf("%w: %v", purse.ErrDeclined, decision)
	}
	return nil
}

// records reads all records of a tap but the last.
func (v *visit) records(ctx context.Context, t *ec.Tap) (*ec.Tap, error) {
	var read []ec.Record
	for _, at := range t.Places[:len(t.Places)-1] {
		r, err := v.card.ReadRecord(ctx, at)
		if err != nil {
			return nil, err
		}
		read = append(read, r)
	}
	return tapOf(t.AID, t.Sent, t.GPO, read)
}

// Commit implements purse.Card by the last READ RECORD. A refusal of it is unknown as silence is: nobody signs it.
func (v *visit) Commit(ctx context.Context) error {
	if v.tap == nil {
		return errNoDebit
	}
	err := v.card.Commit(ctx, v.tap)
	if errors.Is(err, apdu.ErrNotSent) {
		return fmt.Errorf("%w: %w", purse.ErrNotDebited, err)
	}
	return err
}

// Evidence implements purse.Card by the card's signature. The card has debited by now: one whose signature is wrong has been debited for a refused
// ride, and the record says that.
func (v *visit) Evidence(ctx context.Context) (purse.Evidence, error) {
	if v.tap == nil || len(v.tap.Records) == 0 || len(v.tap.Records) != len(v.tap.Places) {
		return purse.Evidence{}, errNoDebit
	}
	e, err := v.evidence(v.tap, v.sealed, purse.Reply, v.after)
	if err != nil {
		return purse.Evidence{}, err
	}
	if err := v.tap.Authenticate(v.s.Authorities); err != nil {
		e.Mismatch = fmt.Sprintf("the card's signature does not verify: %v", err)
		return e, nil
	}
	if !v.s.ReadBack {
		return e, nil
	}
	now, err := v.balance(ctx)
	if err != nil {
		e.Unread = true
		return e, nil
	}
	if e.Balance = now; now != v.after {
		e.Mismatch = fmt.Sprintf("the balance reads %v, not %v", now, v.after)
	}
	return e, nil
}

// evidence is that of a tap whose debit took place.
func (v *visit) evidence(t *ec.Tap, sealed []byte, how purse.How, balance money.Amount) (e purse.Evidence, err error) {
	e = purse.Evidence{How: how, Kind: EvidenceKind, Balance: balance, Sealed: bytes.Clone(sealed)}
	e.Data, err = evidenceData(t, v.s.Device)
	return e, err
}
