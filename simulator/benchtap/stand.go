package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// warmUp is how many rides go before those that count: files grow to their first size, caches fill.
const warmUp = 50

// riders is how many cards take turns.
const riders = 16

// stand is a terminal on a bus with its cards, and the two floors beside it.
type stand struct {
	journal *journal.Journal
	tap     tap.Terminal
	away    *meter // time spent in cards and SAM
	cards   []*epcard.Card
	now     time.Time
	rides   int

	bare  *bolt.DB
	value []byte // as large as the record
	file  *os.File

	recordSize, cardCommands, samCommands int
}

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
	issuer     = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	bareBucket = []byte("records")
)

func newStand(dir string) (_ *stand, err error) {
	s := &stand{away: &meter{now: time.Now}, now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.journal, err = journal.Open(filepath.Join(dir, "terminal.journal"), journal.Options{Terminal: "bench-1"}); err != nil {
		return nil, err
	}
	samImage, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x30, 0, 0, 0, 0, 1}, Issuer: issuer})
	if err != nil {
		return nil, err
	}
	chip, err := psam.New(samImage)
	if err != nil {
		return nil, err
	}
	sam, err := ep.OpenPSAM(context.Background(), &timed{t: chip, meter: s.away, commands: &s.samCommands}, ep.PSAMTUnion)
	if err != nil {
		return nil, err
	}
	profile := firmwareconfig.Sample()
	s.tap = tap.Terminal{ID: "bench-1", Merchant: "city-bus", Journal: s.journal, Drivers: edge.Drivers(profile, oneSAM{sam}), Profile: profile, Location: profile.Location(), BootID: []byte("bench")}
	for n := range riders {
		img, err := personalise.Card(masters, personalise.CardSpec{
			Number: ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, 8, byte(n)}, Issuer: issuer, Balance: money.Minor(1_000_000_00),
		})
		if err != nil {
			return nil, err
		}
		card, err := epcard.New(img, rand.NewChaCha8([32]byte{byte(n)}))
		if err != nil {
			return nil, err
		}
		s.cards = append(s.cards, card)
	}
	// The bare database is opened as the journal opens its own.
	if s.bare, err = bolt.Open(filepath.Join(dir, "bare.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType}); err != nil {
		return nil, err
	}
	if err = s.bare.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(bareBucket); return err }); err != nil {
		return nil, err
	}
	s.file, err = os.OpenFile(filepath.Join(dir, "bare.file"), os.O_CREATE|os.O_RDWR, 0o600)
	return s, err
}

// oneSAM is the bus's only SAM, which nobody else asks for.
type oneSAM struct{ keys.SAM }

func (s oneSAM) Acquire(context.Context) (keys.SAM, func(), error) { return s.SAM, func() {}, nil }

func (s *stand) close() {
	if s.journal != nil {
		s.journal.Close()
	}
	if s.bare != nil {
		s.bare.Close()
	}
	if s.file != nil {
		s.file.Close()
	}
}

// measured are times of the same rounds, in order.
type measured struct{ own, away, commits, fsyncs []time.Duration }

// run measures rounds of one ride, two bare commits and two bare fsyncs, in turning order, until there are taps of them or
// limit is over.
func (s *stand) run(ctx context.Context, taps int, limit time.Duration) (measured, error) {
	var m measured
	for range warmUp {
		if _, _, err := s.ride(ctx); err != nil {
			return m, err
		}
	}
	raw, err := s.journal.Read(s.journal.LastSeq(), 1, 1<<20)
	if err != nil {
		return m, err
	}
	s.recordSize = len(raw[0])
	s.value = make([]byte, s.recordSize)
	for n := range uint64(2 * warmUp) {
		if err := s.commit(n); err != nil {
			return m, err
		}
	}
	key := uint64(2 * warmUp)
	for round, end := 0, time.Now().Add(limit); round < taps && time.Now().Before(end); round++ {
		parts := []func() error{
			func() error {
				own, away, err := s.ride(ctx)
				m.own, m.away = append(m.own, own), append(m.away, away)
				return err
			},
			func() error {
				start := time.Now()
				err := errors.Join(s.commit(key), s.commit(key+1))
				m.commits = append(m.commits, time.Since(start))
				key += 2
				return err
			},
			func() error {
				start := time.Now()
				err := errors.Join(s.fsync(0), s.fsync(1))
				m.fsyncs = append(m.fsyncs, time.Since(start))
				return err
			},
		}
		for i := range parts {
			if err := parts[(i+round)%len(parts)](); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// ride is one bus ride; away is the time that card and SAM took of it.
func (s *stand) ride(ctx context.Context) (own, away time.Duration, err error) {
	card := s.cards[s.rides%riders]
	s.rides++
	s.now = s.now.Add(time.Minute)
	s.cardCommands, s.samCommands = 0, 0
	field := &timed{t: epcard.Present(card, epcard.Tear{}), meter: s.away, hidden: duringBegin, commands: &s.cardCommands}
	request := tap.Request{Mode: tap.BusFlat, Line: fare.Code{0, 7}, Now: s.now, Clock: wire.ClockState_CLOCK_GOOD}
	s.away.take()
	start := time.Now()
	result, err := s.tap.Purchase(ctx, field, request)
	took := time.Since(start)
	away, _ = s.away.take()
	if err != nil {
		return 0, 0, err
	}
	if result.Outcome != tap.Granted {
		return 0, 0, fmt.Errorf("ride %d: %v: %s", s.rides, result.Outcome, result.Reason)
	}
	return took - away, away, nil
}

// commit is a bare durable commit of a value as large as the record.
func (s *stand) commit(n uint64) error {
	return s.bare.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bareBucket)
		b.FillPercent = 0.95 // as the journal has it
		return b.Put(key8(n), s.value)
	})
}

func key8(n uint64) []byte {
	return []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// fsync is a bare write of one page and a sync.
func (s *stand) fsync(page int64) error {
	if _, err := s.file.WriteAt(make([]byte, 4096), page*4096); err != nil {
		return err
	}
	return s.file.Sync()
}

// meter adds up time spent away from the terminal's own code.
type meter struct {
	now func() time.Time

	mu       sync.Mutex
	spent    time.Duration
	commands int
}

func (m *meter) add(d time.Duration) { m.mu.Lock(); m.spent += d; m.commands++; m.mu.Unlock() }

// take returns what has been added up, and starts anew.
func (m *meter) take() (time.Duration, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	spent, commands := m.spent, m.commands
	m.spent, m.commands = 0, 0
	return spent, commands
}

// timed is a card or SAM with a watch in front.
type timed struct {
	t        apdu.Transmitter
	meter    *meter
	hidden   func(command []byte) bool // nil: none
	commands *int
}

// Transmit implements apdu.Transmitter.
func (c *timed) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	start := c.meter.now()
	response, err := c.t.Transmit(ctx, command)
	spent := c.meter.now().Sub(start)
	if c.hidden != nil && c.hidden(command) {
		spent = 0
	}
	c.meter.add(spent)
	if c.commands != nil {
		*c.commands++
	}
	return response, err
}

// duringBegin reports a command that goes to the card while the intent goes to the disk. Its time is hidden behind the
// disk's, so it must not be taken off the terminal's share.
func duringBegin(command []byte) bool { return command[0] == 0x80 && command[1] == 0xDC }
