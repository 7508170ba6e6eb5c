package ep

import (
	"context"

	"github.com/purselane/purselane/card/apdu"
)

// CityCode is what a city-union (MOHURD) card adds to the input of MAC1: one byte of the manufacturer, and its UID twice (conflict C13).
type CityCode [9]byte

// CityCode sends GET MESSAGE (80 CA 00 00 09). A card that has none answers 6D00: T-Union and plain PBOC cards do.
func (c *Card) CityCode(ctx context.Context) (CityCode, error) {
	raw, err := c.doN(ctx, CmdGetMessage, apdu.Command{CLA: 0x80, INS: 0xCA, Le: 9}, 9)
	if err != nil {
		return CityCode{}, err
	}
	return CityCode(raw), nil
}

// UseCityCode tells the PSAM the code of the card of the next purchase (80 CA 00 00 09 code): the MAC1 of that one purchase covers it.
func (p *PSAM) UseCityCode(ctx context.Context, code CityCode) error {
	_, err := p.do(ctx, CmdGetMessage, apdu.Command{CLA: 0x80, INS: 0xCA, Data: code[:]})
	return err
}
