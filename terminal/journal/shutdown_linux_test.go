package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

const childDisk = "PURSELANE_TEST_DISK" // image, mount point and what to do, separated by colons

// shutDown ends a mounted ext4 at once, without writing anything that is still in memory, journal of the file system included: EXT4_IOC_SHUTDOWN with
// EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h).
func shutDown(dir string) error {
	const request, noLogFlush = 0x8004587d, 2
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return errno
	}
	return nil
}

// TestDiskChild is not a test of its own: in a mount namespace that ends with it, it mounts an image and sells on it until the disk is shut down, or says what is
// on it.
func TestDiskChild(t *testing.T) {
	text := os.Getenv(childDisk)
	if text == "" {
		return // run by TestADiskShutDownUnderLoad alone
	}
	part := strings.Split(text, ":")
	image, dir, do := part[0], part[1], part[2]
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	j, err := Open(filepath.Join(dir, "journal.db"), Options{Terminal: "bus-1", NoSync: do == "sell-nosync"})
	if err != nil {
		fmt.Println("open", err)
		return
	}
	if do == "look" {
		fmt.Println("verify", j.Verify())
		for _, r := range records(t, j) {
			if r.GetState() == wire.State_STATE_COMPLETED {
				fmt.Println("has", r.GetTap())
			}
		}
		require.NoError(t, j.Close())
		return
	}
	for n := 1; ; n++ {
		tap, err := j.Begin(draft(n))
		if err == nil {
			err = j.Finish(tap, final(n, wire.State_STATE_COMPLETED))
		}
		if err == nil {
			fmt.Println("done", tap)
			if n%50 == 0 {
				err = j.Roll()
			}
		}
		if err != nil {
			fmt.Println("stops")
			os.Exit(0)
		}
		if n == 130 {
			go func() { _ = shutDown(dir) }() // while it sells on
		}
	}
}

// onDisk runs TestDiskChild and returns its lines.
func onDisk(t *testing.T, image, do string) []string {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskChild$")
	child.Env = append(os.Environ(), childDisk+"="+image+":"+filepath.Dir(image)+"/mnt:"+do)
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := child.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || bytes.Contains(out, []byte("operation not permitted")) || bytes.Contains(out, []byte("failed to setup loop device")) {
		t.Skipf("no disk can be mounted here: %v %s", err, out)
	}
	require.NoError(t, err, string(out))
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// TestADiskShutDownUnderLoad takes a real file system away while the terminal sells on it. What was said to be done is there when it comes back; a journal that
// does not sync loses some of it, or the test could not fail.
func TestADiskShutDownUnderLoad(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a disk cannot be mounted: run as root to shut one down under load")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is missing: install e2fsprogs to shut a disk down under load")
	}
	// lost tells how many taps that were said to be done are not there.
	lost := func(do string) int {
		dir := t.TempDir()
		image := filepath.Join(dir, "disk.img")
		require.NoError(t, os.Mkdir(filepath.Join(dir, "mnt"), 0o700))
		require.NoError(t, os.WriteFile(image, nil, 0o600))
		require.NoError(t, os.Truncate(image, 32<<20))
		out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", image).CombinedOutput()
		require.NoError(t, err, string(out))
		done := map[string]bool{}
		stopped := false
		for _, l := range onDisk(t, image, do) {
			if tap, found := strings.CutPrefix(l, "done "); found {
				done[tap] = true
			}
			stopped = stopped || l == "stops"
		}
		require.True(t, stopped, "the disk was taken away")
		require.GreaterOrEqual(t, len(done), 130)
		seen := onDisk(t, image, "look")
		if do == "sell" {
			require.Contains(t, seen, "verify <nil>")
		}
		for _, l := range seen {
			if tap, found := strings.CutPrefix(l, "has "); found {
				delete(done, tap)
			}
		}
		return len(done)
	}
	require.Zero(t, lost("sell"))
	require.NotZero(t, lost("sell-nosync"), "the control must lose something")
}
