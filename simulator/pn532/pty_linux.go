package pn532

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writeWithin bounds a write to a host that does not read.
const writeWithin = time.Second

// pty is a pseudo terminal: the chip's end, and one handle of the host's end. Without that handle the chip's end would fail whenever no
// host has the port open.
type pty struct {
	chip *os.File
	host int
	path string
}

func openPTY() (*pty, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	p := &pty{host: -1}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		p.path = fmt.Sprintf("/dev/pts/%d", n)
		p.host, err = unix.Open(p.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		err = makeRaw(p.host)
	}
	if err != nil {
		if p.host >= 0 {
			unix.Close(p.host)
		}
		unix.Close(fd)
		return nil, fmt.Errorf("make a pseudo terminal: %w", err)
	}
	p.chip = os.NewFile(uintptr(fd), "ptmx") // not blocking, so closing it ends a read
	return p, nil
}

// makeRaw takes away all that a terminal does to bytes.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Ispeed, t.Ospeed = unix.B115200, unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// speeds are the settings of a terminal for the baud rates of a PN532.
var speeds = map[uint32]int{
	unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
	unix.B460800: 460800, unix.B921600: 921600,
}

// baud is the speed that the host has set.
func (p *pty) baud() int {
	raw, err := p.chip.SyscallConn()
	if err != nil {
		return 0
	}
	baud := 0
	_ = raw.Control(func(fd uintptr) {
		if t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
			baud = speeds[t.Cflag&unix.CBAUD]
		}
	}) // closed: no speed
	return baud
}

func (p *pty) write(raw []byte) error {
	if err := p.chip.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	_, err := p.chip.Write(raw)
	return err
}

// close is the plug being pulled: whoever has the port open sees it go.
func (p *pty) close() error { return errors.Join(unix.Close(p.host), p.chip.Close()) }
