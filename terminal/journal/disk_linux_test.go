package journal

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

// onSmallDisk runs f with a folder that is a file system of its own of that many bytes. It is mounted in a mount namespace that
// ends with f.
func onSmallDisk(t *testing.T, bytes string, f func(dir string)) {
	if os.Geteuid() != 0 {
		t.Skip("a small disk cannot be mounted: run as root to try a full one")
	}
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		// The namespace is this thread's; the thread is not unlocked, and ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes)
		}
		if err != nil {
			done <- err
			return
		}
		defer close(done) // also when a requirement ends the goroutine
		f(dir)
	}()
	if err, failed := <-done; failed {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Skipf("a small disk cannot be mounted: %v (needs the right to mount)", err)
		}
		require.NoError(t, err)
	}
}

func TestAFullDiskStopsSellingAndLosesNothing(t *testing.T) {
	onSmallDisk(t, "2m", func(dir string) {
		o := options()
		o.NoSync, o.Keep, o.MaxBytes = false, 10, 64<<20
		path := filepath.Join(dir, "journal.db")
		j := open(t, path, o)
		var began []int
		n := 0
		for ; ; n++ {
			tap, err := j.Begin(draft(n))
			if err != nil {
				require.ErrorIs(t, err, ErrFull)
				require.ErrorContains(t, err, "the disk has no room")
				require.ErrorContains(t, err, "Make room on it")
				break
			}
			require.EqualValues(t, n+1, tap)
			if n%10 == 0 {
				began = append(began, n)
				continue
			}
			require.NoError(t, j.Finish(tap, final(n, wire.State_STATE_COMPLETED)))
		}
		require.Greater(t, n, 500)
		// Somebody else takes the last byte of the disk.
		hog, err := os.Create(filepath.Join(dir, "log"))
		require.NoError(t, err)
		for err == nil {
			_, err = hog.Write(make([]byte, 512))
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		_, err = j.Begin(draft(n))
		require.ErrorIs(t, err, ErrFull)

		// What was begun is finished all the same, over a restart.
		require.NoError(t, j.Close())
		j, err = Open(path, o)
		require.NoError(t, err)
		recovered, err := j.RecoverBoot()
		require.NoError(t, err)
		require.Len(t, began, recovered)
		for _, n := range began {
			require.NoError(t, j.Finish(uint64(n+1), final(n, wire.State_STATE_COMPLETED)))
		}
		require.Len(t, records(t, j), n+len(began))
		require.NoError(t, j.Verify())

		// And receipts make room inside the file.
		require.NoError(t, j.Ack(j.LastSeq()))
		for pruned := 1; pruned > 0; {
			pruned, err = j.Prune(100)
			require.NoError(t, err)
		}
		sell(t, j, n, 300)
		require.NoError(t, j.Verify())
		require.NoError(t, j.Close())
	})
}

func TestADiskTooSmallForAFileIsFullAndLeavesNone(t *testing.T) {
	onSmallDisk(t, "16k", func(dir string) {
		path := filepath.Join(dir, "journal.db")
		_, err := Open(path, options())
		require.ErrorIs(t, err, ErrFull)
		require.NoFileExists(t, path)
	})
}
