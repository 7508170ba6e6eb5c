package ep

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// AIDs of the purse applications (purse facts 1.1).
var (
	AIDPBOC   = []byte{0xA0, 0x00, 0x00, 0x00, 0x03, 0x86, 0x98, 0x07, 0x01}
	AIDTUnion = []byte{0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05}
)

// P2 of the purse commands: which purse of the application (purse facts 3.1).
const (
	purseED = 0x01
	purseEP = 0x02
)

// Card is a selected application, with its EP purse in hand. It is a thin layer over a Transmitter: no state but the channel.
type Card struct {
	t        apdu.Transmitter
	purse    byte
	settings Settings
}

// Selected is a Card over a channel whose application is selected already, or that answered SELECT with ErrBlocked: to unblock it.
func Selected(t apdu.Transmitter) *Card { return &Card{t: t, purse: purseEP} }

// Deposit is the same application with its ED purse in hand (electronic deposit): own balance, own counters, and a PIN before every
// transaction. Its types are TypeEDLoad, TypeUnload, TypeEDCash, TypeEDPurchase and TypeEDLimit.
func (c *Card) Deposit() *Card { return &Card{t: c.t, purse: purseED, settings: c.settings} }

// Select selects the application by AID and returns its FCI. A blocked application answers 6A81, 6283 or 9303: the
// error is ErrBlocked then.
func Select(ctx context.Context, t apdu.Transmitter, aid []byte) (*Card, FCI, error) {
	c := Selected(t)
	data, err := c.do(ctx, CmdSelect, apdu.Command{CLA: 0x00, INS: 0xA4, P1: 0x04, Data: aid, Le: 256})
	if err != nil {
		return nil, FCI{}, err
	}
	fci, err := ParseFCI(data)
	if err != nil {
		return nil, FCI{}, fmt.Errorf("SELECT: %w", err)
	}
	return c, fci, nil
}

