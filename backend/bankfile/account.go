package bankfile

import (
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Account is an account at a bank.
type Account struct {
	Name   string // of its owner, 1 to 140 characters
	Number string // an IBAN, or up to 34 characters of another kind
	Bank   string // a BIC of 8 or 11 characters, or a CNAPS number of 12 digits
}

// Check reports an account that no file may name.
func (a Account) Check() error {
	if err := text("name", a.Name, 140); err != nil {
		return err
	}
	if len(a.Number) == 0 || len(a.Number) > 34 || !upper(a.Number) {
		return fmt.Errorf("account number %q: want 1 to 34 of A-Z and 0-9, without spaces", a.Number)
	}
	if looksIBAN(a.Number) && !isIBAN(a.Number) {
		return fmt.Errorf("account number %q: it looks like an IBAN and its check digits are wrong", a.Number)
	}
	if !isBIC(a.Bank) && !isCNAPS(a.Bank) {
		return fmt.Errorf("bank %q: want a BIC of 8 or 11 characters, or a CNAPS number of 12 digits", a.Bank)
	}
	return nil
}

// looksIBAN reports whether a number begins as IBANs do: a country and two check digits.
func looksIBAN(s string) bool {
	return len(s) >= 15 && letters(s[:2]) && digits(s[2:4])
}

// isIBAN checks an IBAN (ISO 13616): the number with its first four characters last, letters as 10 to 35, is 1 modulo 97.
func isIBAN(s string) bool {
	if !looksIBAN(s) || !upper(s) {
		return false
	}
	var n strings.Builder
	for _, c := range s[4:] + s[:4] {
		if c >= 'A' {
			fmt.Fprint(&n, int(c-'A')+10)
		} else {
			n.WriteRune(c)
		}
	}
	v, ok := new(big.Int).SetString(n.String(), 10)
	return ok && new(big.Int).Mod(v, big.NewInt(97)).Int64() == 1
}

func isBIC(s string) bool {
	return (len(s) == 8 || len(s) == 11) && letters(s[:6]) && upper(s)
}

func isCNAPS(s string) bool { return len(s) == 12 && digits(s) }

func letters(s string) bool { return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }
func digits(s string) bool  { return strings.Trim(s, "0123456789") == "" }
func upper(s string) bool   { return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" }

// text checks a text that goes into a file: present, not too long, and of characters that can be printed.
func text(what, s string, most int) error {
	if s == "" || utf8.RuneCountInString(s) > most || !utf8.ValidString(s) {
		return fmt.Errorf("%s %q: want 1 to %d characters", what, s, most)
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("%s: character %q cannot be printed", what, c)
		}
	}
	return nil
}
