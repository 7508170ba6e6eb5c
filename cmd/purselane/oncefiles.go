package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// onceFiles are files that are written as their bytes come, and take their names together when all are whole. A file that is there already must have the
// same content.
type onceFiles struct {
	all []onceFile
}

type onceFile struct {
	path string
	temp string
}

// create begins a file beside where it will be.
func (o *onceFiles) create(path string) (io.WriteCloser, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return nil, err
	}
	o.all = append(o.all, onceFile{path, temp.Name()})
	return syncedFile{temp}, temp.Chmod(0o644)
}

// keep gives the files their names. None is touched if one is there with other content.
func (o *onceFiles) keep() error {
	for _, f := range o.all {
		if _, err := os.Lstat(f.path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		have, err1 := digestOf(f.path)
		want, err2 := digestOf(f.temp)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			return fmt.Errorf("%s exists with other content; it was not touched", f.path)
		}
	}
	for _, f := range o.all {
		if err := os.Rename(f.temp, f.path); err != nil {
			return err
		}
	}
	return nil
}

// drop removes what has no name yet.
func (o *onceFiles) drop() {
	for _, f := range o.all {
		_ = os.Remove(f.temp) // there is none after keep
	}
}

// syncedFile is on the disk once it is closed.
type syncedFile struct{ *os.File }

// Close implements io.Closer.
func (f syncedFile) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

func digestOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
