package desfiredriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/purse"
)

// debitType is the transaction type in records: the command that debits.
const debitType = 0xDC

// Read implements purse.Card.
func (v *visit) Read(ctx context.Context, n purse.Need) (purse.Reading, error) {
	r, err := v.card.Read(ctx)
	if err != nil {
		return purse.Reading{}, told(err)
	}
	out := purse.Reading{Card: CardNumber(v.uid), Balance: r.Value}
	if n.Trip || n.Ride {
		newest, err := v.newest(ctx)
		if err != nil {
			return purse.Reading{}, err
		}
		out.Trip, out.Ride = newest.tripTold(v.d.s.Location, v.d.s.Terminal), newest.rideTold(v.d.s.Location)
	}
	return out, nil
}

// newest is the newest record. Nobody signs that a card has none, so such a card is not served: a forged answer must not make a rider's open
// trip vanish.
func (v *visit) newest(ctx context.Context) (record, error) {
	raw, err := v.card.Newest(ctx)
	if errors.Is(err, desfire.ErrBoundary) {
		return record{}, fmt.Errorf("%w: it was issued without its first record: %w", purse.ErrNoPurse, err)
	}
	if err != nil {
		return record{}, told(err)
	}
	r, err := parseRecord(raw)
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", purse.ErrNoPurse, err)
	}
	return r, nil
}

// Begin implements purse.Card. Of a card that was read with its trip nothing more is asked.
func (v *visit) Begin(ctx context.Context, o purse.Order) (purse.Attempt, error) {
	v.attempt, v.evidence = desfire.Attempt{}, desfire.Evidence{}
	if err := v.fresh(ctx); err != nil {
		return purse.Attempt{}, err
	}
	newest, err := v.newest(ctx)
	if err != nil {
		return purse.Attempt{}, err
	}
	v.d.attempt++
	next, err := newest.next(o, v.d.s.Terminal, v.d.attempt)
	if err != nil {
		return purse.Attempt{}, err
	}
	v.used = true
	if v.attempt, err = v.card.Prepare(ctx, o.Amount, next.bytes()); err != nil {
		return purse.Attempt{}, told(err)
	}
	a := v.attempt
	after, err := a.Before.Sub(a.Amount)
	if err != nil {
		return purse.Attempt{}, err
	}
	return purse.Attempt{
		Family: Family, Application: bytes.Clone(a.AID[:]), Card: CardNumber(a.UID), KeyVersion: a.TMVersion, Type: debitType, Counter: a.TMC,
		Amount: a.Amount, Before: a.Before, After: after, SAM: bytes.Clone(next.terminal[:]), Serial: uint32(next.attempt),
		Time: purseTime(o.At.In(v.d.s.Location)), State: a.Bytes(),
	}, nil
}

// Stage implements purse.Card: record and debit go to the card's transaction buffer.
func (v *visit) Stage(ctx context.Context) error {
	err := v.card.Stage(ctx)
	if errors.Is(err, desfire.ErrBoundary) {
		return fmt.Errorf("%w: %v, amount %v: %w", purse.ErrInsufficient, v.attempt.Before, v.attempt.Amount, err)
	}
	return told(err)
}

// Commit implements purse.Card. A refusal is unknown as silence is: nobody signs it.
func (v *visit) Commit(ctx context.Context) (err error) {
	v.evidence, err = v.card.Commit(ctx, v.attempt)
	if errors.Is(err, apdu.ErrNotSent) {
		return fmt.Errorf("%w: %w", purse.ErrNotDebited, err)
	}
	return err
}

// Evidence implements purse.Card. The session's MAC has covered the answer to Commit; the transaction MAC in it is the host's to check.
func (v *visit) Evidence(ctx context.Context) (purse.Evidence, error) {
	e, err := proof(purse.Reply, v.evidence)
	if err != nil || !v.d.s.ReadBack {
		return e, err
	}
	after := e.Balance
	now, err := v.card.ReadBack(ctx)
	if err != nil {
		e.Unread = true
		return e, nil
	}
	if e.Balance = now; now != after {
		e.Mismatch = fmt.Sprintf("the value reads %v, not %v", now, after)
	}
	return e, nil
}

// proof is the evidence of a debit whose transaction MAC is there.
func proof(how purse.How, e desfire.Evidence) (purse.Evidence, error) {
	if len(e.Record) == 0 {
		return purse.Evidence{}, errors.New("desfire: evidence of no debit")
	}
	after, err := e.Before.Sub(e.Amount)
	if err != nil {
		return purse.Evidence{}, err
	}
	return purse.Evidence{How: how, Kind: desfire.EvidenceKind, Data: e.Bytes(), Balance: after}, nil
}

// Recover implements purse.Card, by the counter, the value and the records.
func (v *visit) Recover(ctx context.Context, p purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	if p.Family != Family {
		return 0, purse.Evidence{}, fmt.Errorf("%w: an attempt of family %q", purse.ErrOtherCard, p.Family)
	}
	a, err := desfire.ParseAttempt(p.State)
	if err != nil {
		return 0, purse.Evidence{}, err
	}
	if a.UID != v.uid || a.AID != v.d.s.Card.AID || !bytes.Equal(p.Application, a.AID[:]) {
		return 0, purse.Evidence{}, purse.ErrOtherCard
	}
	if err := v.fresh(ctx); err != nil {
		return 0, purse.Evidence{}, err
	}
	v.used = true
	outcome, e, err := v.card.Recover(ctx, a)
	if err != nil {
		return 0, purse.Evidence{}, told(err)
	}
	switch outcome {
	case desfire.NotCommitted:
		return purse.Voided, purse.Evidence{}, nil
	case desfire.Logged:
		return purse.Completed, purse.Evidence{How: purse.CardLog, Balance: p.After, Unread: true}, nil
	case desfire.Committed:
		out, err := proof(purse.Prove, e)
		return purse.Completed, out, err
	case desfire.Contradicted:
		out, err := proof(purse.Prove, e)
		out.Mismatch = "the value is not what the debit should have left"
		return purse.Completed, out, err
	}
	if len(e.Record) > 0 { // the host can tell by the transaction MAC whose it is
		out, err := proof(0, e)
		return purse.Aged, out, err
	}
	return purse.Aged, purse.Evidence{}, nil
}
