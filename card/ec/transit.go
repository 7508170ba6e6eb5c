package ec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
)

// The transit extension (CAPP, JR/T 0025.14; EC facts 16): records of transit operators that a tap writes together with its debit.

// Values of DF60: what a tap with a transit record is.
const (
	SegmentedFare     byte = 1 // entry with amount 0, exit with the fare
	PreAuthorisation  byte = 2 // reserves the amount; the card gives no cryptogram, so it is no sale
	PreAuthCompletion byte = 3 // takes the fare, and gives the rest of the reserved amount back
)

// Errors of the transit extension.
var (
	// ErrNoTransit: the card has no transit extension, or not for that kind of tap.
	ErrNoTransit = errors.New("card has no such transit extension")
	// ErrTransitMAC: the MAC over a transit record that the card gave does not verify, or the one over its answer to an update.
	ErrTransitMAC = errors.New("MAC over the transit record does not verify")
	// ErrRecordNotWritten: the record to be written with the debit is not the one that was read last (6974). The card says it has not debited.
	ErrRecordNotWritten = errors.New("transit record of the tap was not updated")
	// ErrNoProof: the card has no transit transaction of that ATC (9406).
	ErrNoProof = errors.New("no transit transaction of that ATC")
	// ErrPreAuthFull: the card holds as many pre-authorisations as it can (6971).
	ErrPreAuthFull = errors.New("no room for another pre-authorisation")
	// ErrPreAuthOpen: the record has a pre-authorisation already (6972).
	ErrPreAuthOpen = errors.New("pre-authorisation of that record is open")
	// ErrNoPreAuth: the record has no pre-authorisation to complete (6973).
	ErrNoPreAuth = errors.New("no pre-authorisation of that record")
	// ErrSpace: the file has no room for the record (6A84).
	ErrSpace = errors.New("no room in the file")
	// ErrRecordLength: a record is written whole, with its ID first.
	ErrRecordLength = errors.New("transit record of another length or ID than the one that was read")
)

// RecordName names a transit record and so its keys: the card's, of an operator's file and ID.
type RecordName struct {
	PAN PAN
	PSN byte
	SFI byte
	ID  [2]byte
}

// String prints the masked card number.
func (n RecordName) String() string {
	return fmt.Sprintf("record %X of file %d on %v", n.ID, n.SFI, n.PAN)
}

// Operator is a terminal's door to a transit operator's keys: a SAM. Messages are whole blocks of 8 bytes. Implementations are safe for concurrent use.
type Operator interface {
	// RecordMAC returns the left 4 bytes of an algorithm 3 MAC under the record's management key.
	RecordMAC(ctx context.Context, r RecordName, blocks []byte) ([4]byte, error)
	// OpeningMAC returns the same under the card's initial key of the operator, which opens new records.
	OpeningMAC(ctx context.Context, r RecordName, blocks []byte) ([4]byte, error)
	// NewKey returns the record's management key enciphered under the initial key.
	NewKey(ctx context.Context, r RecordName) ([16]byte, error)
}

// TransitRecord is a transit record as the card gave it: the ID first, then the operator's data.
type TransitRecord struct {
	SFI  byte
	ID   [2]byte
	Data []byte

	random *[8]byte // the terminal asked for a MAC
	mac    [4]byte
}

// ReadTransit reads the first record of an ID in an operator's file, or the one after the last that was read. With random the card adds a MAC, which Verify checks.
// Read it before GET PROCESSING OPTIONS: the card writes the record that was read last.
func (c *Card) ReadTransit(ctx context.Context, sfi byte, id [2]byte, next bool, random *[8]byte) (TransitRecord, error) {
	r := TransitRecord{SFI: sfi, ID: id, random: random}
	command := apdu.Command{CLA: 0x80, INS: 0xB4, P2: sfi << 3, Data: id[:], Le: 256}
	if next {
		command.P2 |= 1
	}
	tail := 0
	if random != nil {
		command.Data, tail = slices.Concat(id[:], random[:]), 4
	}
	raw, err := c.do(ctx, "READ CAPP DATA", command)
	if err != nil {
		return r, err
	}
	n := len(raw) - tail
	if n < 2 || !bytes.Equal(raw[:2], id[:]) {
		return r, fmt.Errorf("READ CAPP DATA: %w: %d bytes that do not begin with ID %X", ErrMalformed, len(raw), id)
	}
	r.Data = raw[:n]
	copy(r.mac[:], raw[n:])
	return r, nil
}

