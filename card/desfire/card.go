package desfire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

const (
	statusOK   apdu.SW = 0x9100
	statusMore apdu.SW = 0x91AF
)

// macFileSize is TMC and TMV (MF2DLHX0 8.2.3: transaction MAC file).
const macFileSize = 12

// Card is an opened card: selected, authenticated, its UID known. It serves one debit or one recovery; then open the card again. It
// is not safe for concurrent use.
type Card struct {
	to      apdu.Transmitter
	s       Settings
	session *Session
	uid     [7]byte

	last     *lastCommit // of the transaction MAC file, once read
	read     *Reading
	seen     []byte // the newest record, once read
	prepared *Attempt
	begun    *Attempt
	done     *Attempt // committed, its value not read back
	spent    bool     // this handle begins and recovers nothing more
}

// lastCommit is the content of the transaction MAC file.
type lastCommit struct {
	tmc uint32
	tmv [8]byte
}

// Reading is what a card says before a debit.
type Reading struct {
	UID   [7]byte
	Value money.Amount
	TMC   uint32  // counter of the last committed transaction, 0 for none
	TMV   [8]byte // its transaction MAC value
}

// Open selects the application, which ends any transaction that was open on the card, authenticates and reads the UID. Nothing on
// the card changes. Errors are of the transmitter, StatusError, ErrAnswer, ErrMalformed, or the SAM's.
func Open(ctx context.Context, to apdu.Transmitter, s Settings, sam SAM) (*Card, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("DESFire settings: %w", err)
	}
	c := &Card{to: to, s: s}
	r, err := c.native(ctx, insSelect, s.AID[:])
	if err != nil {
		return nil, err
	}
	if r.SW != statusOK {
		return nil, &StatusError{Command: insSelect, SW: r.SW}
	}
	if c.session, err = c.authenticate(ctx, sam); err != nil {
		return nil, err
	}
	// The UID of the reader's anticollision may be a random one; this one is the card's, and signed (AN12196 table 28).
	uid, err := c.secure(ctx, insUID, Full, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(uid) != len(c.uid) {
		return nil, fmt.Errorf("UID: %w: %d bytes", ErrMalformed, len(uid))
	}
	c.uid = [7]byte(uid)
	return c, nil
}

// UID is the card's own, as it said it in the session.
func (c *Card) UID() [7]byte { return c.uid }

// native sends a command outside the session, wrapped as ISO/IEC 7816-4 has it (MF2DLHX0 8.4).
func (c *Card) native(ctx context.Context, ins byte, data []byte) (apdu.Response, error) {
	return apdu.Exchange(ctx, c.to, apdu.Command{CLA: 0x90, INS: ins, Data: data, Le: 256})
}

// authenticate is AuthenticateEV2First with no capabilities of ours (AN12196 table 14).
func (c *Card) authenticate(ctx context.Context, sam SAM) (*Session, error) {
	r, err := c.native(ctx, insAuthenticate, []byte{c.s.KeyNumber, 0x00})
	if err != nil {
		return nil, err
	}
	if r.SW != statusMore {
		return nil, &StatusError{Command: insAuthenticate, SW: r.SW}
	}
	if len(r.Data) != 16 {
		return nil, fmt.Errorf("authentication: %w: random number of %d bytes", ErrMalformed, len(r.Data))
	}
	answer, err := sam.Begin(ctx, c.s.KeyNumber, [16]byte(r.Data))
	if err != nil {
		return nil, err
	}
	if r, err = c.native(ctx, insMore, answer[:]); err != nil {
		return nil, err
	}
	if r.SW != statusOK {
		return nil, &StatusError{Command: insAuthenticate, SW: r.SW}
	}
	if len(r.Data) != 32 {
		return nil, fmt.Errorf("authentication: %w: %d bytes", ErrMalformed, len(r.Data))
	}
	return sam.Finish(ctx, [32]byte(r.Data))
}

