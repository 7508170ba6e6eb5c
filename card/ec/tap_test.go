package ec_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// script is a card that answers a transcript, step by step, and no other command. From step lost on it gives no answer.
type script struct {
	t     *testing.T
	steps [][2]hexBytes
	at    int
	lost  int // −1: never
}

func (s *script) Transmit(_ context.Context, c []byte) ([]byte, error) {
	require.Less(s.t, s.at, len(s.steps), "%X comes after the end", c)
	require.Equal(s.t, fmt.Sprintf("%X", []byte(s.steps[s.at][0])), fmt.Sprintf("%X", c), "step %d", s.at)
	s.at++
	if s.lost >= 0 && s.at > s.lost {
		return nil, fmt.Errorf("%w: gone", apdu.ErrNoAnswer)
	}
	return s.steps[s.at-1][1], nil
}

var accepted = []ec.Accepted{{AID: ec.AIDDebit}}

func terminalOf(t *testing.T, p tap) ec.Terminal {
	amount, err := ec.ParseAmount(p.Terminal["9F02"])
	require.NoError(t, err)
	date, err := ec.ParseDate(p.Terminal["9A"])
	require.NoError(t, err)
	return ec.Terminal{
		TTQ: ec.TTQ(p.Terminal["9F66"]), Amount: amount, Country: [2]byte(p.Terminal["9F1A"]), Currency: [2]byte(p.Terminal["5F2A"]), Date: date,
		Type: p.Terminal["9C"][0], UN: [4]byte(p.Terminal["9F37"]),
	}
}

func begin(t *testing.T, p tap, lost int) (*script, *ec.Card, *ec.Tap, error) {
	s := &script{t: t, steps: p.Steps, lost: lost}
	card, err := ec.Select(t.Context(), s, accepted)
	require.NoError(t, err)
	tapped, err := card.Begin(t.Context(), terminalOf(t, p))
	return s, card, tapped, err
}

func TestTaps(t *testing.T) {
	c := vectors(t)
	door, authorities := testIssuer(c), c.authorities(t)
	for _, p := range c.Taps {
		t.Run(p.ID, func(t *testing.T) {
			s, card, tapped, err := begin(t, p, -1)
			require.NoError(t, err)
			require.Equal(t, p.Type, tapped.Decision.String())
			require.Equal(t, c.PAN, tapped.Track2.PAN.Reveal())
			require.Equal(t, c.PSN[0], tapped.PSN)
			decision, err := tapped.Check(authorities, false)
			switch p.ID {
			case "T4":
				require.Equal(t, ec.Decline, decision)
				require.ErrorIs(t, err, ec.ErrCardDeclined)
			case "T5":
				require.Equal(t, ec.GoOnline, decision)
				require.NoError(t, err)
			default:
				require.NoError(t, err)
				require.Equal(t, ec.Approve, decision)
				denied, err := tapped.Check(authorities, true)
				require.ErrorIs(t, err, ec.ErrDenied)
				require.Equal(t, ec.Decline, denied)
				require.Equal(t, len(p.Steps)-1, s.at, "one command is left: the debit")
				require.NoError(t, card.Commit(t.Context(), tapped))
				require.NoError(t, tapped.Authenticate(authorities))
				require.Error(t, card.Commit(t.Context(), tapped), "a second time")
			}
			require.Equal(t, len(p.Steps), s.at)

			raw, err := tapped.Field55(map[tlv.Tag][]byte{0x9F33: {0xE0, 0xE9, 0xC8}})
			require.NoError(t, err)
			claim, err := ec.ParseField55(raw)
			require.NoError(t, err)
			require.Equal(t, tapped.Decision, claim.Decision)
			require.NoError(t, ec.VerifyCryptogram(t.Context(), door, testCard(t, c), claim.Sent, claim.AIP, claim.ATC, claim.IAD, claim.AC))
			proof, err := tapped.Proof()
			require.NoError(t, err)
			require.NotContains(t, string(proof), string(unhex(t, c.PAN)))
		})
	}
}

