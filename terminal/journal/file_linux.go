package journal

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file's lock, the one bbolt takes, if nobody has it. It is held until the file is closed.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}

// letGo closes a file that bbolt has mapped and will not unmap any more. To close it is not enough: the map keeps the lock.
func letGo(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// reserveBlocks gives the bytes [from, to) of the file their place on the disk, so that writing them cannot fail for want of
// room. The file grows to at least to bytes; what is in it stays.
func reserveBlocks(f *os.File, from, to int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, from, to-from)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return writeZeros(f, from, to)
		default:
			return err
		}
	}
}

// syncData syncs a file whose size does not change.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
