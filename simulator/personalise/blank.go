package personalise

import (
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

// Blank is the card of img before its keys were written: files and settings, no key and no PIN. [NewKeys] of img make it img, by WRITE KEY.
func Blank(img epcard.Image) epcard.Image {
	img.Blank = true
	img.PurchaseKey, img.LoadKey, img.UnloadKey, img.LimitKey, img.InternalKey = epcard.PurseKey{}, epcard.PurseKey{}, epcard.PurseKey{}, epcard.PurseKey{}, epcard.PurseKey{}
	img.TACKey, img.MaintenanceKey, img.ReloadKey, img.UnblockKey = image.Key{}, image.Key{}, image.Key{}, image.Key{}
	img.AuthKey, img.PIN = epcard.AuthKey{}, epcard.PIN{}
	return img
}

// NewKeys are the keys and the PIN of a card as WRITE KEY takes them. The control key comes last, because it ends personalisation; a card
// without one (CardSpec.Auth) stays open, and is for tests.
func NewKeys(img epcard.Image) []ep.NewKey {
	var out []ep.NewKey
	add := func(t ep.KeyType, k epcard.PurseKey) {
		if k.Key != (image.Key{}) {
			out = append(out, ep.NewKey{Type: t, ID: k.Index, Version: k.Version, Algorithm: k.Algorithm, Value: keys.Secret(k.Key.Key[:])})
		}
	}
	alone := func(k image.Key) epcard.PurseKey { // a key that no command names
		return epcard.PurseKey{Version: img.PurchaseKey.Version, Algorithm: img.PurchaseKey.Algorithm, Key: k}
	}
	add(ep.KeyPurchase, img.PurchaseKey)
	add(ep.KeyLoad, img.LoadKey)
	add(ep.KeyUnload, img.UnloadKey)
	add(ep.KeyLimit, img.LimitKey)
	add(ep.KeyTAC, alone(img.TACKey))
	add(ep.KeyMaintenance, alone(img.MaintenanceKey))
	add(ep.KeyReload, alone(img.ReloadKey))
	add(ep.KeyUnblock, alone(img.UnblockKey))
	add(ep.KeyInternal, img.InternalKey)
	if p := img.PIN; p.Limit > 0 {
		out = append(out, ep.NewKey{Type: ep.KeyPIN, ID: p.ID, Tries: p.Limit, Value: keys.Secret(p.Value)})
	}
	if a := img.AuthKey; a.Limit > 0 {
		out = append(out, ep.NewKey{Type: ep.KeyExternal, ID: a.ID, Version: img.PurchaseKey.Version, Algorithm: a.Algorithm, Tries: a.Limit, Value: keys.Secret(a.Key.Key[:])})
	}
	return out
}
