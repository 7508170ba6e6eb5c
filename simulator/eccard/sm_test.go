package eccard_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// smCard has RSA and SM2, and a transit file.
func smCard(t *testing.T, balance int64) (*eccard.Issuer, *eccard.Card, *ec.Authorities) {
	i, err := issuer()
	require.NoError(t, err)
	number, err := ec.NewPAN("6210948000000037")
	require.NoError(t, err)
	card, err := i.Personalise(eccard.Profile{PAN: number, PSN: 2, Balance: money.Minor(balance), SM: true, Transit: map[byte]int{metroFile: 16}})
	require.NoError(t, err)
	a, err := ec.NewAuthorities([]ec.CAKey{i.Authority(), i.SMAuthority()}, nil)
	require.NoError(t, err)
	return i, card, a
}

// TestSMTornAtEveryCommand is the tap of a card that signs with SM2, torn at every command: as with RSA.
func TestSMTornAtEveryCommand(t *testing.T) {
	const commands = 8
	i, card, authorities := smCard(t, 100_000)
	for _, ttq := range []ec.TTQ{ec.GateTTQ, {0x28}} {
		for first := range commands {
			for _, how := range []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer} {
				g := &gate{ttq: ttq, authorities: authorities, un: uint32(first) << 8, sm: true}
				before, paid := card.Balance(), false
				for tries := 0; !paid; tries++ {
					require.Less(t, tries, 3)
					card.Insert()
					card.TearAt = func(n int) eccard.Tear {
						if tries == 0 && n == first {
							return how
						}
						return eccard.NoTear
					}
					var err error
					if paid, err = g.tap(t, card, 7); !paid {
						require.True(t, errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent), "%v", err)
					}
				}
				debited, err := before.Sub(card.Balance())
				require.NoError(t, err)
				require.Equal(t, int64(7), debited.Minor())
				require.Equal(t, int64(7), g.sold)
				require.Zero(t, g.unknown)
			}
		}
	}
	card.TearAt = nil
	for _, sm := range []bool{true, false} {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(5), Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{1}, SM: sm})
		require.NoError(t, err)
		require.NoError(t, c.Commit(t.Context(), tapped))
		require.NoError(t, tapped.Authenticate(authorities))
		require.Equal(t, sm, tapped.IAD.Algorithm == ec.AlgorithmSM4)
		require.Equal(t, sm, tapped.Objects[ec.TagSDAD][0] == 0x15 && len(tapped.Objects[ec.TagSDAD]) == 69)
		raw, err := tapped.Field55(nil)
		require.NoError(t, err)
		claim, err := ec.ParseField55(raw)
		require.NoError(t, err)
		k := ec.CardKeys{DKI: claim.IAD.DKI, PAN: tapped.Track2.PAN, PSN: tapped.PSN}
		require.NoError(t, ec.VerifyCryptogram(t.Context(), i.Door(), k, claim.Sent, claim.AIP, claim.ATC, claim.IAD, claim.AC))
		require.NoError(t, ec.VerifyBalance(t.Context(), i.Door(), k, claim.ATC, claim.IAD, false))
	}
}

// TestAnUntrustedSMCardIsNotDebited: SM2 certificates are checked before the last record too, version 00 with its signature.
func TestAnUntrustedSMCardIsNotDebited(t *testing.T) {
	i, card, good := smCard(t, 1_000)
	stranger, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	other, err := ec.NewAuthorities([]ec.CAKey{stranger.SMAuthority()}, nil)
	require.NoError(t, err)
	none, err := ec.NewAuthorities([]ec.CAKey{i.Authority()}, nil)
	require.NoError(t, err)
	for name, k := range map[string]struct {
		authorities *ec.Authorities
		spoil       func(*ec.Tap)
		why         error
	}{
		"only RSA is known":  {none, nil, ec.ErrUnknownCA},
		"another authority":  {other, nil, ec.ErrSignature},
		"signature altered":  {good, func(p *ec.Tap) { p.Objects[ec.TagSDAD][9] ^= 1 }, ec.ErrSignature},
		"number replayed":    {good, func(p *ec.Tap) { p.Sent[ec.TagUN] = []byte{9, 9, 9, 9} }, ec.ErrSignature},
		"nothing is altered": {good, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			card.Insert()
			c, err := ec.Select(t.Context(), card, accepted)
			require.NoError(t, err)
			tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.TTQ{0x28}, Amount: money.Minor(1), Currency: [2]byte{1, 0x56}, Date: 20260105, SM: true})
			require.NoError(t, err)
			if k.spoil != nil {
				k.spoil(tapped)
			}
			_, err = tapped.Check(k.authorities, false)
			require.ErrorIs(t, err, k.why)
			require.Equal(t, money.Minor(1_000), card.Balance())
		})
	}
}

// TestSMLoad loads, proves and voids with SM4, and passes a metro gate, whose keys stay 3DES.
func TestSMLoad(t *testing.T) {
	i, card, authorities := smCard(t, 0)
	b := &bank{door: i.Door(), sm: true}
	card.Insert()
	require.NoError(t, b.visit(t, card, 2_500))
	require.Equal(t, money.Minor(2_500), card.Balance())
	for _, tear := range []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer} {
		card.Insert()
		card.TearAt = func(n int) eccard.Tear {
			if n == 12 {
				return tear
			}
			return eccard.NoTear
		}
		require.ErrorIs(t, b.visit(t, card, 100), ec.ErrUncertain)
		card.Insert()
		card.TearAt = nil
		require.NoError(t, b.visit(t, card, 10))
	}
	require.Equal(t, 1, b.reversed)
	require.Equal(t, money.Minor(2_620), card.Balance())
	require.Equal(t, int64(2_620), b.source)

	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	number, err := ec.NewPAN("6210948000000037")
	require.NoError(t, err)
	name := metroName(number)
	name.PSN = 2
	require.NoError(t, c.AppendTransit(t.Context(), i.Operator(), name, append(metroID[:], 0, 0)))
	g := &barrier{operator: i.Operator(), authorities: authorities, ttq: ec.GateTTQ, fare: 20, sm: true}
	for range 2 {
		card.Insert()
		passed, err := g.pass(t, card)
		require.NoError(t, err)
		require.True(t, passed)
	}
	require.Equal(t, money.Minor(2_600), card.Balance())
}
