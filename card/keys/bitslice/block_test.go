package bitslice_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys/bitslice"
)

// blocks draws a block for each lane.
func blocks(t *rapid.T, label string) (lanes [bitslice.Lanes][8]byte) {
	raw := rapid.SliceOfN(rapid.Byte(), 8*bitslice.Lanes, 8*bitslice.Lanes).Draw(t, label)
	for j := range lanes {
		lanes[j] = [8]byte(raw[8*j:])
	}
	return lanes
}

// doubles draws a double-length key for each lane.
func doubles(t *rapid.T, label string) (lanes [bitslice.Lanes][16]byte) {
	left, right := blocks(t, label), blocks(t, label)
	for j := range lanes {
		copy(lanes[j][copy(lanes[j][:], left[j][:]):], right[j][:])
	}
	return lanes
}

func of(lanes [bitslice.Lanes][8]byte) (b bitslice.Block) {
	b.Set(&lanes)
	return b
}

func TestBitsOfLanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := blocks(t, "lanes")
		b := of(lanes)
		require.Equal(t, lanes, b.Get())
		for i, word := range b {
			for j := range lanes {
				require.Equal(t, uint64(lanes[j][i/8]>>(7-i%8)&1), word>>(63-j)&1, "bit %d of lane %d", i, j)
			}
		}
		same := lanes[0]
		b = bitslice.Same(same)
		for _, got := range b.Get() {
			require.Equal(t, same, got)
		}
		k, all := bitslice.Key{}, doubles(t, "keys")
		k.SetKeys(&all)
		require.Equal(t, all, k.Keys())
	})
}

func TestBlocksDoNotPrint(t *testing.T) {
	b, k := bitslice.Same([8]byte{0xAB, 0xCD}), bitslice.SameKey([16]byte{0xAB})
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%s"} {
		require.Equal(t, "[64 blocks] [64 keys]", fmt.Sprintf(verb+" "+verb, b, k))
	}
}
