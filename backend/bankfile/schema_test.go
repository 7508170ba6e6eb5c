package bankfile_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/internal/money"
)

// element is what the message definitions of ISO 20022 say of one element, as far as our files use it: its children in their order, "?" for one that may
// be missing, "*" for any number but none, "|" between such of which there is one; or what its text must be.
type element struct {
	children string
	text     string
}

// Simple types of the message definitions.
const (
	max35   = `.{1,35}`
	max140  = `.{1,140}`
	number  = `[0-9]{1,15}`
	decimal = `[0-9]{1,15}(\.[0-9]{1,2})?`
	date    = `[0-9]{4}-[0-9]{2}-[0-9]{2}`
	moment  = date + `T[0-9]{2}:[0-9]{2}:[0-9]{2}Z`
	name    = max140
)

// definitions are by the path's last names: the longest that fits counts.
var definitions = map[string]element{
	"pain.001/Document":        {children: "CstmrCdtTrfInitn"},
	"CstmrCdtTrfInitn":         {children: "GrpHdr PmtInf*"},
	"GrpHdr":                   {children: "MsgId CreDtTm NbOfTxs CtrlSum? InitgPty"},
	"CstmrCdtTrfInitn/PmtInf":  {children: "PmtInfId PmtMtd BtchBookg? NbOfTxs? CtrlSum? PmtTpInf? ReqdExctnDt Dbtr DbtrAcct DbtrAgt ChrgBr? CdtTrfTxInf*"},
	"ReqdExctnDt":              {children: "Dt|DtTm"},
	"CdtTrfTxInf":              {children: "PmtId Amt ChrgBr? CdtrAgt? Cdtr? CdtrAcct? RmtInf?"},
	"Amt":                      {children: "InstdAmt|EqvtAmt"},
	"pain.008/Document":        {children: "CstmrDrctDbtInitn"},
	"CstmrDrctDbtInitn":        {children: "GrpHdr PmtInf*"},
	"CstmrDrctDbtInitn/PmtInf": {children: "PmtInfId PmtMtd BtchBookg? NbOfTxs? CtrlSum? PmtTpInf? ReqdColltnDt Cdtr CdtrAcct CdtrAgt ChrgBr? CdtrSchmeId? DrctDbtTxInf*"},
	"PmtTpInf":                 {children: "InstrPrty? SvcLvl? LclInstrm? SeqTp? CtgyPurp?"},
	"SeqTp":                    {text: `FRST|RCUR|FNAL|OOFF|RPRE`},
	"ReqdColltnDt":             {text: date},
	"CdtrSchmeId":              {children: "Nm? Id?"},
	"CdtrSchmeId/Id":           {children: "OrgId|PrvtId"},
	"PrvtId":                   {children: "Othr*"},
	"DrctDbtTxInf":             {children: "PmtId PmtTpInf? InstdAmt ChrgBr? DrctDbtTx? DbtrAgt Dbtr DbtrAcct Purp? RmtInf?"},
	"DrctDbtTx":                {children: "MndtRltdInf? CdtrSchmeId? PreNtfctnId? PreNtfctnDt?"},
	"MndtRltdInf":              {children: "MndtId? DtOfSgntr? AmdmntInd?"},
	"MndtId":                   {text: max35},
	"DtOfSgntr":                {text: date},
	"MsgId":                    {text: max35},
	"CreDtTm":                  {text: moment},
	"NbOfTxs":                  {text: number},
	"CtrlSum":                  {text: decimal},
	"InitgPty":                 {children: "Nm? PstlAdr? Id?"},
	"Nm":                       {text: name},
	"PmtInfId":                 {text: max35},
	"CstmrCdtTrfInitn/PmtMtd":  {text: `CHK|TRF|TRA`},
	"PmtMtd":                   {text: `CHK|TRF|TRA|DD`},
	"BtchBookg":                {text: `true|false`},
	"ReqdExctnDt/Dt":           {text: date},
	"Dbtr":                     {children: "Nm? PstlAdr? Id?"},
	"Cdtr":                     {children: "Nm? PstlAdr? Id?"},
	"DbtrAcct":                 {children: "Id Tp? Ccy? Nm?"},
	"CdtrAcct":                 {children: "Id Tp? Ccy? Nm?"},
	"DbtrAcct/Id":              {children: "IBAN|Othr"},
	"CdtrAcct/Id":              {children: "IBAN|Othr"},
	"IBAN":                     {text: `[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}`},
	"Othr":                     {children: "Id SchmeNm? Issr?"},
	"DbtrAcct/Id/Othr/Id":      {text: `.{1,34}`},
	"CdtrAcct/Id/Othr/Id":      {text: `.{1,34}`},
	"Othr/Id":                  {text: max35},
	"Ccy":                      {text: `[A-Z]{3}`},
	"DbtrAgt":                  {children: "FinInstnId BrnchId?"},
	"CdtrAgt":                  {children: "FinInstnId BrnchId?"},
	"FinInstnId":               {children: "BICFI? ClrSysMmbId? LEI? Nm?"},
	"BICFI":                    {text: `[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?`},
	"ClrSysMmbId":              {children: "ClrSysId? MmbId"},
	"ClrSysId":                 {children: "Cd|Prtry"},
	"ClrSysId/Cd":              {text: `.{1,5}`},
	"MmbId":                    {text: max35},
	"ChrgBr":                   {text: `DEBT|CRED|SHAR|SLEV`},
	"PmtId":                    {children: "InstrId? EndToEndId UETR?"},
	"InstrId":                  {text: max35},
	"EndToEndId":               {text: max35},
	"InstdAmt":                 {text: decimal},
	"RmtInf":                   {children: "Ustrd? Strd?"},
	"Ustrd":                    {text: max140},
}

