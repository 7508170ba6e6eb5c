package frame_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

func raw(t testing.TB, s string) []byte {
	out, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return out
}

// all returns every frame that a parser finds in the pieces.
func all(pieces ...[]byte) (out []frame.Frame) {
	var p frame.Parser
	for _, piece := range pieces {
		p.Push(piece)
		for f, ok := p.Next(); ok; f, ok = p.Next() {
			out = append(out, f)
		}
	}
	return out
}

// known are frames as they are in public logs of several drivers.
var known = []struct{ name, wire, id, data string }{
	{"GetFirmwareVersion", "00 00 FF 02 FE D4 02 2A 00", "D4", "02"},
	{"its response", "00 00 FF 06 FA D5 03 32 01 06 07 E8 00", "D5", "03 32 01 06 07"},
	{"SAMConfiguration", "00 00 FF 03 FD D4 14 01 17 00", "D4", "14 01"},
	{"SAMConfiguration with IRQ", "00 00 FF 05 FB D4 14 01 14 01 02 00", "D4", "14 01 14 01"},
	{"its response", "00 00 FF 02 FE D5 15 16 00", "D5", "15"},
	{"SetParameters", "00 00 FF 03 FD D4 12 14 06 00", "D4", "12 14"},
	{"field on", "00 00 FF 04 FC D4 32 01 01 F8 00", "D4", "32 01 01"},
	{"field off", "00 00 FF 04 FC D4 32 01 00 F9 00", "D4", "32 01 00"},
	{"timeouts", "00 00 FF 06 FA D4 32 02 00 0B 0A E3 00", "D4", "32 02 00 0B 0A"},
	{"few tries", "00 00 FF 06 FA D4 32 05 FF 01 01 F4 00", "D4", "32 05 FF 01 01"},
	{"list type A", "00 00 FF 04 FC D4 4A 01 00 E1 00", "D4", "4A 01 00"},
	{"nothing found", "00 00 FF 03 FD D5 4B 00 E0 00", "D5", "4B 00"},
	{"one card", "00 00 FF 19 E7 D5 4B 01 01 03 44 20 07 04 A1 B2 C3 D4 E5 80 0A 78 80 70 02 20 63 CB A3 A0 18 00", "D5", "4B 01 01 03 44 20 07 04 A1 B2 C3 D4 E5 80 0A 78 80 70 02 20 63 CB A3 A0"},
	{"list type B", "00 00 FF 05 FB D4 4A 01 03 00 DE 00", "D4", "4A 01 03 00"},
	{"SELECT", "00 00 FF 0A F6 D4 40 01 00 A4 04 00 02 3F 00 02 00", "D4", "40 01 00 A4 04 00 02 3F 00"},
	{"9000", "00 00 FF 05 FB D5 41 00 90 00 5A 00", "D5", "41 00 90 00"},
	{"card gone", "00 00 FF 03 FD D5 41 01 E9 00", "D5", "41 01"},
	{"a part to the card", "00 00 FF 05 FB D4 40 41 AA BB 46 00", "D4", "40 41 AA BB"},
	{"a part of the card", "00 00 FF 05 FB D5 41 40 01 02 A7 00", "D5", "41 40 01 02"},
	{"next part", "00 00 FF 03 FD D4 40 01 EB 00", "D4", "40 01"},
	{"InRelease", "00 00 FF 03 FD D4 52 00 DA 00", "D4", "52 00"},
	{"InPSL", "00 00 FF 05 FB D4 4E 01 02 02 D9 00", "D4", "4E 01 02 02"},
	{"921600 baud", "00 00 FF 03 FD D4 10 07 15 00", "D4", "10 07"},
	{"Diagnose", "00 00 FF 06 FA D4 00 00 41 42 43 66 00", "D4", "00 00 41 42 43"},
}

func TestKnownFrames(t *testing.T) {
	for _, k := range known {
		t.Run(k.name, func(t *testing.T) {
			id, data := raw(t, k.id)[0], raw(t, k.data)
			wire, err := frame.Info(id, data)
			require.NoError(t, err)
			require.Equal(t, raw(t, k.wire), wire)
			require.Equal(t, []frame.Frame{{ID: id, Data: data}}, all(wire))
		})
	}
	require.Equal(t, []frame.Frame{{Kind: frame.Ack}, {Kind: frame.Nack}, {Kind: frame.Syntax}},
		all(frame.AckFrame(), frame.NackFrame(), frame.SyntaxFrame()))
}