func TestPublishedField55(t *testing.T) {
	var f transcripts
	readJSON(t, "transcripts.json", &f)
	s := &script{t: t, steps: f.Tap.Steps, lost: -1}
	card, err := ec.Select(t.Context(), s, accepted)
	require.NoError(t, err)
	tapped, err := card.Begin(t.Context(), ec.Terminal{
		TTQ: ec.TTQ{0x36, 0x80}, Amount: money.Minor(1), Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20170601, UN: [4]byte{0x2B, 0x29, 0xEB, 0xE4},
	})
	require.NoError(t, err)
	raw, err := tapped.Field55(map[tlv.Tag][]byte{
		0x9F33: {0xE0, 0xE9, 0xC8}, 0x9F34: {0, 0, 0}, 0x9F35: {0x22}, 0x9F1E: []byte("FFFFFFFF"), 0x9F09: {0, 0}, 0x9F41: {0, 0, 0, 5},
	})
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%X", []byte(f.Tap.Field55)), fmt.Sprintf("%X", raw))
}

// TestALossAfterTheCardWasAskedIsNeverAFailure loses the answer of every step.
func TestALossAfterTheCardWasAskedIsNeverAFailure(t *testing.T) {
	c := vectors(t)
	p := c.tap(t, "T1")
	for lost := range p.Steps {
		s := &script{t: t, steps: p.Steps, lost: lost}
		card, err := ec.Select(t.Context(), s, accepted)
		if lost < 2 {
			require.ErrorIs(t, err, apdu.ErrNoAnswer)
			require.NotErrorIs(t, err, ec.ErrUncertain)
			continue
		}
		require.NoError(t, err)
		tapped, err := card.Begin(t.Context(), terminalOf(t, p))
		if lost == len(p.Steps)-1 {
			require.NoError(t, err)
			err = card.Commit(t.Context(), tapped)
		}
		require.ErrorIs(t, err, ec.ErrUncertain, "step %d", lost)
		require.Equal(t, lost > 2, tapped != nil)
	}
}

// torn is tap T1 without its last record, by way of durable storage.
func torn(t *testing.T, c computed) *ec.Tap {
	t.Helper()
	p := c.tap(t, "T1")
	_, card, tapped, err := begin(t, p, len(p.Steps)-1)
	require.NoError(t, err)
	raw, err := tapped.Bytes()
	require.NoError(t, err)
	require.ErrorIs(t, card.Commit(t.Context(), tapped), ec.ErrUncertain)
	again, err := ec.ParseTap(raw)
	require.NoError(t, err)
	require.Equal(t, tapped, again)
	return again
}

func TestTornTap(t *testing.T) {
	c := vectors(t)
	steps := c.Torn.Steps
	with := func(change map[int]string) [][2]hexBytes {
		out := append([][2]hexBytes{}, steps...)
		for i, answer := range change {
			out[i][1] = unhex(t, answer)
		}
		return out
	}
	noProof := "70139F6310303130330000000000000000000000009000" // T2's last record: no 9F69
	cases := []struct {
		name  string
		steps [][2]hexBytes
		used  int
		want  ec.Recovery
	}{
		{"proven", steps, 4, ec.Proven},
		{"signed another commit", with(map[int]string{3: "701E9F6310303130330000000000000000000000009F690801A1B2C3D50000009000"}), 6, ec.Unproven},
		{"debited without proof", with(map[int]string{3: noProof}), 6, ec.Unproven},
		{"not debited", with(map[int]string{3: noProof, 5: "9F79060000000100009000"}), 6, ec.NotDebited},
		{"last record refused", with(map[int]string{3: "6985", 5: "9F79060000000100009000"}), 6, ec.NotDebited},
		{"used elsewhere", with(map[int]string{3: noProof, 4: "9F360200029000"}), 6, ec.StillUnknown},
		{"a balance that fits nothing", with(map[int]string{3: noProof, 5: "9F79060000000098019000"}), 6, ec.StillUnknown},
		{"other card number", with(map[int]string{2: "70285A0862109480000000125F3401015F24033012315F25032501015F280201569F0702FF009F4A01829000"}), 3, ec.OtherCard},
		{"other sequence number", with(map[int]string{2: "70285A0862109480000000115F3401025F24033012315F25032501015F280201569F0702FF009F4A01829000"}), 3, ec.OtherCard},
		{"no such record", with(map[int]string{2: "6A83"}), 3, ec.OtherCard},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			tapped := torn(t, c)
			s := &script{t: t, steps: k.steps, lost: -1}
			card, err := ec.Select(t.Context(), s, accepted)
			require.NoError(t, err)
			got, err := card.Recover(t.Context(), tapped, c.authorities(t))
			require.NoError(t, err)
			require.Equal(t, k.want, got, got.String())
			require.Equal(t, k.used, s.at)
			require.Equal(t, k.want == ec.Proven, len(tapped.Records) == len(tapped.Places))
		})
	}
	for lost := 2; lost < len(steps); lost++ {
		tapped := torn(t, c)
		s := &script{t: t, steps: with(map[int]string{3: noProof}), lost: lost}
		card, err := ec.Select(t.Context(), s, accepted)
		require.NoError(t, err)
		got, err := card.Recover(t.Context(), tapped, c.authorities(t))
		require.ErrorIs(t, err, apdu.ErrNoAnswer)
		require.Equal(t, ec.StillUnknown, got)
	}
}

