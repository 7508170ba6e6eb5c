//go:build pcsc

package pcsctest

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Restart sends a signal to the namespace's pcscd, which scripts/pcsc-test.sh starts again, and waits until the new
// one stands in the pid file.
func Restart(t *testing.T, signal syscall.Signal) {
	read := func() int {
		raw, err := os.ReadFile("/run/pcscd/pcscd.pid")
		if err != nil {
			return 0
		}
		pid, err := strconv.Atoi(strings.Trim(string(raw), "\x00\n "))
		require.NoError(t, err)
		return pid
	}
	old := read()
	require.NotZero(t, old)
	require.NoError(t, syscall.Kill(old, signal))
	require.Eventually(t, func() bool { pid := read(); return pid != 0 && pid != old }, 30*time.Second, 10*time.Millisecond)
}
