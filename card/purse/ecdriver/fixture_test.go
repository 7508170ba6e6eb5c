package ecdriver_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// numbers are card numbers whose packed bytes behind the issuer's part have three decimal digits each: a part of one stands in random bytes by chance
// as seldom as can be, however they are printed.
var numbers = [2]string{"6210947389926783", "6210948796789265531"}

var (
	zone = time.FixedZone("UTC+8", 8*3600)
	at   = time.Date(2026, 11, 25, 8, 0, 0, 0, zone)
)

const transitFile = 21

var transitID = [2]byte{0x28, 0x01}

// trips lets cards make trips, at the terminal of that number.
func trips(terminal byte) func(*ecdriver.Settings) {
	return func(s *ecdriver.Settings) {
		s.Transit = &ecdriver.Transit{File: transitFile, ID: transitID, Operator: world().issuer.Operator(), Terminal: [6]byte{0, 0, 0, 0, 1, terminal}}
	}
}

// drivers counts those made, so that no two draw the same numbers.
var drivers atomic.Uint32

// world is an issuer with a card of each number, made once: their keys take a while.
var world = sync.OnceValue(func() (w struct {
	issuer *eccard.Issuer
	cards  [2]*eccard.Card
	blank  [2]*eccard.Card // the same, never used
	sm     [2]*eccard.Card // with SM2 and SM4 beside RSA and 3DES
	riders [2]*eccard.Card // with the transit extension, and the operator's record opened
	pans   [2]ec.PAN
	seal   *ecdh.PrivateKey
}) {
	var err error
	check := func() {
		if err != nil {
			panic(err)
		}
	}
	w.issuer, err = eccard.NewIssuer(rand.Reader, "621094")
	check()
	for n := range w.cards {
		w.pans[n], err = ec.NewPAN(numbers[n])
		check()
		w.cards[n], err = w.issuer.Card(w.pans[n], 1, money.Minor(100_000))
		check()
		w.blank[n] = w.cards[n].Clone()
		w.sm[n], err = w.issuer.Personalise(eccard.Profile{PAN: w.pans[n], PSN: 1, Balance: money.Minor(100_000), SM: true})
		check()
		w.riders[n], err = w.issuer.Personalise(eccard.Profile{PAN: w.pans[n], PSN: 1, Balance: money.Minor(100_000), Transit: map[byte]int{transitFile: 200}})
		check()
		w.riders[n].Insert()
		var c *ec.Card
		c, err = ec.Select(context.Background(), w.riders[n], []ec.Accepted{{AID: ec.AIDDebit}})
		check()
		err = c.AppendTransit(context.Background(), w.issuer.Operator(), ec.RecordName{PAN: w.pans[n], PSN: 1, SFI: transitFile, ID: transitID},
			append(transitID[:], make([]byte, ecdriver.TransitRecordSize-2)...))
		check()
	}
	w.seal, err = ecdh.X25519().GenerateKey(rand.Reader)
	check()
	return w
})

func settings(t require.TestingT) ecdriver.Settings {
	a, err := ec.NewAuthorities([]ec.CAKey{world().issuer.Authority()}, nil)
	require.NoError(t, err)
	return ecdriver.Settings{
		Accepted: []ec.Accepted{{AID: ec.AIDDebit}}, TTQ: ec.GateTTQ, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Authorities: a,
		TokenKey: []byte("0123456789abcdef"), SealTo: world().seal.PublicKey(), Location: zone,
		Device: map[tlv.Tag][]byte{0x9F35: {0x26}, 0x9F1E: []byte("GATE0001")},
	}
}

func driver(t require.TestingT, change ...func(*ecdriver.Settings)) *ecdriver.Driver {
	s := settings(t)
	for _, c := range change {
		c(&s)
	}
	d, err := ecdriver.New(s, mathrand.NewChaCha8([32]byte{byte(drivers.Add(1)), byte(drivers.Load() >> 8)}))
	require.NoError(t, err)
	return d
}

func order(kind purse.Kind, amount int64) purse.Order {
	return purse.Order{Kind: kind, Amount: money.Minor(amount), At: at, Merchant: "M-1", Place: purse.Place{Line: [2]byte{0, 7}, Station: [2]byte{1, 1}}}
}

// got is how far a visit came.
type got struct {
	attempt  purse.Attempt
	begun    bool // Stage is done: the attempt is on disk, and Commit was called
	evidence purse.Evidence
	done     bool
	err      error
}

// visit brings the card into the field, torn at its n-th command, and makes an order. Before it, the card is asked about what is open.
func visit(ctx context.Context, d purse.Driver, card *eccard.Card, tear func(int) eccard.Tear, o purse.Order, open *purse.Attempt) (g got, verdict purse.Verdict, found purse.Evidence) {
	card.Insert()
	card.TearAt = tear
	defer func() { card.TearAt = nil }()
	c, err := d.Open(ctx, card)
	if err != nil {
		return got{err: err}, 0, found
	}
	defer c.Close()
	if open != nil {
		if verdict, found, err = c.Recover(ctx, *open); err != nil {
			return got{err: err}, 0, found
		}
		if verdict == purse.Completed {
			return g, verdict, found
		}
	}
	if g.attempt, g.err = c.Begin(ctx, o); g.err != nil {
		return g, verdict, found
	}
	if g.err = c.Stage(ctx); g.err != nil {
		return g, verdict, found
	}
	g.begun = true
	if g.err = c.Commit(ctx); g.err != nil {
		return g, verdict, found
	}
	g.evidence, g.err = c.Evidence(ctx)
	g.done = g.err == nil
	return g, verdict, found
}

// once tears one command, counted from 0.
func once(n int, how eccard.Tear) func(int) eccard.Tear {
	return func(k int) eccard.Tear {
		if k == n {
			return how
		}
		return eccard.NoTear
	}
}

// hidden looks for a card number, whole or without its last four digits, in texts and bytes.
func hidden(t require.TestingT, values ...any) {
	for _, number := range numbers {
		part := number[:12]
		packed, err := hex.DecodeString(part)
		require.NoError(t, err)
		for _, v := range values {
			if raw, ok := v.([]byte); ok {
				require.NotContains(t, string(raw), string(packed), "packed, in bytes")
				require.NotContains(t, string(raw), part, "digits, in bytes")
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
				text := strings.ToLower(fmt.Sprintf(verb, v))
				require.NotContains(t, text, part, verb)
				require.NotContains(t, text, hex.EncodeToString([]byte(part)), verb)
				require.NotContains(t, text, strings.Trim(fmt.Sprintf("%d", packed), "[]"), verb)
			}
		}
	}
}
