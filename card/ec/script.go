package ec

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// Errors of building and reading scripts.
var (
	// ErrNotSettable: no script may set that data object, or not with a value of that length.
	ErrNotSettable = errors.New("data object that no script sets, or a wrong length of it")
	// ErrScript: bytes are no script template.
	ErrScript = errors.New("malformed issuer script")
)

// settable are the data objects that PUT DATA may set, and how long they are (EC facts 3).
var settable = map[tlv.Tag]int{
	0x9F53: 1, 0x9F54: 6, 0x9F58: 1, 0x9F59: 1, 0x9F5C: 6, TagCVMLimit: 6, TagResetThreshold: 6, 0x9F72: 1, 0x9F73: 4, 0x9F75: 6, TagBalanceLimit: 6,
	TagSingleLimit: 6, TagBalance: 6, TagTransitSupport: 1, TagDepositLimit: 6, 0xDF72: 6, 0xDF76: 6, 0xDF77: 6, 0xDF78: 6, 0xDF79: 6,
}

// Settable returns the length of a data object that PUT DATA may set.
func Settable(t tlv.Tag) (length int, ok bool) {
	length, ok = settable[t]
	return length, ok
}

// Script commands, as they are before [Secure] gives them their MAC (EC facts 15).

// PutData sets a data object to an absolute value.
func PutData(t tlv.Tag, value []byte) (apdu.Command, error) {
	if n, ok := settable[t]; !ok || n != len(value) {
		return apdu.Command{}, fmt.Errorf("%w: %s of %d bytes", ErrNotSettable, TagName(t), len(value))
	}
	return apdu.Command{CLA: 0x04, INS: 0xDA, P1: byte(t >> 8), P2: byte(t), Data: slices.Clone(value)}, nil
}

// PutAmount sets a limit, a threshold or the balance.
func PutAmount(t tlv.Tag, a money.Amount) (apdu.Command, error) {
	value, err := Amount12(a)
	if err != nil {
		return apdu.Command{}, err
	}
	return PutData(t, value[:])
}

// BlockApplication blocks the application.
func BlockApplication() apdu.Command { return apdu.Command{CLA: 0x84, INS: 0x1E} }

// UnblockApplication undoes BlockApplication.
func UnblockApplication() apdu.Command { return apdu.Command{CLA: 0x84, INS: 0x18} }

// BlockCard blocks the whole card, for good.
func BlockCard() apdu.Command { return apdu.Command{CLA: 0x84, INS: 0x16} }

// UnblockPIN gives the PIN its tries back.
func UnblockPIN() apdu.Command { return apdu.Command{CLA: 0x84, INS: 0x24} }

// UpdateRecord writes a record of a file.
func UpdateRecord(p Place, data []byte) apdu.Command {
	return apdu.Command{CLA: 0x04, INS: 0xDC, P1: p.Number, P2: p.SFI<<3 | 4, Data: slices.Clone(data)}
}

// ChangePIN sets a new PIN, enciphered for the card, and gives it all its tries. present is the PIN the card has now, or zero: then the command does not rest on it.
func ChangePIN(ctx context.Context, door PINIssuer, card CardKeys, atc uint16, present, next PIN) (apdu.Command, error) {
	if next.IsZero() {
		return apdu.Command{}, ErrPIN
	}
	data, err := door.EncipherPIN(ctx, card, atc, present, next)
	if err != nil {
		return apdu.Command{}, fmt.Errorf("new PIN for %v: %w", card, err)
	}
	c := apdu.Command{CLA: 0x84, INS: 0x24, P2: 2, Data: data[:]}
	if !present.IsZero() {
		c.P2 = 1
	}
	return c, nil
}

// Secure appends a command's MAC. It serves the session of one ATC and one cryptogram (the ARQC, or the AAC of a blocked application), and no other.
func Secure(ctx context.Context, door Issuer, card CardKeys, atc uint16, ac [8]byte, c apdu.Command) (apdu.Command, error) {
	if len(c.Data) > 251 {
		return apdu.Command{}, fmt.Errorf("ec: script command with %d bytes of data, want 251 at most", len(c.Data))
	}
	mac, err := door.MAC(ctx, card, atc, card.suite().Pad(ScriptMessage(c, atc, ac)))
	if err != nil {
		return apdu.Command{}, fmt.Errorf("script for %v: %w", card, err)
	}
	c.Data = slices.Concat(c.Data, mac[:])
	return c, nil
}

// Script codes template 72: the script's number and its commands, carried out after the second cryptogram.
func Script(id [4]byte, commands ...apdu.Command) ([]byte, error) {
	list := []tlv.Object{{Tag: 0x9F18, Value: id[:]}}
	for _, c := range commands {
		raw, err := c.Bytes()
		if err != nil {
			return nil, err
		}
		list = append(list, tlv.Object{Tag: 0x86, Value: raw})
	}
	return tlv.Encode([]tlv.Object{{Tag: 0x72, Children: list}})
}

// maxCommands bounds what a script may make a terminal send.
const maxCommands = 16

// ParseScript reads template 71 or 72. The script's number may be missing: it is zeros then.
func ParseScript(raw []byte) (id [4]byte, commands []apdu.Command, err error) {
	list, err := tlv.Decode(raw)
	if err != nil || len(list) != 1 || list[0].Tag != 0x71 && list[0].Tag != 0x72 {
		return id, nil, fmt.Errorf("%w: want one template 71 or 72", ErrScript)
	}
	for n, o := range list[0].Children {
		switch {
		case o.Tag == 0x9F18 && n == 0 && len(o.Value) == 4:
			id = [4]byte(o.Value)
		case o.Tag == 0x86 && len(commands) < maxCommands:
			c, err := apdu.ParseCommand(o.Value)
			if err != nil {
				return id, nil, fmt.Errorf("%w: %w", ErrScript, err)
			}
			commands = append(commands, c)
		default:
			return id, nil, fmt.Errorf("%w: tag %X in place %d", ErrScript, uint32(o.Tag), n)
		}
	}
	if len(commands) == 0 {
		return id, nil, fmt.Errorf("%w: no command", ErrScript)
	}
	return id, commands, nil
}
