package tap_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// ecTerminal sells to cards that tell their number late and have no ride records.
type ecTerminal struct {
	tap.Terminal
	journal *journal.Journal
}

func newECTerminal(t *testing.T, issuer *eccard.Issuer) *ecTerminal {
	authorities, err := ec.NewAuthorities([]ec.CAKey{issuer.Authority()}, nil)
	require.NoError(t, err)
	backend, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	p := firmwareconfig.Sample()
	d, err := ecdriver.New(ecdriver.Settings{
		Accepted: []ec.Accepted{{AID: ec.AIDDebit}}, TTQ: ec.GateTTQ, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Authorities: authorities,
		TokenKey: []byte("0123456789abcdef"), SealTo: backend.PublicKey(), Location: p.Location(),
	}, rand.Reader)
	require.NoError(t, err)
	j, err := journal.Open(filepath.Join(t.TempDir(), "ec.journal"), journal.Options{Terminal: "T-1", NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { j.Close() })
	return &ecTerminal{journal: j, Terminal: tap.Terminal{
		ID: "T-1", Merchant: "city-bus", Journal: j, Drivers: []purse.Driver{d}, Profile: p, Location: p.Location(), BootID: []byte{1},
	}}
}

// states are those of all records.
func (m *ecTerminal) states(t *testing.T) (out []wire.State) {
	raw, err := m.journal.Read(1, 1<<20, 1<<30)
	require.NoError(t, err)
	for _, b := range raw {
		rec := &wire.Record{}
		require.NoError(t, proto.Unmarshal(b, rec))
		require.Equal(t, "ec", rec.GetFamily())
		require.NotContains(t, string(b), "621094")
		require.NotContains(t, string(b), "\x62\x10\x94\x73")
		require.Len(t, rec.GetSealedCard(), 64, "%v: whoever settles it must know whose it is", rec.GetState())
		out = append(out, rec.GetState())
	}
	return out
}

// TestATornRideOfElectronicCash tears a ride at each command, before and after the card's work. Come back within the window, the rider has paid once, whether the journal or the
// card knew first.
func TestATornRideOfElectronicCash(t *testing.T) {
	issuer, err := eccard.NewIssuer(rand.Reader, "621094")
	require.NoError(t, err)
	pan, err := ec.NewPAN("6210947315926483")
	require.NoError(t, err)
	card, err := issuer.Card(pan, 1, money.Minor(100_000))
	require.NoError(t, err)
	ride := tap.Request{Mode: tap.BusFlat, Line: line7, Now: morning, Clock: wire.ClockState_CLOCK_GOOD}
	outcomes := map[tap.Outcome]bool{}
	for torn := range 8 {
		for _, how := range []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer} {
			m := newECTerminal(t, issuer)
			before := card.Balance()
			card.Insert()
			card.TearAt = func(n int) eccard.Tear { return map[bool]eccard.Tear{true: how}[n == torn] }
			r, err := m.Purchase(t.Context(), card, ride)
			require.NoError(t, err)
			require.Equal(t, tap.PresentAgain, r.Outcome, r.Reason)

			card.TearAt = nil
			card.Insert()
			again := ride
			again.Now = morning.Add(5 * time.Second)
			r, err = m.Purchase(t.Context(), card, again)
			require.NoError(t, err)
			require.True(t, r.Outcome.Pass(), "%v: %s", r.Outcome, r.Reason)
			outcomes[r.Outcome] = true
			left, err := before.Sub(card.Balance())
			require.NoError(t, err)
			require.Equal(t, money.Minor(200), left, "torn at %d (%d): one fare", torn, how)
			completed := 0
			for _, s := range m.states(t) {
				if s == wire.State_STATE_COMPLETED {
					completed++
				}
			}
			require.Equal(t, 1, completed)
		}
	}
	require.True(t, outcomes[tap.RecoveredGranted] && outcomes[tap.Granted], "%v", outcomes)

	// A later ride is another one.
	m := newECTerminal(t, issuer)
	before := card.Balance()
	card.Insert()
	card.TearAt = func(n int) eccard.Tear { return map[bool]eccard.Tear{true: eccard.LoseAnswer}[n == 7] }
	_, err = m.Purchase(t.Context(), card, ride)
	require.NoError(t, err)
	card.TearAt = nil
	card.Insert()
	ride.Now = morning.Add(time.Hour)
	r, err := m.Purchase(t.Context(), card, ride)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, r.Outcome)
	left, err := before.Sub(card.Balance())
	require.NoError(t, err)
	require.Equal(t, money.Minor(400), left)
}