func definition(t require.TestingT, path []string) element {
	for from := range path {
		if e, found := definitions[strings.Join(path[from:], "/")]; found {
			return e
		}
	}
	require.Fail(t, "no such element in the message definition", strings.Join(path, "/"))
	return element{}
}

// holds holds a file to the definitions: every element is known, stands where it may, is there where it must, and has the text of its type.
func holds(t require.TestingT, message string, raw []byte) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	type open struct {
		children []string
		text     strings.Builder
	}
	path, stack := []string{message}, []*open{{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch x := token.(type) {
		case xml.StartElement:
			require.Equal(t, "urn:iso:std:iso:20022:tech:xsd:"+message, x.Name.Space[:len(x.Name.Space)-len(".001.00")])
			stack[len(stack)-1].children = append(stack[len(stack)-1].children, x.Name.Local)
			path, stack = append(path, x.Name.Local), append(stack, &open{})
		case xml.CharData:
			stack[len(stack)-1].text.Write(x)
		case xml.EndElement:
			e, have := definition(t, path), stack[len(stack)-1]
			at := strings.Join(path, "/")
			if e.text != "" {
				require.Empty(t, have.children, at)
				require.Regexp(t, `^(`+e.text+`)$`, have.text.String(), at)
			} else {
				require.Empty(t, strings.TrimSpace(have.text.String()), at)
				require.Regexp(t, order(e.children), strings.Join(have.children, " ")+" ", at)
			}
			path, stack = path[:len(path)-1], stack[:len(stack)-1]
		}
	}
	require.Equal(t, []string{"Document"}, stack[0].children)
}

// order is the expression for a list of children.
func order(children string) string {
	var b strings.Builder
	b.WriteString("^")
	for _, c := range strings.Fields(children) {
		name := strings.TrimRight(c, "?*")
		many := map[bool]string{true: "+", false: map[bool]string{true: "?", false: ""}[strings.HasSuffix(c, "?")]}[strings.HasSuffix(c, "*")]
		fmt.Fprintf(&b, "((%s) )%s", regexp.MustCompile(`[^A-Za-z|]`).ReplaceAllString(name, ""), many)
	}
	return b.String() + "$"
}

