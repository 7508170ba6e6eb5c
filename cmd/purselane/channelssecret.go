package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

// Where a settings file has secrets beside plain files.
const (
	fromEnvironment = "env:"    // a variable of the environment
	fromSealed      = "sealed:" // a file that only the scheme's key file opens: purselane channels seal
)

// sealedRow names a sealed file within its box: it opens under its own name only.
func sealedRow(path string) string { return "channel file " + filepath.Base(path) }

// readSecret reads what a settings file names, relative to dir.
func (f schemeFolder) readSecret(dir string) readBeside {
	return func(name string, secret bool) ([]byte, error) {
		if variable, is := strings.CutPrefix(name, fromEnvironment); is {
			if value := os.Getenv(variable); value != "" {
				return []byte(value), nil
			}
			return nil, fmt.Errorf("%s: the environment has no such variable, or it is empty", name)
		}
		if file, is := strings.CutPrefix(name, fromSealed); is {
			raw, err := readKeyFile(filepath.Join(dir, file), false)
			if err != nil {
				return nil, err
			}
			box, err := f.gatewayBox()
			if err != nil {
				return nil, err
			}
			return box.Open(sealedRow(file), raw)
		}
		return readKeyFile(filepath.Join(dir, name), secret)
	}
}

// ChannelsSealCmd is `purselane channels seal`.
type ChannelsSealCmd struct {
	schemeFolder
	File string `arg:"" help:"File with a secret of a channel, in the clear. FILE.sealed is made beside it; delete this one then."`
}

// Run seals.
func (c *ChannelsSealCmd) Run(_ context.Context, k *kong.Kong) error {
	raw, err := readKeyFile(c.File, true)
	if err != nil {
		return err
	}
	box, err := c.gatewayBox()
	if err != nil {
		return err
	}
	to := c.File + ".sealed"
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(box.Seal(sealedRow(to), raw))
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(k.Stdout, fmt.Sprintf("sealed   %s: name it %s%s in the account's settings, and delete %s\n", to, fromSealed, filepath.Base(to), c.File))
	return err
}
