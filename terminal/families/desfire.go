package families

import (
	"errors"
	"io"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// desfireRecord is the size of records, which the driver's layout decides.
const desfireRecord = 32

// DESFire makes the driver of the profile's DESFire cards, for a terminal whose number stands in their records. It is an error that the profile
// has none.
func DESFire(p *firmwareconfig.Profile, terminal [6]byte, sams desfiredriver.SAMs, rand io.Reader) (*desfiredriver.Driver, error) {
	d := p.DESFire
	if d == nil {
		return nil, errors.New("profile: no desfire section: the scheme has no such cards")
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return desfiredriver.New(desfiredriver.Settings{
		Card: desfire.Settings{
			AID: [3]byte(d.AID), KeyNumber: byte(d.KeyNumber), TMVersion: byte(d.MACKey),
			ValueFile: byte(d.ValueFile), ValueMode: desfire.Mode(d.ValueMode),
			RecordFile: byte(d.RecordFile), RecordMode: desfire.MAC, RecordSize: desfireRecord,
			MACFile: byte(d.MACFile), MACMode: desfire.Mode(d.MACMode), ISOChaining: d.ISOChaining,
		},
		Terminal: terminal, Location: p.Location(), ReadBack: d.Readback == "balance",
	}, sams, rand)
}
