package bin

import (
	"errors"
	"fmt"
)

// Scheme is whose network a card is of. The text is part of the table's file.
type Scheme string

// Schemes.
const (
	Visa       Scheme = "visa"
	Mastercard Scheme = "mastercard"
	UnionPay   Scheme = "unionpay"
	Other      Scheme = "other"
)

// Type is the kind of a card. The text is part of the table's file, and what routing asks by.
type Type string

// Types.
const (
	Debit   Type = "debit"
	Credit  Type = "credit"
	Prepaid Type = "prepaid"
)

// Card is what the first digits of a number tell.
type Card struct {
	Bank   string // our code
	Type   Type
	Scheme Scheme
}

// Errors. Neither says a digit of the number.
var (
	ErrNumber  = errors.New("this is no card number")
	ErrUnknown = errors.New("no bank is known of the card's first digits: the table is too old, or the card is of a bank that is not in it")
)

// Lengths of card numbers, ISO/IEC 7812-1.
const (
	minLen = 12
	maxLen = 19
)

// SchemeOf is the scheme by the first digits alone: 4 Visa; 5 and 2221 to 2720 Mastercard; 62, 60 and 9 UnionPay.
func SchemeOf(number string) Scheme {
	switch {
	case number == "":
		return Other
	case number[0] == '4':
		return Visa
	case number[0] == '5', len(number) >= 4 && number[:4] >= "2221" && number[:4] <= "2720":
		return Mastercard
	case number[0] == '9', len(number) >= 2 && (number[:2] == "62" || number[:2] == "60"):
		return UnionPay
	}
	return Other
}

// Look says what a number tells. Errors: [ErrNumber] with what is wrong, [ErrUnknown].
func (t *Table) Look(number string) (Card, error) {
	if err := form(number); err != nil {
		return Card{}, err
	}
	for n := maxPrefix; n >= minPrefix; n-- {
		e, known := t.entries[number[:n]]
		if !known {
			continue
		}
		if len(number) < e.min || len(number) > e.max {
			return Card{}, fmt.Errorf("%w: it has %d digits, and cards of this bank have %s", ErrNumber, len(number), span(e.min, e.max))
		}
		if e.check && !Luhn(number) {
			return Card{}, fmt.Errorf("%w: its last digit does not fit the others", ErrNumber)
		}
		return e.Card, nil
	}
	if !Luhn(number) {
		return Card{}, fmt.Errorf("%w: its last digit does not fit the others", ErrNumber)
	}
	return Card{}, ErrUnknown
}

func form(number string) error {
	for i := range len(number) {
		if !digit(number[i]) {
			return fmt.Errorf("%w: it has something other than digits at place %d", ErrNumber, i+1)
		}
	}
	if len(number) < minLen || len(number) > maxLen {
		return fmt.Errorf("%w: it has %d digits, want %s", ErrNumber, len(number), span(minLen, maxLen))
	}
	return nil
}

func span(lo, hi int) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// Luhn reports whether the last digit of a number fits the others, ISO/IEC 7812-1 annex B. What is not all digits does not.
func Luhn(number string) bool {
	sum := 0
	for i := range len(number) {
		c := number[len(number)-1-i]
		if !digit(c) {
			return false
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return number != "" && sum%10 == 0
}

// Find returns where the first thing stands in data that looks like a card number of a scheme: 13 to 19 digits in a row that fit Luhn. -1 is
// none. It is for scans of databases and logs, where none may be; one run of digits in ten fits by chance.
func Find(data []byte) int {
	for i := 0; i < len(data); i++ {
		if !digit(data[i]) {
			continue
		}
		end := i
		for end < len(data) && digit(data[end]) {
			end++
		}
		if n := end - i; n >= 13 && n <= maxLen {
			if run := string(data[i:end]); SchemeOf(run) != Other && Luhn(run) {
				return i
			}
		}
		i = end
	}
	return -1
}
