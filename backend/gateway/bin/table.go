package bin

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	minPrefix = 6
	maxPrefix = 10
	maxFile   = 16 << 20
	fileForm  = 1
)

// Table is one version of the table. It does not change.
type Table struct {
	version int
	entries map[string]entry
}

type entry struct {
	Card
	min, max int
	check    bool
}

// ErrFile says that a table's file is not whole or not in its form.
var ErrFile = errors.New("bad BIN table")

// Parse reads a table's file, form 1 of docs/gateway-products.md:
//
//	purselane-bin,1,VERSION
//	PREFIX,BANK,TYPE,SCHEME,LENGTHS,CHECK
//	end,ROWS
//
// Rows stand in the order of their prefixes, as texts; each prefix once. Nothing is guessed: a file that was cut, or has a row that is not
// understood, is refused as a whole. Error: [ErrFile] with the line.
func Parse(file []byte) (*Table, error) {
	if len(file) > maxFile {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrFile, len(file), maxFile)
	}
	lines := strings.Split(string(file), "\n")
	if len(lines) < 3 || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("%w: want a heading, rows and an end, each closed by a line feed", ErrFile)
	}
	lines = lines[:len(lines)-1]
	rest, ours := strings.CutPrefix(lines[0], fmt.Sprintf("purselane-bin,%d,", fileForm))
	version, ok := count(rest)
	if !ours || !ok || version == 0 {
		return nil, fmt.Errorf("%w: line 1: want purselane-bin,%d, and a version above zero", ErrFile, fileForm)
	}
	rows := lines[1 : len(lines)-1]
	if lines[len(lines)-1] != fmt.Sprintf("end,%d", len(rows)) {
		return nil, fmt.Errorf("%w: the last line is not end,%d: the file was cut or its rows are miscounted", ErrFile, len(rows))
	}
	t := &Table{version: version, entries: make(map[string]entry, len(rows))}
	last := ""
	for i, line := range rows {
		prefix, e, err := row(line)
		if err == nil && prefix <= last {
			err = fmt.Errorf("prefix %s does not stand above the one before it", prefix)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFile, i+2, err)
		}
		t.entries[prefix], last = e, prefix
	}
	return t, nil
}

func row(line string) (string, entry, error) {
	f := strings.Split(line, ",")
	if len(f) != 6 {
		return "", entry{}, fmt.Errorf("%d fields, want 6", len(f))
	}
	prefix, e := f[0], entry{Card: Card{Bank: f[1], Type: Type(f[2]), Scheme: Scheme(f[3])}}
	lo, hi, two := strings.Cut(f[4], "-")
	if !two {
		hi = lo
	}
	var okLo, okHi bool
	e.min, okLo = count(lo)
	e.max, okHi = count(hi)
	switch {
	case len(prefix) < minPrefix || len(prefix) > maxPrefix || strings.Trim(prefix, "0123456789") != "":
		// It may be a whole card number, put there by mistake: it is not repeated.
		return "", entry{}, fmt.Errorf("the prefix is not %d to %d digits", minPrefix, maxPrefix)
	case e.Bank == "" || len(e.Bank) > 16 || strings.Trim(e.Bank, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return "", entry{}, fmt.Errorf("the bank of prefix %s is not 1 to 16 of a-z, 0-9 and -", prefix)
	case !slices.Contains([]Type{Debit, Credit, Prepaid}, e.Type):
		return "", entry{}, fmt.Errorf("the type of prefix %s is not debit, credit or prepaid", prefix)
	case !slices.Contains([]Scheme{Visa, Mastercard, UnionPay, Other}, e.Scheme):
		return "", entry{}, fmt.Errorf("the scheme of prefix %s is not visa, mastercard, unionpay or other", prefix)
	case !okLo || !okHi || e.min < minLen || e.max > maxLen || e.min > e.max || two && e.min == e.max:
		return "", entry{}, fmt.Errorf("the lengths of prefix %s are not of %d to %d, as 16 or 16-19", prefix, minLen, maxLen)
	case f[5] != "luhn" && f[5] != "none":
		return "", entry{}, fmt.Errorf("the check of prefix %s is not luhn or none", prefix)
	}
	e.check = f[5] == "luhn"
	return prefix, e, nil
}

// count reads a number in its only form: no sign, no leading zero.
func count(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}

// Format writes the table's file. Parse reads it to the same table.
func (t *Table) Format() []byte {
	prefixes := make([]string, 0, len(t.entries))
	for p := range t.entries {
		prefixes = append(prefixes, p)
	}
	slices.Sort(prefixes)
	var b strings.Builder
	fmt.Fprintf(&b, "purselane-bin,%d,%d\n", fileForm, t.version)
	for _, p := range prefixes {
		e := t.entries[p]
		lengths, check := strconv.Itoa(e.min), "none"
		if e.max > e.min {
			lengths += "-" + strconv.Itoa(e.max)
		}
		if e.check {
			check = "luhn"
		}
		fmt.Fprintf(&b, "%s,%s,%s,%s,%s,%s\n", p, e.Bank, e.Type, e.Scheme, lengths, check)
	}
	fmt.Fprintf(&b, "end,%d\n", len(prefixes))
	return []byte(b.String())
}

// Version is the table's.
func (t *Table) Version() int { return t.version }

// Len is how many prefixes are known.
func (t *Table) Len() int { return len(t.entries) }

// Current holds the table in use. The zero value has none: all is [ErrUnknown]. It is safe for concurrent use.
type Current struct{ p atomic.Pointer[Table] }

// ErrOld says that a newer table is in use.
var ErrOld = errors.New("a newer BIN table is in use")

// Use takes a table from now on. Error: [ErrOld].
func (c *Current) Use(t *Table) error {
	for {
		old := c.p.Load()
		if err := c.May(t); err != nil {
			return err
		}
		if c.p.CompareAndSwap(old, t) {
			return nil
		}
	}
}

// May reports whether a table may be used: none that is newer is in use. Error: [ErrOld].
func (c *Current) May(t *Table) error {
	if old := c.p.Load(); old != nil && t.version < old.version {
		return fmt.Errorf("version %d: %w: version %d", t.version, ErrOld, old.version)
	}
	return nil
}

// Look asks the table in use, as [Table.Look].
func (c *Current) Look(number string) (Card, error) {
	t := c.p.Load()
	if t == nil {
		t = &Table{}
	}
	return t.Look(number)
}
