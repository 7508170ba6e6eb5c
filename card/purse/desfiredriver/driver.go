package desfiredriver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
)

// Family is the family's name in records.
const Family = "desfire"

// numberPrefix stands before the UID in card numbers. It is no decimal, so that no number of a purse with decimal ones is the same.
var numberPrefix = [3]byte{0xDE, 0x5F, 0x01}

// CardNumber is how this family's cards are named in journals, lists and accounts: the bytes DE5F01, then the UID.
func CardNumber(uid [7]byte) ids.CardNumber {
	return ids.CardNumber(slices.Concat(numberPrefix[:], uid[:]))
}

// SAMs are the SAMs of one terminal with the application key. Implementations are safe for concurrent use.
type SAMs interface {
	// Acquire gives one SAM for one authentication, waiting for one until ctx ends. Nobody else has it until release. Errors:
	// keys.ErrSAMBusy when none came free; else no SAM works.
	Acquire(ctx context.Context) (sam desfire.SAM, release func(), err error)
}

// Settings are a scheme's.
type Settings struct {
	Card     desfire.Settings // with records of 32 bytes
	Terminal [6]byte          // the number that stands in the records; no two terminals have one
	Location *time.Location   // of the times in attempts
	ReadBack bool             // read the value after a debit
}

// Driver implements purse.Driver. All that it keeps from visit to visit is the number of the last attempt.
type Driver struct {
	s       Settings
	sams    SAMs
	attempt uint16
}

var _ purse.Driver = (*Driver)(nil)

// New makes a driver. From rand it draws where its attempt numbers begin: with the time they tell the attempts of a terminal apart, and a
// terminal that starts twice in a second must not begin where it began.
func New(s Settings, sams SAMs, rand io.Reader) (*Driver, error) {
	if err := s.Card.Check(); err != nil {
		return nil, fmt.Errorf("DESFire settings: %w", err)
	}
	if s.Card.RecordSize != recordSize {
		return nil, fmt.Errorf("DESFire settings: record size %d: this driver writes records of %d", s.Card.RecordSize, recordSize)
	}
	if s.Location == nil {
		return nil, errors.New("DESFire settings: no time zone")
	}
	var start [2]byte
	if _, err := io.ReadFull(rand, start[:]); err != nil {
		return nil, fmt.Errorf("random number: %w", err)
	}
	return &Driver{s: s, sams: sams, attempt: binary.BigEndian.Uint16(start[:])}, nil
}

// Family implements purse.Driver.
func (d *Driver) Family() string { return Family }

// Open implements purse.Driver: SELECT, authentication, and the UID that the card signs.
func (d *Driver) Open(ctx context.Context, t apdu.Transmitter) (purse.Card, error) {
	v := &visit{d: d, t: t}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	v.uid = v.card.UID()
	return v, nil
}

// visit is an opened card.
type visit struct {
	d    *Driver
	t    apdu.Transmitter
	uid  [7]byte
	card *desfire.Card
	used bool // card has begun or recovered something: the next thing opens it anew

	attempt  desfire.Attempt
	evidence desfire.Evidence // of a good Commit
}

var _ purse.Card = (*visit)(nil)

// Format prints no card.
func (v *visit) Format(f fmt.State, _ rune) { io.WriteString(f, "[DESFire card]") }

// open selects and authenticates. The SAM is held for that alone: it hands the session out.
func (v *visit) open(ctx context.Context) error {
	sam, release, err := v.d.sams.Acquire(ctx)
	if err != nil {
		return samTold(err)
	}
	defer release()
	v.card, err = desfire.Open(ctx, v.t, v.d.s.Card, door{sam})
	if err != nil {
		return openTold(err)
	}
	v.used = false
	return nil
}

// fresh is the card as it must be for Begin and Recover: nothing in its transaction but what Read put there.
func (v *visit) fresh(ctx context.Context) error {
	if !v.used {
		return nil
	}
	if err := v.open(ctx); err != nil {
		return err
	}
	if v.card.UID() != v.uid {
		return fmt.Errorf("%w: it changed during the visit", purse.ErrOtherCard)
	}
	return nil
}

// Close implements purse.Card. A visit holds nothing between two calls.
func (v *visit) Close() {}