// Verify checks the MAC over a record that was read with a random number. One that was read without is not proven: ErrTransitMAC.
func (r TransitRecord) Verify(ctx context.Context, op Operator, pan PAN, psn byte) error {
	if r.random == nil {
		return fmt.Errorf("%w: it was read without one", ErrTransitMAC)
	}
	blocks := Suite3DES.Pad(r.Data)
	for i, b := range r.random {
		blocks[i] ^= b
	}
	mac, err := op.RecordMAC(ctx, RecordName{PAN: pan, PSN: psn, SFI: r.SFI, ID: r.ID}, blocks)
	if err != nil {
		return err
	}
	if mac != r.mac {
		return ErrTransitMAC
	}
	return nil
}

// UpdateTransit returns the command that puts a record's new data into the card's cache (UPDATE CAPP DATA CACHE) in the session of an ATC.
func UpdateTransit(ctx context.Context, op Operator, n RecordName, atc uint16, data []byte) (apdu.Command, error) {
	if len(data) > 251 {
		return apdu.Command{}, fmt.Errorf("%w: %d bytes, want 251 at most", ErrRecordLength, len(data))
	}
	command := apdu.Command{CLA: 0x84, INS: 0xDE, P2: n.SFI << 3, Data: data}
	mac, err := op.RecordMAC(ctx, n, TransitInput(command, atc))
	if err != nil {
		return apdu.Command{}, fmt.Errorf("UPDATE CAPP DATA CACHE of %v: %w", n, err)
	}
	command.Data, command.Le = slices.Concat(data, mac[:]), 256
	return command, nil
}

// updated is the MAC over the status word 9000 in the answer to UPDATE CAPP DATA CACHE, with the command's MAC as initial vector.
func updated(ctx context.Context, op Operator, n RecordName, sent []byte) ([4]byte, error) {
	return op.RecordMAC(ctx, n, slices.Concat([]byte{0x90, 0x00, 0x80, 0x00}, sent[len(sent)-4:]))
}

// AppendTransit opens a record in an operator's file with data, its ID first, and gives it its own management key (APPEND RECORD). The record is there at once.
func (c *Card) AppendTransit(ctx context.Context, op Operator, n RecordName, data []byte) error {
	if len(data) < 3 || len(data) > 235 || !bytes.Equal(data[:2], n.ID[:]) {
		return fmt.Errorf("%w: %d bytes", ErrRecordLength, len(data))
	}
	atc, err := c.GetData(ctx, TagATC)
	if err != nil {
		return err
	}
	if len(atc) != 2 {
		return fmt.Errorf("GET DATA: %w: ATC of %d bytes", ErrMalformed, len(atc))
	}
	key, err := op.NewKey(ctx, n)
	if err != nil {
		return err
	}
	command := apdu.Command{CLA: 0x04, INS: 0xE2, P2: n.SFI << 3, Data: slices.Concat(key[:], data)}
	mac, err := op.OpeningMAC(ctx, n, TransitInput(command, uint16(atc[0])<<8|uint16(atc[1])))
	if err != nil {
		return err
	}
	command.Data = append(command.Data, mac[:]...)
	_, err = c.do(ctx, "APPEND RECORD", command)
	return err
}

