package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

// doors is how many readers the terminal has.
const doors = 2

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
	issuer = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
)

// stand is a terminal on a bus with two doors, a PSAM for each.
type stand struct {
	*edge.Terminal
	clock *clock.Manual
	field *field
	meter [doors]*meter
	both  [doors]time.Duration // of the last ride: card and disk at work at once
}

// newStand opens a terminal with that field at its doors; config may be nil.
func newStand(dir string, f *field, config func(*edge.Config)) (*stand, error) {
	s := &stand{clock: clock.NewManual(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)), field: f}
	var sams []keys.ProbedSAM
	for i := range doors {
		s.meter[i] = &meter{now: time.Now}
		sam, err := newPSAM(byte(i + 1))
		if err != nil {
			return nil, err
		}
		sams = append(sams, sam)
	}
	pool, err := keys.NewPool(sams...)
	if err != nil {
		return nil, err
	}
	cfg := edge.Config{
		Terminal: "bench-1", Merchant: "city-bus", Profile: firmwareconfig.Sample(), Pool: pool,
		JournalPath: filepath.Join(dir, "terminal.journal"), Clock: s.clock,
		Show: func(e edge.Event) {
			if e.Lane >= 0 {
				s.both[e.Lane] = e.Phases.Both
			}
		},
	}
	for range doors {
		cfg.Lanes = append(cfg.Lanes, edge.Lane{Mode: tap.BusFlat, Line: fare.Code{0, 7}})
	}
	if config != nil {
		config(&cfg)
	}
	s.Terminal, err = edge.Open(cfg)
	return s, err
}

// newPSAM makes a PSAM with a watch in front: the time of its commands is taken off the ride whose context they come with.
func newPSAM(n byte) (*edge.PSAM, error) {
	img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x30, 0, 0, 0, 0, n}, Issuer: issuer})
	if err != nil {
		return nil, err
	}
	chip, err := psam.New(img)
	if err != nil {
		return nil, err
	}
	slot := inproc.New(fmt.Sprintf("PSAM slot %d", n))
	slot.Present(timedSAM{chip})
	return edge.OpenPSAM(context.Background(), slot, ep.PSAMTUnion)
}

// newCard makes a card that can pay for a long time.
func newCard(lane, n int) (*epcard.Card, error) {
	img, err := personalise.Card(masters, personalise.CardSpec{
		Number: ids.CardNumber{0, 1, 2, 3, 4, 5, 6, byte(lane), byte(n >> 8), byte(n)}, Issuer: issuer, Balance: money.Minor(1_000_000_00),
	})
	if err != nil {
		return nil, err
	}
	return epcard.New(img, rand.NewChaCha8([32]byte{byte(lane), byte(n >> 8), byte(n)}))
}

// errAgain says that the line to the card failed, as a chip's does that a busy machine keeps waiting.
var errAgain = errors.New("the card must be presented again")

// ride is one bus ride at a lane. own is all that the terminal took of it: the time until its outcome is shown, but for card, link and SAM. In a strict
// field the time in which card and disk were at work at once is the terminal's.
func (s *stand) ride(ctx context.Context, lane int) (own, away time.Duration, err error) {
	m := s.meter[lane]
	card, err := s.field.cards[lane]()
	if err != nil {
		return 0, 0, err
	}
	s.clock.Advance(time.Minute) // longer than two presentations may lie apart to be one trip
	m.start()
	start := time.Now()
	result, err := s.Present(context.WithValue(ctx, meterKey{}, m), lane, &timedCard{t: card, meter: m})
	took := time.Since(start)
	away, _ = m.read()
	if err != nil {
		return 0, 0, err
	}
	if result.Outcome == tap.PresentAgain && s.field.again[lane] != nil {
		return 0, 0, errors.Join(s.field.again[lane](), errAgain)
	}
	if result.Outcome != tap.Granted {
		return 0, 0, fmt.Errorf("ride at lane %d: %v: %s", lane, result.Outcome, result.Reason)
	}
	if s.field.strict {
		return took - away + s.both[lane], away, nil
	}
	return took - away, away, nil
}

// atOnce runs what each of n lanes does, at the same time.
func atOnce(n int, do func(lane int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	start := make(chan struct{})
	for lane := range n {
		all.Go(func() {
			<-start
			errs[lane] = do(lane)
		})
	}
	close(start)
	all.Wait()
	return errors.Join(errs...)
}
