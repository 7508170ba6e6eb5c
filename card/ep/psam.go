package ep

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// PSAM application names (purse facts 1.1): T-Union's DF name, and the FID that city PSAMs use.
var (
	PSAMTUnion = []byte("\xA0\x00\x00\x06\x32MOT.CPSAM01")
	PSAMFID    = []byte{0x10, 0x01}
)

// PSAM is a purchase secure access module reached over any Transmitter: a contact slot, or a simulated one. It
// implements keys.SAM by INIT SAM FOR PURCHASE (8070) and CREDIT SAM FOR PURCHASE (8072) (purse facts chapter 5). What is wrong with the
// PSAM itself it says with the errors of package keys (keys.ErrSAMBlocked and the like), beside its own.
type PSAM struct {
	t        apdu.Transmitter
	terminal TerminalNumber
	keyIndex byte
}

var _ keys.SAM = (*PSAM)(nil)

// masterFile is the FID of the MF (purse facts 1.1).
var masterFile = []byte{0x3F, 0x00}

// OpenPSAM reads the PSAM's terminal number from its MF and selects its purchase application: by FID when application has
// two bytes, else by name.
func OpenPSAM(ctx context.Context, t apdu.Transmitter, application []byte) (*PSAM, error) {
	p := &PSAM{t: t}
	// After a reset the MF is selected anyway. A PSAM that is opened again without one stands in its application, where
	// file 16 is none or another.
	if _, err := p.do(ctx, CmdSelect, apdu.Command{INS: 0xA4, Data: masterFile, Le: 256}); err != nil {
		return nil, fmt.Errorf("PSAM master file: %w", err)
	}
	raw, err := p.do(ctx, CmdReadBinary, apdu.Command{INS: 0xB0, P1: 0x96, Le: 6})
	if err != nil {
		return nil, fmt.Errorf("PSAM terminal number: %w", err)
	}
	if len(raw) != 6 {
		return nil, fmt.Errorf("PSAM terminal number: %w: %d bytes, want 6", ErrMalformed, len(raw))
	}
	p.terminal = TerminalNumber(raw)
	sel := apdu.Command{INS: 0xA4, P1: 0x04, Data: application, Le: 256}
	if len(application) == 2 {
		sel.P1 = 0x00
	}
	if _, err := p.do(ctx, CmdSelect, sel); err != nil {
		return nil, fmt.Errorf("PSAM application: %w", err)
	}
	raw, err = p.do(ctx, CmdReadBinary, apdu.Command{INS: 0xB0, P1: 0x97, Le: 25})
	if err != nil {
		return nil, fmt.Errorf("PSAM key index: %w", err)
	}
	if len(raw) < 1 {
		return nil, fmt.Errorf("PSAM key index: %w: empty file", ErrMalformed)
	}
	p.keyIndex = raw[0]
	return p, nil
}

func (p *PSAM) do(ctx context.Context, name CommandName, c apdu.Command) ([]byte, error) {
	r, err := apdu.Exchange(ctx, p.t, c)
	if errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer) {
		return nil, fmt.Errorf("%s: %w: %w", name, keys.ErrSAMGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.SW == apdu.OK {
		return r.Data, nil
	}
	err = &StatusError{Command: name, SW: r.SW}
	if fault := samFault(err, r.SW); fault != nil {
		return nil, fmt.Errorf("%w: %w", fault, err)
	}
	return nil, err
}

// samFault says in the words of package keys what a PSAM's status word says of the PSAM itself (purse facts 5.6); nil for what is the
// card's or the caller's matter.
func samFault(err error, sw apdu.SW) error {
	switch {
	case errors.Is(err, ErrBlocked):
		return keys.ErrSAMBlocked
	case sw == 0x6901, sw == 0x6985:
		return keys.ErrSAMOrder
	case sw == 0x9402:
		return keys.ErrSAMExhausted
	case sw == 0x6400, sw == 0x6581, sw>>8 == 0x6F:
		return keys.ErrSAMBroken
	}
	return nil
}

// Expect refuses another PSAM than the one with that terminal number: keys.ErrSAMNumber.
func (p *PSAM) Expect(number TerminalNumber) error {
	if p.terminal != number {
		return fmt.Errorf("PSAM %v instead of %v: %w", p.terminal, number, keys.ErrSAMNumber)
	}
	return nil
}

// TerminalNumber implements keys.SAM.
func (p *PSAM) TerminalNumber() [6]byte { return p.terminal }

// KeyIndex is the purchase key index to use on cards (EF 17 byte 0; purse facts 3.4).
func (p *PSAM) KeyIndex() byte { return p.keyIndex }

// InitPurchase implements keys.SAM by 8070. On the wire the serial factor stands first and the issuer second, although
// derivation starts from the issuer (conflict C17). A request with a city code sends the PSAM that first (C13).
func (p *PSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	data, err := initSAMData(r)
	if err != nil {
		return 0, mac1, err
	}
	if r.CityCode != nil {
		if n := len(r.CityCode); n != len(CityCode{}) {
			return 0, mac1, fmt.Errorf("%s: a code of %d bytes: want %d", CmdGetMessage, n, len(CityCode{}))
		}
		if err := p.UseCityCode(ctx, CityCode(r.CityCode)); err != nil {
			return 0, mac1, err
		}
	}
	raw, err := p.do(ctx, CmdInitSAM, apdu.Command{CLA: 0x80, INS: 0x70, Data: data, Le: 8})
	if errors.Is(err, ErrKeyIndex) {
		return 0, mac1, fmt.Errorf("key version %02X, algorithm %02X: %w: %w", r.Version, r.Algorithm, keys.ErrUnknownKey, err)
	}
	if err != nil {
		return 0, mac1, err
	}
	if len(raw) != 8 {
		return 0, mac1, fmt.Errorf("%s: %w: %d bytes, want 8", CmdInitSAM, ErrMalformed, len(raw))
	}
	return binary.BigEndian.Uint32(raw), [4]byte(raw[4:8]), nil
}

func initSAMData(r keys.PurchaseRequest) ([]byte, error) {
	if len(r.Factors) < 1 || len(r.Factors) > 3 {
		return nil, fmt.Errorf("%s: %d diversification factors: want 1 to 3", CmdInitSAM, len(r.Factors))
	}
	var amount [4]byte
	if err := PutAmount(amount[:], r.Amount); err != nil {
		return nil, err
	}
	data := cat(r.Random[:], be16(r.Counter), amount[:], []byte{r.Type}, r.DateTime[:], []byte{r.Version, r.Algorithm})
	for i := len(r.Factors) - 1; i >= 0; i-- {
		data = append(data, r.Factors[i][:]...)
	}
	return data, nil
}

// CheckMAC2 implements keys.SAM by 8072. A wrong MAC2 (keys.ErrBadMAC) lowers the PSAM's error counter; at zero it locks (keys.ErrSAMBlocked).
func (p *PSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	_, err := p.do(ctx, CmdCreditSAM, apdu.Command{CLA: 0x80, INS: 0x72, Data: mac2[:]})
	if errors.Is(err, ErrMAC) {
		return fmt.Errorf("%w: %w", keys.ErrBadMAC, err)
	}
	return err
}

// MaxAmount is the largest amount a purse command carries.
func MaxAmount() money.Amount { return money.Minor(0xFFFFFFFF) }
