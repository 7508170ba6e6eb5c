package apdu_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
)

// unhex reads hexadecimal digits with spaces.
func unhex(t require.TestingT, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

// TestTheFourCases is ISO/IEC 7816-3, 12.1: with and without data, with and without Le.
func TestTheFourCases(t *testing.T) {
	long := strings.Repeat("AA", 255)
	cases := []struct {
		name string
		raw  string
		want apdu.Command
	}{
		{"1", "00A40000", apdu.Command{INS: 0xA4}},
		{"2", "805C0002 04", apdu.Command{CLA: 0x80, INS: 0x5C, P2: 2, Le: 4}},
		{"2, Le 255", "00B09500 FF", apdu.Command{INS: 0xB0, P1: 0x95, Le: 255}},
		{"2, Le 00 is 256", "00B09500 00", apdu.Command{INS: 0xB0, P1: 0x95, Le: 256}},
		{"3", "80720000 04 1E809B1A", apdu.Command{CLA: 0x80, INS: 0x72, Data: []byte{0x1E, 0x80, 0x9B, 0x1A}}},
		{"3, 255 bytes", "80DC00F0 FF " + long, apdu.Command{CLA: 0x80, INS: 0xDC, P2: 0xF0, Data: bytes.Repeat([]byte{0xAA}, 255)}},
		{"4", "805A0009 02 0012 08", apdu.Command{CLA: 0x80, INS: 0x5A, P2: 9, Data: []byte{0, 0x12}, Le: 8}},
		{"4, Le 00 is 256", "00A40400 01 A0 00", apdu.Command{INS: 0xA4, P1: 4, Data: []byte{0xA0}, Le: 256}},
		{"4, 255 bytes", "80DC00F0 FF " + long + "01", apdu.Command{CLA: 0x80, INS: 0xDC, P2: 0xF0, Data: bytes.Repeat([]byte{0xAA}, 255), Le: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := apdu.ParseCommand(unhex(t, c.raw))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			raw, err := c.want.Bytes()
			require.NoError(t, err)
			require.Equal(t, unhex(t, c.raw), raw)
		})
	}
}

// TestWhatIsNoShortCommand holds the three extended cases, which are refused and never read as short ones, and bytes that
// do not add up.
func TestWhatIsNoShortCommand(t *testing.T) {
	cases := []struct{ name, raw, says string }{
		{"extended case 2", "00B09500 000100", "extended length is not supported"},
		{"extended case 2, 65536", "00B09500 000000", "extended length is not supported"},
		{"extended case 3", "80DC00F0 000001 AA", "extended length is not supported"},
		{"extended case 4", "80DC00F0 000001 AA 0000", "extended length is not supported"},
		{"nothing", "", "at least 4"},
		{"three bytes", "00A404", "at least 4"},
		{"fewer data bytes than Lc", "80720000 04 1E809B", "Lc says 4"},
		{"more than Lc and Le", "80720000 04 1E809B1A 0000", "Lc says 4"},
		{"Lc 00 and Le", "80720000 00 08", "extended length is not supported"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := apdu.ParseCommand(unhex(t, c.raw))
			require.ErrorContains(t, err, c.says)
			require.Zero(t, got)
		})
	}
}

func TestWhatDoesNotFitTheShortForm(t *testing.T) {
	for says, c := range map[string]apdu.Command{
		"256 data bytes": {Data: make([]byte, 256)},
		"Le 257":         {Le: 257},
		"Le -1":          {Le: -1},
	} {
		_, err := c.Bytes()
		require.ErrorContains(t, err, says)
	}
}

func TestResponses(t *testing.T) {
	cases := []struct {
		name, raw string
		want      apdu.Response
	}{
		{"status word alone", "9406", apdu.Response{SW: 0x9406}},
		{"data", "0001 9000", apdu.Response{Data: []byte{0, 1}, SW: apdu.OK}},
		{"256 bytes", strings.Repeat("AA", 256) + "9000", apdu.Response{Data: bytes.Repeat([]byte{0xAA}, 256), SW: apdu.OK}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := apdu.ParseResponse(unhex(t, c.raw))
			require.NoError(t, err)
			require.Equal(t, c.want.SW, got.SW)
			require.Equal(t, hex.EncodeToString(c.want.Data), hex.EncodeToString(got.Data))
			require.Equal(t, unhex(t, c.raw), got.Bytes())
		})
	}
	require.Equal(t, "9406", apdu.SW(0x9406).String())
	for _, raw := range []string{"", "90", strings.Repeat("AA", 257) + "9000"} {
		_, err := apdu.ParseResponse(unhex(t, raw))
		require.Error(t, err, "%d bytes", len(raw)/2)
	}
}

// TestParsedBytesAreCopies: a reader reuses its buffer for the next command.
func TestParsedBytesAreCopies(t *testing.T) {
	raw := unhex(t, "80720000 04 1E809B1A")
	c, err := apdu.ParseCommand(raw)
	require.NoError(t, err)
	answer := unhex(t, "0001 9000")
	r, err := apdu.ParseResponse(answer)
	require.NoError(t, err)
	clear(raw)
	clear(answer)
	require.Equal(t, []byte{0x1E, 0x80, 0x9B, 0x1A}, c.Data)
	require.Equal(t, []byte{0, 1}, r.Data)
}

func TestCommandsSurviveTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := apdu.Command{
			CLA: rapid.Byte().Draw(t, "CLA"), INS: rapid.Byte().Draw(t, "INS"), P1: rapid.Byte().Draw(t, "P1"), P2: rapid.Byte().Draw(t, "P2"),
			Le: rapid.IntRange(0, 256).Draw(t, "Le"),
		}
		if data := rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "data"); len(data) > 0 {
			c.Data = data
		}
		raw, err := c.Bytes()
		require.NoError(t, err)
		got, err := apdu.ParseCommand(raw)
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}

// FuzzCommand: what parses codes back to the same bytes, and holds no more than came in.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"00A40000", "805C000204", "807200000400000000", "805A000902001208", "00B0950000", "00B09500000100", "00"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := apdu.ParseCommand(raw)
		if err != nil {
			return
		}
		again, err := c.Bytes()
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(raw), hex.EncodeToString(again))
	})
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{"9000", "90", "", "00019000"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := apdu.ParseResponse(raw)
		if err != nil {
			require.True(t, len(raw) < 2 || len(raw) > apdu.MaxResponse)
			return
		}
		require.Equal(t, hex.EncodeToString(raw), hex.EncodeToString(r.Bytes()))
	})
}
