package ep

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/bcd"
	"github.com/purselane/purselane/internal/money"
)

// Type is the transaction type byte (JR/T 0025.2; purse facts chapter 6.1).
type Type byte

// Transaction types.
const (
	TypeEDLoad     Type = 0x01
	TypeLoad       Type = 0x02 // EP load
	TypeUnload     Type = 0x03
	TypeEDCash     Type = 0x04
	TypeEDPurchase Type = 0x05
	TypePurchase   Type = 0x06 // EP purchase
	TypeEDLimit    Type = 0x07
	TypeComposite  Type = 0x09 // CAPP purchase
)

// TerminalNumber is the 6-byte terminal number of a PSAM (its MF EF 16), as it enters MACs and card logs.
type TerminalNumber [6]byte

// String prints twelve hexadecimal digits.
func (t TerminalNumber) String() string { return strings.ToUpper(hex.EncodeToString(t[:])) }

// Factor is an 8-byte key diversification factor: the issuer (EF 15 bytes 0 to 7) or the last 8 bytes of the
// application serial number.
type Factor [8]byte

// MAC is a 4-byte MAC or TAC.
type MAC [4]byte

// String prints eight hexadecimal digits.
func (m MAC) String() string { return strings.ToUpper(hex.EncodeToString(m[:])) }

// DateTime is date (YYYYMMDD) and time (hhmmss), packed BCD, scheme local time, as it stands in commands and MACs.
type DateTime [7]byte

// DateTimeOf codes t's local wall time. Years outside 0 to 9999 fail.
func DateTimeOf(t time.Time) (DateTime, error) {
	var d DateTime
	y, m, day := t.Date()
	if y < 0 || y > 9999 {
		return d, fmt.Errorf("ep: year %d does not fit a purse date", y)
	}
	n := uint64(y)*1e10 + uint64(m)*1e8 + uint64(day)*1e6 + uint64(t.Hour())*1e4 + uint64(t.Minute())*1e2 + uint64(t.Second())
	return d, bcd.Put(d[:], n)
}

// Time reads the date and time in loc. Zero bytes, an empty record's date, give an error.
func (d DateTime) Time(loc *time.Location) (time.Time, error) {
	n, err := bcd.Get(d[:])
	if err != nil {
		return time.Time{}, err
	}
	y, mo, day := int(n/1e10), int(n/1e8%100), int(n/1e6%100)
	h, mi, s := int(n/1e4%100), int(n/100%100), int(n%100)
	t := time.Date(y, time.Month(mo), day, h, mi, s, 0, loc)
	if t.Month() != time.Month(mo) || t.Day() != day || h > 23 || mi > 59 || s > 59 {
		return time.Time{}, fmt.Errorf("ep: %X is no date and time", d[:])
	}
	return t, nil
}

// PutAmount writes a as 4 bytes big-endian. A purse amount is 0 to 2^32−1 minor units.
func PutAmount(dst []byte, a money.Amount) error {
	n := a.Minor()
	if n < 0 || n > 0xFFFFFFFF {
		return fmt.Errorf("ep: amount %v does not fit four bytes", a)
	}
	binary.BigEndian.PutUint32(dst, uint32(n))
	return nil
}

// GetAmount reads 4 bytes big-endian.
func GetAmount(src []byte) money.Amount { return money.Minor(int64(binary.BigEndian.Uint32(src))) }

// GetBalance reads a 4-byte balance with its top bit masked, as readers in the field do (purse facts 3.2).
func GetBalance(src []byte) money.Amount {
	return money.Minor(int64(binary.BigEndian.Uint32(src) & 0x7FFFFFFF))
}