// TransProve asks for the cryptogram of the last transit tap that was committed, if it has that ATC; else it is ErrNoProof.
func (c *Card) TransProve(ctx context.Context, atc uint16) (tc [8]byte, err error) {
	raw, err := c.do(ctx, "GET TRANS PROVE", apdu.Command{CLA: 0x80, INS: 0x5A, Data: []byte{byte(atc >> 8), byte(atc)}, Le: 8})
	if err != nil {
		return tc, err
	}
	if len(raw) != 8 {
		return tc, fmt.Errorf("GET TRANS PROVE: %w: %d bytes, want 8", ErrMalformed, len(raw))
	}
	return [8]byte(raw), nil
}

// BeginTransit is [Card.Begin] for a tap that writes a transit record together with its debit: entry with amount 0, exit with the fare, or what terminal.Transit says. record is what the card
// gave last, and data what it becomes: as long, and with the same ID. If the card declines, nothing is sent.
//
// The record's MAC is checked once the card number is known; a wrong one ends the tap before the last record.
func (c *Card) BeginTransit(ctx context.Context, terminal Terminal, op Operator, record TransitRecord, data []byte) (*Tap, error) {
	needs := byte(0x02)
	if terminal.Transit == 0 || terminal.Transit == SegmentedFare {
		terminal.Transit, needs = SegmentedFare, 0x01
	}
	support := c.FCI.Rest[TagTransitSupport]
	if len(support) != 1 || support[0]&needs == 0 || terminal.Transit > PreAuthCompletion || !slices.Contains(c.FCI.PDOL, Asked{TagTransit, 1}) {
		return nil, ErrNoTransit
	}
	if len(data) != len(record.Data) || len(data) < 2 || !bytes.Equal(data[:2], record.ID[:]) {
		return nil, ErrRecordLength
	}
	t, err := c.ask(ctx, terminal)
	if err != nil || t.Decision != TC {
		return t, err
	}
	if err := c.stage(ctx, t, op, record, data); err != nil {
		return t, fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return t, c.readOn(ctx, t)
}

func (c *Card) stage(ctx context.Context, t *Tap, op Operator, record TransitRecord, data []byte) error {
	name := RecordName{PAN: t.Track2.PAN, PSN: t.PSN, SFI: record.SFI, ID: record.ID}
	if record.random != nil {
		if err := record.Verify(ctx, op, name.PAN, name.PSN); err != nil {
			return err
		}
	}
	command, err := UpdateTransit(ctx, op, name, t.ATC, data)
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, "UPDATE CAPP DATA CACHE", command)
	if err != nil || record.random == nil {
		return err
	}
	want, err := updated(ctx, op, name, command.Data)
	if err == nil && !bytes.Equal(want[:], answer) {
		err = fmt.Errorf("UPDATE CAPP DATA CACHE: %w", ErrTransitMAC)
	}
	return err
}

// transit reports that the tap wrote a transit record.
func (t *Tap) transit() bool {
	v := t.Sent[TagTransit]
	return len(v) == 1 && v[0] >= SegmentedFare && v[0] <= PreAuthCompletion
}

// Reserves reports that the tap is a pre-authorisation: it has no cryptogram, and is never uploaded as a sale.
func (t *Tap) Reserves() bool { return bytes.Equal(t.Sent[TagTransit], []byte{PreAuthorisation}) }

// compareTransit judges a torn transit tap by GET TRANS PROVE, which nobody signs: an entry moves no balance, and an exit may have used the deposit.
func (c *Card) compareTransit(ctx context.Context, t *Tap) (Recovery, error) {
	tc, err := c.TransProve(ctx, t.ATC)
	switch {
	case err == nil && (tc == t.AC || t.Reserves()):
		return Unproven, nil
	case err == nil:
		return StillUnknown, nil
	case !errors.Is(err, ErrNoProof):
		var refused *StatusError
		if errors.As(err, &refused) {
			return StillUnknown, nil
		}
		return StillUnknown, err
	}
	atc, err := c.GetData(ctx, TagATC)
	if err != nil {
		return StillUnknown, err
	}
	if !bytes.Equal(atc, t.Objects[TagATC]) {
		return StillUnknown, nil // used elsewhere since: the card keeps the last one only
	}
	return NotDebited, nil
}