// TestOnlyTheLastRecordProves: a card that gives 9F69 away before the last record has signed nothing that proves a commit.
func TestOnlyTheLastRecordProves(t *testing.T) {
	c := vectors(t)
	p := c.tap(t, "T1")
	p.Steps = append([][2]hexBytes{}, p.Steps...)
	p.Steps[3][1] = unhex(t, "701F5F2007454320544553549F080200305F300202209F690801A1B2C3D40000009000")
	last := unhex(t, "70139F6310303130330000000000000000000000009000")
	_, _, tapped, err := begin(t, p, len(p.Steps)-1)
	require.NoError(t, err)
	decision, err := tapped.Check(c.authorities(t), false)
	require.NoError(t, err)
	require.Equal(t, ec.Approve, decision)
	steps := append([][2]hexBytes{}, c.Torn.Steps...)
	steps[3][1], steps[5][1] = last, unhex(t, "9F79060000000100009000")
	card, err := ec.Select(t.Context(), &script{t: t, steps: steps, lost: -1}, accepted)
	require.NoError(t, err)
	got, err := card.Recover(t.Context(), tapped, c.authorities(t))
	require.NoError(t, err)
	require.Equal(t, ec.NotDebited, got, got.String())
}

func TestDecide(t *testing.T) {
	offline, online := ec.GateTTQ, ec.TTQ{0x30}
	bad := ec.ErrHash
	for _, k := range []struct {
		f    ec.Facts
		want ec.Decision
		why  error
	}{
		{ec.Facts{Card: ec.TC, TTQ: offline}, ec.Approve, nil},
		{ec.Facts{Card: ec.AAC, TTQ: online}, ec.Decline, ec.ErrCardDeclined},
		{ec.Facts{Card: ec.ARQC, TTQ: offline}, ec.Decline, ec.ErrNeedsOnline},
		{ec.Facts{Card: ec.ARQC, TTQ: online}, ec.GoOnline, nil},
		{ec.Facts{Card: 0xC0, TTQ: online}, ec.Decline, ec.ErrMalformed},
		{ec.Facts{Card: ec.TC, TTQ: online, Expired: true}, ec.Decline, ec.ErrExpired},
		{ec.Facts{Card: ec.TC, TTQ: online, CTQ: ec.CTQ{0x08}, Expired: true}, ec.GoOnline, ec.ErrExpired},
		{ec.Facts{Card: ec.TC, TTQ: offline, CTQ: ec.CTQ{0x08}, Expired: true}, ec.Decline, ec.ErrExpired},
		{ec.Facts{Card: ec.TC, TTQ: online, Denied: true}, ec.Decline, ec.ErrDenied},
		{ec.Facts{Card: ec.TC, TTQ: online, ODA: bad}, ec.Decline, bad},
		{ec.Facts{Card: ec.TC, TTQ: online, CTQ: ec.CTQ{0x20}, ODA: bad}, ec.GoOnline, bad},
		{ec.Facts{Card: ec.TC, TTQ: offline, CTQ: ec.CTQ{0x20}, ODA: bad}, ec.Decline, bad},
		{ec.Facts{Card: ec.TC, TTQ: online, CTQ: ec.CTQ{0x10}, ODA: bad}, ec.SwitchInterface, bad},
		{ec.Facts{Card: ec.TC, TTQ: offline, CTQ: ec.CTQ{0x10}, ODA: bad}, ec.Decline, bad},
	} {
		got, why := ec.Decide(k.f)
		require.Equal(t, k.want, got, "%+v", k.f)
		require.ErrorIs(t, why, k.why)
	}
}

