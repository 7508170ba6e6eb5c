package ep

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
)

// Line is how data is protected between card and terminal (line protection, purse facts 3.11 and 6.6): by a MAC, and with Encipher and
// Decipher enciphered too. A file is made for one of the two, and refuses the other. The zero Line writes in clear (class 00), which
// takes an EXTERNAL AUTHENTICATE before it.
type Line struct {
	MAC SecureMAC
	// Encipher and Decipher are keys.Soft's, with the card's key filled in. Nil: the file is in clear.
	Encipher func(ctx context.Context, data []byte) ([]byte, error)
	Decipher func(ctx context.Context, enciphered []byte) ([]byte, error)
}

// send sends a writing command over the line.
func (l Line) send(ctx context.Context, c *Card, name CommandName, a apdu.Command) error {
	switch {
	case l.MAC == nil && l.Encipher != nil:
		return fmt.Errorf("%s: a line that enciphers wants a MAC", name)
	case l.MAC == nil:
		a.CLA = 0x00
		_, err := c.do(ctx, name, a)
		return err
	}
	if l.Encipher != nil {
		data, err := l.Encipher(ctx, a.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.Data = data
	}
	return c.secured(ctx, name, a, l.MAC)
}

// UpdateBinaryBy is UpdateBinary over a line.
func (c *Card) UpdateBinaryBy(ctx context.Context, sfi, offset byte, data []byte, line Line) error {
	return line.send(ctx, c, CmdUpdateBinary, apdu.Command{CLA: 0x04, INS: 0xD6, P1: 0x80 | sfi, P2: offset, Data: data})
}

// UpdateRecordBy is UpdateRecord over a line.
func (c *Card) UpdateRecordBy(ctx context.Context, sfi, number byte, data []byte, line Line) error {
	return line.send(ctx, c, CmdUpdateRecord, apdu.Command{CLA: 0x04, INS: 0xDC, P1: number, P2: sfi<<3 | 4, Data: data})
}

// AppendRecordBy writes a new record in front of a cyclic file (00 E2 00 SFI<<3+4 in clear, else 04 E2).
func (c *Card) AppendRecordBy(ctx context.Context, sfi byte, record []byte, line Line) error {
	return line.send(ctx, c, CmdAppendRecord, apdu.Command{CLA: 0x04, INS: 0xE2, P2: sfi<<3 | 4, Data: record})
}

// ReadBinaryBy reads a transparent file from offset to its end over a line (04 B0 80+SFI offset 04 MAC). The answer has a MAC of its own,
// by the same challenge, and a wrong one is ErrMAC: what was read is not the card's. The form of the answer is that of one source's code.
func (c *Card) ReadBinaryBy(ctx context.Context, sfi, offset byte, line Line) ([]byte, error) {
	return line.read(ctx, c, CmdReadBinary, apdu.Command{CLA: 0x04, INS: 0xB0, P1: 0x80 | sfi, P2: offset})
}

// ReadRecordBy reads record number of sfi over a line (04 B2 number SFI<<3+4 04 MAC); see ReadBinaryBy.
func (c *Card) ReadRecordBy(ctx context.Context, sfi, number byte, line Line) ([]byte, error) {
	return line.read(ctx, c, CmdReadRecord, apdu.Command{CLA: 0x04, INS: 0xB2, P1: number, P2: sfi<<3 | 4})
}

func (l Line) read(ctx context.Context, c *Card, name CommandName, a apdu.Command) ([]byte, error) {
	if l.MAC == nil {
		return nil, fmt.Errorf("%s: a line wants a MAC; read in clear without one", name)
	}
	challenge, err := c.Challenge(ctx, c.settings.challenge())
	if err != nil {
		return nil, err
	}
	m, err := l.MAC(ctx, challenge, SecureInput(a.CLA, a.INS, a.P1, a.P2, nil))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a.Data, a.Le = m[:], 256
	raw, err := c.do(ctx, name, a)
	if err != nil {
		return nil, err
	}
	if len(raw) < 4 {
		return nil, fmt.Errorf("%s: %w: %d bytes, want data and a MAC", name, ErrMalformed, len(raw))
	}
	data, told := raw[:len(raw)-4], MAC(raw[len(raw)-4:])
	if m, err = l.MAC(ctx, challenge, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if told != m {
		return nil, fmt.Errorf("%s: the answer's MAC does not verify: %w", name, ErrMAC)
	}
	if l.Decipher == nil {
		return data, nil
	}
	if data, err = l.Decipher(ctx, data); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrMalformed, err)
	}
	return data, nil
}
