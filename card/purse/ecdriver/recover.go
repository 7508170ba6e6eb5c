package ecdriver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
)

// ErrNotTold: the card's balance fits neither a debit nor none, while its counter says that it has done nothing since.
var ErrNotTold = errors.New("the card's balance fits neither before nor after the debit")

// Recover implements purse.Card (EC facts 10). The card gives the records again that an attempt does not keep, and with them its number, of which the
// attempt has the token. Then its own copy of the last record proves the debit, or counter and balance tell.
func (v *visit) Recover(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	none := purse.Evidence{}
	if a.Family != Family {
		return 0, none, fmt.Errorf("%w: an attempt of family %q", purse.ErrOtherCard, a.Family)
	}
	k, err := parseKept(a.State)
	if err != nil {
		return 0, none, err
	}
	if !bytes.Equal(k.aid, v.card.FCI.AID) || !bytes.Equal(k.aid, a.Application) {
		return 0, none, fmt.Errorf("%w: another application", purse.ErrOtherCard)
	}
	if err := v.fresh(ctx); err != nil {
		return 0, none, err
	}
	v.transit = nil // what is read now comes between it and the next debit
	if k.find(ec.TagAC) == nil {
		return v.recoverUnanswered(ctx, k, a.Card)
	}
	tap, err := v.again(ctx, k, a)
	if err != nil {
		return 0, none, err
	}
	// To the backend's key of today: that of then may have been replaced since.
	sealed, err := Seal(v.s.SealTo, a.Card, tap.Track2.PAN, tap.PSN)
	if err != nil {
		return 0, none, err
	}
	told, err := v.card.Recover(ctx, tap, v.s.Authorities)
	switch {
	case err != nil:
		return 0, none, err
	case told == ec.OtherCard:
		return 0, none, purse.ErrOtherCard
	case told == ec.Proven:
		e, err := v.evidence(tap, sealed, purse.Prove, a.After)
		return purse.Completed, e, err
	case told == ec.Unproven:
		e, err := v.evidence(tap, sealed, purse.CardLog, a.After)
		return purse.Completed, e, err
	}
	if told == ec.NotDebited {
		return purse.Voided, purse.Evidence{Sealed: sealed}, nil
	}
	if err := v.forgotten(ctx, tap); err != nil {
		return 0, none, err
	}
	return purse.Aged, purse.Evidence{Sealed: sealed}, nil
}

// forgotten returns nil if the card cannot tell any more, now or ever: it has been used since, or what it could be judged by is the same before and
// after the debit. A card that has done nothing since and whose balance fits neither is asked again: the line may have lied, and a
// verdict is final.
func (v *visit) forgotten(ctx context.Context, t *ec.Tap) error {
	raw, err := v.card.GetData(ctx, ec.TagATC)
	if err != nil {
		return err
	}
	if len(raw) != 2 || binary.BigEndian.Uint16(raw) < t.ATC {
		return fmt.Errorf("%w: counter %X, at the debit %04X", ec.ErrMalformed, raw, t.ATC)
	}
	if _, known := t.IAD.Balance(); binary.BigEndian.Uint16(raw) == t.ATC && known && !isZero(t) {
		return ErrNotTold
	}
	return nil
}

func isZero(t *ec.Tap) bool {
	amount, err := t.Amount()
	return err == nil && amount.IsZero()
}

// again is the tap of an attempt with the records that this card gives. A card that has not those records, or another number in them, is another
// card.
func (v *visit) again(ctx context.Context, k kept, a purse.Attempt) (*ec.Tap, error) {
	afl, err := ec.ParseAFL(k.find(ec.TagAFL))
	if err != nil {
		return nil, fmt.Errorf("kept tap: %w", err)
	}
	var psn byte
	if raw := k.find(ec.TagPSN); len(raw) == 1 {
		psn = raw[0]
	}
	places := afl.Places()
	var records []ec.Record
	var pan *ec.PAN
	for _, at := range places {
		r, err := v.record(ctx, at)
		var refused *ec.StatusError
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%w: %w", purse.ErrOtherCard, err)
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
		if pan == nil {
			if pan = numberIn(r); pan != nil && Token(v.s.TokenKey, *pan, psn) != a.Card {
				return nil, fmt.Errorf("%w: another card number", purse.ErrOtherCard)
			}
		}
		if pan != nil && len(records) >= len(places)-1 {
			break // the last record is asked for by itself, unless the number is in it
		}
	}
	if pan == nil {
		return nil, fmt.Errorf("%w: no record holds a card number", purse.ErrOtherCard)
	}
	return k.restore(*pan, records[:len(places)-1])
}

// record reads a record once a visit: a card may be asked about several attempts.
func (v *visit) record(ctx context.Context, at ec.Place) (ec.Record, error) {
	if r, ok := v.seen[at]; ok {
		return r, nil
	}
	r, err := v.card.ReadRecord(ctx, at)
	if err == nil {
		v.seen[at] = r
	}
	return r, err
}

// numberIn is the card number of a record that has one.
func numberIn(r ec.Record) *ec.PAN {
	o := ec.Objects{}
	if o.Add(r.Raw) != nil {
		return nil
	}
	raw, ok := o[ec.TagPAN]
	if !ok {
		return nil
	}
	pan, err := ec.ParsePAN(raw)
	if err != nil {
		return nil
	}
	return &pan
}
