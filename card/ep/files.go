package ep

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Short file identifiers (purse facts 2.1).
const (
	SFIPublic      = 0x15
	SFIHolder      = 0x16
	SFIManagement  = 0x17
	SFILog         = 0x18
	SFITripState   = 0x1A
	SFITripHistory = 0x1E
)

// Public is EF 15, public application data, 30 bytes (purse facts 2.2).
type Public struct {
	Issuer     Factor         // bytes 0 to 7
	AppType    byte           // 8
	Version    byte           // 9
	CardNumber ids.CardNumber // 10 to 19
	Start      [4]byte        // 20 to 23, YYYYMMDD
	Expiry     [4]byte        // 24 to 27
	FCIData    [2]byte        // 28 and 29
}

// Serial is the diversification factor of the card: the last 8 bytes of the card number.
func (p Public) Serial() Factor { return Factor(p.CardNumber[2:]) }

// Factors returns the diversification factors, issuer first, for one or two levels.
func (p Public) Factors(levels int) [][8]byte {
	if levels == 1 {
		return [][8]byte{p.Serial()}
	}
	return [][8]byte{p.Issuer, p.Serial()}
}

// ParsePublic reads EF 15. Longer forms (Shenzhen, Macau) are accepted and cut to the 30 bytes all share.
func ParsePublic(raw []byte) (Public, error) {
	if len(raw) < 30 {
		return Public{}, fmt.Errorf("EF 15: %w: %d bytes, want 30", ErrMalformed, len(raw))
	}
	return Public{
		Issuer:     Factor(raw[0:8]),
		AppType:    raw[8],
		Version:    raw[9],
		CardNumber: ids.CardNumber(raw[10:20]),
		Start:      [4]byte(raw[20:24]),
		Expiry:     [4]byte(raw[24:28]),
		FCIData:    [2]byte(raw[28:30]),
	}, nil
}

// Bytes codes EF 15.
func (p Public) Bytes() []byte {
	return cat(p.Issuer[:], []byte{p.AppType, p.Version}, p.CardNumber[:], p.Start[:], p.Expiry[:], p.FCIData[:])
}

// Management is EF 17 of a T-Union card, 60 bytes (purse facts 2.4).
type Management struct {
	Country      [4]byte
	Province     [2]byte
	City         [2]byte
	Interconnect bool
	Kind         byte // 01 normal, 02 student, 03 senior, 04 test, 05 military
	Reserved     [49]byte
}

// ParseManagement reads EF 17.
func ParseManagement(raw []byte) (Management, error) {
	if len(raw) < 60 {
		return Management{}, fmt.Errorf("EF 17: %w: %d bytes, want 60", ErrMalformed, len(raw))
	}
	return Management{
		Country:      [4]byte(raw[0:4]),
		Province:     [2]byte(raw[4:6]),
		City:         [2]byte(raw[6:8]),
		Interconnect: binary.BigEndian.Uint16(raw[8:10]) == 1,
		Kind:         raw[10],
		Reserved:     [49]byte(raw[11:60]),
	}, nil
}

// Bytes codes EF 17.
func (m Management) Bytes() []byte {
	var flag [2]byte
	if m.Interconnect {
		flag[1] = 1
	}
	return cat(m.Country[:], m.Province[:], m.City[:], flag[:], []byte{m.Kind}, m.Reserved[:])
}

// LogRecord is one record of EF 18, 23 bytes (purse facts 2.5).
type LogRecord struct {
	Counter   uint16 // before or after the increment: conflict C1, a profile setting
	Overdraft uint32 // limit, 3 bytes
	Amount    money.Amount
	Type      Type
	Terminal  TerminalNumber
	At        DateTime
}

// Empty reports a record never written: all zero.
func (l LogRecord) Empty() bool { return l == LogRecord{} }

