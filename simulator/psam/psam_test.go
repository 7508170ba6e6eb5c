package psam_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

func unhex(s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return raw
}

const (
	selectApp = "00A4000002 8011"
	// The composite entry of purse facts 8.3: serial 00000200 gives MAC1 FAC44D37 and wants MAC2 1E809B1A.
	start8070 = "8070000024 01020304 0010 00000000 09 20240115080001 01 00 0203040506070809 01011000FFFFFFFF"
	good8072  = "8072000004 1E809B1A"
	bad8072   = "8072000004 00000000"
)

func image82(t require.TestingT, next uint32) psam.Image {
	var mpk keys.Key
	for i := range mpk {
		mpk[i] = 0x40 + byte(i)
	}
	img, err := personalise.PSAM(personalise.Masters{{Purpose: keys.Purchase, Version: 1}: mpk}, personalise.PSAMSpec{
		Terminal: ep.TerminalNumber(unhex("112233445566")), Issuer: ep.Factor(unhex("01011000FFFFFFFF")), NextSerial: next,
	})
	require.NoError(t, err)
	return img
}

func transmit(t require.TestingT, p *psam.PSAM, command string) string {
	raw, err := p.Transmit(context.Background(), unhex(command))
	require.NoError(t, err)
	return strings.ToUpper(hex.EncodeToString(raw))
}

func TestCommands(t *testing.T) {
	cases := []struct {
		name     string
		commands []string
		last     string
	}{
		{"a purchase", []string{selectApp, start8070}, "00000200FAC44D379000"},
		{"its MAC2", []string{selectApp, start8070, good8072}, "9000"},
		{"MAC2 twice", []string{selectApp, start8070, good8072, good8072}, "6901"},
		{"MAC2 without a purchase", []string{selectApp, good8072}, "6901"},
		{"a wrong MAC2", []string{selectApp, start8070, bad8072}, "9302"},
		{"the right MAC2 after a wrong one", []string{selectApp, start8070, bad8072, good8072}, "6901"},
		{"SELECT drops the purchase", []string{selectApp, start8070, selectApp, good8072}, "6901"},
		{"a failed 8070 drops the purchase", []string{selectApp, start8070, "8070000004 00000000", good8072}, "6901"},
		{"the serial moves on", []string{selectApp, start8070, start8070, "00B0980004"}, "000002029000"},
		{"an unknown key version", []string{selectApp, strings.Replace(start8070, "01 00 0203", "02 00 0203", 1)}, "9403"},
		{"an unknown algorithm", []string{selectApp, strings.Replace(start8070, "01 00 0203", "01 04 0203", 1)}, "9403"},
		{"a purchase in the MF", []string{start8070}, "6A82"},
		{"half a factor", []string{selectApp, "8070000018 01020304 0010 00000000 09 20240115080001 01 00 02030405"}, "6700"},
		{"terminal number", []string{"00B0960006"}, "1122334455669000"},
		{"terminal number is not in the application", []string{selectApp, "00B0960006"}, "6A82"},
		{"information of the application", []string{selectApp, "00B0970019"}, "01 01011000FFFFFFFF 01011000FFFFFFFF 20240101 20341231 9000"},
		{"card information", []string{"00B095000E"}, "00000000112233445566 01010000 9000"},
		{"wrong Le", []string{"00B0960007"}, "6C06"},
		{"another application", []string{"00A4040009 A00000000386980701"}, "6A82"},
		{"an unknown class", []string{"90B0960006"}, "6E00"},
		{"an unknown instruction", []string{"80FE0000"}, "6D00"},
		{"no APDU", []string{"8070"}, "6700"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := psam.New(image82(t, 0x200))
			require.NoError(t, err)
			var last string
			for _, command := range c.commands {
				last = transmit(t, p, command)
			}
			require.Equal(t, strings.ReplaceAll(c.last, " ", ""), last)
		})
	}
}

func TestResetDropsThePurchase(t *testing.T) {
	p, err := psam.New(image82(t, 0x200))
	require.NoError(t, err)
	transmit(t, p, selectApp)
	transmit(t, p, start8070)
	p.Power(false)
	p.Power(true)
	require.Equal(t, "6A82", transmit(t, p, good8072))
	transmit(t, p, selectApp)
	require.Equal(t, "6901", transmit(t, p, good8072))
}

