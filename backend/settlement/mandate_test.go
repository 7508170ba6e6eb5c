package settlement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

var metroMandate = store.PartyMandate{Kind: "acquirer", Party: "metro", ID: "M-2026-1", Signed: "2026-01-31", Creditor: "CN98ZZZ09999999999", NotedAt: at(monday).Now}

// debit finds what is collected of a party.
func debit(t *testing.T, o settlement.Order, party string) (settlement.CollectionFile, store.BankPayment) {
	for _, c := range o.Collections {
		for _, p := range c.Debits {
			if p.Party == party {
				return c, p
			}
		}
	}
	require.Fail(t, "nothing is collected of "+party)
	return settlement.CollectionFile{}, store.BankPayment{}
}

// A party that has signed is debited for what it owes; one that has not is waited for.
func TestWhatAPartyOwesIsCollectedByItsMandate(t *testing.T) {
	w := settledScheme(t)
	require.NoError(t, settlement.SetMandate(w.ctx, w.store, metroMandate))
	out := w.instruct(monday, tuesday)
	require.Equal(t, "PM202611230001.xml", out.Name, "the bus is paid")
	require.Len(t, out.Collections, 1)
	file, p := debit(t, out, "metro")
	require.Equal(t, "PM202611230002.xml", file.Name)
	for _, want := range []string{"pain.008.001.08", "<PmtMtd>DD</PmtMtd>", "<MndtId>M-2026-1</MndtId>", "<DtOfSgntr>2026-01-31</DtOfSgntr>", "<Id>CN98ZZZ09999999999</Id>", p.ID,
		`<InstdAmt Ccy="CNY">510.00</InstdAmt>`, "<Id>6222000033334444</Id>", "<Id>" + ownAccount + "</Id>"} {
		require.Contains(t, string(file.Body), want)
	}
	require.Len(t, out.Expected, 1)
	require.Equal(t, "online", out.Expected[0].Party, "it has signed nothing")
	require.Equal(t, "ordered", p.State)
	require.NoError(t, settlement.EndMandate(w.ctx, w.store, "acquirer", "metro"))
	require.Equal(t, out, w.instruct(monday, tuesday), "ordered once, by what held then")
	require.Equal(t, "510.00", w.balanceOf(books.AcquirerClearing("metro")), "no order is money")

	require.Empty(t, alarms(w.status(report("R", "PM202611230002", "ACSP"), tuesday)))
	require.Equal(t, "accepted", w.state(p.ID))
	require.Empty(t, alarms(w.read(statement("S1", line{"1", "510.00", "CRDT", p.ID, "", ""}), tuesday)))
	require.Equal(t, []string{"paid", "0.00", "510.00"}, []string{w.state(p.ID), w.balanceOf(books.AcquirerClearing("metro")), w.balanceOf(books.Trust)})

	// Its bank takes it back: it is owed again, and somebody has it collected anew, or waits for it, as there is no mandate any more.
	require.Equal(t, []string{"payment-returned"}, alarms(w.read(statement("S2", line{"1", "510.00", "DBIT", p.ID, returned, ""}), tuesday)))
	require.Equal(t, []string{"returned", "510.00", "0.00"}, []string{w.state(p.ID), w.balanceOf(books.AcquirerClearing("metro")), w.balanceOf(books.Trust)})
	again, err := settlement.Resend(w.ctx, w.store, monday, "acquirer", "metro", bankOn(tuesday))
	require.NoError(t, err)
	require.Empty(t, again.Collections)
	require.Len(t, again.Expected, 2)
	w.sound()
}

func TestADebitThatTheBankRejectsIsCollectedAnew(t *testing.T) {
	w := settledScheme(t)
	require.NoError(t, settlement.SetMandate(w.ctx, w.store, metroMandate))
	online := metroMandate
	online.Kind, online.Party, online.Creditor = "channel", "online", "CN11ZZZ00000000001"
	require.NoError(t, settlement.SetMandate(w.ctx, w.store, online))
	out := w.instruct(monday, tuesday)
	require.Len(t, out.Collections, 2, "a message names one creditor")
	require.Empty(t, out.Expected)
	file, p := debit(t, out, "metro")
	require.Equal(t, []string{"payment-rejected"}, alarms(w.status(report("R", file.Name[:len(file.Name)-4], "", p.ID+"=RJCT"), tuesday)))
	require.Equal(t, []string{"rejected", "510.00"}, []string{w.state(p.ID), w.balanceOf(books.AcquirerClearing("metro"))})
	again, err := settlement.Resend(w.ctx, w.store, monday, "acquirer", "metro", bankOn(tuesday))
	require.NoError(t, err)
	require.Len(t, again.Collections, 1)
	require.Empty(t, again.Name)
	_, second := debit(t, again, "metro")
	require.NotEqual(t, p.ID, second.ID)
	require.Equal(t, "PM202611230004.xml", again.Collections[0].Name)
	w.sound()
}

func TestAMandateIsOfAPartyThatMayOwe(t *testing.T) {
	w := opened(t)
	for name, change := range map[string]func(*store.PartyMandate){
		"kind": func(m *store.PartyMandate) { m.Kind = "scheme" }, "merchant": func(m *store.PartyMandate) { m.Kind, m.Party = "merchant", "bus" }, "party": func(m *store.PartyMandate) { m.Party = "tram" },
		"id": func(m *store.PartyMandate) { m.ID = "" }, "signed": func(m *store.PartyMandate) { m.Signed = "31.1.2026" }, "creditor": func(m *store.PartyMandate) { m.Creditor = "" },
	} {
		m := metroMandate
		change(&m)
		require.Error(t, settlement.SetMandate(w.ctx, w.store, m), name)
	}
	require.ErrorIs(t, settlement.EndMandate(w.ctx, w.store, "acquirer", "tram"), settlement.ErrParty)
}
