package families_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the checksum of CA keys is defined with SHA-1
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/card/tlv"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/terminal/families"
)

// TestAnElectronicCashCardOfTheProfile: a card of the profile's authority sells, by what the profile says, and what it gives opens with the backend's key alone.
func TestAnElectronicCashCardOfTheProfile(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	card, err := issuer.Card(pan, 1, money.Minor(10_000))
	require.NoError(t, err)
	backend, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)

	key := issuer.Authority()
	sum := key.Checksum()
	limit := money.Minor(500)
	p := firmwareconfig.Sample()
	p.EC = &firmwareconfig.EC{
		AIDs: []firmwareconfig.Hex{{0xA0, 0, 0, 3, 0x33}}, TTQ: firmwareconfig.Hex{0x28, 0, 0, 0x80}, Country: "156", Currency: "156",
		Limits: firmwareconfig.ECLimits{Transaction: &limit},
		CAKeys: []firmwareconfig.CAKey{{
			RID: key.RID[:], Index: firmwareconfig.Hex{key.Index}, Modulus: key.Modulus, Exponent: key.Exponent, Checksum: sum[:], Expiry: "2039-12-31",
		}},
		SealTo: backend.PublicKey().Bytes(), Readback: "balance",
	}
	terminal := families.ECTerminal{TokenKey: []byte("0123456789abcdef"), Device: map[tlv.Tag][]byte{0x9F1E: []byte("GATE0001")}}
	sell := func(amount int64, at time.Time) (purse.Attempt, purse.Evidence, error) {
		d, err := families.EC(p, terminal, random())
		require.NoError(t, err)
		card.Insert()
		c, err := d.Open(t.Context(), card)
		require.NoError(t, err)
		defer c.Close()
		a, err := c.Begin(t.Context(), purse.Order{Kind: purse.Sale, Amount: money.Minor(amount), At: at})
		if err != nil {
			return a, purse.Evidence{}, err
		}
		if err := c.Stage(t.Context()); err != nil {
			return a, purse.Evidence{}, err
		}
		require.NoError(t, c.Commit(t.Context()))
		e, err := c.Evidence(t.Context())
		return a, e, err
	}
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	a, e, err := sell(250, day)
	require.NoError(t, err)
	require.Equal(t, []byte{0x20, 0x26, 0x11, 0x25, 0x08, 0x00, 0x00}, a.Time, "in the profile's zone")
	require.Equal(t, money.Minor(9_750), e.Balance)
	require.Empty(t, e.Mismatch)
	got, _, err := ecdriver.Open(backend, a.Card, e.Sealed)
	require.NoError(t, err)
	require.Equal(t, pan, got)
	data, err := ecdriver.Parse(e.Data)
	require.NoError(t, err)
	require.Contains(t, string(data.Field55), "GATE0001")
	require.Equal(t, []byte{0x01, 0x56}, data.Claim.Sent[ec.TagCurrency])

	p.EC.EarlyDebit = true
	sent := 0
	card.TearAt = func(n int) eccard.Tear { sent = n + 1; return eccard.NoTear }
	_, _, err = sell(250, day)
	require.NoError(t, err)
	require.Greater(t, sent, 9, "the card is asked for more before")
	p.EC.EarlyDebit = false

	_, _, err = sell(500, day)
	require.ErrorIs(t, err, purse.ErrDeclined, "the profile's limit")
	_, _, err = sell(100, day.AddDate(14, 0, 0))
	require.ErrorIs(t, err, purse.ErrKey, "the authority's key has expired, by the profile")
	p.EC.CAKeys[0].Expiry = ""
	p.EC.Revoked = []firmwareconfig.Revoked{{RID: key.RID[:], Index: firmwareconfig.Hex{key.Index}, Serial: firmwareconfig.Hex{0, 1, 1}}}
	_, _, err = sell(100, day)
	require.ErrorIs(t, err, purse.ErrDeclined, "the issuer is revoked")
	require.Equal(t, money.Minor(9_500), card.Balance())
}

