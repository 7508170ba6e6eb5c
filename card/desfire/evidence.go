package desfire

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// EvidenceKind tags the bytes of an [Evidence] wherever evidence of several card families lies together.
const EvidenceKind = "desfire-tmac/1"

// Attempt is a debit that was prepared on a card. It holds all that recovery and recheck need, and goes to disk before Commit.
type Attempt struct {
	AID         [3]byte
	UID         [7]byte
	TMVersion   byte
	ValueFile   byte
	RecordFile  byte
	WriteRecord byte // the code it was written with: part of the MAC
	Before      money.Amount
	Amount      money.Amount
	TMC         uint32 // before the commit
	Record      []byte // what was written; it names terminal and attempt, so that no two attempts have the same MAC
	Seen        []byte // the newest record before, if it was read in the transaction: the MAC covers reads too. Else empty
}

// Evidence is a committed debit with the card's transaction MAC value. The counter it was made with is TMC+1.
type Evidence struct {
	Attempt
	TMV [8]byte
}

const (
	attemptVersion = 1
	attemptFixed   = 1 + 3 + 7 + 4 + 4 + 4 + 4 + 1
	attemptLeast   = attemptFixed + 1
)

// Bytes codes the attempt: version 1, AID 3, UID 7, key version, value file, record file, record command, then before, amount
// and TMC with 4 bytes each (big-endian), record length 1, record, length 1 and bytes of the record seen before.
func (a Attempt) Bytes() []byte {
	out := append([]byte{attemptVersion}, a.AID[:]...)
	out = append(out, a.UID[:]...)
	out = append(out, a.TMVersion, a.ValueFile, a.RecordFile, a.WriteRecord)
	out = binary.BigEndian.AppendUint32(out, uint32(int32(a.Before.Minor())))
	out = binary.BigEndian.AppendUint32(out, uint32(int32(a.Amount.Minor())))
	out = binary.BigEndian.AppendUint32(out, a.TMC)
	out = append(append(out, byte(len(a.Record))), a.Record...)
	return append(append(out, byte(len(a.Seen))), a.Seen...)
}

// Bytes codes the evidence: the attempt and the 8 bytes of the TMV.
func (e Evidence) Bytes() []byte { return append(e.Attempt.Bytes(), e.TMV[:]...) }

// ParseAttempt reads what Bytes wrote, and nothing that no card could have been asked for.
func ParseAttempt(raw []byte) (Attempt, error) {
	if len(raw) < attemptLeast || raw[0] != attemptVersion {
		return Attempt{}, fmt.Errorf("desfire: attempt of %d bytes: want version %d and at least %d", len(raw), attemptVersion, attemptLeast)
	}
	a := Attempt{
		AID: [3]byte(raw[1:4]), UID: [7]byte(raw[4:11]),
		TMVersion: raw[11], ValueFile: raw[12], RecordFile: raw[13], WriteRecord: raw[14],
		Before: value(binary.BigEndian.Uint32(raw[15:])),
		Amount: value(binary.BigEndian.Uint32(raw[19:])),
		TMC:    binary.BigEndian.Uint32(raw[23:]),
	}
	n := int(raw[27])
	if n != 16 && n != 32 || attemptFixed+n >= len(raw) {
		return Attempt{}, fmt.Errorf("desfire: record of %d bytes in an attempt of %d: want 16 or 32", n, len(raw))
	}
	a.Record = slices.Clone(raw[attemptFixed : attemptFixed+n])
	seen := raw[attemptFixed+n+1:]
	if int(raw[attemptFixed+n]) != len(seen) || len(seen) != 0 && len(seen) != n {
		return Attempt{}, fmt.Errorf("desfire: %d bytes of a record seen before: want none or %d", len(seen), n)
	}
	if len(seen) > 0 {
		a.Seen = slices.Clone(seen)
	}
	if a.Amount.Sign() < 0 {
		return Attempt{}, errors.New("desfire: attempt with a negative amount")
	}
	if a.WriteRecord != 0x3B && a.WriteRecord != 0x8B {
		return Attempt{}, fmt.Errorf("desfire: record command %02X: want 3B or 8B", a.WriteRecord)
	}
	if a.TMC == math.MaxUint32 {
		return Attempt{}, errors.New("desfire: attempt with a counter at its end")
	}
	return a, nil
}

// ParseEvidence reads what Bytes wrote.
func ParseEvidence(raw []byte) (Evidence, error) {
	n := len(raw) - 8
	if n < 0 {
		return Evidence{}, fmt.Errorf("desfire: evidence of %d bytes", len(raw))
	}
	a, err := ParseAttempt(raw[:n])
	if err != nil {
		return Evidence{}, err
	}
	return Evidence{Attempt: a, TMV: [8]byte(raw[n:])}, nil
}

// value reads the four bytes of a value file: a signed number of minor units.
func value(v uint32) money.Amount { return money.Minor(int64(int32(v))) }

