package main

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/trace"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// TestNoTapTakesMoreCommandsThanItMust counts the commands of each kind of tap against those that the facts want: identify, what the mode reads, INITIALIZE, a
// command for each trip record, DEBIT. The read-back of the default profile is two more.
func TestNoTapTakesMoreCommandsThanItMust(t *testing.T) {
	const readBack = 2 // GET BALANCE, and the log's newest record
	now := time.Date(2026, 11, 24, 0, 30, 0, 0, time.UTC)
	number := ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	masters := testKeys()
	visits := []struct {
		name    string
		request tap.Request
		minimum int
	}{
		{"bus purchase", tap.Request{Mode: tap.BusFlat, Line: fare.Code{0, 7}}, 7},
		{"metro entry", tap.Request{Mode: tap.MetroEntry, Station: fare.Code{1, 1}}, 9},
		{"metro exit", tap.Request{Mode: tap.MetroExit, Station: fare.Code{1, 2}}, 8},
	}
	for name, extra := range map[string]int{"none": 0, "full": readBack} {
		t.Run("read-back "+name, func(t *testing.T) {
			profile := firmwareconfig.Sample()
			profile.Card.Readback = name
			img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x30, 5: 1}, Issuer: sampleIssuer, NextSerial: 1})
			require.NoError(t, err)
			chip, err := psam.New(img)
			require.NoError(t, err)
			sam, err := ep.OpenPSAM(t.Context(), chip, ep.PSAMTUnion)
			require.NoError(t, err)
			j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Options{Terminal: "T-1", NoSync: true})
			require.NoError(t, err)
			defer j.Close()
			terminal := tap.Terminal{ID: "T-1", Merchant: "m", Journal: j, Drivers: edge.Drivers(profile, oneSAM{sam}), Profile: profile, Location: profile.Location(), BootID: []byte{1}}
			cardImg, err := personalise.Card(masters, personalise.CardSpec{Number: number, Issuer: sampleIssuer, Balance: money.Minor(100_00)})
			require.NoError(t, err)
			card, err := epcard.New(cardImg, rand.Reader)
			require.NoError(t, err)
			loadByHand(t, card, masters)
			for i, v := range visits {
				rec := trace.Recorder{Now: func() time.Time { return now }}
				v.request.Now, v.request.Clock = now.Add(time.Duration(i)*10*time.Minute), wire.ClockState_CLOCK_GOOD
				result, err := terminal.Purchase(t.Context(), rec.Card(card), v.request)
				require.NoError(t, err)
				require.True(t, result.Outcome.Pass(), "%s: %s", v.name, result.Reason)
				s := rec.Transcript().Sessions[0]
				for _, x := range s {
					require.Empty(t, x.Fault)
				}
				t.Logf("%s: %d APDUs, on the air %v at 106 kbit/s, %v at 424 kbit/s", v.name, len(s), s.AirTime(trace.Kbit106), s.AirTime(trace.Kbit424))
				require.Equal(t, v.minimum+extra, len(s), "%s\n%s", v.name, rec.Transcript().Masked().Text())
			}
			verifyVisits(t, card, masters, j)
		})
	}
}

// oneSAM is the only SAM of a terminal with one reader.
type oneSAM struct{ keys.SAM }

func (s oneSAM) Acquire(context.Context) (keys.SAM, func(), error) { return s.SAM, func() {}, nil }

// loadByHand loads 10.00 as a backend does.
func loadByHand(t *testing.T, card apdu.Transmitter, masters personalise.Masters) {
	purse, _, err := ep.Select(t.Context(), card, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := purse.ReadPublic(t.Context())
	require.NoError(t, err)
	amount, term, at := money.Minor(10_00), ep.TerminalNumber{5: 9}, ep.DateTime{0x20, 0x26, 0x11, 0x24, 0x08, 0x00, 0x00}
	init, err := purse.InitLoad(t.Context(), 1, amount, term)
	require.NoError(t, err)
	key := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: init.Version, Algorithm: init.Algorithm}, Factors: public.Factors(2)}
	mac2, err := keys.NewSoft(masters).SessionMAC(t.Context(), key, ep.LoadSession(init.Random, init.Counter), ep.LoadMAC2(amount, ep.TypeLoad, term, at))
	require.NoError(t, err)
	_, err = purse.CreditLoad(t.Context(), at, mac2)
	require.NoError(t, err)
}

