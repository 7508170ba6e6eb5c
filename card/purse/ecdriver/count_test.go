package ecdriver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/trace"
)

// TestNoTapTakesMoreCommandsThanItMust counts the commands of each kind of tap against those of the facts: SELECT PPSE, SELECT, GET PROCESSING OPTIONS and a READ RECORD for
// each of the simulated card's five records; with the operator's trip record READ CAPP DATA before and UPDATE CAPP DATA CACHE between.
func TestNoTapTakesMoreCommandsThanItMust(t *testing.T) {
	const records = 5
	for _, c := range []struct {
		name    string
		trips   bool
		orders  []purse.Order
		minimum int
	}{
		{"sale", false, []purse.Order{order(purse.Sale, 250)}, 3 + records},
		{"bus ride", false, []purse.Order{order(purse.BusRide, 200)}, 3 + records},
		{"metro entry and exit", true, []purse.Order{order(purse.Enter, 0), order(purse.Leave, 450)}, 3 + records + 1 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			card, d := world().cards[0].Clone(), driver(t)
			if c.trips {
				card, d = world().riders[0].Clone(), driver(t, trips(1))
			}
			for _, o := range c.orders {
				rec := trace.Recorder{Now: func() time.Time { return at }}
				card.Insert()
				purseOf, err := d.Open(t.Context(), rec.Card(card))
				require.NoError(t, err)
				_, err = purseOf.Read(t.Context(), purse.Need{Trip: c.trips})
				require.NoError(t, err)
				_, err = purseOf.Begin(t.Context(), o)
				require.NoError(t, err)
				require.NoError(t, purseOf.Stage(t.Context()))
				require.NoError(t, purseOf.Commit(t.Context()))
				e, err := purseOf.Evidence(t.Context())
				require.NoError(t, err)
				require.Empty(t, e.Mismatch)
				purseOf.Close()
				s := rec.Transcript().Sessions[0]
				for _, x := range s {
					require.Empty(t, x.Fault)
				}
				t.Logf("%s: %d APDUs, on the air %v at 106 kbit/s, %v at 424 kbit/s", c.name, len(s), s.AirTime(trace.Kbit106), s.AirTime(trace.Kbit424))
				require.Len(t, s, c.minimum)
			}
		})
	}
}