// ParseLogRecord reads a record of EF 18.
func ParseLogRecord(raw []byte) (LogRecord, error) {
	if len(raw) != 23 {
		return LogRecord{}, fmt.Errorf("EF 18: %w: record of %d bytes, want 23", ErrMalformed, len(raw))
	}
	return LogRecord{
		Counter:   binary.BigEndian.Uint16(raw[0:2]),
		Overdraft: uint32(raw[2])<<16 | uint32(raw[3])<<8 | uint32(raw[4]),
		Amount:    GetAmount(raw[5:9]),
		Type:      Type(raw[9]),
		Terminal:  TerminalNumber(raw[10:16]),
		At:        DateTime(raw[16:23]),
	}, nil
}

// Bytes codes the record.
func (l LogRecord) Bytes() []byte {
	return cat(be16(l.Counter), []byte{byte(l.Overdraft >> 16), byte(l.Overdraft >> 8), byte(l.Overdraft)},
		amount4(l.Amount), []byte{byte(l.Type)}, l.Terminal[:], l.At[:])
}

// Trip states of EF 1A byte 14 (purse facts 2.6).
const (
	TripInitial        byte = 0
	TripEntered        byte = 1
	TripLeft           byte = 2
	TripEntryCorrected byte = 3
	TripExitCorrected  byte = 4
)

// MetroTrip is record 1 of EF 1A, 128 bytes (purse facts 2.6). Station and line bytes are the city's own (C5).
type MetroTrip struct {
	Flag                             byte // interoperable transaction flag
	Lock                             byte // 00 free
	Serial                           [8]byte
	State                            byte // Trip…
	EntryCity, ExitCity              [2]byte
	EntryInstitution                 [8]byte
	ExitInstitution                  [8]byte
	EntryStation, ExitStation        [8]byte
	EntryTerminal, ExitTerminal      [8]byte
	EntryTime, ExitTime              DateTime
	MarkedFare                       money.Amount // charged if the trip is never closed
	EntryLine, ExitLine              byte
	EntryAmount, Balance, ExitAmount money.Amount // Balance: after entry
	Reserved                         [29]byte
}

// Open reports a trip that was entered and not left.
func (m MetroTrip) Open() bool { return m.State == TripEntered || m.State == TripEntryCorrected }

// metroHead is the identifier of the metro record, the length of what follows it, and the valid flag (purse facts 2.6).
var metroHead = []byte{0x27, 0x01, 0x7D, 0x01}

// ParseMetroTrip reads record 1 of EF 1A. A record never written (all zero) or not valid reads as TripInitial. Another
// record, such as the bus record 2702, is ErrMalformed: its bytes mean other things.
func ParseMetroTrip(raw []byte) (MetroTrip, error) {
	if len(raw) != 128 {
		return MetroTrip{}, fmt.Errorf("EF 1A: %w: record of %d bytes, want 128", ErrMalformed, len(raw))
	}
	switch {
	case [4]byte(raw[:4]) == [4]byte{}, bytes.HasPrefix(raw, metroHead[:3]) && raw[3] == 0:
		return MetroTrip{}, nil
	case !bytes.HasPrefix(raw, metroHead):
		return MetroTrip{}, fmt.Errorf("EF 1A: %w: record head %X, want %X", ErrMalformed, raw[:4], metroHead)
	}
	return MetroTrip{
		Flag: raw[4], Lock: raw[5], Serial: [8]byte(raw[6:14]), State: raw[14],
		EntryCity: [2]byte(raw[15:17]), ExitCity: [2]byte(raw[17:19]),
		EntryInstitution: [8]byte(raw[19:27]), ExitInstitution: [8]byte(raw[27:35]),
		EntryStation: [8]byte(raw[35:43]), ExitStation: [8]byte(raw[43:51]),
		EntryTerminal: [8]byte(raw[51:59]), ExitTerminal: [8]byte(raw[59:67]),
		EntryTime: DateTime(raw[67:74]), ExitTime: DateTime(raw[74:81]),
		MarkedFare: GetAmount(raw[81:85]), EntryLine: raw[85], ExitLine: raw[86],
		EntryAmount: GetAmount(raw[87:91]), Balance: GetAmount(raw[91:95]), ExitAmount: GetAmount(raw[95:99]),
		Reserved: [29]byte(raw[99:128]),
	}, nil
}

