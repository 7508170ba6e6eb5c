package bankfile

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// maxID is how long an identifier may be (Max35Text).
const maxID = 35

// Message is an order to a bank to pay from one account.
type Message struct {
	ID        string    // the bank refuses a second message of one id
	Created   time.Time // as the order was given, not as the file was made
	Initiator string    // who orders
	Due       string    // the day on which to pay, YYYY-MM-DD
	Debtor    Account   // whom it is paid from
	Currency  string
	Payments  []Payment
}

// Payment is one payment of a message.
type Payment struct {
	ID       string // end to end: it comes back in status reports and statements
	Amount   money.Amount
	Creditor Account
	Text     string // for the creditor
}

// Check reports a message that must not go out.
func (m Message) Check() error {
	var all []error
	bad := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	bad(checkID("message", m.ID))
	bad(text("initiator", m.Initiator, 140))
	_, err := calendar.ParseDate(m.Due)
	bad(err)
	if err := m.Debtor.Check(); err != nil {
		bad(fmt.Errorf("debtor: %w", err))
	}
	if len(m.Currency) != 3 || !letters(m.Currency) {
		bad(fmt.Errorf("currency %q: want three letters", m.Currency))
	}
	if len(m.Payments) == 0 {
		bad(errors.New("no payments"))
	}
	seen := map[string]bool{}
	for _, p := range m.Payments {
		of := func(err error) {
			if err != nil {
				bad(fmt.Errorf("payment %q: %w", p.ID, err))
			}
		}
		of(checkID("payment", p.ID))
		if seen[p.ID] {
			of(errors.New("its id is there twice"))
		}
		seen[p.ID] = true
		if p.Amount.Sign() <= 0 {
			of(fmt.Errorf("amount %v: want more than 0.00", p.Amount))
		}
		of(p.Creditor.Check())
		of(text("text", p.Text, 140))
	}
	return errors.Join(all...)
}

// checkID holds an identifier to the characters that every bank takes.
func checkID(what, s string) error {
	if s == "" || len(s) > maxID || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%s id %q: want 1 to %d of A-Z a-z 0-9 -", what, s, maxID)
	}
	return nil
}

// The elements of pain.001.001.09, in the order of its schema.
type (
	pain001 struct {
		XMLName xml.Name  `xml:"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09 Document"`
		Init    initation `xml:"CstmrCdtTrfInitn"`
	}
	initation struct {
		Head struct {
			MsgID   string `xml:"MsgId"`
			Created string `xml:"CreDtTm"`
			Count   int    `xml:"NbOfTxs"`
			Sum     string `xml:"CtrlSum"`
			Name    string `xml:"InitgPty>Nm"`
		} `xml:"GrpHdr"`
		Info struct {
			ID      string     `xml:"PmtInfId"`
			Method  string     `xml:"PmtMtd"`
			Batch   bool       `xml:"BtchBookg"`
			Count   int        `xml:"NbOfTxs"`
			Sum     string     `xml:"CtrlSum"`
			Due     string     `xml:"ReqdExctnDt>Dt"`
			Debtor  string     `xml:"Dbtr>Nm"`
			Account xmlAccount `xml:"DbtrAcct"`
			Agent   xmlAgent   `xml:"DbtrAgt"`
			Charges string     `xml:"ChrgBr"`
			Each    []transfer `xml:"CdtTrfTxInf"`
		} `xml:"PmtInf"`
	}
	transfer struct {
		InstrID  string     `xml:"PmtId>InstrId"`
		EndToEnd string     `xml:"PmtId>EndToEndId"`
		Amount   xmlAmount  `xml:"Amt>InstdAmt"`
		Agent    xmlAgent   `xml:"CdtrAgt"`
		Creditor string     `xml:"Cdtr>Nm"`
		Account  xmlAccount `xml:"CdtrAcct"`
		Text     string     `xml:"RmtInf>Ustrd"`
	}
	xmlAmount struct {
		Currency string `xml:"Ccy,attr"`
		Value    string `xml:",chardata"`
	}
	xmlAccount struct {
		IBAN     string    `xml:"Id>IBAN,omitempty"`
		Other    *xmlOther `xml:"Id>Othr"`
		Currency string    `xml:"Ccy,omitempty"`
	}
	xmlOther struct {
		ID string `xml:"Id"`
	}
	xmlAgent struct {
		BIC    string     `xml:"FinInstnId>BICFI,omitempty"`
		Member *xmlMember `xml:"FinInstnId>ClrSysMmbId"`
	}
	xmlMember struct {
		System string `xml:"ClrSysId>Cd"`
		ID     string `xml:"MmbId"`
	}
)

func (a Account) xml() (xmlAccount, xmlAgent) {
	account := xmlAccount{Other: &xmlOther{a.Number}}
	if isIBAN(a.Number) {
		account = xmlAccount{IBAN: a.Number}
	}
	if isCNAPS(a.Bank) {
		return account, xmlAgent{Member: &xmlMember{"CNAPS", a.Bank}}
	}
	return account, xmlAgent{BIC: a.Bank}
}

// Pain001 writes the message as pain.001.001.09: credit transfers, booked one by one, each side bearing its own charges. The same message
// gives the same bytes.
func (m Message) Pain001() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("pain.001 %s: %w", m.ID, err)
	}
	var out pain001
	var total money.Amount
	for _, p := range m.Payments {
		var err error
		if total, err = total.Add(p.Amount); err != nil {
			return nil, fmt.Errorf("pain.001 %s: %w", m.ID, err)
		}
		t := transfer{InstrID: p.ID, EndToEnd: p.ID, Amount: xmlAmount{m.Currency, p.Amount.String()}, Creditor: p.Creditor.Name, Text: p.Text}
		t.Account, t.Agent = p.Creditor.xml()
		out.Init.Info.Each = append(out.Init.Info.Each, t)
	}
	head, info := &out.Init.Head, &out.Init.Info
	head.MsgID, head.Created, head.Count, head.Sum, head.Name = m.ID, m.Created.UTC().Format("2006-01-02T15:04:05Z"), len(m.Payments), total.String(), m.Initiator
	info.ID, info.Method, info.Count, info.Sum, info.Due = m.ID, "TRF", len(m.Payments), total.String(), m.Due
	info.Debtor, info.Charges = m.Debtor.Name, "SHAR"
	info.Account, info.Agent = m.Debtor.xml()
	info.Account.Currency = m.Currency
	body, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("pain.001 %s: %w", m.ID, err)
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

// version reads the version out of a namespace such as urn:iso:std:iso:20022:tech:xsd:camt.053.001.08, and wants one of those given.
func version(space, message string, from, to int) (int, error) {
	text, found := strings.CutPrefix(space, "urn:iso:std:iso:20022:tech:xsd:"+message+".001.")
	v, err := strconv.Atoi(text)
	if !found || err != nil || len(text) != 2 || v < from || v > to {
		return 0, fmt.Errorf("%w: namespace %q: want urn:iso:std:iso:20022:tech:xsd:%s.001.%02d to .%02d", ErrForm, space, message, from, to)
	}
	return v, nil
}
