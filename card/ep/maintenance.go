package ep

import (
	"context"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
)

// UsageMaintenance is the usage of DELIVERY KEY that most PSAMs have for maintenance keys; tables differ (conflict C16).
const UsageMaintenance byte = 0x05

// MaintenanceKey names a maintenance key of a PSAM.
type MaintenanceKey struct {
	Usage   byte // of DELIVERY KEY; 0 is UsageMaintenance (C16)
	Version byte // or index, as the PSAM has it
}

// Maintenance is the PSAM as the door to a card's maintenance key: DELIVERY KEY and CIPHER DATA (purse facts 5.5), with 3DES keys. By it
// a terminal blocks a card. The factors stand issuer first, as everywhere.
func (p *PSAM) Maintenance(key MaintenanceKey, factors [][8]byte) SecureMAC {
	return func(ctx context.Context, challenge, message []byte) ([4]byte, error) {
		return p.secureMAC(ctx, key, factors, challenge, message)
	}
}

func (p *PSAM) secureMAC(ctx context.Context, key MaintenanceKey, factors [][8]byte, challenge, message []byte) (mac [4]byte, err error) {
	if key.Usage == 0 {
		key.Usage = UsageMaintenance
	}
	if n := len(factors); n < 1 || n > 3 {
		return mac, fmt.Errorf("%s: %d diversification factors: want 1 to 3", CmdDeliveryKey, n)
	}
	if n := len(challenge); n != 4 && n != 8 {
		return mac, fmt.Errorf("%s: challenge of %d bytes: want 4 or 8", CmdCipherData, n)
	}
	data := append(make([]byte, 0, 256), challenge...)
	data = append(data, make([]byte, 8-len(challenge))...)
	data = append(append(data, message...), 0x80)
	data = append(data, make([]byte, -len(data)&7)...)
	if len(data) > 255 {
		return mac, fmt.Errorf("%s: a message of %d bytes does not fit one command", CmdCipherData, len(message))
	}
	var wire []byte
	for _, f := range slices.Backward(factors) {
		wire = append(wire, f[:]...)
	}
	if _, err := p.do(ctx, CmdDeliveryKey, apdu.Command{CLA: 0x80, INS: 0x1A, P1: byte(len(factors))<<5 | key.Usage, P2: key.Version, Data: wire}); err != nil {
		return mac, err
	}
	raw, err := p.do(ctx, CmdCipherData, apdu.Command{CLA: 0x80, INS: 0xFA, P1: 0x05, Data: data, Le: 4})
	if err != nil {
		return mac, err
	}
	if len(raw) != 4 {
		return mac, fmt.Errorf("%s: %w: %d bytes, want 4", CmdCipherData, ErrMalformed, len(raw))
	}
	return [4]byte(raw), nil
}
