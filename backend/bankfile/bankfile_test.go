package bankfile_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/internal/money"
)

var update = flag.Bool("update", false, "write the samples anew")

func message() bankfile.Message {
	return bankfile.Message{ID: "PM-1", Created: time.Date(2026, 11, 25, 9, 30, 0, 0, time.FixedZone("CST", 8*3600)), Initiator: "Sample City <Clearing> & Co", Due: "2026-11-25",
		Debtor: bankfile.Account{Name: "Trust account", Number: "6222000011112222", Bank: "102100099996"}, Currency: "CNY", Payments: []bankfile.Payment{
			{ID: "P-1", Amount: money.Minor(69500), Creditor: bankfile.Account{Name: "Bus Lines", Number: "DE89370400440532013000", Bank: "COBADEFFXXX"}, Text: "clearing day 2026-11-24"},
			{ID: "P-2", Amount: money.Minor(7), Creditor: bankfile.Account{Name: "地铁公司", Number: "6222000033334444", Bank: "104100000004"}, Text: "clearing day 2026-11-24"},
		}}
}

// The message byte for byte: what banks see.
func TestPain001IsTheSample(t *testing.T) {
	raw, err := message().Pain001()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/pain001-09.xml", raw, 0o644))
	}
	require.Equal(t, string(read(t, "pain001-09.xml")), string(raw))
	again, err := message().Pain001()
	require.NoError(t, err)
	require.Equal(t, raw, again)
}

func read(t testing.TB, name string) []byte {
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return raw
}

