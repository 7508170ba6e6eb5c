package desfiredriver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/trace"
)

// TestNoTapTakesMoreCommandsThanItMust counts the commands of a tap against the least that give what it promises: SELECT, two of authentication, the UID, the counter of the
// transaction MAC, the value (it is part of that MAC), the newest record (it holds trip and attempt), WriteRecord, Debit, CommitTransaction. Reading back is what the terminal wants on top:
// DESFire tells no new value with the commit.
func TestNoTapTakesMoreCommandsThanItMust(t *testing.T) {
	const least, readBack = 10, 1
	b := newBench(layout)
	for _, o := range []purse.Order{sale, {Kind: purse.BusRide, Amount: sale.Amount, At: at}} {
		rec := trace.Recorder{Now: func() time.Time { return at }}
		c, err := b.Driver(0).Open(t.Context(), rec.Card(b.cards[0]))
		require.NoError(t, err)
		_, err = c.Read(t.Context(), purse.Need{Ride: true})
		require.NoError(t, err)
		_, err = c.Begin(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, c.Stage(t.Context()))
		require.NoError(t, c.Commit(t.Context()))
		e, err := c.Evidence(t.Context())
		require.NoError(t, err)
		require.Empty(t, e.Mismatch)
		c.Close()
		s := rec.Transcript().Sessions[0]
		for _, x := range s {
			require.Empty(t, x.Fault)
		}
		t.Logf("%d APDUs, on the air %v at 106 kbit/s, %v at 424 kbit/s", len(s), s.AirTime(trace.Kbit106), s.AirTime(trace.Kbit424))
		require.Len(t, s, least+readBack)
	}
}