// verifyVisits: the load is verified over the debits since, and the newest debit's proof is what the terminal has in its journal.
func verifyVisits(t *testing.T, card apdu.Transmitter, masters personalise.Masters, j *journal.Journal) {
	s, err := (&CardVerifyCmd{KeyIndex: 1}).look(t.Context(), card)
	require.NoError(t, err)
	require.Len(t, s.log, 4)
	var load, debit verdict
	require.NoError(t, s.judge(t.Context(), keys.NewSoft(masters), backendBooks{}, 3, &load))
	require.Equal(t, verified, load.Verdict, load.Why)
	require.NoError(t, s.judge(t.Context(), keys.NewSoft(masters), backendBooks{}, 0, &debit))
	require.Equal(t, notProvable, debit.Verdict)
	raw, err := j.Read(j.LastSeq(), 1, 1<<20)
	require.NoError(t, err)
	require.Len(t, raw, 1)
	var rec wire.Record
	require.NoError(t, proto.Unmarshal(raw[0], &rec))
	require.Equal(t, ep.MAC(rec.GetTac()).String(), debit.TAC)
	require.Equal(t, ep.MAC(rec.GetMac2()).String(), debit.MAC2)

	s.log[0].Amount = money.Minor(1) // a log that was written by another hand
	load = verdict{}
	require.NoError(t, s.judge(t.Context(), keys.NewSoft(masters), backendBooks{}, 3, &load))
	require.Equal(t, wrong, load.Verdict)
}

// TestCardToolsOnALoadedCard issues and loads a card as an operator does, with traces, and looks at it with every tool.
func TestCardToolsOnALoadedCard(t *testing.T) {
	const number = "00010203040506070809"
	dir := filepath.Join(t.TempDir(), "scheme")
	card, masked, whole := filepath.Join(dir, "card.json"), filepath.Join(dir, "masked.trace"), filepath.Join(dir, "whole.trace")
	must(t, "init", "--dir", dir)
	freePorts(t, dir)
	at, stop := serving(t, dir)
	must(t, "card", "issue", "--dir", dir, "--number", number, "--file", card)
	load := []string{"kiosk", "load", "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token"), "--card", card, "--amount", "50"}
	must(t, append(load, "--trace", masked)...)
	must(t, append(load, "--trace", whole, "--reveal")...)
	_, err := run(t, append(load, "--trace", whole)...)
	require.ErrorContains(t, err, "not touched")
	stop()

	raw, err := os.ReadFile(masked)
	require.NoError(t, err)
	require.NotContains(t, string(raw), number[4:])
	require.Contains(t, string(raw), "replay no")
	require.Contains(t, string(raw), "CREDIT FOR LOAD")
	raw, err = os.ReadFile(whole)
	require.NoError(t, err)
	require.Contains(t, string(raw), number)
	tr, err := trace.Parse(raw)
	require.NoError(t, err)
	require.Len(t, tr.Sessions, 1)
	// SELECT, EF 15, INITIALIZE, CREDIT are the least; INITIALIZE of the smallest amount before, for the backend to settle by, and the
	// balance behind are two more.
	require.Len(t, tr.Sessions[0], 4+2)
	t.Logf("load: 6 APDUs, on the air %v at 106 kbit/s, %v at 424 kbit/s", tr.Sessions[0].AirTime(trace.Kbit106), tr.Sessions[0].AirTime(trace.Kbit424))
	player, err := trace.NewPlayer(tr.Sessions[0])
	require.NoError(t, err)
	purse, _, err := ep.Select(t.Context(), player, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := purse.ReadPublic(t.Context())
	require.NoError(t, err)
	require.Equal(t, number, public.CardNumber.Reveal())

	for _, tool := range []struct {
		args string
		says []string
	}{
		{"read", []string{"****0809", "balance 100.00", "kind 01 normal", "EF 16: not read", "same as EF 15"}},
		{"read --counters", []string{"online counter 2", "offline counter 0"}},
		{"read --json", []string{`"balance":"100.00"`, `"card_number":"****0809"`}},
		{"history", []string{"2 transactions", "02 load", "50.00"}},
		{"history --json", []string{`"type":"02 load"`}},
		{"trips", []string{"metro trip: 00 no trip", "0 trips"}},
		{"trips --json", []string{`"history":[]`}},
		{"verify --dir " + dir, []string{"verified: its TAC is that of this record with a balance of 100.00 after it; the backend has it", "not provable: the card keeps the proof of its newest load only; the backend has it"}},
		{"verify --json --dir " + dir, []string{`"wrong":0`}},
	} {
		out := must(t, append(append([]string{"card"}, strings.Fields(tool.args)...), "--card", card)...)
		for _, says := range tool.says {
			require.Contains(t, out, says, tool.args)
		}
		require.NotContains(t, out, number, tool.args)
	}
	require.Contains(t, must(t, "card", "read", "--card", card, "--reveal"), number)

	// By other keys the card's TAC is wrong, and that is no success.
	out, err := run(t, "card", "verify", "--test-keys", "--card", card)
	require.ErrorContains(t, err, "1 of 2 records are WRONG")
	require.Contains(t, out, "WRONG: the card's TAC")
}
