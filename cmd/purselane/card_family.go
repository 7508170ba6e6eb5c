package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/money"
	simdesfire "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/simulator/image"
)

// issueEC makes an electronic cash card with nothing on it.
func (c *CardIssueCmd) issueEC(ctx context.Context, k *kong.Kong) error {
	pan, err := ec.NewPAN(c.Number)
	if err != nil {
		return fmt.Errorf("--number: %w", err)
	}
	psn, err := hex.DecodeString(c.Sequence)
	if err != nil || len(psn) != 1 {
		return errors.New("--sequence: want two digits")
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	profile, err := c.profile()
	if err != nil {
		return err
	}
	issuer, err := c.ecIssuer(ring)
	if err != nil {
		return err
	}
	img := issuer.Image()
	if iin := strings.TrimRight(hex.EncodeToString([]byte(img.IIN)), "f"); !strings.HasPrefix(c.Number, iin) {
		return fmt.Errorf("--number: the issuer's cards begin with %s", iin)
	}
	spec := eccard.Profile{PAN: pan, PSN: psn[0]}
	transit := profile.EC != nil && profile.EC.Transit != nil
	if transit {
		spec.Transit = map[byte]int{byte(profile.EC.Transit.File): ecdriver.TransitRecordSize}
	}
	card, err := issuer.Personalise(spec)
	if err != nil {
		return err
	}
	if transit {
		t := profile.EC.Transit
		if err := openRecord(ctx, issuer, card, ec.RecordName{PAN: pan, PSN: psn[0], SFI: byte(t.File), ID: [2]byte(t.ID)}); err != nil {
			return err
		}
	}
	return c.keep(ctx, k, CardRegisterCmd{EC: c.Number, Sequence: c.Sequence}, func() error {
		chip, err := eccard.CreateFile(c.File, card)
		if err != nil {
			return err
		}
		return chip.Close()
	})
}

// openRecord opens the operator's record on a new card, with nothing in it.
func openRecord(ctx context.Context, issuer *eccard.Issuer, card *eccard.Card, name ec.RecordName) error {
	card.Insert()
	v, err := ec.Select(ctx, card, []ec.Accepted{{AID: ec.AIDDebit}})
	if err != nil {
		return err
	}
	return v.AppendTransit(ctx, issuer.Operator(), name, append(name.ID[:], make([]byte, ecdriver.TransitRecordSize-len(name.ID))...))
}

// keep registers a card, and then makes its file: a card that the backend does not know would be an alarm at its first tap.
func (c *CardIssueCmd) keep(ctx context.Context, k *kong.Kong, r CardRegisterCmd, file func() error) error {
	r.schemeFolder = c.schemeFolder
	card, err := r.register(ctx)
	if err != nil {
		return err
	}
	if err := file(); err != nil {
		return err
	}
	return c.tell(k.Stdout, card.Number, card.Token)
}

// issueDESFire makes a DESFire card.
func (c *CardIssueCmd) issueDESFire(ctx context.Context, k *kong.Kong) error {
	uid, err := hex.DecodeString(c.Number)
	if err != nil || len(uid) != 7 {
		return errors.New("--number: want the 7 bytes of a UID, 14 hexadecimal digits")
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	profile, err := c.profile()
	if err != nil {
		return err
	}
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	d := profile.DESFire
	if d == nil || scheme.DESFireSystem == "" {
		return fmt.Errorf("the profile has no desfire section, or scheme.yaml no desfire_system: purselane family desfire --dir %s --apply", c.Dir)
	}
	system, err := hex.DecodeString(scheme.DESFireSystem)
	if err != nil {
		return err
	}
	master, ok := ring.ForNewWork()[keys.ID{Purpose: keys.DESFireTMAC, Version: byte(d.MACKey)}]
	if !ok {
		return fmt.Errorf("the key file has no %s key of version %d for new cards (docs/keys.md)", keys.DESFireTMAC, d.MACKey)
	}
	application, err := desfireApplication(ring)
	if err != nil {
		return err
	}
	own, err := desfire.Diversify(master, [7]byte(uid), [3]byte(d.AID), system)
	if err != nil {
		return err
	}
	img := simdesfire.Image{
		UID: image.Bytes(uid), Key: image.Key{Key: application}, TMKey: image.Key{Key: own}, Upper: money.Minor(math.MaxInt32), Value: c.Value,
		TMCLimit: math.MaxUint32, TMV: image.Bytes(make([]byte, 8)),
		Settings: desfire.Settings{
			AID: [3]byte(d.AID), KeyNumber: byte(d.KeyNumber), TMVersion: byte(d.MACKey), ValueFile: byte(d.ValueFile), ValueMode: desfire.Mode(d.ValueMode),
			RecordFile: byte(d.RecordFile), RecordMode: desfire.MAC, RecordSize: len(desfiredriver.FirstRecord()), MACFile: byte(d.MACFile), MACMode: desfire.Mode(d.MACMode),
			ISOChaining: d.ISOChaining,
		},
	}
	img.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	if err := img.Check(); err != nil {
		return err
	}
	return c.keep(ctx, k, CardRegisterCmd{DESFire: c.Number}, func() error {
		card, err := simdesfire.CreateFile(c.File, img, rand.Reader)
		if err != nil {
			return err
		}
		return card.Close()
	})
}
