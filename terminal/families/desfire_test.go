package families_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/terminal/families"
)

// random is a long run of numbers that a test can foresee.
func random() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{7, 1, 9}, 10_000)) }

// TestADESFireCardOfTheProfile: a card with the layout that the profile says sells, on commands of either chaining, and leaves what the
// profile says.
func TestADESFireCardOfTheProfile(t *testing.T) {
	for _, iso := range []bool{false, true} {
		for readback, commands := range map[string]int{"none": 0, "balance": 1} {
			p := firmwareconfig.Sample()
			p.DESFire = &firmwareconfig.DESFire{
				AID: firmwareconfig.Hex{0x3F, 0x00, 0x01}, KeyNumber: 2, MACKey: 3, ValueFile: 4, RecordFile: 5, MACFile: 6,
				ValueMode: "full", MACMode: "mac", ISOChaining: iso, Readback: readback,
			}
			m := sim.Image{
				UID: "\x04UID123", TMV: "01234567", Upper: money.Minor(10_000), Value: money.Minor(1000), TMCLimit: 0xFFFFFFFF,
				Settings: desfire.Settings{
					AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 2, TMVersion: 3, ValueFile: 4, ValueMode: desfire.Full,
					RecordFile: 5, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 6, MACMode: desfire.MAC, ISOChaining: iso,
				},
			}
			m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
			card, err := sim.New(m, random())
			require.NoError(t, err)

			d, err := families.DESFire(p, [6]byte{1, 2, 3, 4, 5, 6}, desfiredriver.Lend(desfire.NewSoftSAM(keys.Key{}, random())), random())
			require.NoError(t, err)
			field := epcard.Present(card, epcard.Tear{})
			c, err := d.Open(t.Context(), field)
			require.NoError(t, err)
			defer c.Close()
			a, err := c.Begin(t.Context(), purse.Order{Kind: purse.Sale, Amount: money.Minor(250), At: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)})
			require.NoError(t, err)
			require.Equal(t, []byte{1, 2, 3, 4, 5, 6}, a.SAM)
			require.Equal(t, []byte{0x20, 0x26, 0x11, 0x25, 0x08, 0x00, 0x00}, a.Time, "in the profile's zone")
			require.EqualValues(t, 3, a.KeyVersion)
			require.NoError(t, c.Stage(t.Context()))
			require.NoError(t, c.Commit(t.Context()))
			sent := field.Commands()
			_, err = c.Evidence(t.Context())
			require.NoError(t, err)
			require.Equal(t, sent+commands, field.Commands())
			require.Equal(t, money.Minor(750), card.Image().Value)
		}
	}
}

func TestAProfileWithoutDESFireCards(t *testing.T) {
	_, err := families.DESFire(firmwareconfig.Sample(), [6]byte{}, nil, random())
	require.ErrorContains(t, err, "no desfire section")
	p := firmwareconfig.Sample()
	p.DESFire = &firmwareconfig.DESFire{}
	_, err = families.DESFire(p, [6]byte{}, nil, random())
	require.ErrorContains(t, err, "desfire.aid")
}