// Bytes codes the record with its head 2701 7D 01.
func (m MetroTrip) Bytes() [128]byte {
	return [128]byte(cat(metroHead, []byte{m.Flag, m.Lock}, m.Serial[:], []byte{m.State},
		m.EntryCity[:], m.ExitCity[:], m.EntryInstitution[:], m.ExitInstitution[:], m.EntryStation[:], m.ExitStation[:],
		m.EntryTerminal[:], m.ExitTerminal[:], m.EntryTime[:], m.ExitTime[:], amount4(m.MarkedFare),
		[]byte{m.EntryLine, m.ExitLine}, amount4(m.EntryAmount), amount4(m.Balance), amount4(m.ExitAmount), m.Reserved[:]))
}

// Kinds of trip history record (EF 1E byte 0, purse facts 2.7), EP only.
const (
	HistoryIn         byte = 0x03
	HistoryOut        byte = 0x04
	HistorySingle     byte = 0x06
	HistoryCorrection byte = 0x08
)

// Industries (EF 1E byte 9).
const (
	IndustryMetro byte = 0x01
	IndustryBus   byte = 0x02
)

// TripHistory is one record of EF 1E, 48 bytes (purse facts 2.7).
type TripHistory struct {
	Kind        byte
	Terminal    [8]byte // 0000 + terminal number; the reverse order is accepted when reading (C6)
	Industry    byte
	Line        [2]byte // opaque, city-specific (C5)
	Station     [2]byte
	Operator    [2]byte
	Reserved1   byte
	Amount      money.Amount
	Balance     money.Amount // after
	At          DateTime
	City        [2]byte
	Institution [8]byte
	Reserved2   [6]byte
}

// Empty reports a record never written.
func (h TripHistory) Empty() bool { return h == TripHistory{} }

// TerminalNumber returns the 6-byte number out of the 8-byte field in either order (C6).
func (h TripHistory) TerminalNumber() TerminalNumber { return TerminalOf8(h.Terminal) }

// Terminal8 codes a terminal number into an 8-byte field, 0000 first (C6).
func Terminal8(t TerminalNumber) (out [8]byte) { copy(out[2:], t[:]); return out }

// TerminalOf8 reads a terminal number out of an 8-byte field in either order (C6).
func TerminalOf8(raw [8]byte) TerminalNumber {
	if raw[0] == 0 && raw[1] == 0 {
		return TerminalNumber(raw[2:])
	}
	return TerminalNumber(raw[:6])
}

// ParseTripHistory reads a record of EF 1E.
func ParseTripHistory(raw []byte) (TripHistory, error) {
	if len(raw) != 48 {
		return TripHistory{}, fmt.Errorf("EF 1E: %w: record of %d bytes, want 48", ErrMalformed, len(raw))
	}
	return TripHistory{
		Kind: raw[0], Terminal: [8]byte(raw[1:9]), Industry: raw[9], Line: [2]byte(raw[10:12]), Station: [2]byte(raw[12:14]),
		Operator: [2]byte(raw[14:16]), Reserved1: raw[16], Amount: GetAmount(raw[17:21]), Balance: GetAmount(raw[21:25]),
		At: DateTime(raw[25:32]), City: [2]byte(raw[32:34]), Institution: [8]byte(raw[34:42]), Reserved2: [6]byte(raw[42:48]),
	}, nil
}

// Bytes codes the record.
func (h TripHistory) Bytes() [48]byte {
	return [48]byte(cat([]byte{h.Kind}, h.Terminal[:], []byte{h.Industry}, h.Line[:], h.Station[:], h.Operator[:],
		[]byte{h.Reserved1}, amount4(h.Amount), amount4(h.Balance), h.At[:], h.City[:], h.Institution[:], h.Reserved2[:]))
}
