//go:build pcsc

package pcsctest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Slot is one virtual reader: its PC/SC name, and where cards plug in.
type Slot struct{ Name, Addr string }

// pairs are the readers of scripts/pcsc-test.sh that no test has, the longest unused first.
var pairs = func() chan int {
	out := make(chan int, 8)
	for n := range cap(out) {
		out <- n
	}
	return out
}()

// Pair takes two readers for this test alone, empty and free, until it ends. Tests with a pair of their own run side by side.
func Pair(t *testing.T) (first, second Slot) {
	first, second, _ = pair(t)
	return first, second
}

// Removable is Pair, with a hand that unplugs the two readers and plugs them in again. Either shows with the next start of pcscd.
func Removable(t *testing.T) (first, second Slot, plug func(in bool)) {
	first, second, n := pair(t)
	file := filepath.Join(os.Getenv("PURSELANE_PCSCD_READERS"), fmt.Sprintf("pair-%d", n))
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	plug = func(in bool) {
		if in {
			require.NoError(t, os.WriteFile(file, kept, 0o644))
		} else {
			require.NoError(t, os.Remove(file))
		}
	}
	t.Cleanup(func() {
		if _, err := os.Stat(file); err != nil { // the test has failed; the next one wants the readers
			plug(true)
			Restart(t, syscall.SIGTERM)
		}
	})
	return first, second, plug
}

func pair(t *testing.T) (first, second Slot, n int) {
	Private(t)
	n = <-pairs
	t.Cleanup(func() { pairs <- n })
	name := "Virtual PCD"
	if n > 0 {
		name = fmt.Sprintf("Virtual PCD %d", n)
	}
	port := 35963 + 2*n
	first = Slot{name + " 00 00", fmt.Sprintf("127.0.0.1:%d", port)}
	second = Slot{name + " 00 01", fmt.Sprintf("127.0.0.1:%d", port+1)}
	Free(t, first.Name)
	Free(t, second.Name)
	return first, second, n
}
