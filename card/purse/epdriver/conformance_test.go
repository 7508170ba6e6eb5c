package epdriver_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/epdriver"
	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

var (
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
	issuer = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	zone   = time.FixedZone("UTC+8", 8*3600)
)

// blank is a card of the scheme, changed by with.
func blank(card int, with func(*epcard.Image)) epcard.Image {
	number := ids.CardNumber{0x31, 0x04, 0x51, 0x70, 0x27, 0x91, 0x84, 0x79, 0x13, byte(0x80 + card)}
	m, err := personalise.Card(masters, personalise.CardSpec{Number: number, Issuer: issuer, Balance: money.Minor(200_00)})
	if err != nil {
		panic(err)
	}
	if with != nil {
		with(&m)
	}
	return m
}

// chip is the simulated card with the truth about it. It counts debits by the log, as some cards do not count those of nothing.
type chip struct {
	*epcard.Card
	debits uint64
}

func newChip(m epcard.Image) *chip {
	c, err := epcard.New(m, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		panic(err)
	}
	return &chip{Card: c}
}

func (c *chip) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	before := c.Image().Log
	answer, err := c.Card.Transmit(ctx, command)
	if c.Image().Log != before {
		c.debits++
	}
	return answer, err
}

func (c *chip) Debits() uint64 { return c.debits }
func (c *chip) Memory() any    { return c.Image() }
func (c *chip) Number() []byte { n := c.Card.Number(); return n[:] }

// bench implements pursetest.Bench with a simulated PSAM in each terminal.
type bench struct {
	settings epdriver.Settings
	cards    [2]*chip
	psams    [3]*psam.PSAM

	mu   sync.Mutex
	held int
}

func newBench(s epdriver.Settings, with func(*epcard.Image)) *bench {
	b := &bench{settings: s, cards: [2]*chip{newChip(blank(0, with)), newChip(blank(1, with))}}
	b.settings.AIDs = [][]byte{[]byte(b.cards[0].Image().AID)}
	for n := range b.psams {
		img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x30, 0, 0, 0, 0, byte(n + 1)}, Issuer: issuer, NextSerial: 1})
		if err == nil {
			b.psams[n], err = psam.New(img)
		}
		if err != nil {
			panic(err)
		}
	}
	return b
}

func (b *bench) Card(n int) pursetest.Chip { return b.cards[n] }
func (b *bench) Held() int                 { b.mu.Lock(); defer b.mu.Unlock(); return b.held }

func (b *bench) Driver(terminal int) purse.Driver {
	b.psams[terminal].Power(true)
	sam, err := ep.OpenPSAM(context.Background(), b.psams[terminal], ep.PSAMTUnion)
	if err != nil {
		panic(err)
	}
	return epdriver.New(b.settings, slot{b, sam})
}

// slot lends a terminal's only SAM and counts.
type slot struct {
	b   *bench
	sam keys.SAM
}

func (s slot) Acquire(context.Context) (keys.SAM, func(), error) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.held++
	return s.sam, sync.OnceFunc(func() { s.b.mu.Lock(); defer s.b.mu.Unlock(); s.b.held-- }), nil
}

var settings = epdriver.Settings{
	KeyIndex: 1, KeyLevels: 2, Readback: epdriver.ReadBalanceAndLog, Location: zone,
	City: [2]byte{0x10, 0x00}, Institution: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Operator: [2]byte{0, 1},
}

func family(s epdriver.Settings, with func(*epcard.Image)) pursetest.Family {
	return pursetest.Family{
		New:      func() pursetest.Bench { return newBench(s, with) },
		Kinds:    []purse.Kind{purse.Sale, purse.BusRide, purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet},
		At:       time.Date(2026, 11, 25, 8, 0, 0, 0, zone),
		Refusals: []apdu.SW{0x6985, 0x6A82, 0x6A86, 0x9302, 0x9401, 0x9406},
		Failures: []apdu.SW{0x6581, 0x6F00},
	}
}

// city makes a city-union card.
func city(m *epcard.Image) {
	m.Settings.CityCode = "\x85\x88\xD3\x2B\x76\x88\xD3\x2B\x76"
}

func TestConformance(t *testing.T) {
	after, code := settings, settings
	after.LogsAfter, code.CityCode = true, true
	for name, f := range map[string]pursetest.Family{
		"T-Union":                             family(settings, nil),
		"logs the counter after":              family(after, func(m *epcard.Image) { m.LogCounter = epcard.LogAfter }),
		"logs otherwise than the profile has": family(settings, func(m *epcard.Image) { m.LogCounter = epcard.LogAfter }),
		"counts loads with debits":            family(settings, func(m *epcard.Image) { m.Settings.SharedCounter = true }),
		"a city union's":                      family(code, city),
		"does not count a debit of nothing":   family(settings, func(m *epcard.Image) { m.Settings.ZeroDebitSilent = true }),
	} {
		t.Run(name, func(t *testing.T) { pursetest.Run(t, f) })
	}
}
