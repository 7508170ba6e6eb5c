package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"filippo.io/age"
)

// Lock seals key files and opens them.
type Lock interface {
	age.Recipient
	age.Identity
}

// sealer is what a lock needs of a device.
type sealer interface {
	Seal(ctx context.Context, id ID, label string, data []byte) ([]byte, error)
	Unseal(ctx context.Context, id ID, label string, sealed []byte) ([]byte, error)
}

// stanzaDevice is the type of an age stanza whose body is the file's key under a data key in an HSM. Its argument is that key's version, as
// in labels.
const stanzaDevice = "purselane-hsm"

// labelDevice is what such a body is bound to.
const labelDevice = "purselane key file 1"

// DeviceLock is a lock by a data key in an HSM: the file opens where the HSM is, and nowhere else. The context is that of each use.
func DeviceLock(ctx context.Context, d Device, id ID) Lock { return deviceLock{ctx, d, id} }

type deviceLock struct {
	ctx context.Context
	by  sealer
	id  ID
}

// Wrap implements age.Recipient.
func (l deviceLock) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	body, err := l.by.Seal(l.ctx, l.id, labelDevice, fileKey)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: stanzaDevice, Args: []string{fmt.Sprintf("%02X", l.id.Version)}, Body: body}}, nil
}

// LockedByDevice says whether a sealed file opens by a data key in an HSM. It reads the file's head only; a head that it does not know is no.
func LockedByDevice(sealed []byte) bool {
	for line := range bytes.Lines(sealed) {
		switch {
		case bytes.HasPrefix(line, []byte("-> "+stanzaDevice+" ")):
			return true
		case bytes.HasPrefix(line, []byte("---")): // the end of age's head
			return false
		}
	}
	return false
}

// deviceError carries the device's own error past age, which knows two kinds only.
type deviceError struct{ error }

func (e deviceError) Unwrap() error { return e.error }

// Unwrap implements age.Identity.
func (l deviceLock) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != stanzaDevice {
			continue
		}
		if len(s.Args) != 1 || len(s.Args[0]) != 2 {
			return nil, errors.New("keys: malformed stanza of an HSM")
		}
		version, err := strconv.ParseUint(s.Args[0], 16, 8)
		if err != nil {
			return nil, errors.New("keys: malformed stanza of an HSM")
		}
		id := l.id
		id.Version = byte(version) // the file says which version it was sealed with
		key, err := l.by.Unseal(l.ctx, id, labelDevice, s.Body)
		if err != nil {
			return nil, deviceError{err}
		}
		return key, nil
	}
	return nil, age.ErrIncorrectIdentity
}