func TestPrepare(t *testing.T) {
	amount := func(n int64) *money.Amount { a := money.Minor(n); return &a }
	online := ec.TTQ{0x24, 0xFF, 0, 0x80}
	for _, k := range []struct {
		q      ec.TTQ
		l      ec.Limits
		amount int64
		byte2  byte
		fails  bool
	}{
		{online, ec.Limits{}, 200, 0, false},
		{online, ec.Limits{StatusCheck: true}, 100, 0x80, false},
		{online, ec.Limits{StatusCheck: true}, 101, 0, false},
		{online, ec.Limits{}, 0, 0x80, false},
		{ec.GateTTQ, ec.Limits{}, 0, 0, true},
		{ec.GateTTQ, ec.Limits{ZeroAllowed: true}, 0, 0, false},
		{online, ec.Limits{Transaction: amount(500)}, 499, 0, false},
		{online, ec.Limits{Transaction: amount(500)}, 500, 0, true},
		{online, ec.Limits{CVM: amount(500)}, 500, 0x40, false},
		{online, ec.Limits{Offline: amount(500)}, 500, 0, false},
		{online, ec.Limits{Offline: amount(500), CVM: amount(500)}, 501, 0xC0, false},
	} {
		got, err := ec.Prepare(k.q, k.l, money.Minor(k.amount))
		require.Equal(t, k.fails, err != nil, "%+v", k)
		if k.fails {
			require.ErrorIs(t, err, ec.ErrNotContactless)
			continue
		}
		require.Equal(t, ec.TTQ{k.q[0], k.byte2, k.q[2], k.q[3]}, got, "%+v", k)
	}
}

func TestSelection(t *testing.T) {
	one := func(aid string, priority byte) ec.Candidate {
		return ec.Candidate{AID: unhex(t, aid), Priority: priority}
	}
	ask := one("A000000333010101", 1)
	ask.Confirm = true
	listed := []ec.Candidate{one("A000000333010102", 0), one("A00000033301010101", 15), one("A000000333010106", 2), one("A0000000031010", 1), ask}
	require.Equal(t, []ec.Candidate{listed[2], listed[1], listed[0]}, ec.Choose(listed, []ec.Accepted{{AID: ec.AIDDebit}, {AID: ec.AIDCredit, Exact: true}, {AID: ec.AIDPureEC}}))
	require.Empty(t, ec.Choose(listed, []ec.Accepted{{AID: ec.AIDDebit, Exact: true}}))

	ppse := "6F2D840E325041592E5359532E4444463031A51BBF0C1861164F08A0000003330101015007454320544553548701019000"
	for answer, want := range map[string]error{"6A82": ec.ErrNoApplication, ppse + "|6A82": ec.ErrNoApplication, ppse + "|6283": ec.ErrBlocked, ppse + "|6F009000": ec.ErrMalformed, "9000": ec.ErrMalformed, "6985": ec.ErrConditions} {
		c := vectors(t)
		steps := append([][2]hexBytes{}, c.Taps[0].Steps[:2]...)
		first, second, _ := strings.Cut(answer, "|")
		steps[0][1], steps[1][1] = unhex(t, first), unhex(t, second)
		_, err := ec.Select(t.Context(), &script{t: t, steps: steps, lost: -1}, accepted)
		require.ErrorIs(t, err, want, answer)
	}
}

