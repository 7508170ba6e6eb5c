package desfire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// Begin prepares a debit of amount (0 to 2^31-1 minor units) in the card's transaction buffer: WriteRecord, then Debit. Any error
// means that nothing was debited and nothing will be: without CommitTransaction the buffer is lost with the field.
//
// The record must name terminal and attempt and never repeat: it is what tells two attempts with the same amounts apart, on the
// card and in the MAC.
func (c *Card) Begin(ctx context.Context, amount money.Amount, record []byte) (Attempt, error) {
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
		Before: r.Value, Amount: amount, TMC: r.TMC, Record: padded,
	}
	none, err := c.secure(ctx, c.s.writeRecord(), c.s.RecordMode, recordHeader(c.s.RecordFile, c.s.RecordSize), padded)
	if err != nil {
		return Attempt{}, err
	}
	more, err := c.secure(ctx, insDebit, c.s.ValueMode, []byte{c.s.ValueFile}, binary.LittleEndian.AppendUint32(nil, uint32(amount.Minor())))
	if err != nil {
		return Attempt{}, err
	}
	if len(none)+len(more) > 0 {
		return Attempt{}, fmt.Errorf("debit: %w: data where none belongs", ErrMalformed)
	}
	c.begun = &a
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
	return Evidence{Attempt: a, TMV: last.tmv}, nil
}

// Outcome is what became of an attempt.
type Outcome string

// Outcomes. Only the first two are final; after them an attempt is closed.
const (
	Unknown      Outcome = "unknown"
	Committed    Outcome = "committed"
	NotCommitted Outcome = "not committed"
)

// Recover asks a newly opened card what became of an attempt whose Commit ended in ErrUnknown. All that it decides by is under the
// session's MAC.
//
// It says Committed when the counter is the next one, the value is what the debit should have left, and the newest record is the
// attempt's; NotCommitted when counter and value are what they were before. Anything else is Unknown, without an error: other transactions
// may have followed, or the card contradicts itself. The evidence is of Committed, and for the host to recheck: with Unknown and a
// counter of TMC+1 it is filled too, and [Recheck] tells.
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
	case a.TMC == r.TMC && r.Value == a.Before:
		return NotCommitted, Evidence{}, nil
	case r.TMC != a.TMC+1:
		return Unknown, Evidence{}, nil
	}
	newest, err := c.newest(ctx)
	if err != nil {
		return Unknown, Evidence{}, err
	}
	e := Evidence{Attempt: a, TMV: r.TMV}
	after, err := a.Before.Sub(a.Amount)
	if err != nil || r.Value != after || !bytes.Equal(newest, a.Record) {
		return Unknown, e, nil
	}
	return Committed, e, nil
}
