package settlement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

const ownAccount = "6222000011112222"

func bankOn(day string) settlement.BankOptions {
	return settlement.BankOptions{Now: at(day).Now, Location: time.UTC, Initiator: "Sample City"}
}

// accounts gives the scheme and its parties accounts at banks.
func (w *scheme) accounts() {
	for party, number := range map[string]string{"scheme:trust": ownAccount, "acquirer:bus": "DE89370400440532013000", "acquirer:metro": "6222000033334444", "channel:online": "6222000055556666"} {
		kind, id, _ := strings.Cut(party, ":")
		require.NoError(w.t, settlement.SetBankAccount(w.ctx, w.store, kind, id, bankfile.Account{Name: "Owner of " + id, Number: number, Bank: "COBADEFF"}, at(monday).Now))
	}
}

// settled is a scheme with the worked example closed: the bus gets 695.00, the metro pays 510.00 and the channel 397.60.
func settledScheme(t *testing.T) *scheme {
	w := opened(t)
	w.accounts()
	w.workedExample(monday)
	w.close(monday)
	return w
}

func (w *scheme) instruct(day, on string) settlement.Order {
	out, err := settlement.Instruct(w.ctx, w.store, day, bankOn(on))
	require.NoError(w.t, err)
	return out
}

// line is one entry of a statement.
type line struct {
	ref, amount, side, id, extra, text string
}

func statement(id string, lines ...line) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>%s</Id><Acct><Id><Othr><Id>%s</Id></Othr></Id></Acct>`, id, ownAccount)
	for _, l := range lines {
		fmt.Fprintf(&b, `<Ntry><NtryRef>%s</NtryRef><Amt Ccy="CNY">%s</Amt><CdtDbtInd>%s</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-25</Dt></BookgDt>
			<NtryDtls><TxDtls><Refs><EndToEndId>%s</EndToEndId></Refs><RmtInf><Ustrd>%s</Ustrd></RmtInf>%s</TxDtls></NtryDtls></Ntry>`, l.ref, l.amount, l.side, l.id, l.text, l.extra)
	}
	return b.String() + `</Stmt></BkToCstmrStmt></Document>`
}

func report(id, message, group string, each ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt><GrpHdr><MsgId>%s</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>%s</OrgnlMsgId>`, id, message)
	if group != "" {
		fmt.Fprintf(&b, `<GrpSts>%s</GrpSts>`, group)
	}
	b.WriteString(`</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>`)
	for _, e := range each {
		payment, status, _ := strings.Cut(e, "=")
		fmt.Fprintf(&b, `<TxInfAndSts><OrgnlEndToEndId>%s</OrgnlEndToEndId><TxSts>%s</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts>`, payment, status)
	}
	return b.String() + `</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>`
}

func (w *scheme) read(text, on string) settlement.Imported {
	out, err := settlement.ImportStatement(w.ctx, w.store, strings.NewReader(text), bankOn(on))
	require.NoError(w.t, err)
	return out
}

func (w *scheme) status(text, on string) settlement.Imported {
	out, err := settlement.ImportStatus(w.ctx, w.store, strings.NewReader(text), bankOn(on))
	require.NoError(w.t, err)
	return out
}

func (w *scheme) state(id string) string {
	var p store.BankPayment
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) (err error) { p, err = tx.BankPayment(w.ctx, id); return err }))
	return p.State
}

func (w *scheme) paid(day string) bool {
	var d store.ClearingDay
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) (err error) { d, err = tx.ClosedDay(w.ctx, day); return err }))
	return d.Paid()
}

func alarms(i settlement.Imported) []string {
	var out []string
	for _, a := range i.Alarms {
		out = append(out, a.What)
	}
	return out
}

const returned = `<RtrInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>account closed</AddtlInf></RtrInf>`

