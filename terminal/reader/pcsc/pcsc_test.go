//go:build pcsc && vpcd

package pcsc_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
	"github.com/purselane/purselane/terminal/reader/readertest"
)

// slot0 is where scripts/pcsc-test.sh's pcscd has its first virtual reader.
const (
	slot0Reader = "Virtual PCD 00 00"
	slot0Addr   = "127.0.0.1:35963"
)

// stand is the first virtual reader with the simulator's slot as the hand that brings cards.
type stand struct {
	t    *testing.T
	r    reader.Reader
	out  context.CancelFunc
	done chan struct{}
}

func newStand(t *testing.T) *stand {
	pcsctest.Private(t)
	pcsctest.Free(t, slot0Reader)
	r, err := pcsc.Open(pcsc.Options{Name: slot0Reader})
	require.NoError(t, err)
	s := &stand{t: t, r: r}
	t.Cleanup(func() {
		r.Close()
		if s.out != nil {
			s.Withdraw()
		}
	})
	return s
}

func (s *stand) Reader() reader.Reader { return s.r }

func (s *stand) Insert(chip *readertest.Chip) {
	pcsctest.Empty(s.t, slot0Reader)
	ctx, cancel := context.WithCancel(context.Background())
	s.out, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = vpcd.Slot{Addr: slot0Addr}.Run(ctx, chip)
	}()
}

// Withdraw takes the card out and stays away as long as the driver needs to notice.
func (s *stand) Withdraw() {
	s.out()
	<-s.done
	s.out = nil
	<-time.After(vpcd.AwayTime)
}

func TestPCSCConformance(t *testing.T) { readertest.Run(t, newStand(t)) }

func TestPCSCCloseWithOpenCard(t *testing.T) { readertest.CloseWithOpenCard(t, newStand(t)) }

func TestPCSCARestartedDaemonIsSurvived(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			s := newStand(t)
			s.Insert(&readertest.Chip{})
			c, err := s.r.Wait(ctx)
			require.NoError(t, err)
			_, err = c.Transmit(ctx, []byte{0, 1, 2, 3})
			require.NoError(t, err)

			pcsctest.Restart(t, signal)
			_, err = c.Transmit(ctx, []byte{0, 1, 2, 3})
			require.True(t, errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent), "%v", err)
			require.NoError(t, c.Removed(ctx))
			require.NoError(t, c.Close(reader.Reset))

			// The loss is told, at most once, and the card is found again without any help.
			c, err = s.r.Wait(ctx)
			if errors.Is(err, reader.ErrReaderLost) {
				c, err = s.r.Wait(ctx)
			}
			require.NoError(t, err)
			response, err := c.Transmit(ctx, []byte{0, 1, 2, 3})
			require.NoError(t, err)
			require.Equal(t, []byte{0, 0, 1, 2, 3, 0x90, 0x00}, response)
			require.NoError(t, c.Close(reader.Leave))
		})
	}
}

// TestPCSCAReaderWithoutSignals: vpcd has no control codes. The card is served all the same.
func TestPCSCAReaderWithoutSignals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := newStand(t)
	require.NoError(t, s.r.Close())
	var err error
	s.r, err = pcsc.Open(pcsc.Options{Name: slot0Reader, Signals: pcsc.ACR122U})
	require.NoError(t, err)
	s.Insert(&readertest.Chip{})
	c, err := s.r.Wait(ctx)
	require.NoError(t, err)
	for range 2 {
		require.ErrorIs(t, c.(reader.Signaller).Signal(ctx, reader.Signal{Light: "green", Repeats: 1}), reader.ErrNoSignals)
	}
	_, err = c.Transmit(ctx, []byte{0, 1, 2, 3})
	require.NoError(t, err)
	require.NoError(t, c.Close(reader.Leave))
}

func TestPCSCAReaderThatIsNotThereIsTold(t *testing.T) {
	r, err := pcsc.Open(pcsc.Options{Name: "no such reader"})
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Wait(t.Context())
	require.ErrorIs(t, err, reader.ErrReaderLost)
	require.ErrorContains(t, err, slot0Reader, "it says what there is")
	names, err := pcsc.List()
	require.NoError(t, err)
	require.Contains(t, names, slot0Reader)
}