// TestAnElectronicCashCardThatMakesTrips: the profile says where the record is, the terminal has its keys.
func TestAnElectronicCashCardThatMakesTrips(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	card, err := issuer.Personalise(eccard.Profile{PAN: pan, PSN: 1, Balance: money.Minor(10_000), Transit: map[byte]int{20: 100}})
	require.NoError(t, err)
	card.Insert()
	c, err := ec.Select(t.Context(), card, []ec.Accepted{{AID: ec.AIDDebit}})
	require.NoError(t, err)
	id := [2]byte{0x28, 0x07}
	require.NoError(t, c.AppendTransit(t.Context(), issuer.Operator(), ec.RecordName{PAN: pan, PSN: 1, SFI: 20, ID: id}, append(id[:], make([]byte, ecdriver.TransitRecordSize-2)...)))

	key := issuer.Authority()
	sum := key.Checksum()
	p := firmwareconfig.Sample()
	p.EC = &firmwareconfig.EC{
		AIDs: []firmwareconfig.Hex{ec.AIDDebit}, TTQ: firmwareconfig.Hex{0x28, 0, 0, 0x80}, Country: "156", Currency: "156",
		CAKeys: []firmwareconfig.CAKey{{RID: key.RID[:], Index: firmwareconfig.Hex{key.Index}, Modulus: key.Modulus, Exponent: key.Exponent, Checksum: sum[:]}},
		SealTo: make(firmwareconfig.Hex, 32), Readback: "none", Transit: &firmwareconfig.ECTransit{File: 20, ID: id[:]},
	}
	p.EC.SealTo[0] = 9
	terminal := families.ECTerminal{TokenKey: []byte("0123456789abcdef")}
	_, err = families.EC(p, terminal, random())
	require.ErrorContains(t, err, "operator's keys")
	terminal.Operator, terminal.Number = issuer.Operator(), [6]byte{1, 2, 3, 4, 5, 6}
	d, err := families.EC(p, terminal, random())
	require.NoError(t, err)
	card.Insert()
	v, err := d.Open(t.Context(), card)
	require.NoError(t, err)
	defer v.Close()
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	a, err := v.Begin(t.Context(), purse.Order{Kind: purse.Enter, Marked: money.Minor(600), At: at})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2, 3, 4, 5, 6}, a.SAM)
	require.NoError(t, v.Stage(t.Context()))
	require.NoError(t, v.Commit(t.Context()))
	v, err = d.Open(t.Context(), card)
	require.NoError(t, err)
	r, err := v.Read(t.Context(), purse.Need{Trip: true})
	require.NoError(t, err)
	require.True(t, r.Trip.Open)
	require.Equal(t, a.Mark(), r.Trip.Entry.Mark)
	require.True(t, at.Equal(r.Trip.Entry.At))
}

// TestAnSM2CardOfTheProfile: a key with a point in the profile, and the card signs by SM2 and computes by SM4.
func TestAnSM2CardOfTheProfile(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	card, err := issuer.Personalise(eccard.Profile{PAN: pan, PSN: 1, Balance: money.Minor(10_000), SM: true})
	require.NoError(t, err)
	p := firmwareconfig.Sample()
	p.EC = &firmwareconfig.EC{AIDs: []firmwareconfig.Hex{ec.AIDDebit}, TTQ: firmwareconfig.Hex{0x28, 0, 0, 0x80}, Country: "156", Currency: "156", SealTo: make(firmwareconfig.Hex, 32), Readback: "none"}
	p.EC.SealTo[0] = 9
	sell := func() (purse.Attempt, purse.Evidence) {
		d, err := families.EC(p, families.ECTerminal{TokenKey: []byte("0123456789abcdef")}, random())
		require.NoError(t, err)
		card.Insert()
		c, err := d.Open(t.Context(), card)
		require.NoError(t, err)
		defer c.Close()
		a, err := c.Begin(t.Context(), purse.Order{Kind: purse.Sale, Amount: money.Minor(250), At: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)})
		require.NoError(t, err)
		require.NoError(t, c.Stage(t.Context()))
		require.NoError(t, c.Commit(t.Context()))
		e, err := c.Evidence(t.Context())
		require.NoError(t, err)
		require.Empty(t, e.Mismatch)
		return a, e
	}
	for _, key := range []ec.CAKey{issuer.Authority(), issuer.SMAuthority()} {
		sum := key.Checksum()
		p.EC.CAKeys = append(p.EC.CAKeys, firmwareconfig.CAKey{RID: key.RID[:], Index: firmwareconfig.Hex{key.Index}, Modulus: key.Modulus, Exponent: key.Exponent, Point: key.Point, Checksum: sum[:]})
		a, e := sell()
		require.Equal(t, len(key.Point) > 0, a.Algorithm == ec.AlgorithmSM4, "by which of the two")
		evidence, err := ecdriver.Parse(e.Data)
		require.NoError(t, err)
		cl := evidence.Claim
		keys := ec.CardKeys{DKI: cl.IAD.DKI, PAN: pan, PSN: 1, Algorithm: cl.IAD.Algorithm}
		require.NoError(t, ec.VerifyCryptogram(t.Context(), issuer.Door(), keys, cl.Sent, cl.AIP, cl.ATC, cl.IAD, cl.AC))
	}
	p.EC.CAKeys[1].Point[0] ^= 1
	sum := sha1.Sum(slices.Concat(p.EC.CAKeys[1].RID, p.EC.CAKeys[1].Index, p.EC.CAKeys[1].Point))
	p.EC.CAKeys[1].Checksum = sum[:]
	_, err = families.EC(p, families.ECTerminal{TokenKey: []byte("0123456789abcdef")}, random())
	require.ErrorContains(t, err, "point of the SM2 curve")
}

func TestAProfileWithoutElectronicCash(t *testing.T) {
	_, err := families.EC(firmwareconfig.Sample(), families.ECTerminal{}, random())
	require.ErrorContains(t, err, "no ec section")
	p := firmwareconfig.Sample()
	p.EC = &firmwareconfig.EC{}
	_, err = families.EC(p, families.ECTerminal{}, random())
	require.ErrorContains(t, err, "ec.aids")
}
