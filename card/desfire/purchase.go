package desfire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// Prepare makes the attempt of a debit of amount (0 to 2^31-1 minor units). It sends nothing beyond Read, so the attempt can go to disk
// while Stage runs.
//
// The record must name terminal and attempt and never repeat: it is what tells two attempts with the same amounts apart, on the
// card and in the MAC.
func (c *Card) Prepare(ctx context.Context, amount money.Amount, record []byte) (Attempt, error) {
	if c.spent {
		return Attempt{}, errSpent
	}
	if amount.Sign() < 0 || amount.Minor() > math.MaxInt32 {
		return Attempt{}, fmt.Errorf("desfire: debit of %v: out of range", amount)
	}
	padded, err := c.padded(record)
	if err != nil {
		return Attempt{}, err
	}
	r, err := c.Read(ctx)
	if err != nil {
		return Attempt{}, err
	}
	if r.TMC == math.MaxUint32 {
		return Attempt{}, fmt.Errorf("%w at its end", ErrCounter)
	}
	c.spent = true
	a := Attempt{
		AID: c.s.AID, UID: c.uid, TMVersion: c.s.TMVersion,
		ValueFile: c.s.ValueFile, RecordFile: c.s.RecordFile, WriteRecord: c.s.writeRecord(),
		Before: r.Value, Amount: amount, TMC: r.TMC, Record: padded, Seen: slices.Clone(c.seen),
	}
	c.prepared = &a
	return a, nil
}

// Stage sends the prepared debit to the card's transaction buffer: WriteRecord, then Debit. Any error means that nothing was debited and
// nothing will be: without CommitTransaction the buffer is lost with the field.
func (c *Card) Stage(ctx context.Context) error {
	if c.prepared == nil {
		return fmt.Errorf("%w: nothing is prepared", ErrOrder)
	}
	a := *c.prepared
	c.prepared = nil
	none, err := c.secure(ctx, c.s.writeRecord(), c.s.RecordMode, recordHeader(c.s.RecordFile, c.s.RecordSize), a.Record)
	if err != nil {
		return err
	}
	more, err := c.secure(ctx, insDebit, c.s.ValueMode, []byte{c.s.ValueFile}, binary.LittleEndian.AppendUint32(nil, uint32(a.Amount.Minor())))
	if err != nil {
		return err
	}
	if len(none)+len(more) > 0 {
		return fmt.Errorf("debit: %w: data where none belongs", ErrMalformed)
	}
	c.begun = &a
	return nil
}

// Begin is Prepare and Stage in one.
func (c *Card) Begin(ctx context.Context, amount money.Amount, record []byte) (Attempt, error) {
	a, err := c.Prepare(ctx, amount, record)
	if err != nil {
		return Attempt{}, err
	}
	if err := c.Stage(ctx); err != nil {
		return Attempt{}, err
	}
	return a, nil
}

// Commit makes the prepared debit true. The attempt must be on disk before. The error tells what is known:
//   - apdu.ErrNotSent (ErrOrder among them): not committed, for certain;
//   - ErrUnknown: everything else. A refusal counts as unknown too: no MAC covers a status, so anything on the air can say it.
func (c *Card) Commit(ctx context.Context, a Attempt) (Evidence, error) {
	if c.begun == nil || !bytes.Equal(c.begun.Bytes(), a.Bytes()) {
		return Evidence{}, fmt.Errorf("%w: %w: commit of an attempt that was not begun here", apdu.ErrNotSent, ErrOrder)
	}
	c.begun = nil
	raw, err := c.secure(ctx, insCommit, MAC, []byte{0x01}, nil) // option 01: answer with TMC and TMV
	switch {
	case errors.Is(err, apdu.ErrNotSent):
		return Evidence{}, err
	case err != nil:
		return Evidence{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	last, err := parseLast(raw)
	if err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if last.tmc != a.TMC+1 {
		return Evidence{}, fmt.Errorf("%w: %w: %d after %d", ErrUnknown, ErrCounter, last.tmc, a.TMC)
	}
	c.done = &a
	return Evidence{Attempt: a, TMV: last.tmv}, nil
}

// ReadBack reads the value after a good Commit, in the same session: the transaction MAC says what the card was told, not what it did.
func (c *Card) ReadBack(ctx context.Context) (money.Amount, error) {
	if c.done == nil {
		return money.Amount{}, fmt.Errorf("%w: nothing was committed here", ErrOrder)
	}
	c.done = nil
	return c.value(ctx)
}

// Outcome is what became of an attempt.
type Outcome string

// Outcomes. All but Unknown are final; after them an attempt is closed.
const (
	Unknown      Outcome = "unknown"
	Committed    Outcome = "committed"
	NotCommitted Outcome = "not committed"
	// Contradicted: the record is there, under the next counter, and the value is not what the debit should have left.
	Contradicted Outcome = "committed, and the value is wrong"
	// Logged: the record is there, and other transactions have followed: its transaction MAC is gone.
	Logged Outcome = "committed, by the card's records alone"
)

// maxLook is how many records back Recover looks.
const maxLook = 10

// Recover asks a newly opened card what became of an attempt whose Commit ended in ErrUnknown. All that it decides by is under the
// session's MAC.
//
// It looks for the attempt's record, which no other attempt has, among as many records as there were transactions since: a transaction
// writes one at most. It says Committed, Contradicted or Logged when it is there; NotCommitted when counter and value are what
// they were before, or none of those records is the attempt's; else Unknown, without an error: too many transactions have followed, or
// the card contradicts itself. The evidence is of Committed and Contradicted, and for the host to recheck: with Unknown and a counter of
// TMC+1 it is filled too, and [Recheck] tells.
//
// An error (with Unknown) says that the card could not be asked.
func (c *Card) Recover(ctx context.Context, a Attempt) (Outcome, Evidence, error) {
	if c.spent {
		return Unknown, Evidence{}, errSpent
	}
	if !c.matches(a) || len(a.Record) != c.s.RecordSize {
		return Unknown, Evidence{}, ErrOtherCard
	}
	r, err := c.Read(ctx)
	c.spent = true
	if errors.Is(err, ErrPermission) && c.last != nil && c.last.tmc == a.TMC+1 {
		// The commit was the last that the card's counter limit allows, and the value can be read no more (MF2DLHX0 10.3.2.2).
		return Unknown, Evidence{Attempt: a, TMV: c.last.tmv}, nil
	}
	if err != nil {
		return Unknown, Evidence{}, err
	}
	switch {
	case r.TMC == a.TMC && r.Value == a.Before:
		return NotCommitted, Evidence{}, nil
	case r.TMC <= a.TMC:
		return Unknown, Evidence{}, nil
	}
	since := r.TMC - a.TMC
	for n := range min(since, maxLook) {
		record, err := c.record(ctx, byte(n))
		if errors.Is(err, ErrBoundary) {
			return Unknown, Evidence{}, nil // fewer records than transactions
		}
		if err != nil {
			return Unknown, Evidence{}, err
		}
		if bytes.Equal(record, a.Record) {
			return c.found(a, r)
		}
	}
	if since > maxLook {
		return Unknown, Evidence{}, nil
	}
	return NotCommitted, Evidence{}, nil
}

// found tells of an attempt whose record is on the card.
func (c *Card) found(a Attempt, r Reading) (Outcome, Evidence, error) {
	if r.TMC != a.TMC+1 {
		return Logged, Evidence{}, nil
	}
	e := Evidence{Attempt: a, TMV: r.TMV}
	if after, err := a.Before.Sub(a.Amount); err != nil || r.Value != after {
		return Contradicted, e, nil
	}
	return Committed, e, nil
}