// TestAPDOLThatProvesNothingIsRefused: a card that does not ask for what it signs is refused before it is asked.
func TestAPDOLThatProvesNothingIsRefused(t *testing.T) {
	c := vectors(t)
	steps := append([][2]hexBytes{}, c.Taps[0].Steps[:2]...)
	steps[1][1] = unhex(t, "6F16 8408A000000333010101 A50A 9F3807 9F6604 9F0206 95 9000")
	_, err := ec.Select(t.Context(), &script{t: t, steps: steps, lost: -1}, accepted)
	require.ErrorIs(t, err, ec.ErrMalformed, "a PDOL that is cut")
	steps[1][1] = unhex(t, "6F17 8408A000000333010101 A50B 9F3808 9F6604 9F0206 9501 9000")
	card, err := ec.Select(t.Context(), &script{t: t, steps: steps, lost: -1}, accepted)
	require.NoError(t, err)
	_, err = card.Begin(t.Context(), terminalOf(t, c.Taps[0]))
	require.ErrorIs(t, err, ec.ErrPDOL)
}

// TestExpiry: the day itself is good, and without 5F24 the month of track 2 tells.
func TestExpiry(t *testing.T) {
	tapped := torn(t, vectors(t))
	for day, want := range map[ec.Date]bool{20301231: false, 20310101: true} {
		got, err := tapped.Expired(day)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	delete(tapped.Objects, ec.TagExpiry)
	got, err := tapped.Expired(20301231)
	require.NoError(t, err)
	require.False(t, got)
	require.Equal(t, "EC tap of ****0011, TC, ATC 1", fmt.Sprintf("%d", tapped))
}

// FuzzTap reads bytes as a kept tap, as chip data, as a directory, and as a card's answers throughout a tap.
func FuzzTap(f *testing.F) {
	c := vectors(f)
	for _, p := range c.Taps {
		for _, s := range p.Steps {
			f.Add([]byte(s[1]))
		}
	}
	card, err := ec.Select(f.Context(), &fixed{answers: c.Taps[0].Steps, at: -1}, accepted)
	require.NoError(f, err)
	tapped, err := card.Begin(f.Context(), ec.Terminal{TTQ: ec.GateTTQ, Date: tapDay})
	require.NoError(f, err)
	kept, err := tapped.Bytes()
	require.NoError(f, err)
	f.Add(kept)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if tapped, err := ec.ParseTap(raw); err == nil {
			kept, err := tapped.Bytes()
			require.NoError(t, err)
			again, err := ec.ParseTap(kept)
			require.NoError(t, err)
			require.Equal(t, tapped, again)
		}
		_, _ = ec.ParseField55(raw)
		if list, err := ec.Candidates(raw); err == nil {
			ec.Choose(list, accepted)
		}
		for at := range 4 {
			card := &fixed{answers: c.Taps[0].Steps, at: at, raw: raw}
			selected, err := ec.Select(t.Context(), card, accepted)
			if err != nil {
				continue
			}
			tapped, err := selected.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Date: tapDay})
			if err == nil && tapped.Decision == ec.TC {
				_, _ = tapped.Check(c.authorities(t), false)
				_ = selected.Commit(t.Context(), tapped)
				_, _ = selected.Recover(t.Context(), tapped, c.authorities(t))
			}
		}
	})
}

// fixed answers what a transcript holds whatever is asked, except step at, and everything after the end, with raw.
type fixed struct {
	answers [][2]hexBytes
	at, n   int
	raw     []byte
}

func (x *fixed) Transmit(context.Context, []byte) ([]byte, error) {
	n := x.n
	x.n++
	if n == x.at || n >= len(x.answers) {
		if len(x.raw) < 2 {
			return nil, fmt.Errorf("%w: it says nothing", apdu.ErrNoAnswer)
		}
		return x.raw, nil
	}
	return x.answers[n][1], nil
}
