package epcard

import (
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
)

// controlID is the id of the EXTERNAL AUTHENTICATE key that is the card's control key: WRITE KEY goes under it (purse facts 6.6).
const controlID = 0x00

// control is the card's control key; none on a card whose keys nobody can replace.
func (c *Card) control() (keys.Key, bool) {
	k := c.img.AuthKey
	return k.Key.Key, k.Limit > 0 && k.ID == controlID
}

// writeKey is WRITE KEY: in clear (class 80) while the card is in personalisation, afterwards enciphered and with a MAC under the control
// key (class 84). Writing the control key ends personalisation.
func (c *Card) writeKey(cmd apdu.Command, challenge []byte) apdu.Response {
	if !c.selected {
		return sw(swNoFile)
	}
	data := cmd.Data
	if cmd.CLA == 0x84 {
		key, has := c.control()
		if !has {
			return sw(swNoKey)
		}
		cipher := c.cipherOf(c.img.AuthKey.Algorithm)
		enciphered, s := c.secureMACBy(cipher, key, cmd, challenge, true)
		if s != apdu.OK {
			return sw(s)
		}
		var err error
		if data, err = cipher.Decipher(key, enciphered); err != nil {
			return sw(swData)
		}
	} else if !c.img.Blank {
		return sw(swSecurity)
	}
	k, err := ep.ParseNewKey(cmd.P1, cmd.P2, data)
	if err != nil {
		return sw(swData)
	}
	next := c.img
	next.MACFailures = 0
	if s := take(&next, k); s != apdu.OK {
		return sw(s)
	}
	return sw(c.commit(next))
}

// take puts a key into its place.
func take(m *Image, k ep.NewKey) apdu.SW {
	if k.Type == ep.KeyPIN {
		if !isPIN(k.Value) || k.Tries == 0 {
			return swData
		}
		m.PIN = PIN{ID: k.ID, Value: image.Bytes(k.Value), Limit: k.Tries, Left: k.Tries}
		return apdu.OK
	}
	key := image.Key{Key: keys.Key(k.Value)}
	named := PurseKey{Index: k.ID, Version: k.Version, Algorithm: k.Algorithm, Key: key}
	switch k.Type {
	case ep.KeyInternal:
		m.InternalKey = named
	case ep.KeyTAC:
		m.TACKey = key
	case ep.KeyMaintenance:
		m.MaintenanceKey = key
	case ep.KeyUnblock:
		m.UnblockKey = key
	case ep.KeyReload:
		m.ReloadKey = key
	case ep.KeyExternal:
		if k.Tries == 0 {
			return swData
		}
		m.AuthKey = AuthKey{ID: k.ID, Algorithm: k.Algorithm, Key: key, Limit: k.Tries, Left: k.Tries}
		if k.ID == controlID {
			m.Blank = false
		}
	case ep.KeyLimit:
		m.LimitKey = named
	case ep.KeyUnload:
		m.UnloadKey = named
	case ep.KeyPurchase:
		m.PurchaseKey = named
	case ep.KeyLoad:
		m.LoadKey = named
	default:
		return swP1P2
	}
	return apdu.OK
}

// internalAuthenticate is INTERNAL AUTHENTICATE: encipherment (P1 00), decipherment (01) or a MAC (02) under the internal key.
func (c *Card) internalAuthenticate(cmd apdu.Command) apdu.Response {
	k := c.img.InternalKey
	switch {
	case cmd.P1 > 0x02:
		return sw(swP1P2)
	case !c.selected || k == (PurseKey{}) || k.Index != cmd.P2:
		return sw(swNoKey)
	}
	cipher := c.cipherOf(k.Algorithm)
	var out []byte
	var err error
	switch ep.KeyWork(cmd.P1) {
	case ep.WorkEncipher:
		out, err = cipher.EncipherBlocks(k.Key.Key, cmd.Data)
	case ep.WorkDecipher:
		out, err = cipher.DecipherBlocks(k.Key.Key, cmd.Data)
	case ep.WorkMAC:
		if len(cmd.Data) == 0 {
			return sw(swLength)
		}
		mac := cipher.WholeMAC(k.Key.Key, cmd.Data)
		out = mac[:]
	}
	if err != nil {
		return sw(swLength)
	}
	if r, fits := leFits(cmd, len(out)); !fits {
		return r
	}
	return ok(out)
}