func TestThreeWrongMAC2InARowLockThePSAM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "psam.json")
	p, err := psam.CreateFile(path, image82(t, 0x200))
	require.NoError(t, err)
	wrong := func() string {
		transmit(t, p, selectApp)
		transmit(t, p, start8070)
		return transmit(t, p, bad8072)
	}
	require.Equal(t, "9302", wrong())
	require.Equal(t, "9302", wrong())
	// A good one in between forgives.
	require.NoError(t, p.Close())
	img := image82(t, 0x200)
	img.MAC2Errors = 2
	fresh, err := psam.New(img)
	require.NoError(t, err)
	transmit(t, fresh, selectApp)
	transmit(t, fresh, start8070)
	require.Equal(t, "9000", transmit(t, fresh, good8072))
	require.Zero(t, fresh.Image().MAC2Errors)

	// The count survives a restart, and so does the lock.
	p, err = psam.OpenFile(path)
	require.NoError(t, err)
	require.Equal(t, "9302", wrong())
	require.NoError(t, p.Close())
	p, err = psam.OpenFile(path)
	require.NoError(t, err)
	transmit(t, p, selectApp)
	require.Equal(t, "6983", transmit(t, p, start8070))
	require.NoError(t, p.Close())
}

func TestTheLastSerialIsTheLast(t *testing.T) {
	p, err := psam.New(image82(t, math.MaxUint32))
	require.NoError(t, err)
	transmit(t, p, selectApp)
	require.True(t, strings.HasPrefix(transmit(t, p, start8070), "FFFFFFFF"))
	require.Equal(t, "9402", transmit(t, p, start8070))
}

// TestNoSerialIsEverUsedTwice crashes and restarts a PSAM at random steps of its saves, and looks at every serial it ever
// gave out.
func TestNoSerialIsEverUsedTwice(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprintf("psam%d.json", run))
		p, err := psam.CreateFile(path, image82(t, 0))
		require.NoError(t, err)
		seen := map[uint32]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "purchases") {
			crashAt := rapid.SampledFrom([]string{"", "", image.StepWrite, image.StepSync, image.StepRename, image.StepSyncDir}).Draw(t, "crash before")
			p.SetFault(func(step string) error {
				if step == crashAt {
					return fmt.Errorf("crash")
				}
				return nil
			})
			transmit(t, p, selectApp)
			raw, err := p.Transmit(context.Background(), unhex(start8070))
			require.NoError(t, err)
			if crashAt == "" {
				serial := binary.BigEndian.Uint32(raw)
				require.False(t, seen[serial], "serial %d twice", serial)
				seen[serial] = true
			} else {
				require.Equal(t, apdu.Response{SW: 0x6581}.Bytes(), raw)
			}
			if crashAt != "" || rapid.Bool().Draw(t, "restart") {
				require.NoError(t, p.Close())
				p, err = psam.OpenFile(path)
				require.NoError(t, err)
			}
		}
		require.NoError(t, p.Close())
	})
}

func TestABadImageIsRefusedWithEveryFault(t *testing.T) {
	img := image82(t, 0)
	img.Terminal = "short"
	img.MAC2Limit = 0
	img.Keys = append(img.Keys, img.Keys[0])
	img.Maintenance = []psam.MasterKey{{Version: 1}, {Version: 1, Algorithm: 1}}
	_, err := psam.New(img)
	for _, part := range []string{"terminal", "mac2_limit", "keys: version 01 algorithm 00 is there twice", "maintenance: version 01 is there twice"} {
		require.ErrorContains(t, err, part)
	}
}

// FuzzTransmit feeds a PSAM any two commands: it always answers.
func FuzzTransmit(f *testing.F) {
	for _, s := range []string{selectApp, start8070, good8072, bad8072, "00B0960006", "00B0970019", "80CA000009 858877665588776655", "801A250208 0203040506070809",
		"80FA050010 1122334400000000 841E000004800000 04", ""} {
		f.Add(unhex(start8070), unhex(s))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := maintaining(t)
		for _, command := range [][]byte{unhex(selectApp), first, second} {
			raw, err := p.Transmit(context.Background(), command)
			require.NoError(t, err)
			_, err = apdu.ParseResponse(raw)
			require.NoError(t, err)
		}
	})
}
