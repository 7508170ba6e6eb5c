package personalise

import (
	"bytes"
	"fmt"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

// maker begins the 9 bytes of GET MESSAGE: the manufacturer of a published card (purse facts 8.1, P2).
const maker = 0x85

// For is s as the scheme of a profile has its cards: family by the first application name, keys, log, and where cards differ. The
// number must be known already: a city-union card's code is made of it.
func (s CardSpec) For(c firmwareconfig.Card) (CardSpec, error) {
	switch {
	case len(c.AIDs) > 0 && bytes.Equal(c.AIDs[0], ep.AIDTUnion):
		s.Family = TUnion
	case len(c.AIDs) > 0 && bytes.Equal(c.AIDs[0], ep.AIDPBOC):
		s.Family = PBOC
	default:
		return s, fmt.Errorf("card.aids: simulated cards are %X (T-Union) or %X (PBOC); the profile's first is neither", ep.AIDTUnion, ep.AIDPBOC)
	}
	v := c.Variant
	s.Log = epcard.LogCounter(c.LogCounter)
	s.Keys.Levels, s.Keys.Index, s.Keys.Algorithm = c.KeyLevels, c.KeyIndex, v.Algorithm[0]
	s.Settings = epcard.Settings{
		LimitTACWhole:   v.LimitTAC == "whole",
		ZeroDebitSilent: v.ZeroDebit == "silent",
		UnloadEP:        v.UnloadPurse == "both",
		UnloadOffline:   v.UnloadCounter == "offline",
		Insufficient:    statusWord(v.Insufficient, 0x9401),
		BlockedSelect:   statusWord(v.BlockedSelect, 0x6A81),
		SharedCounter:   v.Counters == 1,
		SM4Algorithm:    unlessUsual(v.SM4Algorithm[0], keys.AlgorithmSM4),
		NoProof:         statusWord(v.NoProof, 0x9406),
		LoadPIN:         v.LoadPIN,
	}
	if v.MAC1Code == "city" {
		s.Settings.CityCode = cityCode(s)
	}
	if n := len(s.Holder.IDNumber); n > 0 && n != v.HolderSize-holderRest {
		return s, fmt.Errorf("card.variant.holder_size %d: want an identity number of %d bytes, not %d", v.HolderSize, v.HolderSize-holderRest, n)
	}
	return s, nil
}

// holderRest is EF 16 without the identity number.
const holderRest = 23

// statusWord leaves the usual one out: an image without settings is the recommended card.
func statusWord(h firmwareconfig.Hex, usual uint16) uint16 {
	if w := uint16(h[0])<<8 | uint16(h[1]); w != usual {
		return w
	}
	return 0
}

func unlessUsual(b, usual byte) byte {
	if b == usual {
		return 0
	}
	return b
}

// cityCode is what such a card says to GET MESSAGE: manufacturer, and its UID twice. Ours is the end of the card number.
func cityCode(s CardSpec) image.Bytes {
	uid := s.Number[6:]
	return image.Bytes(append(append([]byte{maker}, uid...), uid...))
}
