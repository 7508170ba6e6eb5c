package ec

import (
	"fmt"
	"math"
	"time"

	"github.com/purselane/purselane/internal/bcd"
	"github.com/purselane/purselane/internal/money"
)

// ParseAmount reads a BCD amount in minor units: n12 in 6 bytes, n10 in 5.
func ParseAmount(raw []byte) (money.Amount, error) {
	if len(raw) != 5 && len(raw) != 6 {
		return money.Amount{}, fmt.Errorf("%w: amount of %d bytes, want 6 (n12) or 5 (n10)", ErrMalformed, len(raw))
	}
	n, err := bcd.Get(raw)
	if err != nil || n > math.MaxInt64 {
		return money.Amount{}, fmt.Errorf("%w: amount: not decimal", ErrMalformed)
	}
	return money.Minor(int64(n)), nil
}

// Amount12 codes a as n12: 6 BCD bytes, 0 to 9 999 999 999.99.
func Amount12(a money.Amount) (out [6]byte, err error) {
	if a.Sign() < 0 {
		return out, fmt.Errorf("ec: amount %v is negative", a)
	}
	if err := bcd.Put(out[:], uint64(a.Minor())); err != nil {
		return out, fmt.Errorf("ec: amount %v does not fit n12: %w", a, err)
	}
	return out, nil
}

// Date is a day as the number YYYYMMDD; days compare as numbers. Zero is no day.
type Date uint32

// String prints YYYY-MM-DD.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d/10000, d/100%100, d%100) }

// DateOf is the day of t in its own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(y*10000 + int(m)*100 + d)
}

// BCD codes the day as tags 9A and 5F24 have it: YYMMDD.
func (d Date) BCD() (out [3]byte) {
	if err := bcd.Put(out[:], uint64(d%1000000)); err != nil {
		panic(err) // six decimal digits
	}
	return out
}

// ParseDate reads YYMMDD. Years 00 to 49 are 2000 to 2049, the others are of the century before (EMV book 4).
func ParseDate(raw []byte) (Date, error) {
	if len(raw) != 3 {
		return 0, fmt.Errorf("%w: date of %d bytes, want 3", ErrMalformed, len(raw))
	}
	n, err := bcd.Get(raw)
	if err != nil {
		return 0, fmt.Errorf("%w: date: %v", ErrMalformed, err)
	}
	year := 1900 + int(n/10000)
	if n/10000 < 50 {
		year += 100
	}
	return day(year, int(n/100%100), int(n%100))
}

// parseMonth reads MMYY of a certificate, which is valid to the last day of that month (EC facts 12).
func parseMonth(raw []byte) (Date, error) {
	n, err := bcd.Get(raw)
	if err != nil || n/100 < 1 || n/100 > 12 {
		return 0, fmt.Errorf("%w: certificate expiry %X is no month", ErrMalformed, raw)
	}
	year := 1900 + int(n%100)
	if n%100 < 50 {
		year += 100
	}
	return DateOf(time.Date(year, time.Month(n/100)+1, 0, 0, 0, 0, 0, time.UTC)), nil
}

func day(y, m, d int) (Date, error) {
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(m) || t.Day() != d {
		return 0, fmt.Errorf("%w: %04d-%02d-%02d is no day", ErrMalformed, y, m, d)
	}
	return DateOf(t), nil
}
