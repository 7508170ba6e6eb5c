package eccard_test

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// issuer is made once: its keys take a while.
var issuer = sync.OnceValues(func() (*eccard.Issuer, error) { return eccard.NewIssuer(rand.Reader, "621094") })

func setUp(t testing.TB, balance int64) (*eccard.Issuer, *eccard.Card, *ec.Authorities) {
	i, err := issuer()
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210948000000011")
	require.NoError(t, err)
	card, err := i.Card(pan, 1, money.Minor(balance))
	require.NoError(t, err)
	a, err := ec.NewAuthorities([]ec.CAKey{i.Authority()}, nil)
	require.NoError(t, err)
	return i, card, a
}

var accepted = []ec.Accepted{{AID: ec.AIDDebit}}

// gate is a terminal: what it has sold, and the one tap it does not know the end of.
type gate struct {
	ttq         ec.TTQ
	authorities *ec.Authorities
	un          uint32
	sm          bool // offers SM2, SM3 and SM4
	torn        []byte
	sold        int64 // minor units of completed taps
	flagged     int   // completed without a proof
	unknown     int   // taps given up as unknown
}

// tap takes a fare as docs/card-ec.md tells. It reports whether the fare is paid.
func (g *gate) tap(t tester, card apdu.Transmitter, fare int64) (bool, error) {
	c, err := ec.Select(t.Context(), card, accepted)
	if err != nil {
		return false, err
	}
	if g.torn != nil {
		old, err := ec.ParseTap(g.torn)
		require.NoError(t, err)
		got, err := c.Recover(t.Context(), old, g.authorities)
		if err != nil {
			return false, err
		}
		switch got {
		case ec.Proven, ec.Unproven:
			amount, err := old.Amount()
			require.NoError(t, err)
			g.sold += amount.Minor()
			g.torn = nil
			if got == ec.Unproven {
				g.flagged++
			}
			return true, nil
		case ec.StillUnknown:
			g.unknown++
		}
		g.torn = nil
	}
	g.un++
	terminal := ec.Terminal{TTQ: g.ttq, Amount: money.Minor(fare), Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20260105, SM: g.sm}
	binary.BigEndian.PutUint32(terminal.UN[:], g.un)
	tapped, err := c.Begin(t.Context(), terminal)
	if err != nil {
		return false, err // a card that debits at the last record only has not debited
	}
	if decision, why := tapped.Check(g.authorities, false); decision != ec.Approve {
		return false, fmt.Errorf("%v: %w", decision, why)
	}
	if g.torn, err = tapped.Bytes(); err != nil {
		return false, err
	}
	if err := c.Commit(t.Context(), tapped); err != nil {
		return false, err
	}
	require.NoError(t, tapped.Authenticate(g.authorities))
	g.torn = nil
	g.sold += fare
	return true, nil
}

// TestTornAtEveryCommand tears a tap at every command, before and after the card's work, and the re-tap at every command too. However it goes, the card pays one fare, and the gate
// believes just what the card has paid.
func TestTornAtEveryCommand(t *testing.T) {
	const commands = 8 // two SELECTs, GET PROCESSING OPTIONS, five records
	_, card, authorities := setUp(t, 100_000)
	tears := []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer}
	for _, ttq := range []ec.TTQ{ec.GateTTQ, {0x28}} {
		flagged := 0
		for first := range commands {
			for _, how := range tears {
				for second := -1; second <= commands+2; second++ {
					for _, then := range tears {
						g := &gate{ttq: ttq, authorities: authorities, un: uint32(first)<<16 | uint32(second+1)<<8}
						before := card.Balance()
						plan := [][2]int{{first, int(how)}, {second, int(then)}, {-1, 0}}
						paid := false
						for _, p := range plan {
							card.Insert()
							card.TearAt = func(n int) eccard.Tear {
								if n == p[0] {
									return eccard.Tear(p[1])
								}
								return eccard.NoTear
							}
							var err error
							if paid, err = g.tap(t, card, 1); paid {
								break
							}
							require.True(t, errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent), "%v", err)
						}
						require.True(t, paid)
						debited, err := before.Sub(card.Balance())
						require.NoError(t, err)
						require.Equal(t, int64(1), debited.Minor(), "torn at %d (%d) and %d (%d)", first, how, second, then)
						require.Equal(t, debited.Minor(), g.sold)
						require.Zero(t, g.unknown)
						flagged += g.flagged
					}
				}
			}
		}
		require.Equal(t, !ttq.FDDA01(), flagged > 0, "only version 00 leaves a debit without proof")
	}
}

