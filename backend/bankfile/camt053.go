package bankfile

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/purselane/purselane/internal/money"
)

// Statement is what stands above a statement's entries.
type Statement struct {
	ID      string
	Account string // IBAN, or the number of another kind
}

// Entry is one line of a statement.
type Entry struct {
	Statement
	Ref      string // the bank's, of this line
	Amount   money.Amount
	Currency string
	Credit   bool // money came; else it went
	Booked   bool // else it is only announced
	Reversal bool // it undoes an earlier entry
	Uneven   bool // its payments do not come to its amount: nobody but a person can say why
	Day      string
	Details  []Detail // the payments it is made of; one without an id where the file has none
}

// Balance is what a statement says that was on its account at the end of a day.
type Balance struct {
	Statement
	Amount   money.Amount // less than zero: overdrawn
	Currency string
	Day      string
}

// Detail is one payment of an entry.
type Detail struct {
	EndToEnd string // "" where the bank does not say
	Amount   money.Amount
	Currency string
	Returned bool // a payment of ours comes back
	Reason   Reason
	Party    string // the other side's name, as the bank has it
	Text     string
}

type (
	xmlCode struct {
		Text string `xml:",chardata"`
		Code string `xml:"Cd"` // from version 07 on
	}
	xmlBalance struct {
		Code   string    `xml:"Tp>CdOrPrtry>Cd"`
		Amount xmlAmount `xml:"Amt"`
		Side   string    `xml:"CdtDbtInd"`
		Day    string    `xml:"Dt>Dt"`
		At     string    `xml:"Dt>DtTm"`
	}
	xmlEntry struct {
		Ref      string    `xml:"NtryRef"`
		BankRef  string    `xml:"AcctSvcrRef"`
		Amount   xmlAmount `xml:"Amt"`
		Side     string    `xml:"CdtDbtInd"`
		Reversal string    `xml:"RvslInd"`
		Status   xmlCode   `xml:"Sts"`
		Day      string    `xml:"BookgDt>Dt"`
		At       string    `xml:"BookgDt>DtTm"`
		Blocks   []struct {
			Details []xmlDetail `xml:"TxDtls"`
		} `xml:"NtryDtls"`
		Text string `xml:"AddtlNtryInf"`
	}
	xmlDetail struct {
		EndToEnd string     `xml:"Refs>EndToEndId"`
		Amount   xmlAmount  `xml:"Amt"`               // from version 04 on
		Older    xmlAmount  `xml:"AmtDtls>TxAmt>Amt"` // before
		Debtor   string     `xml:"RltdPties>Dbtr>Nm"`
		Debtor8  string     `xml:"RltdPties>Dbtr>Pty>Nm"`
		Creditor string     `xml:"RltdPties>Cdtr>Nm"`
		Cred8    string     `xml:"RltdPties>Cdtr>Pty>Nm"`
		Texts    []string   `xml:"RmtInf>Ustrd"`
		Return   *xmlReturn `xml:"RtrInf"`
	}
	xmlReturn struct {
		Code  string   `xml:"Rsn>Cd"`
		Own   string   `xml:"Rsn>Prtry"`
		Texts []string `xml:"AddtlInf"`
	}
)

// notProvided is what banks write for an end to end id that they were not given.
const notProvided = "NOTPROVIDED"

// ReadCamt053 reads a statement file, of version 02 to 08, and calls each for every entry in the file's order; it holds one entry at a
// time. An error of each ends the reading. Errors: [ErrForm], [ErrTooBig]. What was told before the error is of a file that cannot be
// trusted: decide nothing before the end.
func ReadCamt053(r io.Reader, each func(Entry) error) error {
	return ReadStatements(r, each, func(Balance) error { return nil })
}

// closingBooked is the code of the balance that counts: what is booked at the end of the day.
const closingBooked = "CLBD"

// ReadStatements is [ReadCamt053], and calls closing for every closing balance too.
func ReadStatements(r io.Reader, each func(Entry) error, closing func(Balance) error) error {
	var at Statement
	entries, inStatement, statements := 0, 0, 0
	_, err := walk(r, "camt.053", 2, 8, func(d *xml.Decoder, path []string, e xml.StartElement) (bool, error) {
		switch strings.Join(path[1:], "/") + "/" + e.Name.Local {
		case "BkToCstmrStmt/Stmt":
			at, inStatement = Statement{}, 0
			statements++
		case "BkToCstmrStmt/Stmt/Id":
			err := d.DecodeElement(&at.ID, &e)
			at.ID = clean(at.ID)
			return true, err
		case "BkToCstmrStmt/Stmt/Acct":
			var a xmlAccount
			err := d.DecodeElement(&a, &e)
			if at.Account = clean(a.IBAN); at.Account == "" && a.Other != nil {
				at.Account = clean(a.Other.ID)
			}
			return true, err
		case "BkToCstmrStmt/Stmt/Bal":
			var x xmlBalance
			if err := d.DecodeElement(&x, &e); err != nil {
				return true, err
			}
			if clean(x.Code) != closingBooked {
				return true, nil
			}
			b, err := x.balance(at)
			if err != nil {
				return true, fmt.Errorf("%w: statement %q, closing balance: %w", ErrForm, at.ID, err)
			}
			return true, closing(b)
		case "BkToCstmrStmt/Stmt/Ntry":
			var x xmlEntry
			if err := d.DecodeElement(&x, &e); err != nil {
				return true, err
			}
			if entries++; entries > maxEntries {
				return true, fmt.Errorf("%w: more than %d entries", ErrTooBig, maxEntries)
			}
			inStatement++
			entry, err := x.entry(at, inStatement)
			if err != nil {
				return true, fmt.Errorf("%w: statement %q, entry %d: %w", ErrForm, at.ID, inStatement, err)
			}
			return true, each(entry)
		}
		return false, nil
	})
	if err == nil && statements == 0 {
		err = fmt.Errorf("%w: no statement in it", ErrForm)
	}
	if err != nil {
		return fmt.Errorf("camt.053: %w", err)
	}
	return nil
}

