package eccard_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

var (
	yuan   = [2]byte{1, 0x56}
	dollar = [2]byte{8, 0x40}
)

// riskCard has 100.00, at most 50.00 a tap, and goes online below 10.00 where it can.
func riskCard(t *testing.T, risk eccard.Risk) (*eccard.Issuer, *eccard.Card) {
	i, err := issuer()
	require.NoError(t, err)
	number, err := ec.NewPAN("6210948000000045")
	require.NoError(t, err)
	pin, err := ec.NewPIN("1234")
	require.NoError(t, err)
	card, err := i.Personalise(eccard.Profile{
		PAN: number, PSN: 1, Balance: money.Minor(10_000), Single: money.Minor(5_000), Reset: money.Minor(1_000), PIN: pin, Risk: &risk,
	})
	require.NoError(t, err)
	return i, card
}

// ask taps a card without reading its last record. It returns the decision as card and terminal see it: kind, second byte of the CVR, CTQ, what is left.
func ask(t *testing.T, card *eccard.Card, ttq ec.TTQ, amount int64, currency [2]byte) (*ec.Card, *ec.Tap, string) {
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ttq, Amount: money.Minor(amount), Currency: currency, Date: 20260105, UN: [4]byte{1}})
	if err != nil {
		require.ErrorIs(t, err, ec.ErrConditions)
		return c, nil, "no answer"
	}
	return c, tapped, fmt.Sprintf("%v %02X %X %X", tapped.Decision, tapped.IAD.CVR[1], tapped.CTQ[:1], tapped.Objects[ec.TagAvailable])
}

