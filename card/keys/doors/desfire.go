package doors

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

// DESFire is a [desfire.HSM] over master keys behind a door.
type DESFire struct {
	keys   keys.Families
	system []byte
}

var _ desfire.HSM = (*DESFire)(nil)

// NewDESFire makes a door for the scheme's system identifier, 6 to 21 bytes: cards' keys are derived from it, so it never changes.
func NewDESFire(k keys.Families, system []byte) (*DESFire, error) {
	if _, err := desfire.Diversify(keys.Key{}, [7]byte{}, [3]byte{}, system); err != nil {
		return nil, err
	}
	return &DESFire{keys: k, system: bytes.Clone(system)}, nil
}

// TMV implements desfire.HSM: see [desfire.Diversify] and [desfire.TMV] for where its parts come from.
func (d *DESFire) TMV(ctx context.Context, card desfire.TMKey, tmc uint32, tmi []byte) ([8]byte, error) {
	key := keys.AESCard{
		ID:    keys.ID{Purpose: keys.DESFireTMAC, Version: card.Version},
		Input: slices.Concat([]byte{0x01}, card.UID[:], card.AID[:], d.system),
	}
	session := [16]byte{0x5A, 0x00, 0x01, 0x00, 0x80}
	binary.LittleEndian.PutUint32(session[5:], tmc)
	copy(session[9:], card.UID[:])
	mac, err := d.keys.CardCMAC(ctx, key, session, tmi)
	return desfire.Truncate(mac), err
}
