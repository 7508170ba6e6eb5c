package ep

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// InitUnload sends INITIALIZE FOR UNLOAD (80 50 05). It costs the card nothing. The standard has unload for ED only; some EP cards know
// it too (conflict C7).
func (c *Card) InitUnload(ctx context.Context, key byte, amount money.Amount, term TerminalNumber) (LoadInit, error) {
	return c.initOnline(ctx, CmdInitUnload, 0x05, key, amount, term)
}

// DebitUnload sends DEBIT FOR UNLOAD with the host's date, time and MAC2 and returns MAC3, the host's evidence. On ErrNoAnswer or
// ErrMalformed the card may have been debited: use Prove with TypeUnload, whose MAC is MAC3 then.
func (c *Card) DebitUnload(ctx context.Context, at DateTime, mac2 MAC) (MAC, error) {
	raw, err := c.doN(ctx, CmdDebitUnload, apdu.Command{CLA: 0x80, INS: 0x54, P1: 0x03, Data: cat(at[:], mac2[:]), Le: 4}, 4)
	if err != nil {
		return MAC{}, err
	}
	return MAC(raw), nil
}

// LimitInit is the card's answer to INITIALIZE FOR UPDATE.
type LimitInit struct {
	Balance   money.Amount // before
	Counter   uint16       // online counter, not yet incremented
	Limit     money.Amount // overdraft limit before
	Version   byte         // of the overdraft key
	Algorithm byte
	Random    [4]byte
	MAC1      MAC
}

// InitLimit sends INITIALIZE FOR UPDATE (80 50 04), the first half of setting the overdraft limit.
func (c *Card) InitLimit(ctx context.Context, key byte, term TerminalNumber) (LimitInit, error) {
	raw, err := c.doN(ctx, CmdInitLimit, apdu.Command{CLA: 0x80, INS: 0x50, P1: 0x04, P2: c.purse, Data: cat([]byte{key}, term[:]), Le: 19}, 19)
	if err != nil {
		return LimitInit{}, err
	}
	return LimitInit{
		Balance:   GetBalance(raw[0:4]),
		Counter:   binary.BigEndian.Uint16(raw[4:6]),
		Limit:     GetAmount(append([]byte{0}, raw[6:9]...)),
		Version:   raw[9],
		Algorithm: raw[10],
		Random:    [4]byte(raw[11:15]),
		MAC1:      MAC(raw[15:19]),
	}, nil
}

// UpdateLimit sends UPDATE OVERDRAFT LIMIT with the new limit and the host's date, time and MAC2, and returns the TAC. The balance
// moves by as much as the limit. On ErrNoAnswer or ErrMalformed the card may have done it: use Prove with TypeEDLimit.
func (c *Card) UpdateLimit(ctx context.Context, limit money.Amount, at DateTime, mac2 MAC) (MAC, error) {
	if limit.Sign() < 0 || limit.Cmp(MaxLimit) > 0 {
		return MAC{}, fmt.Errorf("%s: a limit of %v: want 0 to %v", CmdUpdateLimit, limit, MaxLimit)
	}
	raw, err := c.doN(ctx, CmdUpdateLimit, apdu.Command{CLA: 0x80, INS: 0x58, Data: cat(limit3(limit), at[:], mac2[:]), Le: 4}, 4)
	if err != nil {
		return MAC{}, err
	}
	return MAC(raw), nil
}
