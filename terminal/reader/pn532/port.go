package pn532

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// readTimeout bounds one read of a port, so that closing it never waits for a byte.
const readTimeout = 50 * time.Millisecond

// port is what a line needs of a serial port. Read returns (0, nil) when nothing came for readTimeout.
type port interface {
	io.ReadWriteCloser
	// Drain waits until what was written has left the host.
	Drain() error
	SetBaud(baud int) error
}

// What keeps a port from being opened. The errors that say so also say what to do.
var (
	ErrNoPort     = errors.New("no such serial port")
	ErrPermission = errors.New("no permission for the serial port")
	ErrPortBusy   = errors.New("serial port is in use")
	ErrNotSerial  = errors.New("not a serial port")
)

// serialPort is a real one, locked against other programs.
type serialPort struct {
	serial.Port
	lock io.Closer
}

// openPort opens a serial port at StartBaud with 8 data bits, no parity, 1 stop bit.
func openPort(path string) (port, error) {
	lock, err := lockPort(path)
	if err != nil {
		return nil, portError(path, err)
	}
	p, err := serial.Open(path, mode(StartBaud))
	if err == nil {
		if err = p.SetReadTimeout(readTimeout); err == nil {
			return &serialPort{p, lock}, nil
		}
		err = errors.Join(err, p.Close())
	}
	return nil, errors.Join(portError(path, err), lock.Close())
}

func mode(baud int) *serial.Mode {
	return &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}
}

// again repeats a call that a signal interrupted before it had done anything. Go's own signals, for its scheduler, come at any time, and the
// kernel does not restart every call to a terminal after one.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Write implements port.
func (p *serialPort) Write(raw []byte) (n int, err error) {
	err = again(func() error { n, err = p.Port.Write(raw); return err })
	return n, err
}

// Drain implements port.
func (p *serialPort) Drain() error { return again(p.Port.Drain) }

// SetBaud implements port.
func (p *serialPort) SetBaud(baud int) error {
	return again(func() error { return p.SetMode(mode(baud)) })
}

// Close implements port.
func (p *serialPort) Close() error { return errors.Join(p.Port.Close(), p.lock.Close()) }

// portError says what to do about a port that cannot be opened.
func portError(path string, err error) error {
	var known *serial.PortError
	code := serial.PortErrorCode(-1)
	if errors.As(err, &known) {
		code = known.Code()
	}
	switch {
	case errors.Is(err, ErrPortBusy), code == serial.PortBusy:
		return fmt.Errorf("%w: %s: another program has it: stop that one (fuser -v %[2]s names it)", ErrPortBusy, path)
	case errors.Is(err, fs.ErrPermission), code == serial.PermissionDenied:
		return fmt.Errorf("%w: %s: add the terminal's user to the group that owns it (ls -lL %[2]s; on Debian it is dialout)", ErrPermission, path)
	case errors.Is(err, fs.ErrNotExist), code == serial.PortNotFound:
		return fmt.Errorf("%w: %s: plug the reader in, or name another port; there are %s", ErrNoPort, path, listed(Ports()))
	case code == serial.InvalidSerialPort:
		return fmt.Errorf("%w: %s: name a serial port; there are %s", ErrNotSerial, path, listed(Ports()))
	}
	return fmt.Errorf("open %s: %w", path, err)
}

func listed(ports []string) string {
	if len(ports) == 0 {
		return "none"
	}
	return strings.Join(ports, ", ")
}

// Ports returns the serial ports that a reader may hang on, those with names that stay first. It opens none.
func Ports() (out []string) {
	for _, pattern := range []string{"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*"} {
		found, _ := filepath.Glob(pattern) // the patterns are sound
		out = append(out, found...)
	}
	return out
}
