package desfire_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	driver "github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

var (
	appKey = keys.Key{0xA0, 1, 2, 3}
	master = keys.Key{0xB0, 4, 5, 6}
	system = []byte("purselane")
	uid    = [7]byte{0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
)

var settings = driver.Settings{
	AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 1, TMVersion: 1,
	ValueFile: 1, ValueMode: driver.Full, RecordFile: 2, RecordMode: driver.MAC, RecordSize: 16, MACFile: 3, MACMode: driver.MAC,
}

// variants are the settings that change bytes on the air.
func variants() []driver.Settings {
	light := settings
	light.ISOChaining, light.ValueMode, light.RecordMode, light.MACMode = true, driver.MAC, driver.Full, driver.Full
	long := settings
	long.RecordSize = 32
	return []driver.Settings{settings, light, long}
}

func seeded(n uint64) *rand.ChaCha8 {
	var seed [32]byte
	seed[0], seed[1] = byte(n), byte(n>>8)
	return rand.NewChaCha8(seed)
}

func blank(t require.TestingT, s driver.Settings) desfire.Image {
	key, err := driver.Diversify(master, uid, s.AID, system)
	require.NoError(t, err)
	return desfire.Image{
		UID: image.Bytes(uid[:]), Settings: s, Key: image.Key{Key: appKey}, TMKey: image.Key{Key: key},
		Upper: money.Minor(100_000), Value: money.Minor(1000),
		TMC: 41, TMCLimit: 0xFFFFFFFF, TMV: image.Bytes(make([]byte, 8)),
	}
}

func newCard(t require.TestingT, img desfire.Image) *desfire.Card {
	c, err := desfire.New(img, seeded(1))
	require.NoError(t, err)
	return c
}

func host(t require.TestingT) driver.HSM {
	h, err := driver.NewSoftHSM(map[byte]keys.Key{1: master}, system)
	require.NoError(t, err)
	return h
}

func open(to apdu.Transmitter, s driver.Settings, seed uint64) (*driver.Card, error) {
	return driver.Open(context.Background(), to, s, driver.NewSoftSAM(appKey, seeded(seed)))
}

func present(card *desfire.Card) *epcard.Field { return epcard.Present(card, epcard.Tear{}) }

// purchase is one whole debit. It returns the attempt once it was begun, whatever became of it.
func purchase(to apdu.Transmitter, s driver.Settings, seed uint64, amount int64, record string) (*driver.Attempt, driver.Evidence, error) {
	c, err := open(to, s, seed)
	if err != nil {
		return nil, driver.Evidence{}, fmt.Errorf("open: %w", err)
	}
	a, err := c.Begin(context.Background(), money.Minor(amount), []byte(record))
	if err != nil {
		return nil, driver.Evidence{}, fmt.Errorf("begin: %w", err)
	}
	e, err := c.Commit(context.Background(), a)
	return &a, e, err
}

// commands is how many commands a purchase takes: SELECT, two of authentication, UID, transaction MAC file, value, record, debit,
// commit.
const commands = 9
