package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// absent fails if anything has that name.
func absent(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// place gives a whole file its name, never over another one, and returns when both are on the disk.
func place(temp, path string) error {
	if err := fsync(temp); err != nil {
		return err
	}
	if err := absent(path); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return fsync(filepath.Dir(path))
}

// fsync waits until a file or a folder is on the disk.
func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
