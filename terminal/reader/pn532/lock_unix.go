//go:build unix

package pn532

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockPort keeps other programs off a port. The exclusive mode of a terminal device does not hold for root, and terminals often run as
// root; this lock does, and terminal programs ask for it too.
func lockPort(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.EBUSY) {
		return nil, ErrPortBusy
	}
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if locked != nil {
		if errors.Is(locked, syscall.EWOULDBLOCK) {
			locked = ErrPortBusy
		}
		return nil, errors.Join(locked, f.Close())
	}
	return f, nil
}
