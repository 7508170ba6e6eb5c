package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// CreateFile seals the ring into a new file that only its owner can read. A file that exists is an error, always: the
// keys in it may be the only ones of a scheme. When CreateFile returns, the file is whole and durable.
func CreateFile(path string, r *Ring, to age.Recipient) error {
	return writeNew(path, func(f *os.File) error { return r.Seal(f, to) })
}

// OpenFile opens a sealed file. Errors are those of OpenRing and of the file system.
func OpenFile(path string, with age.Identity) (*Ring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer f.Close()
	r, err := OpenRing(f, with)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// CreateIdentityFile draws an X25519 identity and keeps it in a new file, as age-keygen writes it. Keep it on
// another disk than the file that it opens.
func CreateIdentityFile(path string) (*age.X25519Identity, error) {
	x, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	err = writeNew(path, func(f *os.File) error {
		_, err := fmt.Fprintf(f, "# public key: %s\n%s\n", x.Recipient(), x.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// OpenIdentityFile reads an identity file.
func OpenIdentityFile(path string) (*age.X25519Identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	x, err := ParseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

func writeNew(path string, write func(*os.File) error) error {
	return disk{sync: (*os.File).Sync, link: os.Link, syncDir: syncDir}.writeNew(path, write)
}

// disk is what must happen on the disk, in this order; tests cut the power in it.
type disk struct {
	sync    func(*os.File) error
	link    func(from, name string) error
	syncDir func(dir string) error
}

// writeNew makes a new file of mode 0600: temporary file, fsync, a name for it, fsync of the directory. At a power cut
// there is the whole file or none.
func (d disk) writeNew(path string, write func(*os.File) error) error {
	dir := filepath.Dir(path)
	// CreateTemp makes the file 0600, and its name is no other writer's.
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("keys: create %s: %w", path, err)
	}
	defer os.Remove(temp.Name())
	err = write(temp)
	if err == nil {
		err = d.sync(temp)
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("keys: create %s: %w", path, err)
	}
	if err := d.giveName(temp.Name(), path); err != nil {
		return fmt.Errorf("keys: create %s: %w", path, err)
	}
	if err := d.syncDir(dir); err != nil {
		return fmt.Errorf("keys: create %s: written, not known to be durable: %w", path, err)
	}
	return nil
}

// giveName moves temp to path, never over another file. A hard link fails where the name is taken, which a rename does
// not.
func (d disk) giveName(temp, path string) error {
	err := d.link(temp, path)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	// No hard links on this file system, as on a memory stick: look first, then rename.
	switch _, err := os.Lstat(path); {
	case err == nil:
		return os.ErrExist
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return os.Rename(temp, path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