func (x xmlBalance) balance(s Statement) (Balance, error) {
	b := Balance{Statement: s, Day: strings.TrimSpace(x.Day)}
	if s.ID == "" || s.Account == "" {
		return b, fmt.Errorf("its statement has no id or no account before it")
	}
	if at := strings.TrimSpace(x.At); b.Day == "" && len(at) >= 10 {
		b.Day = at[:10]
	}
	var err error
	if b.Amount, b.Currency, err = x.Amount.read(); err != nil {
		return b, err
	}
	if b.Day == "" {
		return b, fmt.Errorf("it has no day")
	}
	switch side := strings.TrimSpace(x.Side); side {
	case "CRDT":
		return b, nil
	case "DBIT":
		b.Amount, err = b.Amount.Neg()
		return b, err
	default:
		return b, fmt.Errorf("CdtDbtInd %q: want CRDT or DBIT", clean(side))
	}
}

// entry checks what a line says. number is its place in the statement, its name where the bank gives it none.
func (x xmlEntry) entry(s Statement, number int) (Entry, error) {
	if s.ID == "" || s.Account == "" {
		return Entry{}, fmt.Errorf("its statement has no id or no account before it")
	}
	out := Entry{Statement: s, Ref: clean(x.BankRef), Reversal: strings.TrimSpace(x.Reversal) == "true", Day: strings.TrimSpace(x.Day)}
	if ref := clean(x.Ref); ref != "" {
		out.Ref = ref
	}
	if out.Ref == "" {
		out.Ref = fmt.Sprintf("#%d", number)
	}
	if out.Day == "" && len(x.At) >= 10 {
		out.Day = strings.TrimSpace(x.At)[:min(10, len(strings.TrimSpace(x.At)))]
	}
	switch side := strings.TrimSpace(x.Side); side {
	case "CRDT":
		out.Credit = true
	case "DBIT":
	default:
		return out, fmt.Errorf("CdtDbtInd %q: want CRDT or DBIT", clean(side))
	}
	status := clean(x.Status.Code)
	if status == "" {
		status = clean(x.Status.Text)
	}
	out.Booked = status == "BOOK"
	var err error
	if out.Amount, out.Currency, err = x.Amount.read(); err != nil {
		return out, err
	}
	var sum money.Amount
	for _, b := range x.Blocks {
		for _, t := range b.Details {
			d, err := t.detail(out)
			if err != nil {
				return out, err
			}
			if sum, err = sum.Add(d.Amount); err != nil {
				return out, err
			}
			out.Details = append(out.Details, d)
		}
	}
	switch {
	case len(out.Details) == 0:
		out.Details = []Detail{{Amount: out.Amount, Currency: out.Currency, Text: clean(x.Text)}}
	case len(out.Details) == 1 && x.alone():
		out.Details[0].Amount, out.Details[0].Currency = out.Amount, out.Currency
	case sum != out.Amount || out.Details[0].Currency != out.Currency:
		out.Uneven = true
	}
	return out, nil
}

// alone reports whether the entry's only payment has no amount of its own.
func (x xmlEntry) alone() bool {
	for _, b := range x.Blocks {
		for _, t := range b.Details {
			if t.Amount.Value != "" || t.Older.Value != "" {
				return false
			}
		}
	}
	return true
}

func (a xmlAmount) read() (money.Amount, string, error) {
	value := strings.TrimSpace(a.Value)
	// The schema allows up to five places and none; the rest of a cent must be zero.
	whole, part, _ := strings.Cut(value, ".")
	part = strings.TrimRight(part, "0")
	if len(part) > 2 {
		return money.Amount{}, "", fmt.Errorf("amount %q: parts of a cent", clean(value))
	}
	v, err := money.Parse(whole + "." + (part + "00")[:2])
	if err != nil || v.Sign() < 0 {
		return money.Amount{}, "", fmt.Errorf("amount %q: want a decimal number", clean(value))
	}
	if currency := strings.TrimSpace(a.Currency); len(currency) == 3 && letters(currency) {
		return v, currency, nil
	}
	return money.Amount{}, "", fmt.Errorf("currency %q: want three letters", clean(a.Currency))
}

func (t xmlDetail) detail(e Entry) (Detail, error) {
	d := Detail{EndToEnd: clean(t.EndToEnd), Text: clean(strings.Join(t.Texts, " ")), Party: clean(t.Creditor + t.Cred8)}
	if d.EndToEnd == notProvided {
		d.EndToEnd = ""
	}
	if e.Credit {
		d.Party = clean(t.Debtor + t.Debtor8)
	}
	if t.Return != nil {
		d.Returned = true
		d.Reason = Reason{Code: clean(t.Return.Code), Text: clean(strings.Join(t.Return.Texts, " "))}
		if d.Reason.Code == "" {
			d.Reason.Code = clean(t.Return.Own)
		}
	}
	from := t.Amount
	if from.Value == "" {
		from = t.Older
	}
	if from.Value == "" {
		return d, nil
	}
	var err error
	d.Amount, d.Currency, err = from.read()
	return d, err
}