// secure sends one command of the session. After any error the session is over.
func (c *Card) secure(ctx context.Context, ins byte, mode Mode, header, data []byte) ([]byte, error) {
	cmd, err := c.session.Seal(ins, mode, header, data)
	if err != nil {
		return nil, err
	}
	r, err := apdu.Exchange(ctx, c.to, cmd)
	if err != nil {
		c.session.over = true
		return nil, err
	}
	return c.session.Open(ins, mode, r)
}

// Read reads the transaction MAC file and the value. The second call answers from memory: a GetValue is part of the transaction
// MAC, and there must be exactly one (MF2DLHX0 10.3.4.2). A read of the transaction MAC file is no part of it.
func (c *Card) Read(ctx context.Context) (Reading, error) {
	if c.spent {
		return Reading{}, errSpent // what it read may be true no more
	}
	if c.read != nil {
		return *c.read, nil
	}
	raw, err := c.secure(ctx, c.s.readData(), c.s.MACMode, []byte{c.s.MACFile, 0, 0, 0, macFileSize, 0, 0}, nil)
	if err != nil {
		return Reading{}, err
	}
	last, err := parseLast(raw)
	if err != nil {
		return Reading{}, err
	}
	c.last = &last
	now, err := c.value(ctx)
	if err != nil {
		return Reading{}, err
	}
	c.read = &Reading{UID: c.uid, Value: now, TMC: last.tmc, TMV: last.tmv}
	return *c.read, nil
}

// value is GetValue: what is committed.
func (c *Card) value(ctx context.Context) (money.Amount, error) {
	raw, err := c.secure(ctx, insGetValue, c.s.ValueMode, []byte{c.s.ValueFile}, nil)
	if err != nil {
		return money.Amount{}, err
	}
	if len(raw) != 4 {
		return money.Amount{}, fmt.Errorf("value: %w: %d bytes", ErrMalformed, len(raw))
	}
	return value(binary.LittleEndian.Uint32(raw)), nil
}

// parseLast reads TMC and TMV, of CommitTransaction or the file.
func parseLast(raw []byte) (lastCommit, error) {
	if len(raw) != macFileSize {
		return lastCommit{}, fmt.Errorf("transaction MAC: %w: %d bytes", ErrMalformed, len(raw))
	}
	return lastCommit{tmc: binary.LittleEndian.Uint32(raw), tmv: [8]byte(raw[4:])}, nil
}

// Newest reads the record written last, after Read. The second call answers from memory: the read is part of the transaction MAC, and the
// attempt keeps what it gave. A card that has no record yet answers ErrBoundary, and must be opened again.
func (c *Card) Newest(ctx context.Context) ([]byte, error) {
	if c.spent {
		return nil, errSpent
	}
	if c.seen != nil {
		return slices.Clone(c.seen), nil
	}
	if _, err := c.Read(ctx); err != nil { // GetValue stands first in the MAC
		return nil, err
	}
	raw, err := c.record(ctx, 0)
	if err != nil {
		return nil, err
	}
	c.seen = raw
	return slices.Clone(raw), nil
}

// record reads one record; number 0 is the newest.
func (c *Card) record(ctx context.Context, number byte) ([]byte, error) {
	raw, err := c.secure(ctx, c.s.readRecords(), c.s.RecordMode, oneRecord(c.s.RecordFile, number), nil)
	if err != nil {
		return nil, err
	}
	if len(raw) != c.s.RecordSize {
		return nil, fmt.Errorf("record: %w: %d bytes", ErrMalformed, len(raw))
	}
	return raw, nil
}

// matches reports whether the attempt is one of this card and application.
func (c *Card) matches(a Attempt) bool { return a.UID == c.uid && a.AID == c.s.AID }

var errSpent = fmt.Errorf("%w: this opened card has served already; open it again", ErrOrder)

// padded is the record filled up to its size.
func (c *Card) padded(record []byte) ([]byte, error) {
	if len(record) == 0 || len(record) > c.s.RecordSize {
		return nil, errors.New("desfire: a record names terminal and attempt and fits the record size")
	}
	return append(slices.Clone(record), make([]byte, c.s.RecordSize-len(record))...), nil
}
