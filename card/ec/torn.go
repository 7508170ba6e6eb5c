package ec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/purselane/purselane/card/tlv"
)

// Tags of a kept tap: the package's own.
const (
	tagKeptSent   tlv.Tag = 0xE1
	tagKeptRecord tlv.Tag = 0xE2
	tagKeptGPO    tlv.Tag = 0xDF01
	tagKeptPlace  tlv.Tag = 0xDF02
	tagKeptRaw    tlv.Tag = 0xDF03
	tagKeptAID    tlv.Tag = 0xDF04
)

// Bytes codes the tap for durable storage, card number and all: what [ParseTap] reads. Write it before Commit.
func (t *Tap) Bytes() ([]byte, error) {
	var sent []tlv.Object
	for _, tag := range slices.Sorted(maps.Keys(t.Sent)) {
		sent = append(sent, tlv.Object{Tag: tag, Value: t.Sent[tag]})
	}
	out := []tlv.Object{{Tag: tagKeptAID, Value: t.AID}, {Tag: tagKeptSent, Children: sent}, {Tag: tagKeptGPO, Value: t.GPO}}
	for _, r := range t.Records {
		out = append(out, tlv.Object{Tag: tagKeptRecord, Children: []tlv.Object{
			{Tag: tagKeptPlace, Value: []byte{r.SFI, r.Number}}, {Tag: tagKeptRaw, Value: r.Raw},
		}})
	}
	return tlv.Encode(out)
}

// ParseTap reads what Bytes coded.
func ParseTap(raw []byte) (*Tap, error) {
	list, err := tlv.Decode(raw)
	if err != nil || len(list) < 3 || list[0].Tag != tagKeptAID || list[1].Tag != tagKeptSent || list[2].Tag != tagKeptGPO {
		return nil, fmt.Errorf("kept tap: %w", ErrMalformed)
	}
	sent := map[tlv.Tag][]byte{}
	for _, o := range list[1].Children {
		if o.Tag.Constructed() {
			return nil, fmt.Errorf("kept tap: %w: a template among the terminal's values", ErrMalformed)
		}
		sent[o.Tag] = o.Value
	}
	t, err := newTap(list[0].Value, sent, list[2].Value)
	if err != nil {
		return nil, fmt.Errorf("kept tap: %w", err)
	}
	for _, o := range list[3:] {
		place, _ := tlv.Find(o.Children, tagKeptPlace)
		record, holds := tlv.Find(o.Children, tagKeptRaw)
		n := len(t.Records)
		if o.Tag != tagKeptRecord || !holds || len(record) == 0 || n >= len(t.Places) || !bytes.Equal(place, []byte{t.Places[n].SFI, t.Places[n].Number}) {
			return nil, fmt.Errorf("kept tap: %w: record out of order", ErrMalformed)
		}
		if err := t.add(Record{Place: t.Places[n], Raw: record}); err != nil {
			return nil, fmt.Errorf("kept tap: %w", err)
		}
	}
	return t, nil
}

// Recovery is what a re-tap says of a torn tap.
type Recovery int

// Recoveries.
const (
	// StillUnknown: neither proven nor excluded. The tap stays uncertain; it is never a sale.
	StillUnknown Recovery = iota
	// OtherCard: not the card of the torn tap.
	OtherCard
	// Proven: the card signed the commit of this very tap. The old tap is completed; begin no new one.
	Proven
	// Unproven: the balance says debited, and no signature does. Complete the tap and flag it.
	Unproven
	// NotDebited: ATC and balance are those before the debit. Drop the torn tap; a new one may begin.
	NotDebited
)

// String prints the recovery.
func (r Recovery) String() string {
	switch r {
	case StillUnknown:
		return "still unknown"
	case OtherCard:
		return "other card"
	case Proven:
		return "proven"
	case Unproven:
		return "unproven"
	case NotDebited:
		return "not debited"
	}
	return fmt.Sprintf("recovery %d", int(r))
}