func TestTheIssuerAcceptsItsCards(t *testing.T) {
	i, card, authorities := setUp(t, 10_000)
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(200), Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{1}})
	require.NoError(t, err)
	require.Equal(t, money.Minor(10_000), card.Balance(), "nothing is debited before the last record")
	require.NoError(t, c.Commit(t.Context(), tapped))
	require.Equal(t, money.Minor(9_800), card.Balance())
	require.NoError(t, tapped.Authenticate(authorities))
	raw, err := tapped.Field55(nil)
	require.NoError(t, err)
	claim, err := ec.ParseField55(raw)
	require.NoError(t, err)
	keys := ec.CardKeys{DKI: claim.IAD.DKI, PAN: tapped.Track2.PAN, PSN: tapped.PSN}
	require.NoError(t, ec.VerifyCryptogram(t.Context(), i.Door(), keys, claim.Sent, claim.AIP, claim.ATC, claim.IAD, claim.AC))
	require.NoError(t, ec.VerifyBalance(t.Context(), i.Door(), keys, claim.ATC, claim.IAD, false))
	entry, err := c.ReadRecord(t.Context(), ec.Place{SFI: 11, Number: 1})
	require.NoError(t, err)
	require.Equal(t, "260105000000000200015600"+"0001", fmt.Sprintf("%X", entry.Raw))
	require.Equal(t, uint16(1), card.ATC())
	require.Equal(t, "[simulated EC card ****0011]", fmt.Sprintf("%+v", card))
	require.Equal(t, "[simulated EC issuer]", fmt.Sprintf("%#v", i))
}

// TestAnUntrustedCardIsNotDebited: a terminal that does not trust the issuer, or knows the card, refuses before the last record.
func TestAnUntrustedCardIsNotDebited(t *testing.T) {
	i, card, good := setUp(t, 10_000)
	none, err := ec.NewAuthorities(nil, nil)
	require.NoError(t, err)
	revoked, err := ec.NewAuthorities([]ec.CAKey{i.Authority()}, []ec.Revoked{{RID: ec.UnionPay, Index: 0xF1, Serial: [3]byte{0, 1, 1}}})
	require.NoError(t, err)
	other, err := ec.NewPAN("6210948000000029")
	require.NoError(t, err)
	for name, k := range map[string]struct {
		authorities *ec.Authorities
		denied      bool
		date        ec.Date
		spoil       func(*ec.Tap)
		why         error
	}{
		"no authority":                  {none, false, 20260105, nil, ec.ErrUnknownCA},
		"revoked":                       {revoked, false, 20260105, nil, ec.ErrRevoked},
		"denied":                        {good, true, 20260105, nil, ec.ErrDenied},
		"expired":                       {good, false, 20410101, nil, ec.ErrExpired},
		"other number":                  {good, false, 20260105, func(p *ec.Tap) { p.Track2.PAN = other }, ec.ErrOtherPAN},
		"signature 00 altered":          {good, false, 20260105, func(p *ec.Tap) { p.Objects[ec.TagSDAD][9] ^= 1 }, ec.ErrRecovered},
		"signature over another number": {good, false, 20260105, func(p *ec.Tap) { p.Sent[ec.TagUN] = []byte{9, 9, 9, 9} }, ec.ErrHash},
		"no DDA":                        {good, false, 20260105, func(p *ec.Tap) { p.AIP = ec.AIP{0x5C} }, ec.ErrNoDDA},
	} {
		t.Run(name, func(t *testing.T) {
			card.Insert()
			c, err := ec.Select(t.Context(), card, accepted)
			require.NoError(t, err)
			tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.TTQ{0x28}, Amount: money.Minor(1), Currency: [2]byte{1, 0x56}, Date: k.date})
			require.NoError(t, err)
			if k.spoil != nil {
				k.spoil(tapped)
			}
			decision, err := tapped.Check(k.authorities, k.denied)
			require.Equal(t, ec.Decline, decision)
			require.ErrorIs(t, err, k.why)
			require.Equal(t, money.Minor(10_000), card.Balance())
		})
	}
}

func TestWhatTheCardDeclines(t *testing.T) {
	_, card, authorities := setUp(t, 10_000)
	for _, k := range []struct {
		ttq    ec.TTQ
		amount int64
		money  [2]byte
		want   ec.Cryptogram
	}{
		{ec.GateTTQ, 10_001, [2]byte{1, 0x56}, ec.AAC},
		{ec.GateTTQ, 50_001, [2]byte{1, 0x56}, ec.AAC},
		{ec.GateTTQ, 1, [2]byte{8, 0x40}, ec.AAC},
		{ec.TTQ{0x24, 0, 0, 0x80}, 9_001, [2]byte{1, 0x56}, ec.ARQC},
		{ec.TTQ{0x24, 0x80, 0, 0x80}, 1, [2]byte{1, 0x56}, ec.ARQC},
		{ec.TTQ{0x24, 0, 0, 0x80}, 9_000, [2]byte{1, 0x56}, ec.TC},
	} {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: k.ttq, Amount: money.Minor(k.amount), Currency: k.money, Date: 20260105})
		require.NoError(t, err)
		require.Equal(t, k.want, tapped.Decision, "%+v", k)
		if k.want == ec.AAC {
			_, err = tapped.Check(authorities, false)
			require.ErrorIs(t, err, ec.ErrCardDeclined)
			require.Error(t, c.Commit(t.Context(), tapped))
		}
		require.Equal(t, money.Minor(10_000), card.Balance())
		_, err = c.Begin(t.Context(), ec.Terminal{TTQ: k.ttq, Date: 20260105})
		require.ErrorIs(t, err, ec.ErrConditions, "one GET PROCESSING OPTIONS a session")
	}
}