func TestAMessageThatMustNotGoOut(t *testing.T) {
	for want, change := range map[string]func(*bankfile.Message){
		"message id":                  func(m *bankfile.Message) { m.ID = strings.Repeat("x", 36) },
		"no payments":                 func(m *bankfile.Message) { m.Payments = nil },
		"its id is there twice":       func(m *bankfile.Message) { m.Payments[1].ID = "P-1" },
		"want more than 0.00":         func(m *bankfile.Message) { m.Payments[0].Amount = money.Minor(0) },
		"its check digits are wrong":  func(m *bankfile.Message) { m.Payments[0].Creditor.Number = "DE89370400440532013001" },
		"want a BIC":                  func(m *bankfile.Message) { m.Payments[0].Creditor.Bank = "COBA" },
		"account number":              func(m *bankfile.Message) { m.Debtor.Number = "6222 0000" },
		"cannot be printed":           func(m *bankfile.Message) { m.Payments[0].Text = "a\nb" },
		"name":                        func(m *bankfile.Message) { m.Debtor.Name = strings.Repeat("x", 141) },
		"initiator":                   func(m *bankfile.Message) { m.Initiator = "" },
		"currency":                    func(m *bankfile.Message) { m.Currency = "yuan" },
		"2026-02-30":                  func(m *bankfile.Message) { m.Due = "2026-02-30" },
		"payment id \"P_1\"":          func(m *bankfile.Message) { m.Payments[0].ID = "P_1" },
		"out of range":                func(m *bankfile.Message) { m.Payments[0].Amount = money.Minor(1<<63 - 1) },
		"text \"\": want 1 to 140":    func(m *bankfile.Message) { m.Payments[0].Text = "" },
		"number of another kind long": func(m *bankfile.Message) { m.Payments[0].Creditor.Number = strings.Repeat("1", 35) },
	} {
		m := message()
		change(&m)
		_, err := m.Pain001()
		if strings.HasPrefix(want, "number of") || want == "out of range" {
			require.Error(t, err, want)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestPain002(t *testing.T) {
	got, err := bankfile.ReadPain002(bytes.NewReader(read(t, "pain002-03.xml")))
	require.NoError(t, err)
	require.Equal(t, bankfile.StatusReport{ID: "BANK-1", Original: "PM-1", Group: bankfile.Partial, Code: "PART", Payments: []bankfile.Status{
		{Payment: "P-1", Outcome: bankfile.Accepted, Code: "ACSP"},
		{Payment: "P-2", Outcome: bankfile.Rejected, Code: "RJCT", Reason: bankfile.Reason{Code: "AC04", Text: "account closed since May"}},
		{Payment: "P-3", Outcome: bankfile.Unknown, Code: "XXXX"},
	}}, got)
	got, err = bankfile.ReadPain002(bytes.NewReader(read(t, "pain002-10.xml")))
	require.NoError(t, err)
	require.Equal(t, bankfile.StatusReport{ID: "BANK-2", Original: "PM-2", Group: bankfile.Rejected, Code: "RJCT", Reason: bankfile.Reason{Code: "NOFUNDS"}}, got)
}

func entries(raw []byte) ([]bankfile.Entry, error) {
	var all []bankfile.Entry
	err := bankfile.ReadCamt053(bytes.NewReader(raw), func(e bankfile.Entry) error { all = append(all, e); return nil })
	return all, err
}

func TestCamt053(t *testing.T) {
	all, err := entries(read(t, "camt053-02.xml"))
	require.NoError(t, err)
	s := bankfile.Statement{ID: "ST-1", Account: "6222000011112222"}
	require.Equal(t, []bankfile.Entry{
		{Statement: s, Ref: "1", Amount: money.Minor(69500), Currency: "CNY", Booked: true, Day: "2026-11-25",
			Details: []bankfile.Detail{{EndToEnd: "P-1", Amount: money.Minor(69500), Currency: "CNY", Party: "Bus Lines", Text: "clearing day 2026-11-24"}}},
		{Statement: s, Ref: "B-78", Amount: money.Minor(51000), Currency: "CNY", Credit: true, Booked: true, Day: "2026-11-25",
			Details: []bankfile.Detail{{Amount: money.Minor(51000), Currency: "CNY", Text: "cash paid in"}}},
		{Statement: s, Ref: "#3", Amount: money.Minor(100), Currency: "CNY", Credit: true, Details: []bankfile.Detail{{Amount: money.Minor(100), Currency: "CNY"}}},
	}, all)

	all, err = entries(read(t, "camt053-08.xml"))
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, bankfile.Entry{Statement: bankfile.Statement{ID: "ST-2", Account: "DE89370400440532013000"}, Ref: "1", Amount: money.Minor(69500), Currency: "CNY",
		Credit: true, Booked: true, Reversal: true, Day: "2026-11-26", Details: []bankfile.Detail{{EndToEnd: "P-1", Amount: money.Minor(69500), Currency: "CNY",
			Returned: true, Reason: bankfile.Reason{Code: "AC04", Text: "account closed"}, Party: "Bus Lines"}}}, all[0])
	require.Equal(t, []bankfile.Detail{{EndToEnd: "Q-1", Amount: money.Minor(1000), Currency: "CNY"}, {Amount: money.Minor(2000), Currency: "CNY"}}, all[1].Details)
	require.False(t, all[1].Uneven)
	require.True(t, all[2].Uneven, "29 are not 30")
}

// Every version in between has the form of one of the two.
func TestClosingBalances(t *testing.T) {
	with := func(inside string) ([]bankfile.Balance, error) {
		var all []bankfile.Balance
		text := `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id><Othr><Id>1</Id></Othr></Id></Acct>` + inside + `</Stmt></BkToCstmrStmt></Document>`
		err := bankfile.ReadStatements(strings.NewReader(text), func(bankfile.Entry) error { return nil }, func(b bankfile.Balance) error { all = append(all, b); return nil })
		return all, err
	}
	balance := func(code, amount, side, day string) string {
		return `<Bal><Tp><CdOrPrtry><Cd>` + code + `</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">` + amount + `</Amt><CdtDbtInd>` + side + `</CdtDbtInd><Dt>` + day + `</Dt></Bal>`
	}
	got, err := with(balance("OPBD", "1.00", "CRDT", "<Dt>2026-11-24</Dt>") + balance("CLBD", "12.5", "CRDT", "<Dt>2026-11-24</Dt>") + balance("CLBD", "3.00", "DBIT", "<DtTm>2026-11-25T22:00:00+08:00</DtTm>"))
	require.NoError(t, err)
	s := bankfile.Statement{ID: "S", Account: "1"}
	require.Equal(t, []bankfile.Balance{{Statement: s, Amount: money.Minor(12_50), Currency: "CNY", Day: "2026-11-24"}, {Statement: s, Amount: money.Minor(-3_00), Currency: "CNY", Day: "2026-11-25"}}, got)
	for name, bad := range map[string]string{
		"side": balance("CLBD", "1.00", "UP", "<Dt>2026-11-24</Dt>"), "amount": balance("CLBD", "1.001", "CRDT", "<Dt>2026-11-24</Dt>"), "day": balance("CLBD", "1.00", "CRDT", ""),
	} {
		_, err := with(bad)
		require.ErrorIs(t, err, bankfile.ErrForm, name)
	}
}

func TestVersionsInBetweenAreRead(t *testing.T) {
	for v := 2; v <= 8; v++ {
		for _, name := range []string{"camt053-02.xml", "camt053-08.xml"} {
			raw := read(t, name)
			raw = bytes.Replace(raw, []byte("camt.053.001."+name[8:10]), fmt.Appendf(nil, "camt.053.001.%02d", v), 1)
			all, err := entries(raw)
			require.NoError(t, err)
			require.Len(t, all, 3)
		}
	}
}

func TestWhatIsNoBankFile(t *testing.T) {
	good := string(read(t, "camt053-02.xml"))
	swap := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	head := good[:strings.Index(good, "<BkToCstmrStmt>")]
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"nothing":              {"", bankfile.ErrForm},
		"no XML":               {"hello", bankfile.ErrForm},
		"cut":                  {good[:len(good)-20], bankfile.ErrForm},
		"another message":      {swap("camt.053", "camt.052"), bankfile.ErrForm},
		"a later version":      {swap("camt.053.001.02", "camt.053.001.09"), bankfile.ErrForm},
		"no statement":         {head + "<BkToCstmrStmt></BkToCstmrStmt></Document>", bankfile.ErrForm},
		"a side":               {swap("DBIT", "DEBT"), bankfile.ErrForm},
		"parts of a cent":      {swap("695.00<", "695.001<"), bankfile.ErrForm},
		"a negative amount":    {swap("695.00<", "-695.00<"), bankfile.ErrForm},
		"no currency":          {swap(`<Amt Ccy="CNY">695`, `<Amt>695`), bankfile.ErrForm},
		"no statement's id":    {swap("<Id>ST-1</Id>", ""), bankfile.ErrForm},
		"two documents":        {good + `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"/>`, bankfile.ErrForm},
		"elements that cross":  {swap("</NtryRef>", "</Ntry>"), bankfile.ErrForm},
		"a document type":      {swap("<Document", "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><Document"), bankfile.ErrForm},
		"an entity of its own": {swap("clearing day", "&lol;"), bankfile.ErrForm},
		"another coding":       {swap("UTF-8", "GB18030"), bankfile.ErrForm},
		"depth":                {swap("<RmtInf>", "<RmtInf>"+strings.Repeat("<a>", 40)+strings.Repeat("</a>", 40)), bankfile.ErrTooBig},
		"a long text":          {swap("clearing day", strings.Repeat("x", 70_000)), bankfile.ErrTooBig},
		"too many parts":       {swap("<RmtInf>", strings.Repeat("<a/>", 300_000)+"<RmtInf>"), bankfile.ErrTooBig},
	} {
		_, err := entries([]byte(c.raw))
		require.ErrorIs(t, err, c.want, name)
	}
	_, err := bankfile.ReadPain002(strings.NewReader(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt/></Document>`))
	require.ErrorIs(t, err, bankfile.ErrForm)
}

// A file without an end is read up to the limit and no further.
func TestAFileWithoutAnEnd(t *testing.T) {
	endless := &repeating{head: `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>`, body: strings.Repeat("<a>b</a>", 4096)}
	err := bankfile.ReadCamt053(&bounded{endless, 3 << 20}, func(bankfile.Entry) error { return nil })
	require.ErrorIs(t, err, bankfile.ErrForm, "what stops coming is not whole")
}

func TestWhichMessageAFileIs(t *testing.T) {
	for name, want := range map[string]string{"pain001-09.xml": "pain.001", "pain002-10.xml": "pain.002", "camt053-02.xml": "camt.053"} {
		got, err := bankfile.MessageOf(bytes.NewReader(read(t, name)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "x", "<Document/>", "<!DOCTYPE a><a/>"} {
		_, err := bankfile.MessageOf(strings.NewReader(bad))
		require.ErrorIs(t, err, bankfile.ErrForm, bad)
	}
}

func TestAnErrorOfTheReaderEndsIt(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	err := bankfile.ReadCamt053(bytes.NewReader(read(t, "camt053-02.xml")), func(bankfile.Entry) error { n++; return stop })
	require.ErrorContains(t, err, "stop")
	require.Equal(t, 1, n)
}

type repeating struct {
	head, body string
	at         int
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.head != "" {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	n := copy(p, r.body[r.at:])
	r.at = (r.at + n) % len(r.body)
	return n, nil
}

type bounded struct {
	r *repeating
	n int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.n <= 0 {
		return 0, errors.New("the line broke")
	}
	n, err := b.r.Read(p[:min(len(p), b.n)])
	b.n -= n
	return n, err
}

func FuzzReadCamt053(f *testing.F) {
	f.Add(read(f, "camt053-02.xml"))
	f.Add(read(f, "camt053-08.xml"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := entries(raw)
		if err != nil {
			require.True(t, errors.Is(err, bankfile.ErrForm) || errors.Is(err, bankfile.ErrTooBig), "%v", err)
			return
		}
		for _, e := range all {
			require.NotEmpty(t, e.Ref)
			require.NotEmpty(t, e.Details)
			require.GreaterOrEqual(t, e.Amount.Sign(), 0)
		}
	})
}

func FuzzReadPain002(f *testing.F) {
	f.Add(read(f, "pain002-03.xml"))
	f.Add(read(f, "pain002-10.xml"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := bankfile.ReadPain002(bytes.NewReader(raw))
		if err != nil {
			require.True(t, errors.Is(err, bankfile.ErrForm) || errors.Is(err, bankfile.ErrTooBig), "%v", err)
			return
		}
		require.NotEmpty(t, r.ID)
	})
}
