package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func stored(t *testing.T) (raw []byte, boxes [8]circuit) {
	raw, err := os.ReadFile("circuits.txt")
	require.NoError(t, err)
	boxes, err = readCircuits(bytes.NewReader(raw))
	require.NoError(t, err)
	return raw, boxes
}

// TestRoundIsWhatTheCircuitsSay: nobody edited the one without the other.
func TestRoundIsWhatTheCircuitsSay(t *testing.T) {
	raw, boxes := stored(t)
	require.Equal(t, string(raw), string(writeCircuits(boxes)))
	want, err := round(boxes)
	require.NoError(t, err)
	got, err := os.ReadFile("../round.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// TestCircuitsAreTheStandards works every circuit on every input, gate by gate, beside the table as the standard prints it.
func TestCircuitsAreTheStandards(t *testing.T) {
	_, boxes := stored(t)
	for i, c := range boxes {
		for x := range 64 {
			values := make([]bool, 6, len(c.values))
			for b := range values {
				values[b] = x>>(5-b)&1 == 1
			}
			for _, g := range c.gates {
				a, b := values[g.a], values[g.b]
				values = append(values, map[byte]bool{'&': a && b, '|': a || b, '^': a != b, '~': !a}[g.op])
			}
			var got byte
			for _, o := range c.out {
				got <<= 1
				if values[o] {
					got |= 1
				}
			}
			require.Equal(t, sboxes[i][x>>5<<1|x&1][x>>1&15], got, "S%d(%06b)", i+1, x)
		}
	}
}

func TestASearchFindsTheSameAgain(t *testing.T) {
	for box := range 8 {
		a, found := smallest(box, 1, 120, 3)
		require.True(t, found, "S%d", box+1)
		b, _ := smallest(box, 1, 120, 3)
		require.Equal(t, a, b)
		want := wanted(box)
		for o, v := range a.out {
			require.Equal(t, want[o], a.values[v], "S%d", box+1)
		}
	}
	_, found := smallest(0, 1, 10, 3)
	require.False(t, found, "ten gates are too few")
}

func TestFaultyCircuits(t *testing.T) {
	raw, _ := stored(t)
	text := string(raw)
	for name, c := range map[string][2]string{
		"another box":          {"S3 out", "S4 out"},
		"no outputs":           {"S3 out", "S3"},
		"another output":       {"S1 out ", "S1 out 0 "},
		"an output too far":    {"S1 out ", "S1 out 999 "},
		"a gate of later ones": {"S2 out", "90^91 S2 out"},
		"no gate":              {"S2 out", "4+5 S2 out"},
		"half a gate":          {"S2 out", "4^ S2 out"},
	} {
		require.Contains(t, text, c[0])
		_, err := readCircuits(strings.NewReader(strings.Replace(text, c[0], c[1], 1)))
		require.Error(t, err, name)
	}
	_, err := readCircuits(strings.NewReader(text + "S9"))
	require.ErrorContains(t, err, "after the last")
	_, err = readCircuits(strings.NewReader(""))
	require.Error(t, err)
}
