package bankfile

import (
	"encoding/xml"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Collection is an order to a bank to collect from accounts whose owners have signed that they may be debited.
type Collection struct {
	ID         string    // the bank refuses a second message of one id
	Created    time.Time // as the order was given, not as the file was made
	Initiator  string    // who orders
	Due        string    // the day on which to collect, YYYY-MM-DD
	Creditor   Account   // whom it is paid to
	CreditorID string    // by which the bank knows that creditor among those who may debit, 1 to 35 characters
	Currency   string
	Debits     []Debit
}

// Debit is one payment that is collected.
type Debit struct {
	ID      string // end to end: it comes back in status reports and statements
	Amount  money.Amount
	Debtor  Account
	Mandate Mandate
	Text    string // for the debtor
}

// Mandate is what a debtor has signed.
type Mandate struct {
	ID     string // 1 to 35 characters of A-Z a-z 0-9 -
	Signed string // YYYY-MM-DD
}

// Check reports a mandate that no file may name.
func (m Mandate) Check() error {
	_, err := calendar.ParseDate(m.Signed)
	return errors.Join(checkID("mandate", m.ID), err)
}

// CheckCreditorID reports an identification of a creditor that no file may name.
func CheckCreditorID(id string) error { return checkID("creditor", id) }

// Check reports a collection that must not go out.
func (c Collection) Check() error {
	// What it shares with an order to pay is checked there.
	m := Message{ID: c.ID, Initiator: c.Initiator, Due: c.Due, Debtor: c.Creditor, Currency: c.Currency}
	all := []error{CheckCreditorID(c.CreditorID)}
	for _, d := range c.Debits {
		m.Payments = append(m.Payments, Payment{ID: d.ID, Amount: d.Amount, Creditor: d.Debtor, Text: d.Text})
		if err := d.Mandate.Check(); err != nil {
			all = append(all, fmt.Errorf("debit %q: %w", d.ID, err))
		}
	}
	return errors.Join(append(all, m.Check())...)
}

// The elements of pain.008.001.08, in the order of its schema.
type (
	pain008 struct {
		XMLName xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pain.008.001.08 Document"`
		Init    struct {
			Head struct {
				MsgID   string `xml:"MsgId"`
				Created string `xml:"CreDtTm"`
				Count   int    `xml:"NbOfTxs"`
				Sum     string `xml:"CtrlSum"`
				Name    string `xml:"InitgPty>Nm"`
			} `xml:"GrpHdr"`
			Info struct {
				ID       string     `xml:"PmtInfId"`
				Method   string     `xml:"PmtMtd"`
				Batch    bool       `xml:"BtchBookg"`
				Count    int        `xml:"NbOfTxs"`
				Sum      string     `xml:"CtrlSum"`
				Sequence string     `xml:"PmtTpInf>SeqTp"`
				Due      string     `xml:"ReqdColltnDt"`
				Creditor string     `xml:"Cdtr>Nm"`
				Account  xmlAccount `xml:"CdtrAcct"`
				Agent    xmlAgent   `xml:"CdtrAgt"`
				Charges  string     `xml:"ChrgBr"`
				Scheme   string     `xml:"CdtrSchmeId>Id>PrvtId>Othr>Id"`
				Each     []debit    `xml:"DrctDbtTxInf"`
			} `xml:"PmtInf"`
		} `xml:"CstmrDrctDbtInitn"`
	}
	debit struct {
		InstrID  string     `xml:"PmtId>InstrId"`
		EndToEnd string     `xml:"PmtId>EndToEndId"`
		Amount   xmlAmount  `xml:"InstdAmt"`
		Mandate  string     `xml:"DrctDbtTx>MndtRltdInf>MndtId"`
		Signed   string     `xml:"DrctDbtTx>MndtRltdInf>DtOfSgntr"`
		Agent    xmlAgent   `xml:"DbtrAgt"`
		Debtor   string     `xml:"Dbtr>Nm"`
		Account  xmlAccount `xml:"DbtrAcct"`
		Text     string     `xml:"RmtInf>Ustrd"`
	}
)

// Pain008 writes the collection as pain.008.001.08: recurrent debits, booked one by one, each side bearing its own charges. The same collection
// gives the same bytes.
func (c Collection) Pain008() ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("pain.008 %s: %w", c.ID, err)
	}
	var out pain008
	var total money.Amount
	for _, p := range c.Debits {
		var err error
		if total, err = total.Add(p.Amount); err != nil {
			return nil, fmt.Errorf("pain.008 %s: %w", c.ID, err)
		}
		d := debit{InstrID: p.ID, EndToEnd: p.ID, Amount: xmlAmount{c.Currency, p.Amount.String()}, Mandate: p.Mandate.ID, Signed: p.Mandate.Signed, Debtor: p.Debtor.Name, Text: p.Text}
		d.Account, d.Agent = p.Debtor.xml()
		out.Init.Info.Each = append(out.Init.Info.Each, d)
	}
	head, info := &out.Init.Head, &out.Init.Info
	head.MsgID, head.Created, head.Count, head.Sum, head.Name = c.ID, c.Created.UTC().Format("2006-01-02T15:04:05Z"), len(c.Debits), total.String(), c.Initiator
	info.ID, info.Method, info.Count, info.Sum, info.Due = c.ID, "DD", len(c.Debits), total.String(), c.Due
	info.Sequence, info.Creditor, info.Charges, info.Scheme = "RCUR", c.Creditor.Name, "SHAR", c.CreditorID
	info.Account, info.Agent = c.Creditor.xml()
	info.Account.Currency = c.Currency
	body, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("pain.008 %s: %w", c.ID, err)
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}