func TestADayIsPaidThroughTheBank(t *testing.T) {
	w := settledScheme(t)
	order := w.instruct(monday, tuesday)
	require.Equal(t, "PM202611230001.xml", order.Name)
	require.Len(t, order.Payments, 1)
	require.Len(t, order.Expected, 2)
	require.Equal(t, order, w.instruct(monday, day3), "once, and the same bytes")
	bus, channel, metro := order.Payments[0].ID, order.Expected[1].ID, order.Expected[0].ID
	require.Len(t, bus, 30)
	require.Contains(t, string(order.Body), "<EndToEndId>"+bus+"</EndToEndId>")
	require.Equal(t, "acquirer", order.Expected[0].Kind)
	require.Equal(t, "-695.00", w.balanceOf(books.BankTransit))
	require.Equal(t, "0.00", w.balanceOf(books.AcquirerClearing("bus")))
	require.ErrorIs(t, settlement.Pay(w.ctx, w.store, monday, "by hand", at(tuesday).Now), settlement.ErrOrdered)
	w.close(tuesday) // what is on its way does not keep a day from closing

	require.Equal(t, 1, w.status(report("R1", order.Payments[0].Message, "ACSP"), day3).New)
	require.Equal(t, "accepted", w.state(bus))
	text := statement("ST1", line{"1", "695.00", "DBIT", bus, "", ""}, line{"2", "510.00", "CRDT", metro, "", ""}, line{"3", "397.60", "CRDT", "", "", "for " + channel + " thanks"})
	got := w.read(text, day3)
	require.Equal(t, settlement.Imported{New: 3}, got)
	require.True(t, w.paid(monday))
	require.Equal(t, []string{"0.00", "0.00", "0.00", "212.60"}, []string{w.balanceOf(books.BankTransit), w.balanceOf(books.AcquirerClearing("metro")), w.balanceOf(books.Channel("online")), w.balanceOf(books.Trust)})
	require.Equal(t, settlement.Imported{Same: 3}, w.read(text, day3), "read once")
	w.sound()
	w.close(day3)
}

// A payment that comes back days later is owed again; the closed day and its files stay as they are, and another attempt is another payment.
func TestAPaymentThatComesBackIsOwedAgain(t *testing.T) {
	w := settledScheme(t)
	before := w.signed(monday)
	order := w.instruct(monday, tuesday)
	bus := order.Payments[0].ID
	w.read(statement("ST1", line{"1", "695.00", "DBIT", bus, "", ""}, line{"2", "510.00", "CRDT", order.Expected[0].ID, "", ""}, line{"3", "397.60", "CRDT", order.Expected[1].ID, "", ""}), tuesday)
	require.True(t, w.paid(monday))
	w.close(tuesday)

	got := w.read(statement("ST2", line{"1", "695.00", "CRDT", bus, returned, ""}), day3)
	require.Equal(t, []string{"payment-returned"}, alarms(got))
	require.Contains(t, got.Alarms[0].Text, "AC04 account closed")
	require.Equal(t, "returned", w.state(bus))
	require.False(t, w.paid(monday))
	require.Equal(t, "-695.00", w.balanceOf(books.AcquirerClearing("bus")))
	require.Equal(t, before, w.signed(monday))
	w.sound()
	w.close(day3)

	second, err := settlement.Resend(w.ctx, w.store, monday, "acquirer", "bus", bankOn("2026-11-26"))
	require.NoError(t, err)
	require.Equal(t, "PM202611230002.xml", second.Name)
	require.NotEqual(t, bus, second.Payments[0].ID)
	require.Contains(t, string(second.Body), "<Dt>2026-11-26</Dt>", "no bank pays in the past")
	_, err = settlement.Resend(w.ctx, w.store, monday, "acquirer", "bus", bankOn("2026-11-26"))
	require.ErrorIs(t, err, settlement.ErrResend)
	require.Equal(t, order.Body, w.instruct(monday, "2026-11-26").Body, "the first message is what it was")
	w.read(statement("ST3", line{"1", "695.00", "DBIT", second.Payments[0].ID, "", ""}), "2026-11-26")
	require.True(t, w.paid(monday))
	w.sound()
	w.close("2026-11-26")
}

// In one statement a bank may list the return first.
func TestAReturnListedBeforeItsPayment(t *testing.T) {
	w := settledScheme(t)
	bus := w.instruct(monday, tuesday).Payments[0].ID
	got := w.read(statement("ST1", line{"1", "695.00", "CRDT", bus, returned, ""}, line{"2", "695.00", "DBIT", bus, "", ""}), tuesday)
	require.Equal(t, []string{"payment-returned"}, alarms(got))
	require.Equal(t, "0.00", w.balanceOf(books.Trust))
	require.Equal(t, "-695.00", w.balanceOf(books.AcquirerClearing("bus")))
}

func TestAPaymentThatTheBankRejects(t *testing.T) {
	for name, text := range map[string]func(message, payment string) string{
		"by itself":        func(m, p string) string { return report("R1", m, "PART", p+"=RJCT") },
		"with the message": func(m, _ string) string { return report("R1", m, "RJCT") },
	} {
		t.Run(name, func(t *testing.T) {
			w := settledScheme(t)
			order := w.instruct(monday, tuesday)
			bus := order.Payments[0]
			got := w.status(text(bus.Message, bus.ID), tuesday)
			require.Equal(t, []string{"payment-rejected"}, alarms(got))
			require.Equal(t, "rejected", w.state(bus.ID))
			require.Equal(t, []string{"0.00", "-695.00"}, []string{w.balanceOf(books.BankTransit), w.balanceOf(books.AcquirerClearing("bus"))})
			require.Equal(t, settlement.Imported{Same: 1}, w.status(text(bus.Message, bus.ID), day3))
			w.sound()
			w.close(tuesday)
			// The bank pays it after all: nobody takes that for granted.
			got = w.read(statement("ST1", line{"1", "695.00", "DBIT", bus.ID, "", ""}), day3)
			require.Equal(t, []string{"payment-twice"}, alarms(got))
			require.Equal(t, "0.00", w.balanceOf(books.Trust))
		})
	}
}

