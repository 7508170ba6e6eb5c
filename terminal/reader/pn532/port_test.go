//go:build linux

package pn532

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	emulator "github.com/purselane/purselane/simulator/pn532"
)

func TestWhatAPortIsRefusedFor(t *testing.T) {
	c, err := emulator.New(emulator.Options{})
	require.NoError(t, err)
	defer c.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	_, err = openPort(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, ErrNoPort)
	require.ErrorContains(t, err, "plug the reader in")
	_, err = openPort(file)
	require.ErrorIs(t, err, ErrNotSerial)
	require.ErrorContains(t, err, "name a serial port")

	p, err := openPort(c.Path())
	require.NoError(t, err)
	_, err = openPort(c.Path())
	require.ErrorIs(t, err, ErrPortBusy, "for root too")
	require.ErrorContains(t, err, "fuser -v "+c.Path())
	require.NoError(t, p.Close())
	p, err = openPort(c.Path())
	require.NoError(t, err)
	require.NoError(t, p.Close())

	require.NoError(t, os.Chmod(c.Path(), 0))
	asNobody(t, func() { _, err = openPort(c.Path()) })
	require.ErrorIs(t, err, ErrPermission)
	require.ErrorContains(t, err, "dialout")
}

// asNobody runs f without the rights of root, on a thread of its own.
func asNobody(t *testing.T, f func()) {
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan syscall.Errno, 1)
	go func() {
		// The thread ends with the goroutine, since it is not unlocked: nobody else gets its lost rights.
		runtime.LockOSThread()
		const keep, nobody = ^uintptr(0), 65534
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, nobody, keep)
		if errno == 0 {
			f()
		}
		done <- errno
	}()
	require.Zero(t, <-done)
}

func TestOptionsThatNoReaderHas(t *testing.T) {
	_, err := Open(Options{})
	require.ErrorContains(t, err, "no port")
	_, err = Open(Options{Port: "/dev/ttyUSB0", Baud: 1_000_000})
	require.ErrorContains(t, err, "921600", "it says what there is")
	require.NoError(t, CheckBaud(0))
	require.NoError(t, CheckBaud(460800))
}

func TestAnAdapterIsAskedToHurry(t *testing.T) {
	cases := []struct {
		name    string
		setting string // empty: there is none
		mode    fs.FileMode
		want    int
		left    string
		fails   bool
	}{
		{"none", "", 0, 0, "", false},
		{"slow", "16\n", 0o600, 1, "1", false},
		{"quick", "1\n", 0o400, 1, "1\n", false},
		{"not ours to set", "16\n", 0o444, 16, "16\n", true},
		{"nonsense", "often\n", 0o600, 0, "often\n", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // for nobody
			device, link := filepath.Join(dir, "ttyUSB7"), filepath.Join(dir, "by-id")
			require.NoError(t, os.WriteFile(device, nil, 0o600))
			require.NoError(t, os.Symlink(device, link))
			setting := filepath.Join(dir, "class", "ttyUSB7", "device", "latency_timer")
			require.NoError(t, os.MkdirAll(filepath.Dir(setting), 0o755))
			if c.setting != "" {
				require.NoError(t, os.WriteFile(setting, []byte(c.setting), 0o600))
				require.NoError(t, os.Chmod(setting, c.mode))
			}
			var held int
			var err error
			look := func() { held, err = lowLatency(filepath.Join(dir, "class"), link) }
			if c.mode == 0o444 {
				asNobody(t, look)
			} else {
				look()
			}
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Equal(t, c.want, held)
			if c.setting != "" {
				left, err := os.ReadFile(setting)
				require.NoError(t, err)
				require.Equal(t, c.left, string(left))
			}
		})
	}
	_, err := lowLatency(ttyClass, filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