// Recover asks a card that was just selected, before any GET PROCESSING OPTIONS, what became of a torn tap (EC facts 10). Proven completes t: it then holds the last record. With an
// error the answer is StillUnknown, and the card may be asked again.
func (c *Card) Recover(ctx context.Context, t *Tap, a *Authorities) (Recovery, error) {
	if t.Decision != TC || len(t.Places) == 0 {
		return StillUnknown, fmt.Errorf("ec: %v could not debit", t)
	}
	if !bytes.Equal(c.FCI.AID, t.AID) {
		return OtherCard, nil
	}
	// A copy, so that a card which proves nothing leaves the torn tap as it was.
	done := *t
	done.Objects, done.Records = maps.Clone(t.Objects), slices.Clone(t.Records)
	var refused *StatusError
	for len(done.Records) < len(done.Places)-1 { // torn before the last record: a card that debits earlier
		r, err := c.ReadRecord(ctx, done.Places[len(done.Records)])
		if err == nil {
			err = done.add(r)
		}
		switch {
		case errors.Is(err, ErrOtherPAN):
			return OtherCard, nil
		case errors.As(err, &refused), errors.Is(err, ErrMalformed):
			return StillUnknown, nil
		case err != nil:
			return StillUnknown, err
		}
	}
	known := false
	for _, r := range done.Records {
		o := Objects{}
		if err := o.Add(r.Raw); err != nil {
			return StillUnknown, err
		}
		if _, holds := o[TagPAN]; !holds {
			continue
		}
		again, err := c.ReadRecord(ctx, r.Place)
		switch {
		case errors.As(err, &refused):
			return OtherCard, nil
		case err != nil:
			return StillUnknown, err
		}
		now := Objects{}
		if now.Add(again.Raw) != nil || !samePAN(now[TagPAN], t.Track2.PAN) {
			return OtherCard, nil
		}
		if v, sent := now[TagPSN]; sent && !bytes.Equal(v, []byte{t.PSN}) {
			return OtherCard, nil
		}
		known = true
		break
	}
	last, err := c.ReadRecord(ctx, t.Places[len(t.Places)-1])
	if err != nil && !errors.As(err, &refused) {
		return StillUnknown, err
	}
	// Only a 9F69 that the terminal could not have before proves the commit.
	if _, early := done.Objects[TagAuthenticationData]; err == nil && !early && done.add(last) == nil &&
		len(done.Objects[TagAuthenticationData]) > 0 && done.Authenticate(a) == nil {
		*t = done
		return Proven, nil
	}
	if !known {
		return StillUnknown, nil // nothing says whose balance this is
	}
	return c.compare(ctx, t)
}

// compare judges by ATC and balance, which nobody signs.
func (c *Card) compare(ctx context.Context, t *Tap) (Recovery, error) {
	if t.transit() {
		return c.compareTransit(ctx, t)
	}
	after, ok := t.IAD.Balance()
	amount, err := t.Amount()
	if err != nil || !ok || amount.IsZero() {
		return StillUnknown, nil // no balance to compare with, or the same one before and after
	}
	before, err := after.Add(amount)
	if err != nil {
		return StillUnknown, err
	}
	atc, err := c.GetData(ctx, TagATC)
	if err != nil {
		return StillUnknown, err
	}
	raw, err := c.GetData(ctx, TagBalance)
	if err != nil {
		return StillUnknown, err
	}
	balance, err := ParseAmount(raw)
	if err != nil {
		return StillUnknown, err
	}
	switch {
	case len(atc) != 2 || binary.BigEndian.Uint16(atc) != t.ATC:
		return StillUnknown, nil // used elsewhere since: the balance tells nothing of this tap
	case balance == before:
		return NotDebited, nil
	case balance == after:
		return Unproven, nil
	}
	return StillUnknown, nil
}

func samePAN(raw []byte, p PAN) bool {
	other, err := ParsePAN(raw)
	return err == nil && other == p
}