// do sends one command and returns its data, or a *StatusError for any status word but 9000.
func (c *Card) do(ctx context.Context, cmd CommandName, a apdu.Command) ([]byte, error) {
	r, err := apdu.Exchange(ctx, c.t, a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	if r.SW != apdu.OK {
		return nil, &StatusError{Command: cmd, SW: r.SW}
	}
	return r.Data, nil
}

// doN is do for a command whose answer has a fixed length. A wrong length is ErrMalformed: the card has carried the
// command out, and what it says cannot be used.
func (c *Card) doN(ctx context.Context, cmd CommandName, a apdu.Command, n int) ([]byte, error) {
	data, err := c.do(ctx, cmd, a)
	if err != nil {
		return nil, err
	}
	if len(data) != n {
		return nil, fmt.Errorf("%s: %w: %d bytes, want %d", cmd, ErrMalformed, len(data), n)
	}
	return data, nil
}

// ReadBinary reads n bytes (1 to 256) of a transparent file by SFI from its start (00 B0 80+SFI 00 Le).
func (c *Card) ReadBinary(ctx context.Context, sfi byte, n int) ([]byte, error) {
	return c.do(ctx, CmdReadBinary, apdu.Command{INS: 0xB0, P1: 0x80 | sfi, Le: n})
}

// ReadRecord reads record number (1 is the newest of a cyclic file) of sfi; le 256 takes what there is.
func (c *Card) ReadRecord(ctx context.Context, sfi, number byte, le int) ([]byte, error) {
	return c.do(ctx, CmdReadRecord, apdu.Command{INS: 0xB2, P1: number, P2: sfi<<3 | 4, Le: le})
}

// ReadPublic reads EF 15.
func (c *Card) ReadPublic(ctx context.Context) (Public, error) {
	raw, err := c.ReadBinary(ctx, SFIPublic, 30)
	if err != nil {
		return Public{}, err
	}
	return ParsePublic(raw)
}

// ReadManagement reads EF 17 of a T-Union card.
func (c *Card) ReadManagement(ctx context.Context) (Management, error) {
	raw, err := c.ReadBinary(ctx, SFIManagement, 60)
	if err != nil {
		return Management{}, err
	}
	return ParseManagement(raw)
}

// ReadLog reads transaction log record number of EF 18.
func (c *Card) ReadLog(ctx context.Context, number byte) (LogRecord, error) {
	raw, err := c.ReadRecord(ctx, SFILog, number, 23)
	if err != nil {
		return LogRecord{}, err
	}
	return ParseLogRecord(raw)
}

// ReadMetroTrip reads the metro trip state: EF 1A record 1.
func (c *Card) ReadMetroTrip(ctx context.Context) (MetroTrip, error) {
	raw, err := c.ReadRecord(ctx, SFITripState, 1, 128)
	if err != nil {
		return MetroTrip{}, err
	}
	return ParseMetroTrip(raw)
}

// ReadTripHistory reads trip history record number of EF 1E.
func (c *Card) ReadTripHistory(ctx context.Context, number byte) (TripHistory, error) {
	raw, err := c.ReadRecord(ctx, SFITripHistory, number, 48)
	if err != nil {
		return TripHistory{}, err
	}
	return ParseTripHistory(raw)
}

// Balance reads the spendable balance (80 5C 00 02 04).
func (c *Card) Balance(ctx context.Context) (money.Amount, error) {
	raw, err := c.doN(ctx, CmdGetBalance, apdu.Command{CLA: 0x80, INS: 0x5C, P2: c.purse, Le: 4}, 4)
	if err != nil {
		return money.Amount{}, err
	}
	return GetBalance(raw), nil
}

// PurchaseInit is the card's answer to INITIALIZE FOR (CAPP) PURCHASE.
type PurchaseInit struct {
	Balance   money.Amount // before
	Counter   uint16       // offline counter, not yet incremented
	Overdraft uint32       // limit, minor units
	Version   byte         // of the purchase key
	Algorithm byte
	Random    [4]byte
}

// InitPurchase sends INITIALIZE FOR PURCHASE (kind TypePurchase, of ED TypeEDPurchase), INITIALIZE FOR CAPP PURCHASE (TypeComposite)
// or INITIALIZE FOR CASH WITHDRAWAL (TypeEDCash). It changes nothing that lasts in the card.
func (c *Card) InitPurchase(ctx context.Context, kind Type, key byte, amount money.Amount, term TerminalNumber) (PurchaseInit, error) {
	p1 := byte(0x01)
	switch kind {
	case TypeComposite:
		p1 = 0x03
	case TypeEDCash:
		p1 = 0x02
	}
	data, err := initData(key, amount, term)
	if err != nil {
		return PurchaseInit{}, err
	}
	raw, err := c.doN(ctx, CmdInitPurchase, apdu.Command{CLA: 0x80, INS: 0x50, P1: p1, P2: c.purse, Data: data, Le: 15}, 15)
	if err != nil {
		return PurchaseInit{}, err
	}
	return PurchaseInit{
		Balance:   GetBalance(raw[0:4]),
		Counter:   binary.BigEndian.Uint16(raw[4:6]),
		Overdraft: uint32(raw[6])<<16 | uint32(raw[7])<<8 | uint32(raw[8]),
		Version:   raw[9],
		Algorithm: raw[10],
		Random:    [4]byte(raw[11:15]),
	}, nil
}

func initData(key byte, amount money.Amount, term TerminalNumber) ([]byte, error) {
	data := make([]byte, 11)
	data[0] = key
	if err := PutAmount(data[1:5], amount); err != nil {
		return nil, err
	}
	copy(data[5:], term[:])
	return data, nil
}

// CacheTripState buffers a trip state record of EF 1A by its identifier's last byte (80 DC id D0): 01 metro, 02 bus. The card
// writes it when the DEBIT commits.
func (c *Card) CacheTripState(ctx context.Context, id byte, record [128]byte) error {
	_, err := c.do(ctx, CmdUpdateCache, apdu.Command{CLA: 0x80, INS: 0xDC, P1: id, P2: SFITripState << 3, Data: record[:]})
	return err
}

// CacheTripHistory buffers a new trip history record of EF 1E (80 DC 00 F0).
func (c *Card) CacheTripHistory(ctx context.Context, record [48]byte) error {
	_, err := c.do(ctx, CmdUpdateCache, apdu.Command{CLA: 0x80, INS: 0xDC, P1: 0, P2: SFITripHistory << 3, Data: record[:]})
	return err
}

// Debit is the card's answer to DEBIT: TAC first, MAC2 second (purse facts 6.7).
type Debit struct{ TAC, MAC2 MAC }

// Debit sends DEBIT FOR (CAPP) PURCHASE. On ErrNoAnswer or ErrMalformed the card may have debited: use Prove.
func (c *Card) Debit(ctx context.Context, serial uint32, at DateTime, mac1 MAC) (Debit, error) {
	data := cat(be32(serial), at[:], mac1[:])
	raw, err := c.doN(ctx, CmdDebit, apdu.Command{CLA: 0x80, INS: 0x54, P1: 0x01, Data: data, Le: 8}, 8)
	if err != nil {
		return Debit{}, err
	}
	return Debit{TAC: MAC(raw[0:4]), MAC2: MAC(raw[4:8])}, nil
}

// LoadInit is the card's answer to INITIALIZE FOR LOAD or UNLOAD.
type LoadInit struct {
	Balance   money.Amount // before
	Counter   uint16       // online counter, not yet incremented
	Version   byte         // of the load or unload key
	Algorithm byte
	Random    [4]byte
	MAC1      MAC
}

// InitLoad sends INITIALIZE FOR LOAD. It costs the card nothing.
func (c *Card) InitLoad(ctx context.Context, key byte, amount money.Amount, term TerminalNumber) (LoadInit, error) {
	return c.initOnline(ctx, CmdInitLoad, 0x00, key, amount, term)
}

// initOnline is INITIALIZE FOR LOAD or UNLOAD, whose answers have one form.
func (c *Card) initOnline(ctx context.Context, name CommandName, p1, key byte, amount money.Amount, term TerminalNumber) (LoadInit, error) {
	data, err := initData(key, amount, term)
	if err != nil {
		return LoadInit{}, err
	}
	raw, err := c.doN(ctx, name, apdu.Command{CLA: 0x80, INS: 0x50, P1: p1, P2: c.purse, Data: data, Le: 16}, 16)
	if err != nil {
		return LoadInit{}, err
	}
	return LoadInit{
		Balance:   GetBalance(raw[0:4]),
		Counter:   binary.BigEndian.Uint16(raw[4:6]),
		Version:   raw[6],
		Algorithm: raw[7],
		Random:    [4]byte(raw[8:12]),
		MAC1:      MAC(raw[12:16]),
	}, nil
}

// CreditLoad sends CREDIT FOR LOAD with the host's date, time and MAC2 and returns the TAC. No other command may come
// between InitLoad and it. On ErrNoAnswer or ErrMalformed the card may have been credited: use Prove.
func (c *Card) CreditLoad(ctx context.Context, at DateTime, mac2 MAC) (MAC, error) {
	raw, err := c.doN(ctx, CmdCreditLoad, apdu.Command{CLA: 0x80, INS: 0x52, Data: cat(at[:], mac2[:]), Le: 4}, 4)
	if err != nil {
		return MAC{}, err
	}
	return MAC(raw), nil
}

// Proof is the card's answer to GET TRANSACTION PROVE: MAC first, TAC second, the opposite of DEBIT. After a load only
// the TAC means anything; after an unload the MAC is MAC3 (purse facts 3.10).
type Proof struct{ MAC2, TAC MAC }

// Prove sends GET TRANSACTION PROVE for the transaction of that type whose counter AFTER it is after (old+1). A card without that
// proof answers 9406, some 6985: the error is a *StatusError that is ErrNoProof, whatever the status word.
func (c *Card) Prove(ctx context.Context, kind Type, after uint16) (Proof, error) {
	raw, err := c.doN(ctx, CmdProve, apdu.Command{CLA: 0x80, INS: 0x5A, P2: byte(kind), Data: be16(after), Le: 8}, 8)
	if err != nil {
		return Proof{}, err
	}
	return Proof{MAC2: MAC(raw[0:4]), TAC: MAC(raw[4:8])}, nil
}
