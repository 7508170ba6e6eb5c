package ecdriver_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/simulator/eccard"
)

// chip is the simulated card with the truth about it. It counts debits by the card's log.
type chip struct {
	*eccard.Card
	number []byte
	off    bool
	debits uint64
	newest string
}

func newChip(n int, of *eccard.Card) *chip {
	number, err := hex.DecodeString(numbers[n][6:16])
	if err != nil {
		panic(err)
	}
	c := &chip{Card: of.Clone(), number: number}
	c.newest = c.logged()
	return c
}

func (c *chip) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if c.off {
		return nil, fmt.Errorf("%w: no power", apdu.ErrNotSent)
	}
	answer, err := c.Card.Transmit(ctx, command)
	if command[1] == 0xB2 {
		if now := c.logged(); now != c.newest {
			c.newest = now
			c.debits++
		}
	}
	return answer, err
}

func (c *chip) Power(on bool) {
	if c.off = !on; on {
		c.Insert()
	}
}

func (c *chip) Debits() uint64 { return c.debits }
func (c *chip) Number() []byte { return c.number }

// ask is the answers to commands of a card of the same memory.
func (c *chip) ask(commands ...string) string {
	clone := c.Clone()
	clone.Insert()
	var out strings.Builder
	for _, text := range append([]string{"00A4040008A00000033301010100"}, commands...) {
		raw, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		answer, err := clone.Transmit(context.Background(), raw)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&out, "%X ", answer)
	}
	return out.String()
}

func (c *chip) logged() string { return c.ask("00B2015C00") }

func (c *chip) Memory() any {
	return c.ask("80CA9F3600", "80CA9F7900", "80CA9F1300", "00B2041400", "00B2015C00")
}

// bench implements pursetest.Bench.
type bench struct {
	cards  [2]*chip
	change func(*ecdriver.Settings)
	trips  bool
}

func (b *bench) Card(n int) pursetest.Chip { return b.cards[n] }
func (b *bench) Held() int                 { return 0 }

func (b *bench) Driver(terminal int) purse.Driver {
	return driver(panics{}, b.change, func(s *ecdriver.Settings) {
		s.TokenKey = fmt.Appendf(nil, "key of terminal %d", terminal)
		if b.trips {
			trips(byte(terminal))(s)
		}
	})
}

// panics is a test's require outside of a test.
type panics struct{}

func (panics) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (panics) FailNow()                          { panic("failed") }

func family(change func(*ecdriver.Settings)) pursetest.Family {
	return pursetest.Family{
		New: func() pursetest.Bench {
			return &bench{cards: [2]*chip{newChip(0, world().blank[0]), newChip(1, world().blank[1])}, change: change}
		},
		Kinds:    []purse.Kind{purse.Sale},
		At:       at,
		Refusals: []apdu.SW{0x6985, 0x6A82, 0x6A83, 0x6984, 0x6283, 0x6A88},
		Failures: []apdu.SW{0x6F00, 0x6581, 0x6985, 0x6A83},
		Bank:     true,
	}
}

// metro is the family with cards that make trips.
func metro() pursetest.Family {
	f := family(nil)
	f.Kinds = []purse.Kind{purse.Sale, purse.BusRide, purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet}
	f.Refusals = append(f.Refusals, 0x6974, 0x6988, 0x9406)
	f.New = func() pursetest.Bench {
		return &bench{cards: [2]*chip{newChip(0, world().riders[0]), newChip(1, world().riders[1])}, change: func(s *ecdriver.Settings) { s.ReadBack = true }, trips: true}
	}
	return f
}

// smFamily is the family with cards that sign by SM2.
func smFamily() pursetest.Family {
	f := family(nil)
	f.New = func() pursetest.Bench {
		return &bench{cards: [2]*chip{newChip(0, world().sm[0]), newChip(1, world().sm[1])}, change: offersSM}
	}
	return f
}

func offersSM(s *ecdriver.Settings) {
	a, err := ec.NewAuthorities([]ec.CAKey{world().issuer.Authority(), world().issuer.SMAuthority()}, nil)
	if err != nil {
		panic(err)
	}
	s.Authorities, s.SM = a, true
}

func TestConformance(t *testing.T) {
	for name, f := range map[string]pursetest.Family{
		"trips":       metro(),
		"version 00":  family(func(s *ecdriver.Settings) { s.TTQ = ec.TTQ{0x28} }),
		"SM2":         smFamily(),
		"early debit": family(earlyDebit), // cards that debit at the last record go the usual way where others do not
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // on clones
			pursetest.Run(t, f)
		})
	}
}
