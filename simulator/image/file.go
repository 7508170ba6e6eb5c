package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrInUse says that another program has the chip: two of them would spend one balance, or hand out one serial, twice.
var ErrInUse = errors.New("in use by another program")

// ErrNotDurable says that the new state is in the file, and that the disk has not promised to keep it over a power cut.
var ErrNotDurable = errors.New("state written, not known to be durable")

// Steps of Save, as Fault sees them. A crash before StepRename leaves the old state, a crash after it the new one.
const (
	StepWrite   = "write"
	StepSync    = "sync"
	StepRename  = "rename"
	StepSyncDir = "sync directory"
)

// File is the open image file of one chip. It is locked until Close or the end of the process. It is not safe for
// concurrent use: the chip that owns it serialises.
type File struct {
	path string
	lock io.Closer

	// Fault, when set, is called before each step of Save; the error it returns ends Save there, as a full disk or a
	// crash would. For tests.
	Fault func(step string) error
}

// Create makes the file for a new chip with state v. A file that exists is an error: its chip may hold money.
func Create(path string, v any) (*File, error) {
	f, err := acquire(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		f.Close()
		return nil, fmt.Errorf("create %s: %w", path, os.ErrExist)
	}
	if err := f.Save(v); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Open locks the file and reads its state into v. An unknown field is an error: it belongs to a newer program, and
// saving would lose it.
func Open(path string, v any) (*File, error) {
	f, err := acquire(path)
	if err != nil {
		return nil, err
	}
	if err := f.read(v); err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// OpenAs takes up the image at path and makes a chip of it. A chip that cannot be made leaves the file free.
func OpenAs[I, C any](path string, chip func(I) (C, error)) (C, *File, error) {
	var img I
	var none C
	f, err := Open(path, &img)
	if err != nil {
		return none, nil, err
	}
	c, err := chip(img)
	if err != nil {
		f.Close()
		return none, nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, f, nil
}

// Close gives the chip free for another program.
func (f *File) Close() error { return f.lock.Close() }

func acquire(path string) (*File, error) {
	// The lock has a file of its own because Save replaces the image, and with it any lock on the image.
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &File{path: path, lock: lock}, nil
}

func (f *File) read(v any) error {
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Save replaces the state by v: temporary file, fsync, rename, fsync of the directory. An error means that the old state
// stands, unless it is ErrNotDurable.
func (f *File) Save(v any) error {
	raw, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("save %s: %w", f.path, err)
	}
	// One fixed temporary name: the lock keeps others out, and what a crash left behind is overwritten.
	temp := f.path + ".tmp"
	if err := f.writeTemp(temp, append(raw, '\n')); err != nil {
		return fmt.Errorf("save %s: %w", f.path, err)
	}
	if err := f.fault(StepRename); err != nil {
		return fmt.Errorf("save %s: %w", f.path, err)
	}
	if err := os.Rename(temp, f.path); err != nil {
		return fmt.Errorf("save %s: %w", f.path, err)
	}
	if err := f.syncDir(); err != nil {
		return fmt.Errorf("save %s: %w: %w", f.path, ErrNotDurable, err)
	}
	return nil
}

func (f *File) fault(step string) error {
	if f.Fault == nil {
		return nil
	}
	return f.Fault(step)
}

func (f *File) writeTemp(temp string, raw []byte) error {
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.fault(StepWrite)
	if err == nil {
		_, err = out.Write(raw)
	}
	if err == nil {
		err = f.fault(StepSync)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func (f *File) syncDir() error {
	if err := f.fault(StepSyncDir); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
