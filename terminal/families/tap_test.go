package families_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/terminal/families"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

var morning = time.Date(2026, 11, 24, 0, 30, 0, 0, time.UTC) // 08:30 where the purses are

func profile() *firmwareconfig.Profile {
	p := firmwareconfig.Sample()
	p.DESFire = &firmwareconfig.DESFire{
		AID: firmwareconfig.Hex{0x3F, 0x00, 0x01}, KeyNumber: 1, MACKey: 1, ValueFile: 1, RecordFile: 2, MACFile: 3, ValueMode: "mac", MACMode: "mac", Readback: "balance",
	}
	return p
}

// rider is a card of that profile with 50.00.
func rider(t *testing.T, n int) *sim.Card {
	m := sim.Image{
		UID: image.Bytes(fmt.Sprintf("\x04UID%03d", n)), TMV: "01234567", Upper: money.Minor(10_000), Value: money.Minor(5000), TMCLimit: 0xFFFFFFFF,
		Settings: desfire.Settings{
			AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 1, TMVersion: 1, ValueFile: 1, ValueMode: desfire.MAC,
			RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC,
		},
	}
	m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	c, err := sim.New(m, random())
	require.NoError(t, err)
	return c
}

// terminal is a terminal with a journal of its own.
func terminal(t *testing.T, n byte) (*tap.Terminal, *journal.Journal) {
	id := ids.TerminalID(fmt.Sprintf("T-%d", n))
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Options{Terminal: id, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	p := profile()
	d, err := families.DESFire(p, [6]byte{0, 0, 0, 0, 0, n}, desfiredriver.Lend(desfire.NewSoftSAM(keys.Key{}, random())), random())
	require.NoError(t, err)
	return &tap.Terminal{ID: id, Merchant: "city-bus", Journal: j, Drivers: []purse.Driver{d}, Profile: p, Location: p.Location(), BootID: []byte{n}}, j
}

var (
	bus  = tap.Request{Mode: tap.BusFlat, Line: fare.Code{0x00, 0x07}}
	in   = tap.Request{Mode: tap.MetroEntry, Station: fare.Code{0x01, 0x01}}
	out  = tap.Request{Mode: tap.MetroExit, Station: fare.Code{0x01, 0x02}}
	till = tap.Request{Mode: tap.Sale, Amount: money.Minor(125), RequestID: "R-1"}
)

// TestATornDESFireCardPaysOnce tears the card at every command of a tap and shows it again to the same terminal. It passes, and it has paid
// what an untorn one pays.
func TestATornDESFireCardPaysOnce(t *testing.T) {
	for name, c := range map[string]struct{ before, tap *tap.Request }{
		"bus": {nil, &bus}, "entry": {nil, &in}, "exit": {&in, &out}, "sale": {nil, &till}, "entry of one who never left": {&in, &in},
	} {
		t.Run(name, func(t *testing.T) {
			at, j := terminal(t, 1)
			riders := 0
			day := func(tear epcard.Tear) (*sim.Card, int) {
				riders++
				card := rider(t, riders)
				show := func(r tap.Request, later time.Duration, tear epcard.Tear) (tap.Result, int) {
					r.Now, r.Clock = morning.Add(later), wire.ClockState_CLOCK_GOOD
					field := epcard.Present(card, tear)
					result, err := at.Purchase(t.Context(), field, r)
					require.NoError(t, err)
					return result, field.Commands()
				}
				if c.before != nil {
					first, _ := show(*c.before, -time.Hour, epcard.Tear{})
					require.True(t, first.Outcome.Pass())
				}
				got, commands := show(*c.tap, 0, tear)
				if !got.Outcome.Pass() {
					got, _ = show(*c.tap, 2*time.Second, epcard.Tear{})
					require.True(t, got.Outcome.Pass(), "%v: %v", got.Outcome, got.Reason)
				}
				open, err := j.OpenIntents()
				require.NoError(t, err)
				require.Empty(t, open)
				return card, commands
			}
			whole, commands := day(epcard.Tear{})
			paid := whole.Image()
			for n := 1; n <= commands; n++ {
				for _, tear := range []epcard.Tear{{At: n}, {At: n, Noticed: true}, {At: n, After: true}} {
					torn, _ := day(tear)
					require.Equal(t, paid.Value, torn.Image().Value, "%+v", tear)
					require.Equal(t, paid.TMC, torn.Image().TMC, "%+v", tear)
					require.Equal(t, paid.Records[0][0], torn.Image().Records[0][0], "%+v: kind and trip", tear)
				}
			}
		})
	}
}

// TestATornDESFireCardAtTheOtherDoor: the terminal that lost it is not the one that sees it again. The card itself says that the ride is paid.
func TestATornDESFireCardAtTheOtherDoor(t *testing.T) {
	front, _ := terminal(t, 1)
	back, _ := terminal(t, 2)
	for n := 1; n <= 11; n++ {
		for i, after := range []bool{false, true} {
			card := rider(t, 2*n+i)
			r := bus
			r.Now = morning
			_, err := front.Purchase(t.Context(), epcard.Present(card, epcard.Tear{At: n, After: after}), r)
			require.NoError(t, err)
			r.Now = morning.Add(5 * time.Second)
			got, err := back.Purchase(t.Context(), epcard.Present(card, epcard.Tear{}), r)
			require.NoError(t, err)
			require.True(t, got.Outcome.Pass(), "%v: %v", got.Outcome, got.Reason)
			require.Equal(t, money.Minor(4800), card.Image().Value, "torn at %d, %v", n, after)

			// The front door learns it from the card's records.
			r.Now = morning.Add(time.Hour)
			got, err = front.Purchase(t.Context(), epcard.Present(card, epcard.Tear{}), r)
			require.NoError(t, err)
			require.True(t, got.Outcome.Pass())
			require.Equal(t, money.Minor(4600), card.Image().Value)
			const commit = 10
			require.Equal(t, n == commit, got.Recovered != nil, "torn at %d", n)
			if n == commit {
				require.False(t, got.Recovered.Aged)
				require.Equal(t, after, got.Recovered.Completed)
			}
		}
	}
}