// What we do not understand changes nothing.
func TestAnUnknownStatusIsNotARejection(t *testing.T) {
	w := settledScheme(t)
	bus := w.instruct(monday, tuesday).Payments[0]
	for _, status := range []string{"PDNG", "XXXX", "CANC"} {
		require.Empty(t, w.status(report("R-"+status, bus.Message, status), tuesday).Alarms)
		require.Equal(t, "ordered", w.state(bus.ID))
	}
	require.Empty(t, w.status(report("R2", bus.Message, ""), tuesday))
	require.Equal(t, []string{"payment-not-ours"}, alarms(w.status(report("R3", bus.Message, "PART", "PSX=RJCT"), tuesday)))
	_, err := settlement.ImportStatus(w.ctx, w.store, strings.NewReader(report("R4", "PM1", "ACSP")), bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrMessage)
	_, err = settlement.ImportStatus(w.ctx, w.store, strings.NewReader("x"), bankOn(tuesday))
	require.ErrorIs(t, err, bankfile.ErrForm)
}

func TestLinesThatNobodyOrdered(t *testing.T) {
	w := settledScheme(t)
	order := w.instruct(monday, tuesday)
	bus, metro := order.Payments[0].ID, order.Expected[0].ID
	for name, c := range map[string]struct {
		line
		alarms []string
	}{
		"money comes":              {line{"1", "5.00", "CRDT", "", "", "rent"}, nil},
		"money goes":               {line{"1", "5.00", "DBIT", "", "", "rent"}, []string{"debit-not-ours"}},
		"another sum":              {line{"1", "694.00", "DBIT", bus, "", ""}, []string{"amount-differs"}},
		"a return of nothing":      {line{"1", "695.00", "CRDT", bus, returned, ""}, []string{"return-before-booking"}},
		"back before it came":      {line{"1", "510.00", "DBIT", metro, returned, ""}, []string{"return-before-booking"}},
		"a return that comes":      {line{"1", "510.00", "CRDT", metro, returned, ""}, []string{"wrong-direction"}},
		"somebody else's end id":   {line{"1", "5.00", "CRDT", "PS20261123AAAAAAAAAAAAAAAAAAAA", "", ""}, nil},
		"an id that is in no form": {line{"1", "5.00", "CRDT", "' OR 1=1", "", ""}, nil},
	} {
		got := w.read(statement("ST "+name, c.line), tuesday)
		require.Equal(t, c.alarms, alarms(got), name)
		require.Equal(t, 1, got.Unmatched, name)
	}
	require.Equal(t, "0.00", w.balanceOf(books.Trust))
	require.Equal(t, "ordered", w.state(bus))
	all, err := settlement.BankStateOf(w.ctx, w.store, monday)
	require.NoError(t, err)
	require.Len(t, all.Unmatched, 8)
	require.Len(t, all.Payments, 3)
	require.Len(t, all.Alarms, 5)
	require.Equal(t, "695.00", all.InTransit.String())
	w.sound()
}

// One line, read again with other content: an alarm, and nothing is booked.
func TestALineThatHasChangedIsAnAlarm(t *testing.T) {
	w := settledScheme(t)
	bus := w.instruct(monday, tuesday).Payments[0].ID
	w.read(statement("ST1", line{"1", "1.00", "CRDT", "", "", "a"}), tuesday)
	got := w.read(statement("ST1", line{"1", "695.00", "DBIT", bus, "", ""}, line{"2", "2.00", "CRDT", "", "", ""}), tuesday)
	require.Equal(t, []string{"line-changed"}, alarms(got))
	require.Equal(t, 1, got.New, "the other line is taken in")
	require.Equal(t, "ordered", w.state(bus))
	require.Empty(t, w.read(statement("ST1", line{"1", "695.00", "DBIT", bus, "", ""}), tuesday).Alarms, "raised once")

	// The same payment in another statement.
	w.read(statement("ST2", line{"1", "695.00", "DBIT", bus, "", ""}), tuesday)
	require.Equal(t, []string{"payment-twice"}, alarms(w.read(statement("ST3", line{"1", "695.00", "DBIT", bus, "", ""}), tuesday)))
	require.Equal(t, "-695.00", w.balanceOf(books.Trust))
	_, err := settlement.ImportStatement(w.ctx, w.store, strings.NewReader(strings.Replace(statement("ST4", line{"1", "1.00", "CRDT", "", "", ""}), ownAccount, "1", 1)), bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrAccount)
	w.sound()
}