// TMI is the transaction MAC input of the attempt: GetValue, ReadRecords where the newest record was read, WriteRecord, Debit, in the
// order in which [Card] sends them (MF2DLHX0 10.3.4.2). Each part is padded with zeros to whole blocks; numbers stand least significant
// byte first, as on the air. So balance before, records and amount are all under the card's MAC.
func (a Attempt) TMI() []byte {
	get := binary.LittleEndian.AppendUint32([]byte{insGetValue, a.ValueFile}, uint32(int32(a.Before.Minor())))
	var read []byte
	if len(a.Seen) > 0 {
		read = append([]byte{a.readRecords()}, oneRecord(a.RecordFile, 0)...)
	}
	write := append([]byte{a.WriteRecord}, recordHeader(a.RecordFile, len(a.Record))...)
	debit := binary.LittleEndian.AppendUint32([]byte{insDebit, a.ValueFile}, uint32(int32(a.Amount.Minor())))
	return slices.Concat(zeros(get), zeros(read), a.Seen, zeros(write), zeros(a.Record), zeros(debit))
}

// readRecords is the code that goes with the attempt's code of WriteRecord.
func (a Attempt) readRecords() byte {
	return Settings{ISOChaining: a.WriteRecord == 0x8B}.readRecords()
}

// oneRecord is FileNo, number and count of ReadRecords for one record; number 0 is the newest.
func oneRecord(file, number byte) []byte { return []byte{file, number, 0, 0, 1, 0, 0} }

// zeros fills up to whole blocks.
func zeros(b []byte) []byte {
	if n := len(b) % 16; n > 0 {
		return append(slices.Clone(b), make([]byte, 16-n)...)
	}
	return b
}

// recordHeader is FileNo, offset 0 and length of WriteRecord.
func recordHeader(file byte, size int) []byte {
	return []byte{file, 0, 0, 0, byte(size), byte(size >> 8), byte(size >> 16)}
}

// TMV computes the transaction MAC value: the session key from the card's key, the counter *after* the commit and the UID, then
// the truncated CMAC over tmi (MF2DLHX0 10.3.2.3 and 10.3.2.4).
func TMV(key keys.Key, uid [7]byte, tmc uint32, tmi []byte) [8]byte {
	sv := binary.LittleEndian.AppendUint32([]byte{0x5A, 0x00, 0x01, 0x00, 0x80}, tmc)
	return Truncate(CMAC(CMAC(key, append(sv, uid[:]...)), tmi))
}

// TMKey names one card's transaction MAC key at the host.
type TMKey struct {
	Version byte
	AID     [3]byte
	UID     [7]byte
}

// HSM is the host's door to the transaction MAC keys. Errors are keys.ErrUnknownKey or the device's own.
type HSM interface {
	TMV(ctx context.Context, card TMKey, tmc uint32, tmi []byte) ([8]byte, error)
}

// Recheck asks the HSM whether the card committed exactly this: nil, keys.ErrBadMAC, or what the HSM says. An evidence that fails
// is no proof that nothing was debited.
//
// Who posts evidence also keeps to (UID, AID, TMC): two with one counter and other content cannot both be of the card.
func Recheck(ctx context.Context, hsm HSM, e Evidence) error {
	if e.TMC == math.MaxUint32 || len(e.Record) != 16 && len(e.Record) != 32 || len(e.Seen) != 0 && len(e.Seen) != len(e.Record) {
		return fmt.Errorf("%w: no card makes such evidence", keys.ErrBadMAC)
	}
	want, err := hsm.TMV(ctx, TMKey{Version: e.TMVersion, AID: e.AID, UID: e.UID}, e.TMC+1, e.TMI())
	if err != nil {
		return fmt.Errorf("transaction MAC: %w", err)
	}
	if subtle.ConstantTimeCompare(want[:], e.TMV[:]) != 1 {
		return fmt.Errorf("transaction MAC of counter %d: %w", e.TMC+1, keys.ErrBadMAC)
	}
	return nil
}

// SoftHSM holds master keys by version and derives each card's key with [Diversify]. It is for development.
type SoftHSM struct {
	masters map[byte]keys.Key
	system  []byte
}

// NewSoftHSM is a SoftHSM for the scheme's system identifier (6 to 21 bytes).
func NewSoftHSM(masters map[byte]keys.Key, system []byte) (*SoftHSM, error) {
	if _, err := Diversify(keys.Key{}, [7]byte{}, [3]byte{}, system); err != nil {
		return nil, err
	}
	return &SoftHSM{masters: masters, system: bytes.Clone(system)}, nil
}

// Format prints no key.
func (h *SoftHSM) Format(f fmt.State, _ rune) { io.WriteString(f, "[software HSM]") }

// TMV implements HSM.
func (h *SoftHSM) TMV(_ context.Context, card TMKey, tmc uint32, tmi []byte) ([8]byte, error) {
	master, ok := h.masters[card.Version]
	if !ok {
		return [8]byte{}, fmt.Errorf("transaction MAC key, version %02X: %w", card.Version, keys.ErrUnknownKey)
	}
	key, err := Diversify(master, card.UID, card.AID, h.system)
	if err != nil {
		return [8]byte{}, err
	}
	return TMV(key, card.UID, tmc, tmi), nil
}
