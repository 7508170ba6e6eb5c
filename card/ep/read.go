package ep

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// SelectFID selects the application by its file identifier, for cards that go by another name: SELECT by AID comes first (purse facts 1.1).
func SelectFID(ctx context.Context, t apdu.Transmitter, fid [2]byte) (*Card, FCI, error) {
	c := Selected(t)
	data, err := c.do(ctx, CmdSelect, apdu.Command{INS: 0xA4, Data: fid[:], Le: 256})
	if err != nil {
		return nil, FCI{}, err
	}
	fci, err := ParseFCI(data)
	if err != nil {
		return nil, FCI{}, fmt.Errorf("SELECT: %w", err)
	}
	return c, fci, nil
}

// Entry is one application in a card's directory.
type Entry struct {
	AID   []byte // tag 4F
	Label string // tag 50, such as PBOC or MOT_T_EP; may be empty
}

var (
	nameMF   = []byte("1PAY.SYS.DDF01")
	namePPSE = []byte("2PAY.SYS.DDF01")
)

// maxDirectory bounds the records read of a directory file: a card that answers for ever is not asked for ever.
const maxDirectory = 10

// Directory lists the card's applications: those of the PPSE, and where there is none those of the MF's directory file. It leaves no
// application selected.
func Directory(ctx context.Context, t apdu.Transmitter) ([]Entry, error) {
	c := Selected(t)
	data, err := c.do(ctx, CmdSelect, apdu.Command{INS: 0xA4, P1: 0x04, Data: namePPSE, Le: 256})
	if err == nil {
		return entries(data, tagFCI, tagProprietary, tagDiscretionary)
	}
	if !errors.Is(err, ErrNoPurse) {
		return nil, err
	}
	if data, err = c.do(ctx, CmdSelect, apdu.Command{INS: 0xA4, P1: 0x04, Data: nameMF, Le: 256}); err != nil {
		return nil, err
	}
	objects, err := tlv.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("FCI: %w: %w", ErrMalformed, err)
	}
	sfi, found := tlv.Find(objects, tagFCI, tagProprietary, tagDirectory)
	if !found || len(sfi) != 1 || sfi[0] == 0 || sfi[0] > 0x1E {
		return nil, fmt.Errorf("FCI: %w: no directory file (tag 88)", ErrMalformed)
	}
	var all []Entry
	for n := byte(1); n <= maxDirectory; n++ {
		raw, err := c.ReadRecord(ctx, sfi[0], n, 256)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		found, err := entries(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Tags of a directory (ISO/IEC 7816-4, 8.2.1; purse facts 1.2).
const (
	tagDirectory     tlv.Tag = 0x88
	tagDiscretionary tlv.Tag = 0xBF0C
	tagEntry         tlv.Tag = 0x61
	tagAID           tlv.Tag = 0x4F
	tagLabel         tlv.Tag = 0x50
)

// entries reads the entries below path.
func entries(raw []byte, path ...tlv.Tag) (out []Entry, err error) {
	objects, err := tlv.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("directory: %w: %w", ErrMalformed, err)
	}
	for _, tag := range path {
		var below []tlv.Object
		for _, o := range objects {
			if o.Tag == tag {
				below = o.Children
				break
			}
		}
		objects = below
	}
	for _, o := range objects {
		if o.Tag != tagEntry {
			continue
		}
		aid, found := tlv.Find(o.Children, tagAID)
		if !found || len(aid) < 5 || len(aid) > 16 {
			return nil, fmt.Errorf("directory: %w: an entry without an application name", ErrMalformed)
		}
		label, _ := tlv.Find(o.Children, tagLabel)
		out = append(out, Entry{AID: aid, Label: string(label)})
	}
	return out, nil
}

// ReadBinaryAt reads n bytes (1 to 256) of a transparent file from offset on (00 B0 80+SFI offset Le).
func (c *Card) ReadBinaryAt(ctx context.Context, sfi, offset byte, n int) ([]byte, error) {
	return c.do(ctx, CmdReadBinary, apdu.Command{INS: 0xB0, P1: 0x80 | sfi, P2: offset, Le: n})
}

// ReadRecordByID reads the first record of sfi whose identifier ends in id (00 B2 id SFI<<3); le 256 takes what there is.
func (c *Card) ReadRecordByID(ctx context.Context, sfi, id byte, le int) ([]byte, error) {
	return c.do(ctx, CmdReadRecord, apdu.Command{INS: 0xB2, P1: id, P2: sfi << 3, Le: le})
}

// BalancePart is P1 of GET BALANCE. Plain PBOC cards know Spendable alone (purse facts 3.2).
type BalancePart byte

// Parts of a balance.
const (
	Spendable      BalancePart = iota // with the overdraft limit
	OverdraftLimit                    // C14
	OverdraftUsed
	OwnMoney
)

// BalanceOf reads a part of the balance (80 5C P1 02 04).
func (c *Card) BalanceOf(ctx context.Context, part BalancePart) (money.Amount, error) {
	raw, err := c.doN(ctx, CmdGetBalance, apdu.Command{CLA: 0x80, INS: 0x5C, P1: byte(part), P2: c.purse, Le: 4}, 4)
	if err != nil {
		return money.Amount{}, err
	}
	return GetBalance(raw), nil
}
