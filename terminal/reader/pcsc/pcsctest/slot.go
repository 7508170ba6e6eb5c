//go:build pcsc

package pcsctest

import (
	"os"
	"testing"
	"time"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience bounds the wait for an empty slot: a driver that looks every 400 ms, on a machine with other work.
const patience = 30 * time.Second

// Private fails a test that was not given a pcscd of its own, with virtual readers that nobody else uses.
func Private(t *testing.T) {
	if os.Getenv("PURSELANE_PCSCD") != "private" {
		t.Fatal("needs a pcscd of its own: run scripts/pcsc-test.sh")
	}
}

// Empty waits until pcscd says that no card is in the reader. A card that comes sooner is taken for the one before it, or
// not noticed at all.
func Empty(t *testing.T, reader string) { await(t, reader, 0) }

// Free waits until the reader is empty and no program holds it: what one test leaves to the next.
func Free(t *testing.T, reader string) { await(t, reader, scard.StateInuse|scard.StateExclusive) }

// await waits for an empty reader with none of the other flags.
func await(t *testing.T, reader string, not scard.StateFlag) {
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		ctx, err := scard.EstablishContext()
		require.NoError(c, err) // pcscd is being started again
		defer ctx.Release()
		states := []scard.ReaderState{{Reader: reader, CurrentState: scard.StateUnaware}}
		require.NoError(c, ctx.GetStatusChange(states, 0))
		event := states[0].EventState
		require.NotZero(c, event&scard.StateEmpty, "a card is in %s: state %08X", reader, event)
		require.Zero(c, event&not, "%s is in use: state %08X", reader, event)
	}, patience, 20*time.Millisecond)
}
