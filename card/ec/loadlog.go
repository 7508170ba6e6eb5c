package ec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// loadRecordLength is that of one record of the load log.
const loadRecordLength = 22

// LoadRecord is one record of the card's load log (EC facts 15).
type LoadRecord struct {
	Tag           tlv.Tag // 9F79
	Before, After money.Amount
	Date, Time    [3]byte // YYMMDD, hhmmss
	ATC           uint16
}

// ParseLoadRecord reads the 22 bytes of a record.
func ParseLoadRecord(raw []byte) (LoadRecord, error) {
	if len(raw) != loadRecordLength {
		return LoadRecord{}, fmt.Errorf("%w: load log record of %d bytes, want 22", ErrMalformed, len(raw))
	}
	before, err := ParseAmount(raw[2:8])
	if err != nil {
		return LoadRecord{}, fmt.Errorf("load log: %w", err)
	}
	after, err := ParseAmount(raw[8:14])
	if err != nil {
		return LoadRecord{}, fmt.Errorf("load log: %w", err)
	}
	return LoadRecord{
		Tag: tlv.Tag(raw[0])<<8 | tlv.Tag(raw[1]), Before: before, After: after,
		Date: [3]byte(raw[14:17]), Time: [3]byte(raw[17:20]), ATC: uint16(raw[20])<<8 | uint16(raw[21]),
	}, nil
}

// ErrLoadLog says that the MAC over a load log does not verify.
var ErrLoadLog = errors.New("MAC over the load log does not verify")

// LoadLog is the load log in one answer, with the card's MAC: a proof that the host can check (EC facts 15).
type LoadLog struct {
	ATC     uint16 // of the session in which it was read
	Records []LoadRecord
	signed  []byte
	mac     [4]byte
}

// ParseLoadLog reads the answer to READ RECORD with record number 0: ATC, count, records, MAC.
func ParseLoadLog(raw []byte) (LoadLog, error) {
	if len(raw) < 7 || len(raw) != 7+int(raw[2])*loadRecordLength {
		return LoadLog{}, fmt.Errorf("%w: load log of %d bytes", ErrMalformed, len(raw))
	}
	body := len(raw) - 4
	l := LoadLog{ATC: binary.BigEndian.Uint16(raw), signed: raw[:body], mac: [4]byte(raw[body:])}
	for at := 3; at < body; at += loadRecordLength {
		r, err := ParseLoadRecord(raw[at : at+loadRecordLength])
		if err != nil {
			return LoadLog{}, err
		}
		l.Records = append(l.Records, r)
	}
	return l, nil
}

// Verify checks the MAC under the MAC session key of the log's ATC.
func (l LoadLog) Verify(ctx context.Context, door Issuer, card CardKeys) error {
	mac, err := door.MAC(ctx, card, l.ATC, card.suite().Pad(l.signed))
	if err != nil {
		return fmt.Errorf("load log of %v: %w", card, err)
	}
	if mac != l.mac {
		return ErrLoadLog
	}
	return nil
}

// LoadLog reads the load log, whose file DF4D names, in one answer.
func (c *Card) LoadLog(ctx context.Context) ([]byte, error) {
	entry := c.FCI.Rest[TagLoadLogEntry]
	if len(entry) != 2 || entry[0] == 0 || entry[0] > 30 {
		return nil, fmt.Errorf("%w: the card names no load log", ErrNotFound)
	}
	return c.do(ctx, "READ RECORD", apdu.Command{INS: 0xB2, P2: entry[0]<<3 | 4, Le: 256})
}
