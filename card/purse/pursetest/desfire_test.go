package pursetest_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/image"
)

// The suite is tried on the DESFire driver, and on that driver broken.

var layout = desfire.Settings{
	AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 1, TMVersion: 1,
	ValueFile: 1, ValueMode: desfire.MAC, RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC,
}

var at = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

func seeded(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{n}) }

type chip struct{ *sim.Card }

func newChip(last byte) chip {
	m := sim.Image{
		UID: image.Bytes([]byte{0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, last}), Settings: layout,
		Upper: money.Minor(100_000), Value: money.Minor(20_000), TMCLimit: 0xFFFFFFFF, TMV: image.Bytes(make([]byte, 8)),
	}
	m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	c, err := sim.New(m, seeded(1))
	if err != nil {
		panic(err)
	}
	return chip{c}
}

func (c chip) Balance() money.Amount { return c.Image().Value }
func (c chip) Debits() uint64        { return uint64(c.Image().TMC) }
func (c chip) Number() []byte        { return []byte(c.Image().UID) }

func (c chip) Memory() any { return c.Image() }

// bench breaks the drivers that it makes.
type bench struct {
	cards  [2]chip
	mu     sync.Mutex
	held   int
	made   byte
	broken func(b *bench, d purse.Driver) purse.Driver
	memory map[string]int // of broken drivers, from visit to visit
}

func (b *bench) Card(n int) pursetest.Chip { return b.cards[n] }
func (b *bench) Held() int                 { b.mu.Lock(); defer b.mu.Unlock(); return b.held }

func (b *bench) Acquire(context.Context) (desfire.SAM, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held++
	return desfire.NewSoftSAM(keys.Key{}, seeded(2)), sync.OnceFunc(func() { b.mu.Lock(); defer b.mu.Unlock(); b.held-- }), nil
}

func (b *bench) Driver(terminal int) purse.Driver {
	b.made++
	d, err := desfiredriver.New(desfiredriver.Settings{
		Card: layout, Terminal: [6]byte{0, 0, 0, 0, 0x10, byte(terminal)}, Location: time.UTC, ReadBack: true,
	}, b, seeded(b.made))
	if err != nil {
		panic(err)
	}
	return b.broken(b, d)
}

func family(broken func(b *bench, d purse.Driver) purse.Driver, kinds ...purse.Kind) pursetest.Family {
	return pursetest.Family{
		New: func() pursetest.Bench {
			return &bench{cards: [2]chip{newChip(1), newChip(2)}, broken: broken, memory: map[string]int{}}
		},
		Kinds: kinds, At: at,
		Refusals: []apdu.SW{0x91AE, 0x91BE}, Failures: []apdu.SW{0x91EE},
	}
}
