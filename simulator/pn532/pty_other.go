//go:build !linux

package pn532

import (
	"errors"
	"os"
)

type pty struct {
	chip *os.File
	path string
}

func openPTY() (*pty, error) {
	return nil, errors.New("the emulated PN532 needs the pseudo terminals of Linux")
}

func (p *pty) baud() int          { return 0 }
func (p *pty) write([]byte) error { return os.ErrInvalid }
func (p *pty) close() error       { return os.ErrInvalid }
