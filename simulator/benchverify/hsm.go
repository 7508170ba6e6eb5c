//go:build pkcs11

package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
)

// hsmLines compares the device's batch with its single calls: verify-hsm. SoftHSM takes microseconds for a call where a device on a
// network takes a millisecond, so the ratio there is larger. The caller ends what it returns.
func hsmLines() (out []line, end func() error, err error) {
	dir, err := os.MkdirTemp("", "benchverify-")
	if err != nil {
		return nil, nil, err
	}
	end = func() error { return os.RemoveAll(dir) }
	token, err := softhsm.New(dir, func(name, value string) { os.Setenv(name, value) })
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	d, err := keys.OpenDevice(keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN),
		Cache: keys.CachePolicy{Cards: 1, Lifetime: time.Hour}}) // the issuer's level is held, and no card comes while it is
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	end = func() error { return errors.Join(d.Close(), os.RemoveAll(dir)) }
	jobs, err := makeJobs(taps, 0)
	if err == nil {
		err = d.Put(context.Background(), map[keys.ID]keys.Key{jobs[0].Card.ID: master})
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return []line{{"verify-hsm", taps, verify(d, jobs), verify(single{d}, jobs)}}, end, nil
}

// single hides the device's batch.
type single struct{ keys.HSM }