func TestWhatIsNotOrdered(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	_, err := settlement.Instruct(w.ctx, w.store, monday, bankOn(monday))
	require.ErrorIs(t, err, settlement.ErrNotClosed)
	w.close(monday)
	_, err = settlement.Instruct(w.ctx, w.store, monday, bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrAccount)
	require.ErrorContains(t, err, "acquirer:bus")
	require.ErrorContains(t, err, "scheme:trust", "all that is missing at once")
	_, err = settlement.ImportStatement(w.ctx, w.store, strings.NewReader(statement("S")), bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrAccount)
	require.NoError(t, settlement.Pay(w.ctx, w.store, monday, "by hand", at(tuesday).Now))
	w.accounts()
	_, err = settlement.Instruct(w.ctx, w.store, monday, bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrPaid)
	w.close(tuesday)
	require.Empty(t, w.instruct(tuesday, day3), "nothing is due")
	require.True(t, w.paid(tuesday))

	account := bankfile.Account{Name: "x", Number: "1", Bank: "COBADEFF"}
	for _, party := range []string{"acquirer:tram", "merchant:bus", "scheme:Other:x", "terminal:bus"} {
		kind, id, _ := strings.Cut(party, ":")
		require.ErrorIs(t, settlement.SetBankAccount(w.ctx, w.store, kind, id, account, at(monday).Now), settlement.ErrParty, party)
	}
	account.Bank = "x"
	require.Error(t, settlement.SetBankAccount(w.ctx, w.store, "acquirer", "bus", account, at(monday).Now))
}

// Whatever a bank sends, in whatever order and however often: the books stay sound, the transit account holds what is ordered and not booked,
// the trust account what the statements show, and the next day closes.
func TestAnyBankKeepsTheBooksSound(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := newScheme(rt, t.Context(), mkdir(rt, root, runs))
		defer w.store.Close()
		w.accounts()
		w.workedExample(monday)
		w.close(monday)
		if rapid.Bool().Draw(rt, "mandate") {
			require.NoError(rt, settlement.SetMandate(w.ctx, w.store, metroMandate))
		}
		w.instruct(monday, tuesday)
		for range rapid.IntRange(1, 12).Draw(rt, "messages") {
			all, err := settlement.BankStateOf(w.ctx, w.store, monday)
			require.NoError(rt, err)
			p := rapid.SampledFrom(all.Payments).Draw(rt, "payment")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				if p.Message != "" {
					w.status(report("R", p.Message, rapid.SampledFrom([]string{"ACSP", "RJCT", "PDNG", "WHAT"}).Draw(rt, "status")), tuesday)
				}
			case 1:
				_, err := settlement.Resend(w.ctx, w.store, monday, p.Kind, p.Party, bankOn(tuesday))
				if err != nil {
					require.ErrorIs(rt, err, settlement.ErrResend)
				}
			default:
				l := line{fmt.Sprint(rapid.IntRange(1, 3).Draw(rt, "ref")), p.Amount.String(), rapid.SampledFrom([]string{"CRDT", "DBIT"}).Draw(rt, "side"), p.ID,
					rapid.SampledFrom([]string{"", returned}).Draw(rt, "extra"), ""}
				w.read(statement(fmt.Sprint("ST", rapid.IntRange(1, 4).Draw(rt, "statement")), l), tuesday)
			}
			w.sound()
			all, err = settlement.BankStateOf(w.ctx, w.store, monday)
			require.NoError(rt, err)
			transit, trust, owed := amt("0.00"), amt("0.00"), amt("0.00")
			last := map[string]store.BankPayment{}
			for _, p := range all.Payments {
				switch {
				case !p.Incoming && (p.State == "ordered" || p.State == "accepted"):
					transit, _ = transit.Add(p.Amount)
				case p.State == "paid" && p.Incoming:
					trust, _ = trust.Add(p.Amount)
				case p.State == "paid":
					trust, _ = trust.Sub(p.Amount)
				}
				require.Equal(rt, p.State == "paid" || !p.Incoming && (p.State == "ordered" || p.State == "accepted"), p.Moved)
				last[p.Kind+p.Party] = p
			}
			paid := true
			for _, p := range last {
				paid = paid && p.State == "paid"
				if !p.Moved && p.Party == "bus" {
					owed, _ = owed.Sub(p.Amount)
				}
			}
			require.Equal(rt, paid, w.paid(monday))
			require.Equal(rt, transit, all.InTransit)
			require.Equal(rt, trust.String(), w.balanceOf(books.Trust))
			require.Equal(rt, owed.String(), w.balanceOf(books.AcquirerClearing("bus")))
		}
		w.close(tuesday)
	})
}
