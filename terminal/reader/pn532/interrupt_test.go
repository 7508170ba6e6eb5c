package pn532

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.bug.st/serial"
)

// interrupted is a port whose every call is interrupted by signals before it does anything.
type interrupted struct {
	serial.Port
	signals int
	done    []string
}

func (i *interrupted) call(name string) error {
	if i.signals--; i.signals >= 0 {
		return syscall.EINTR
	}
	i.done = append(i.done, name)
	return nil
}

func (i *interrupted) Drain() error               { return i.call("drain") }
func (i *interrupted) SetMode(*serial.Mode) error { return i.call("mode") }
func (i *interrupted) Write(p []byte) (int, error) {
	if err := i.call("write"); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestASignalIsNoLoss: a reader was told to be lost when one of Go's own signals met the wait for the last byte.
func TestASignalIsNoLoss(t *testing.T) {
	i := &interrupted{}
	p := &serialPort{Port: i}
	for _, call := range []func() error{
		p.Drain,
		func() error { return p.SetBaud(DefaultBaud) },
		func() error { n, err := p.Write([]byte{1, 2, 3}); require.Equal(t, 3, n); return err },
	} {
		i.signals = 2
		require.NoError(t, call())
	}
	require.Equal(t, []string{"drain", "mode", "write"}, i.done)
}