// TestLoad sets a new balance by script, after the issuer has answered the card's ARQC.
func TestLoad(t *testing.T) {
	i, card, _ := setUp(t, 1_000)
	ask := func() (*ec.Tap, ec.CardKeys) {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.TTQ{0x24, 0x80, 0x80, 0x80}, Currency: [2]byte{1, 0x56}, Date: 20260105})
		require.NoError(t, err)
		require.Equal(t, ec.ARQC, tapped.Decision)
		return tapped, ec.CardKeys{DKI: 1, PAN: tapped.Track2.PAN, PSN: tapped.PSN}
	}
	send := func(a apdu.Command) apdu.SW {
		r, err := apdu.Exchange(t.Context(), card, a)
		require.NoError(t, err)
		return r.SW
	}
	auth := func(tapped *ec.Tap, k ec.CardKeys) apdu.Command {
		raw, err := ec.IssuerAuthentication(t.Context(), i.Door(), k, tapped.ATC, tapped.AC, ec.Approved)
		require.NoError(t, err)
		return apdu.Command{INS: 0x82, Data: raw[:]}
	}
	put := func(tapped *ec.Tap, k ec.CardKeys, balance int64) apdu.Command {
		c, err := ec.PutBalance(t.Context(), i.Door(), k, tapped.ATC, tapped.AC, money.Minor(balance))
		require.NoError(t, err)
		return c
	}
	tapped, k := ask()
	require.Equal(t, apdu.SW(0x6985), send(put(tapped, k, 5_000)), "a script before the issuer has answered")
	require.Equal(t, apdu.OK, send(auth(tapped, k)))
	require.Equal(t, apdu.SW(0x6985), send(auth(tapped, k)), "once")
	require.Equal(t, apdu.SW(0x6A80), send(put(tapped, k, 100_001)), "above the limit")
	require.Equal(t, apdu.OK, send(put(tapped, k, 5_000)))
	require.Equal(t, money.Minor(5_000), card.Balance())
	require.Equal(t, apdu.OK, send(put(tapped, k, 5_000)), "the balance is absolute: the same script again changes nothing")
	require.Equal(t, money.Minor(5_000), card.Balance())
	old := put(tapped, k, 9_000)

	tapped, k = ask()
	wrong := auth(tapped, k)
	wrong.Data[0] ^= 1
	require.Equal(t, apdu.SW(0x6300), send(wrong))
	require.Equal(t, apdu.SW(0x6985), send(auth(tapped, k)))

	tapped, k = ask()
	require.Equal(t, apdu.OK, send(auth(tapped, k)))
	require.Equal(t, apdu.SW(0x6988), send(old), "a script of an older session")
	require.Equal(t, apdu.SW(0x6985), send(put(tapped, k, 9_000)), "the session is closed for scripts")
	require.Equal(t, money.Minor(5_000), card.Balance())
}

// FuzzCard sends any commands to a card that has everything: it never panics, and its balance moves only by a debit it approved or a script.
func FuzzCard(f *testing.F) {
	i, err := issuer()
	require.NoError(f, err)
	number, err := ec.NewPAN("6210948000000011")
	require.NoError(f, err)
	pin, err := ec.NewPIN("1234")
	require.NoError(f, err)
	card, err := i.Personalise(eccard.Profile{PAN: number, PSN: 1, Balance: money.Minor(10_000), PIN: pin, Transit: map[byte]int{0x15: 64}})
	require.NoError(f, err)
	selected := apdu8("00A4040008A000000333010101")
	f.Add(selected, apdu8("80A8000024832228000080000000000200000000000000015600000000000156260105001234567801"))
	f.Add(selected, apdu8("80A8000024832250008000000000000200000000000000015600000000000156260105001234567800"))
	f.Add(apdu8("80CA9F7900"), apdu8("00B2011400"))
	f.Add(apdu8("008200000A00000000000000003030"), apdu8("04DA9F790A00000000050000000000"))
	f.Add(apdu8("80B400A8022801"), apdu8("84DE00A80828010102E8EECE06"))
	f.Add(apdu8("04E200A81800112233445566778899AABBCCDDEEFF28010102E8EECE06"), apdu8("805A000002000108"))
	f.Add(apdu8("80AE80002000000000000000000000000001560000000000015626010500123456781200"), apdu8("0020008008241234FFFFFFFFFF"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		card.Insert()
		before := card.Balance()
		for _, raw := range [][]byte{selected, a, b} {
			answer, err := card.Transmit(t.Context(), raw)
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(answer), 2)
		}
		require.Equal(t, before, card.Balance(), "two commands are no tap")
	})
}

func apdu8(s string) []byte {
	var out []byte
	for i := 0; i+1 < len(s); i += 2 {
		var b byte
		if _, err := fmt.Sscanf(s[i:i+2], "%02X", &b); err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}
