package psam_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/psam"
)

// slot is a PSAM in a slot: it can be pulled, changed for another, and asked whether it works.
type slot struct {
	number ep.TerminalNumber
	chip   *psam.PSAM // nil: the slot is empty
	sam    *ep.PSAM
}

func newSlot(t require.TestingT, chip *psam.PSAM) *slot {
	s := &slot{number: chip.Image().Number(), chip: chip}
	require.NoError(t, s.Probe(context.Background()))
	return s
}

func (s *slot) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if s.chip == nil {
		return nil, apdu.ErrNotSent
	}
	return s.chip.Transmit(ctx, command)
}

func (s *slot) TerminalNumber() [6]byte { return s.number }

func (s *slot) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (uint32, [4]byte, error) {
	return s.sam.InitPurchase(ctx, r)
}

func (s *slot) CheckMAC2(ctx context.Context, mac2 [4]byte) error { return s.sam.CheckMAC2(ctx, mac2) }

func (s *slot) Probe(ctx context.Context) error {
	if s.chip != nil {
		s.chip.Reset()
	}
	sam, err := ep.OpenPSAM(ctx, s, ep.PSAMTUnion)
	if err != nil {
		return err
	}
	s.sam = sam
	return sam.Expect(s.number)
}

// numbered is the image of purse facts 8.2 with a terminal number of its own.
func numbered(t require.TestingT, n byte, serial uint32) psam.Image {
	img := image82(t, serial)
	img.Terminal = image.Bytes([]byte{n, 2, 3, 4, 5, 6})
	return img
}

// request is the purchase of purse facts 8.2.
func request() keys.PurchaseRequest {
	return keys.PurchaseRequest{Random: [4]byte{1, 2, 3, 4}, Counter: 0x10, Amount: money.Minor(200), Type: 9, DateTime: [7]byte{0x20, 0x24, 1, 0x15, 8, 0, 1}, Version: 1,
		Factors: [][8]byte{{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}, {2, 3, 4, 5, 6, 7, 8, 9}}}
}

// TestAPSAMSaysWhatIsWrongWithIt: every fault of a PSAM as package keys has it, and the PSAM's own status word beside it.
func TestAPSAMSaysWhatIsWrongWithIt(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		name  string
		spoil func(*psam.Image)
		do    func(*slot) error
		want  error
	}{
		{"blocked", func(i *psam.Image) { i.MAC2Errors = i.MAC2Limit }, start, keys.ErrSAMBlocked},
		{"blocked by wrong MAC2", nil, func(s *slot) error {
			for range 3 {
				if err := start(s); err != nil {
					return err
				}
				if err := s.CheckMAC2(ctx, [4]byte{}); err == nil {
					return fmt.Errorf("a wrong MAC2 was taken")
				}
			}
			return start(s)
		}, keys.ErrSAMBlocked},
		{"one wrong MAC2", nil, func(s *slot) error { return firstOf(start(s), s.CheckMAC2(ctx, [4]byte{})) }, keys.ErrBadMAC},
		{"no purchase to end", nil, func(s *slot) error { return s.CheckMAC2(ctx, [4]byte{}) }, keys.ErrSAMOrder},
		{"no serial left", func(i *psam.Image) { i.NextSerial = math.MaxUint32 }, func(s *slot) error { return firstOf(start(s), start(s)) }, keys.ErrSAMExhausted},
		{"a key that it has not", func(i *psam.Image) { i.Keys[0].Version = 9 }, start, keys.ErrUnknownKey},
		{"pulled", nil, func(s *slot) error { s.chip = nil; return start(s) }, keys.ErrSAMGone},
		{"another in the slot", nil, func(s *slot) (err error) {
			if s.chip, err = psam.New(numbered(t, 9, 1)); err != nil {
				return err
			}
			return s.Probe(ctx)
		}, keys.ErrSAMNumber},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := numbered(t, 1, 1)
			if c.spoil != nil {
				c.spoil(&img)
			}
			chip, err := psam.New(img)
			require.NoError(t, err)
			require.ErrorIs(t, c.do(newSlot(t, chip)), c.want)
		})
	}
	t.Run("failing memory", func(t *testing.T) {
		chip, err := psam.CreateFile(filepath.Join(t.TempDir(), "psam.json"), numbered(t, 1, 1))
		require.NoError(t, err)
		s := newSlot(t, chip)
		chip.SetFault(func(string) error { return fmt.Errorf("full") })
		require.ErrorIs(t, start(s), keys.ErrSAMBroken)
		require.NoError(t, chip.Close())
	})
}

func start(s *slot) error {
	_, _, err := s.InitPurchase(context.Background(), request())
	return err
}

func firstOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// TestNoSerialOfAPoolIsEverUsedTwice crashes, pulls and reopens PSAMs of a pool at random, and looks at every serial that any purchase got.
func TestNoSerialOfAPoolIsEverUsedTwice(t *testing.T) {
	dir, run := t.TempDir(), 0
	type name struct {
		terminal [6]byte
		serial   uint32
	}
	rapid.Check(t, func(rt *rapid.T) {
		run++
		paths := []string{filepath.Join(dir, fmt.Sprintf("%d-a.json", run)), filepath.Join(dir, fmt.Sprintf("%d-b.json", run))}
		slots := make([]*slot, len(paths))
		for i, path := range paths {
			chip, err := psam.CreateFile(path, numbered(rt, byte(i+1), 1))
			require.NoError(rt, err)
			slots[i] = newSlot(rt, chip)
		}
		steps := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 12).Draw(rt, "steps")
		crashAt := rapid.SampledFrom([]string{image.StepWrite, image.StepSync, image.StepRename, image.StepSyncDir}).Draw(rt, "crash before")
		synctest.Test(t, func(t *testing.T) {
			p, err := keys.NewPool(slots[0], slots[1])
			require.NoError(rt, err)
			ctx, stop := context.WithCancel(t.Context())
			go p.Run(ctx)
			seen := map[name]bool{}
			sold := 0
			buy := func() {
				s, release, err := p.Acquire(ctx)
				if err != nil {
					return
				}
				defer release()
				serial, _, err := s.InitPurchase(ctx, request())
				if err != nil {
					return
				}
				n := name{s.TerminalNumber(), serial}
				require.False(rt, seen[n], "serial %d twice", serial)
				seen[n] = true
				sold++
			}
			for _, step := range steps {
				at := step % 2
				switch step / 2 {
				case 0, 1:
					buy()
				case 2: // the power goes while the serial is being stored
					slots[at].chip.SetFault(func(s string) error {
						if s == crashAt {
							return fmt.Errorf("crash")
						}
						return nil
					})
					buy()
					buy()
					require.NoError(rt, slots[at].chip.Close())
					slots[at].chip, err = psam.OpenFile(paths[at])
					require.NoError(rt, err)
				case 3: // pulled for a while
					chip := slots[at].chip
					slots[at].chip = nil
					buy()
					buy()
					synctest.Wait()
					slots[at].chip = chip
				}
				time.Sleep(time.Hour)
				synctest.Wait()
			}
			before := sold
			buy()
			buy()
			require.Equal(rt, before+2, sold, "both serve again")
			stop()
			synctest.Wait()
		})
		for _, s := range slots {
			require.NoError(rt, s.chip.Close())
		}
	})
}
