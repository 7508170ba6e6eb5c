package ecdriver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Cards of before PBOC 3.0 are said to debit at GET PROCESSING OPTIONS (EC facts 1 and 20.1). Where a scheme has such cards, each card is asked for
// number, counter and balance before, and for its balance after: a card whose balance has not moved has not debited, and goes the usual way; any other
// may have, and its attempt is unknown at once.

// toldBefore is what a card has told before it is asked for a debit.
type toldBefore struct {
	pan     ec.PAN
	psn     byte
	atc     uint16
	balance money.Amount
}

// errNoNumber is of a card that could not be asked what became of a debit whose answer is lost.
var errNoNumber = errors.New("the card does not tell its number before it is asked for a debit")

// probed is where cards are looked through for their number: records from the first on, of the files that are for them.
const (
	probedFiles   = 3
	probedRecords = 4
)

// learn asks a card that was just selected.
func (v *visit) learn(ctx context.Context) (b toldBefore, err error) {
	if b.pan, b.psn, err = v.number(ctx); err != nil {
		return b, err
	}
	raw, err := v.card.GetData(ctx, ec.TagATC)
	if err != nil {
		return b, err
	}
	if len(raw) != 2 {
		return b, fmt.Errorf("GET DATA: %w: counter of %d bytes", ec.ErrMalformed, len(raw))
	}
	b.atc = binary.BigEndian.Uint16(raw)
	b.balance, err = v.balance(ctx)
	return b, err
}

// number looks for the record with the card's number, first where the last card of the application had it.
func (v *visit) number(ctx context.Context) (ec.PAN, byte, error) {
	aid := string(v.card.FCI.AID)
	var places []ec.Place
	if at, known := v.d.numberAt[aid]; known {
		places = append(places, at)
	}
	for sfi := byte(1); sfi <= probedFiles; sfi++ {
		for n := byte(1); n <= probedRecords; n++ {
			places = append(places, ec.Place{SFI: sfi, Number: n})
		}
	}
	ended := map[byte]bool{}
	for _, at := range places {
		if ended[at.SFI] {
			continue
		}
		r, err := v.card.ReadRecord(ctx, at)
		var refused *ec.StatusError
		if errors.As(err, &refused) {
			ended[at.SFI] = true
			continue
		}
		if err != nil {
			return ec.PAN{}, 0, err
		}
		if pan := numberIn(r); pan != nil {
			v.d.numberAt[aid] = at
			return *pan, sequenceIn(r), nil
		}
	}
	return ec.PAN{}, 0, errNoNumber
}

// sequenceIn is the sequence number of a record that has one.
func sequenceIn(r ec.Record) byte {
	o := ec.Objects{}
	if o.Add(r.Raw) == nil && len(o[ec.TagPSN]) == 1 {
		return o[ec.TagPSN][0]
	}
	return 0
}

// mayHave reports an error of GET PROCESSING OPTIONS after which an early card may have debited: a status word is a refusal, everything else is none.
func mayHave(err error) bool {
	return errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, ec.ErrMalformed)
}

// unanswered is the attempt of a card whose answer is lost, or of no use: all that is known of it is from before.
func (v *visit) unanswered(b toldBefore, o purse.Order, sent map[tlv.Tag][]byte, cause error) (purse.Attempt, error) {
	balance, err := ec.Amount12(b.balance)
	if err != nil {
		return purse.Attempt{}, err
	}
	after, err := b.balance.Sub(o.Amount)
	if err != nil {
		return purse.Attempt{}, err
	}
	state, err := kept{aid: v.card.FCI.AID, sent: sent, answer: []tlv.Object{
		{Tag: ec.TagATC, Value: binary.BigEndian.AppendUint16(nil, b.atc)}, {Tag: ec.TagBalance, Value: balance[:]},
	}}.bytes()
	if err != nil {
		return purse.Attempt{}, err
	}
	token := Token(v.s.TokenKey, b.pan, b.psn)
	sealed, err := Seal(v.s.SealTo, token, b.pan, b.psn)
	if err != nil {
		return purse.Attempt{}, err
	}
	return purse.Attempt{
		Family: Family, Application: bytes.Clone(v.card.FCI.AID), Card: token, Type: purchase, Counter: uint32(b.atc) + 1,
		Amount: o.Amount, Before: b.balance, After: after, Time: purseTime(o, v.s), State: state, Sealed: sealed,
	}, fmt.Errorf("%w: %w", purse.ErrMaybeDebited, cause)
}

// stillThere returns nil if a card that has approved still has the balance of before.
func (v *visit) stillThere(ctx context.Context, b toldBefore) error {
	now, err := v.balance(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", purse.ErrMaybeDebited, err)
	}
	if now != b.balance {
		return fmt.Errorf("%w: balance %v before it was asked, %v now", purse.ErrMaybeDebited, b.balance, now)
	}
	return nil
}

// recoverUnanswered judges an attempt whose answer is lost. Without a cryptogram nobody could be paid for it, and a debit of another terminal's may look
// just the same: so it is either certain that nothing was debited, or left to the backend.
func (v *visit) recoverUnanswered(ctx context.Context, k kept, token ids.CardNumber) (purse.Verdict, purse.Evidence, error) {
	none := purse.Evidence{}
	was, err := ec.ParseAmount(k.find(ec.TagBalance))
	raw := k.find(ec.TagATC)
	if err != nil || len(raw) != 2 {
		return 0, none, fmt.Errorf("kept tap: %w", ec.ErrMalformed)
	}
	now, err := v.learn(ctx)
	switch {
	case errors.Is(err, errNoNumber):
		return 0, none, fmt.Errorf("%w: %w", purse.ErrOtherCard, err)
	case err != nil:
		return 0, none, err
	case Token(v.s.TokenKey, now.pan, now.psn) != token:
		return 0, none, fmt.Errorf("%w: another card number", purse.ErrOtherCard)
	}
	sealed, err := Seal(v.s.SealTo, token, now.pan, now.psn)
	if err != nil {
		return 0, none, err
	}
	switch moved := int(now.atc) - int(binary.BigEndian.Uint16(raw)); {
	case moved < 0:
		return 0, none, fmt.Errorf("%w: counter %04X, before the debit %X", ec.ErrMalformed, now.atc, raw)
	case moved <= 1 && now.balance == was:
		return purse.Voided, purse.Evidence{Sealed: sealed}, nil
	case moved == 0:
		return 0, none, ErrNotTold
	}
	return purse.Aged, purse.Evidence{Sealed: sealed}, nil
}
