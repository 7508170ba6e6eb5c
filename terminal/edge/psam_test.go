package edge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

// TestAPSAMThatIsPulledAndPutBack takes the PSAM out of its slot: the terminal is out of service, and sells again when it is back.
func TestAPSAMThatIsPulledAndPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := inproc.New("slot")
		chip, _ := newPSAM(t)
		slot.Present(chip)
		door, err := edge.OpenPSAM(t.Context(), slot, ep.PSAMTUnion)
		require.NoError(t, err)
		require.Equal(t, [6]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, door.TerminalNumber())
		require.EqualValues(t, 1, door.KeyIndex())
		w := newWorld(t, func(cfg *edge.Config) { cfg.SAM = door })
		stop := w.run()
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)

		slot.Withdraw()
		r, err := w.present(bus, 2)
		require.Error(t, err)
		require.Equal(t, tap.OutOfService, r.Outcome)
		time.Sleep(20 * time.Second)
		require.Error(t, w.Failure())

		slot.Present(chip)
		time.Sleep(10 * time.Second)
		require.NoError(t, w.Failure())
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 2, 10_00, nil)).Outcome)

		slot.Withdraw()
		slot.Present(chip) // so fast that nobody tapped meanwhile
		require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 3, 10_00, nil)).Outcome)

		slot.Withdraw()
		slot.Present(otherPSAM(t))
		_, err = w.present(bus, 4)
		require.ErrorIs(t, err, edge.ErrOtherPSAM)
		require.NoError(t, stop())
		require.NoError(t, door.Close())
	})
}

func (w *world) present(lane int, n byte) (tap.Result, error) {
	c := newCard(w.t, n, 10_00, nil)
	c.Power(true)
	return w.Present(context.Background(), lane, c)
}

func otherPSAM(t *testing.T) *psam.PSAM {
	img, err := personalise.PSAM(masters(), personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x99}, Issuer: factor(t), NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.New(img)
	require.NoError(t, err)
	return chip
}

func TestAnEmptySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := edge.OpenPSAM(ctx, inproc.New("slot"), ep.PSAMTUnion)
		require.ErrorContains(t, err, "no PSAM in reader slot")
	})
}
