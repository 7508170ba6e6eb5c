//go:build !pcsc

package pcsc

import (
	"errors"

	"github.com/purselane/purselane/terminal/reader"
)

// Available says whether the program was built with PC/SC.
const Available = false

// ErrNotBuilt says that the program cannot talk to PC/SC, whatever is plugged in.
var ErrNotBuilt = errors.New("built without PC/SC: build with -tags pcsc (needs gcc and libpcsclite-dev)")

// Open fails with ErrNotBuilt.
func Open(Options) (reader.Reader, error) { return nil, ErrNotBuilt }

// List fails with ErrNotBuilt.
func List() ([]string, error) { return nil, ErrNotBuilt }
