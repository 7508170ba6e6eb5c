package bitslice

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Lanes is how many blocks are worked at once.
const Lanes = 64

// Block is one block of each lane. Word i holds bit i of them, the standard's bit i+1; lane j is bit 63-j of each word. It may hold keys:
// bits 7, 15 … 63 of a key are parity, which DES does not read.
type Block [64]uint64

// Set takes the blocks of all lanes.
func (b *Block) Set(lanes *[Lanes][8]byte) {
	for j := range lanes {
		b[j] = binary.BigEndian.Uint64(lanes[j][:])
	}
	transpose((*[64]uint64)(b))
}

// Get gives the blocks of all lanes back.
func (b *Block) Get() (lanes [Lanes][8]byte) {
	rows := [64]uint64(*b)
	transpose(&rows)
	for j := range lanes {
		binary.BigEndian.PutUint64(lanes[j][:], rows[j])
	}
	clear(rows[:])
	return lanes
}

// Same is one block in every lane.
func Same(block [8]byte) (b Block) {
	for i := range b {
		b[i] = -uint64(block[i/8] >> (7 - i%8) & 1)
	}
	return b
}

// Xor is b XOR other.
func (b *Block) Xor(other *Block) {
	for i := range b {
		b[i] ^= other[i]
	}
}

// transpose turns rows into columns: bit 63-j of word i goes to bit 63-i of word j. Halves of each square change places, then quarters, and so on.
func transpose(m *[64]uint64) {
	mask := uint64(0x00000000FFFFFFFF)
	for width := 32; width > 0; width >>= 1 {
		for from := 0; from < 64; from += 2 * width {
			upper, lower := m[from:from+width:from+width], m[from+width:from+2*width:from+2*width]
			for i := range upper {
				moved := (upper[i] ^ lower[i]>>width) & mask
				upper[i] ^= moved
				lower[i] ^= moved << width
			}
		}
		mask ^= mask << (width / 2)
	}
}

// Format prints none of the blocks, which may be keys.
func (b Block) Format(f fmt.State, _ rune) { io.WriteString(f, "[64 blocks]") }

// Format prints no key.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, "[64 keys]") }
