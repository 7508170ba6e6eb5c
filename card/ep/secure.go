package ep

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
)

// SecureMAC makes the MAC of a secured command: challenge is the card's, message the command with Lc already counting the MAC. It is
// keys.Soft.SecureMAC with the card's key filled in, or a PSAM.
type SecureMAC func(ctx context.Context, challenge, message []byte) ([4]byte, error)

// Challenge sends GET CHALLENGE for n bytes: 4 or 8, on SM4 cards also 16 (conflict C9). It is good for the very next command.
func (c *Card) Challenge(ctx context.Context, n int) ([]byte, error) {
	return c.doN(ctx, CmdChallenge, apdu.Command{INS: 0x84, Le: n}, n)
}

// ExternalAuthenticate sends EXTERNAL AUTHENTICATE (00 82 00 id) with the answer to the challenge of the command before, by
// keys.Cipher.Authenticate. A wrong answer counts as a wrong PIN does.
func (c *Card) ExternalAuthenticate(ctx context.Context, id byte, answer [8]byte) error {
	_, err := c.do(ctx, CmdExternalAuthenticate, apdu.Command{INS: 0x82, P2: id, Data: answer[:]})
	return err
}

// SecureInput is what a secured command's MAC is over: its head with Lc counting the MAC, and the data (purse facts 6.6).
func SecureInput(cla, ins, p1, p2 byte, data []byte) []byte {
	return cat([]byte{cla, ins, p1, p2, byte(len(data) + 4)}, data)
}

// secured sends GET CHALLENGE and the command with its MAC behind the data.
func (c *Card) secured(ctx context.Context, name CommandName, a apdu.Command, mac SecureMAC) error {
	if len(a.Data)+4 > 255 {
		return fmt.Errorf("%s: %d bytes and a MAC do not fit one command: write them in parts", name, len(a.Data))
	}
	challenge, err := c.Challenge(ctx, c.settings.challenge())
	if err != nil {
		return err
	}
	m, err := mac(ctx, challenge, SecureInput(a.CLA, a.INS, a.P1, a.P2, a.Data))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.Data = cat(a.Data, m[:])
	_, err = c.do(ctx, name, a)
	return err
}

// UpdateBinary writes data into a transparent file from offset on (04 D6 80+SFI offset).
func (c *Card) UpdateBinary(ctx context.Context, sfi, offset byte, data []byte, mac SecureMAC) error {
	return c.secured(ctx, CmdUpdateBinary, apdu.Command{CLA: 0x04, INS: 0xD6, P1: 0x80 | sfi, P2: offset, Data: data}, mac)
}

// UpdateRecord writes record number of sfi (04 DC number SFI<<3+4).
func (c *Card) UpdateRecord(ctx context.Context, sfi, number byte, data []byte, mac SecureMAC) error {
	return c.secured(ctx, CmdUpdateRecord, apdu.Command{CLA: 0x04, INS: 0xDC, P1: number, P2: sfi<<3 | 4, Data: data}, mac)
}

// BlockApplication sends APPLICATION BLOCK. After one that is not for good, UnblockApplication helps.
func (c *Card) BlockApplication(ctx context.Context, forGood bool, mac SecureMAC) error {
	a := apdu.Command{CLA: 0x84, INS: 0x1E}
	if forGood {
		a.P2 = 0x01
	}
	return c.secured(ctx, CmdBlock, a, mac)
}

// UnblockApplication sends APPLICATION UNBLOCK. SELECT of a blocked application is ErrBlocked and gives no Card: go on with [Selected].
// Three wrong MACs in a row block the application for good.
func (c *Card) UnblockApplication(ctx context.Context, mac SecureMAC) error {
	return c.secured(ctx, CmdUnblock, apdu.Command{CLA: 0x84, INS: 0x18}, mac)
}

// BlockCard sends CARD BLOCK. Nothing undoes it.
func (c *Card) BlockCard(ctx context.Context, mac SecureMAC) error {
	return c.secured(ctx, CmdBlockCard, apdu.Command{CLA: 0x84, INS: 0x16}, mac)
}