func TestExtendedFrames(t *testing.T) {
	answer := append([]byte{0x41, 0x00}, bytes.Repeat([]byte{0xA5}, 258)...)
	wire, err := frame.Info(frame.ToHost, answer)
	require.NoError(t, err)
	require.Equal(t, raw(t, "00 00 FF FF FF 01 05 FA D5 41 00"), wire[:11])
	require.Equal(t, []frame.Frame{{ID: frame.ToHost, Data: answer}}, all(wire))

	require.Equal(t, []frame.Frame{{ID: frame.ToHost, Data: raw(t, "15")}}, all(raw(t, "00 00 FF FF FF 00 02 FE D5 15 16 00")), "a chip may extend a short one")
	_, err = frame.Info(frame.ToChip, make([]byte, frame.MaxLength-1))
	require.NoError(t, err)
	_, err = frame.Info(frame.ToChip, make([]byte, frame.MaxLength))
	require.ErrorContains(t, err, "at most 265")
}

// TestWhatIsPassedOver has the same response behind everything that a line can put before it.
func TestWhatIsPassedOver(t *testing.T) {
	answer := raw(t, "00 00 FF 05 FB D5 41 00 90 00 5A 00")
	want := frame.Frame{ID: frame.ToHost, Data: raw(t, "41 00 90 00")}
	cases := []struct{ name, before string }{
		{"nothing", ""},
		{"a long preamble", "00 00 00 00 00 00 00 00 00 00"},
		{"noise", "55 A5 FF 01 13 00 37"},
		{"FF only", "FF FF FF"},
		{"a start and nothing else", "00 FF"},
		{"a length of none", "00 FF 00 00"},
		{"a length that does not fit", "00 FF 05 FC D5"},
		{"an extended length that does not fit", "00 FF FF FF 01 05 FB"},
		{"an extended length above the most", "00 FF FF FF 01 0A F5"},
		{"an extended length of none", "00 FF FF FF 00 00 00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, []frame.Frame{want}, all(raw(t, c.before), answer))
		})
	}
	require.Equal(t, []frame.Frame{want}, all(answer[1:len(answer)-1]), "neither preamble nor postamble")
}

func TestAWrongChecksumIsTold(t *testing.T) {
	found := all(raw(t, "00 00 FF 05 FB D5 41 00 90 00 5B 00"), frame.AckFrame())
	require.Equal(t, []frame.Frame{{Kind: frame.Damaged, ID: frame.ToHost, Data: raw(t, "41 00 90 00")}, {Kind: frame.Ack}}, found)
}

func TestAFrameThatDoesNotEnd(t *testing.T) {
	var p frame.Parser
	require.False(t, p.Unfinished())
	require.Equal(t, frame.Frame{Kind: frame.Damaged}, p.GiveUp())
	p.Push(raw(t, "00 00 FF 05 FB D5 41 00"))
	_, ok := p.Next()
	require.False(t, ok)
	require.True(t, p.Unfinished())
	require.Equal(t, frame.Frame{Kind: frame.Damaged, ID: frame.ToHost, Data: raw(t, "41 00")}, p.GiveUp())
	_, ok = p.Next()
	require.False(t, ok)
	require.False(t, p.Unfinished())

	// A false start that claims much hides true frames until it is given up.
	p.Push(append(raw(t, "00 FF 80 80"), frame.AckFrame()...))
	_, ok = p.Next()
	require.False(t, ok)
	p.GiveUp()
	f, ok := p.Next()
	require.True(t, ok)
	require.Equal(t, frame.Ack, f.Kind)

	p.Push([]byte{0x00, 0xFF})
	p.Reset()
	require.False(t, p.Unfinished())
}

// TestFramesDoNotDependOnTheSplit reads a stream whole and in pieces.
func TestFramesDoNotDependOnTheSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(1, 5).Draw(t, "frames") {
			stream = append(stream, rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "noise")...)
			f, err := frame.Info(frame.ToHost, rapid.SliceOfN(rapid.Byte(), 0, frame.MaxLength-1).Draw(t, "data"))
			require.NoError(t, err)
			stream = append(stream, f...)
		}
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, all(stream), all(pieces...))
	})
}

func FuzzParser(f *testing.F) {
	for _, k := range known {
		f.Add(raw(f, k.wire), 3)
	}
	f.Add(append(raw(f, "00 FF 80 80"), frame.AckFrame()...), 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = min(max(cut, 0), len(stream))
		whole := all(stream)
		require.Equal(t, whole, all(stream[:cut], stream[cut:]))
		for _, found := range whole {
			if found.Kind == frame.Information {
				_, err := frame.Info(found.ID, found.Data)
				require.NoError(t, err, "what was read can be written")
			}
		}
		// Whatever came before, a true frame is found once there was room for any unfinished one to end.
		found := all(stream, make([]byte, frame.MaxLength+8), frame.AckFrame())
		require.NotEmpty(t, found)
		require.Equal(t, frame.Ack, found[len(found)-1].Kind)
	})
}
