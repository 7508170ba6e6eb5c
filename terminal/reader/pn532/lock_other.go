//go:build !unix

package pn532

import "io"

type noLock struct{}

func (noLock) Close() error { return nil }

// lockPort does nothing: elsewhere a port can be open once only.
func lockPort(string) (io.Closer, error) { return noLock{}, nil }