// someAccount draws an account of every form.
func someAccount() *rapid.Generator[bankfile.Account] {
	return rapid.Custom(func(t *rapid.T) bankfile.Account {
		return bankfile.Account{Name: rapid.StringMatching(`[A-Za-zé公 &<>'"-]{1,140}`).Draw(t, "name"),
			Number: rapid.SampledFrom([]string{"DE89370400440532013000", "6222000011112222", "1", strings.Repeat("A", 34)}).Draw(t, "number"),
			Bank:   rapid.SampledFrom([]string{"COBADEFF", "COBADEFFXXX", "102100099996"}).Draw(t, "bank")}
	})
}

// TestWhatGoesToABankHoldsToTheMessageDefinition: whatever is written, every element stands where ISO 20022 wants it.
func TestWhatGoesToABankHoldsToTheMessageDefinition(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9-]{1,33}`).Draw(r, "id")
		m := bankfile.Message{ID: id, Created: time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "at"), 0), Initiator: "Sample City", Due: "2026-11-25", Currency: "CNY", Debtor: someAccount().Draw(r, "own")}
		c := bankfile.Collection{ID: m.ID, Created: m.Created, Initiator: m.Initiator, Due: m.Due, Currency: m.Currency, Creditor: m.Debtor, CreditorID: "DE98ZZZ09999999999"}
		for i := range rapid.IntRange(1, 3).Draw(r, "payments") {
			p := bankfile.Payment{ID: fmt.Sprint(id, i), Amount: money.Minor(rapid.Int64Range(1, 1e14).Draw(r, "amount")), Creditor: someAccount().Draw(r, "party"), Text: "clearing day 2026-11-24"}
			m.Payments = append(m.Payments, p)
			c.Debits = append(c.Debits, bankfile.Debit{ID: p.ID, Amount: p.Amount, Debtor: p.Creditor, Text: p.Text, Mandate: bankfile.Mandate{ID: "M-" + fmt.Sprint(i), Signed: "2026-01-31"}})
		}
		raw, err := m.Pain001()
		require.NoError(r, err)
		holds(r, "pain.001", raw)
		raw, err = c.Pain008()
		require.NoError(r, err)
		holds(r, "pain.008", raw)
	})
	holds(t, "pain.001", read(t, "pain001-09.xml"))
}

func TestACollectionThatMustNotGoOut(t *testing.T) {
	whole := func() bankfile.Collection {
		return bankfile.Collection{ID: "C1", Created: time.Unix(0, 0), Initiator: "Sample City", Due: "2026-11-25", Currency: "CNY", CreditorID: "X1",
			Creditor: bankfile.Account{Name: "Trust", Number: "1", Bank: "COBADEFF"},
			Debits:   []bankfile.Debit{{ID: "D1", Amount: money.Minor(1), Debtor: bankfile.Account{Name: "Metro", Number: "2", Bank: "COBADEFF"}, Text: "x", Mandate: bankfile.Mandate{ID: "M1", Signed: "2026-01-31"}}}}
	}
	_, err := whole().Pain008()
	require.NoError(t, err)
	for name, c := range map[string]func(*bankfile.Collection){
		"creditor": func(c *bankfile.Collection) { c.CreditorID = "" }, "none": func(c *bankfile.Collection) { c.Debits = nil },
		"mandate": func(c *bankfile.Collection) { c.Debits[0].Mandate.ID = "a b" }, "signed": func(c *bankfile.Collection) { c.Debits[0].Mandate.Signed = "yesterday" },
		"amount": func(c *bankfile.Collection) { c.Debits[0].Amount = money.Minor(0) }, "twice": func(c *bankfile.Collection) { c.Debits = append(c.Debits, c.Debits[0]) },
		"due": func(c *bankfile.Collection) { c.Due = "" }, "debtor": func(c *bankfile.Collection) { c.Debits[0].Debtor.Bank = "" },
	} {
		bad := whole()
		c(&bad)
		_, err := bad.Pain008()
		require.Error(t, err, name)
	}
}