func TestRiskManagement(t *testing.T) {
	offline, online := ec.GateTTQ, ec.TTQ{0x24, 0, 0, 0x80}
	with := func(q ec.TTQ, first, second byte) ec.TTQ { q[0] |= first; q[1] |= second; return q }
	processes := func(b1, b2, b3 byte) eccard.Risk { return eccard.Risk{Processes: [4]byte{b1, b2, b3}} }
	holder := func(b3 byte) eccard.Risk {
		r := processes(0x81, 0, b3)
		r.HolderLimit = money.Minor(3_000)
		return r
	}
	cumulative := func(b1, b2 byte) eccard.Risk {
		r := processes(b1, b2, 0)
		r.Cumulative = money.Minor(2_000)
		return r
	}
	for _, k := range []struct {
		name     string
		risk     eccard.Risk
		ttq      ec.TTQ
		amount   int64
		currency [2]byte
		want     string
	}{
		{"a fare", processes(0x81, 0, 0), offline, 200, yuan, "TC 00 00 000000009800"},
		{"nothing", processes(0x81, 0, 0), offline, 0, yuan, "TC 00 00 000000010000"},
		{"all there is for one tap", processes(0x81, 0, 0), offline, 5_000, yuan, "TC 00 00 000000005000"},
		{"above the single limit", processes(0x81, 0, 0), offline, 5_001, yuan, "AAC 20 00 000000010000"},
		{"above it, and a way online", processes(0x81, 0, 0), online, 5_001, yuan, "ARQC 20 00 000000010000"},
		{"the terminal wants to go online", processes(0x81, 0, 0), with(online, 0, 0x80), 1, yuan, "ARQC 00 00 000000010000"},
		{"what is available is not told", processes(0x80, 0, 0), offline, 200, yuan, "TC 00 00 "},
		{"no check at all", processes(0x01, 0, 0), offline, 1, yuan, "AAC 00 00 000000000000"},
		{"no check, and a way online", processes(0x01, 0, 0), online, 1, yuan, "ARQC 00 00 000000000000"},

		{"another currency, never", processes(0x81, 0x40, 0), online, 1, dollar, "AAC 00 00 000000010000"},
		{"another currency, no count", processes(0x81, 0, 0), offline, 1, dollar, "AAC 20 00 000000010000"},
		{"another currency goes online", processes(0x81, 0, 0), online, 1, dollar, "ARQC 00 00 000000010000"},
		{"another currency offline, no count", processes(0x85, 0, 0), online, 1, dollar, "ARQC 20 00 000000010000"},
		{"another currency offline", eccard.Risk{Processes: [4]byte{0x85}, Mismatches: 1}, online, 1, dollar, "TC 00 00 000000010000"},
		{"another currency at a gate", eccard.Risk{Processes: [4]byte{0x81}, Mismatches: 1}, offline, 1, dollar, "TC 00 00 000000010000"},

		{"new card goes online", processes(0x91, 0, 0), online, 1, yuan, "ARQC 10 00 000000010000"},
		{"new card at a gate", processes(0x91, 0, 0), offline, 1, yuan, "TC 00 00 000000009999"},
		{"new card is declined at a gate", processes(0x91, 0x20, 0), offline, 1, yuan, "AAC 00 00 000000010000"},
		{"new card that is not checked", processes(0x81, 0x20, 0), offline, 1, yuan, "TC 00 00 000000009999"},

		{"at the holder limit", holder(0), offline, 3_000, yuan, "TC 00 00 000000007000"},
		{"above it, nobody to ask", holder(0x10), offline, 3_001, yuan, "no answer"},
		{"above it, signature", holder(0x10), with(offline, 0x02, 0), 3_001, yuan, "TC 00 40 000000006999"},
		{"above it, the card takes no signature", holder(0x80), with(offline, 0x02, 0), 3_001, yuan, "no answer"},
		{"above it, PIN", holder(0x90), with(online, 0x02, 0), 3_001, yuan, "ARQC 00 80 000000010000"},
		{"above it, no PIN", holder(0x10), with(online, 0x02, 0), 3_001, yuan, "TC 00 40 000000006999"},
		{"above it, PIN for the other currency only", holder(0x40), online, 3_001, yuan, "no answer"},
		{"the terminal wants the holder", holder(0x10), with(offline, 0x02, 0x40), 1, yuan, "TC 00 40 000000009999"},
		{"another currency wants the holder", holder(0x20), offline, 1, dollar, "no answer"},
		{"another currency wants the PIN", holder(0x60), online, 1, dollar, "ARQC 00 80 000000010000"},

		{"contact first", processes(0x83, 0, 0), with(online, 0x10, 0x80), 1, yuan, "no answer"},
		{"contact first, no contact", processes(0x83, 0, 0), with(online, 0, 0x80), 1, yuan, "ARQC 00 00 000000010000"},

		{"both limits", cumulative(0x41, 0), offline, 2_000, yuan, "TC 00 00 000000000000"},
		{"above the cumulative one", cumulative(0x41, 0), offline, 2_001, yuan, "AAC 20 00 000000002000"},
		{"above it, and a way online", cumulative(0x41, 0), online, 2_001, yuan, "ARQC 20 00 000000002000"},
		{"the upper limit goes first", eccard.Risk{Processes: [4]byte{0x41}, Cumulative: money.Minor(1), CumulativeUpper: money.Minor(500)}, offline, 200, yuan, "TC 00 00 000000000300"},
		{"either limit", cumulative(0x21, 0), offline, 4_000, yuan, "TC 00 00 000000008000"},
		{"either limit, above the single one", cumulative(0x21, 0), offline, 5_001, yuan, "AAC 20 00 000000012000"},

		{"prepaid", processes(0x81, 0x80, 0), with(online, 0, 0x80), 300, yuan, "ARQC 00 00 000000009700"},
		{"prepaid, nothing", processes(0x81, 0x80, 0), with(online, 0, 0x80), 0, yuan, "AAC 00 00 000000010000"},
		{"prepaid, too much", processes(0x81, 0x80, 0), with(online, 0, 0x80), 10_001, yuan, "AAC 00 00 000000010000"},
		{"prepaid within both", cumulative(0x41, 0x80), with(online, 0, 0x80), 2_000, yuan, "ARQC 00 00 000000000000"},
		{"prepaid beyond one", cumulative(0x41, 0x80), with(online, 0, 0x80), 2_001, yuan, "AAC 00 00 000000002000"},
	} {
		t.Run(k.name, func(t *testing.T) {
			i, card := riskCard(t, k.risk)
			c, tapped, got := ask(t, card, k.ttq, k.amount, k.currency)
			require.Equal(t, k.want, got)
			require.Equal(t, uint16(1), card.ATC(), "every accepted GET PROCESSING OPTIONS counts")
			if tapped == nil {
				return
			}
			keys := ec.CardKeys{DKI: tapped.IAD.DKI, PAN: tapped.Track2.PAN, PSN: tapped.PSN}
			require.NoError(t, ec.VerifyCryptogram(t.Context(), i.Door(), keys, tapped.Sent, tapped.AIP, tapped.ATC, tapped.IAD, tapped.AC))
			require.NoError(t, ec.VerifyBalance(t.Context(), i.Door(), keys, tapped.ATC, tapped.IAD, false))
			if tapped.Decision == ec.TC {
				require.Equal(t, money.Minor(10_000), card.Balance(), "nothing before the last record")
				require.NoError(t, c.Commit(t.Context(), tapped))
			}
			told, ok := tapped.IAD.Balance()
			require.True(t, ok)
			require.Equal(t, told, card.Balance(), "the balance told is the one after the debit")
		})
	}
}

// TestResetThreshold: where there is a way online, the balance is not run down below the threshold.
func TestResetThreshold(t *testing.T) {
	_, card := riskCard(t, eccard.DefaultRisk)
	for _, k := range []struct {
		ttq    ec.TTQ
		amount int64
		want   string
	}{
		{ec.GateTTQ, 5_000, "TC 00 00 000000005000"},
		{ec.TTQ{0x24}, 4_001, "ARQC 20 00 000000005000"},
		{ec.TTQ{0x24}, 4_000, "TC 00 00 000000001000"},
		{ec.GateTTQ, 1_001, "AAC 20 00 000000001000"},
		{ec.GateTTQ, 1_000, "TC 00 00 000000000000"},
		{ec.GateTTQ, 1, "AAC 20 00 000000000000"},
	} {
		c, tapped, got := ask(t, card, k.ttq, k.amount, yuan)
		require.Equal(t, k.want, got)
		if tapped.Decision == ec.TC {
			require.NoError(t, c.Commit(t.Context(), tapped))
		}
	}
}

