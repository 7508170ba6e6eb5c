package psam

import (
	"bytes"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/keys"
)

// usageMaintenance is the usage of DELIVERY KEY that this PSAM knows (purse facts 5.5).
const usageMaintenance = 0x05

// deliverKey is DELIVERY KEY: 801A, P1 levels<<5 + usage, P2 the key's version, data the factors with the serial first.
func (p *PSAM) deliverKey(cmd apdu.Command) apdu.Response {
	p.delivered = nil
	levels := int(cmd.P1 >> 5)
	switch {
	case !p.selected:
		return sw(swNoFile)
	case cmd.P1&0x1F != usageMaintenance || levels < 1 || levels > 3:
		return sw(swP1P2)
	case len(cmd.Data) != 8*levels:
		return sw(swLength)
	}
	for _, k := range p.img.Maintenance {
		if k.Version == cmd.P2 {
			derived := keys.Diversify(k.Key.Key, factors(cmd.Data)...)
			p.delivered = &derived
			return sw(apdu.OK)
		}
	}
	return sw(swKey)
}

// cipherData is CIPHER DATA with P1 05: one MAC over the rest of the data, whose first 8 bytes are the initial vector. The terminal has
// padded the message; this PSAM takes only the padding of secure messaging. The key is gone after it.
func (p *PSAM) cipherData(cmd apdu.Command) apdu.Response {
	key := p.delivered
	p.delivered = nil
	switch {
	case !p.selected:
		return sw(swNoFile)
	case cmd.P1 != 0x05 || cmd.P2 != 0:
		return sw(swP1P2)
	case key == nil:
		return sw(swOrder)
	case len(cmd.Data) < 16 || len(cmd.Data)%8 != 0:
		return sw(swLength)
	case cmd.Le != 0 && cmd.Le != 256 && cmd.Le != 4:
		return sw(0x6C04)
	}
	iv, padded := [8]byte(cmd.Data[:8]), cmd.Data[8:]
	message := bytes.TrimRight(padded, "\x00")
	if len(message) == 0 || message[len(message)-1] != 0x80 || len(padded)-len(message) > 7 {
		return sw(swData)
	}
	mac := keys.MAC16(*key, iv, message[:len(message)-1])
	return apdu.Response{Data: mac[:], SW: apdu.OK}
}