// TestVelocity: what a card does offline adds up until it has been online. An approved tap whose last record is not read adds nothing.
func TestVelocity(t *testing.T) {
	i, card := riskCard(t, eccard.Risk{Processes: [4]byte{0x41}, Cumulative: money.Minor(500), Mismatches: 2})
	pay := func(amount int64, currency [2]byte, want ec.Cryptogram) {
		c, tapped, _ := ask(t, card, ec.GateTTQ, amount, currency)
		require.Equal(t, want, tapped.Decision)
		if want == ec.TC {
			require.NoError(t, c.Commit(t.Context(), tapped))
		}
	}
	abandon := func() {
		for range 3 {
			_, tapped, _ := ask(t, card, ec.GateTTQ, 300, yuan)
			require.Equal(t, ec.TC, tapped.Decision)
			_, tapped, _ = ask(t, card, ec.GateTTQ, 1, dollar)
			require.Equal(t, ec.TC, tapped.Decision)
		}
	}
	for range 2 {
		abandon()
		pay(300, yuan, ec.TC)
		pay(201, yuan, ec.AAC)
		pay(200, yuan, ec.TC)
		pay(1, yuan, ec.AAC)
		pay(1, dollar, ec.TC)
		pay(1, dollar, ec.TC)
		pay(1, dollar, ec.AAC)
		_, err := online(t, i, card)
		require.NoError(t, err, "online, all of it starts anew")
	}
	require.Equal(t, money.Minor(9_000), card.Balance())
}

// TestEitherLimit: what the balance cannot pay goes on the cumulative limit, and the balance stays.
func TestEitherLimit(t *testing.T) {
	_, card := riskCard(t, eccard.Risk{Processes: [4]byte{0x21}, Cumulative: money.Minor(4_500)})
	for _, k := range []struct {
		amount  int64
		want    string
		balance int64
	}{
		{5_000, "TC 00 00 000000009500", 5_000}, {4_000, "TC 00 00 000000005500", 1_000}, {4_000, "TC 00 00 000000001500", 1_000},
		{1_001, "AAC 20 00 000000001500", 1_000}, {1_000, "TC 00 00 000000000500", 0}, {500, "TC 00 00 000000000000", 0}, {1, "AAC 20 00 000000000000", 0},
	} {
		c, tapped, got := ask(t, card, ec.GateTTQ, k.amount, yuan)
		require.Equal(t, k.want, got)
		if tapped.Decision == ec.TC {
			require.NoError(t, c.Commit(t.Context(), tapped))
		}
		require.Equal(t, money.Minor(k.balance), card.Balance())
	}
}

// TestNewCardAndPINTries: a card that was online once is new no more; one without PIN tries goes online or is declined, if it checks that.
func TestNewCardAndPINTries(t *testing.T) {
	i, card := riskCard(t, eccard.Risk{Processes: [4]byte{0x99, 0x20}})
	_, _, got := ask(t, card, ec.GateTTQ, 1, yuan)
	require.Equal(t, "AAC 00 00 000000010000", got)
	_, err := online(t, i, card)
	require.NoError(t, err)
	_, _, got = ask(t, card, ec.GateTTQ, 1, yuan)
	require.Equal(t, "TC 00 00 000000009999", got)
	_, _, got = ask(t, card, ec.TTQ{0x24}, 1, yuan)
	require.Equal(t, "TC 00 00 000000009999", got)
	wrong, err := ec.NewPIN("0000")
	require.NoError(t, err)
	for range 3 {
		verifyPIN(t, card, wrong)
	}
	_, _, got = ask(t, card, ec.GateTTQ, 1, yuan)
	require.Equal(t, "AAC 40 00 000000010000", got)
	_, _, got = ask(t, card, ec.TTQ{0x24}, 1, yuan)
	require.Equal(t, "ARQC 40 00 000000010000", got)
	_, err = online(t, i, card, ec.UnblockPIN())
	require.NoError(t, err)
	_, _, got = ask(t, card, ec.GateTTQ, 1, yuan)
	require.Equal(t, "TC 00 00 000000009999", got)
}

// TestNoLog: a card that is not told to keep a log keeps none.
func TestNoLog(t *testing.T) {
	_, card := riskCard(t, eccard.Risk{Processes: [4]byte{0x81}})
	c, tapped, _ := ask(t, card, ec.GateTTQ, 1, yuan)
	require.NoError(t, c.Commit(t.Context(), tapped))
	_, err := c.ReadRecord(t.Context(), ec.Place{SFI: 11, Number: 1})
	require.ErrorIs(t, err, ec.ErrNotFound)
}
