package service_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/service"
)

// environment is a fake one.
type environment map[string]string

func (e environment) get(k string) string  { return e[k] }
func (e environment) unset(k string) error { delete(e, k); return nil }
func (e environment) manager(t *testing.T) service.Manager {
	m, err := service.FromEnvironment(e.get, e.unset)
	require.NoError(t, err)
	return m
}

// listen is systemd's end of the socket.
func listen(t *testing.T) (path string, next func() string) {
	path = filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return path, func() string {
		buf := make([]byte, 4096)
		require.NoError(t, l.SetReadDeadline(time.Now().Add(20*time.Second)))
		n, err := l.Read(buf)
		require.NoError(t, err)
		return string(buf[:n])
	}
}

func TestWithoutAManager(t *testing.T) {
	m := environment{}.manager(t)
	require.NoError(t, m.Notify("READY=1"))
	require.Zero(t, m.Watchdog())
	m.Feed(t.Context(), func() error { t.Fatal("nobody asked"); return nil }, slog.New(slog.DiscardHandler))
}

func TestNotify(t *testing.T) {
	path, next := listen(t)
	e := environment{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}
	m := e.manager(t)
	require.Empty(t, e, "nothing is left for programs that are started later")
	require.Equal(t, 30*time.Second, m.Watchdog())
	require.NoError(t, m.Notify("READY=1", "STATUS=selling"))
	require.Equal(t, "READY=1\nSTATUS=selling", next())

	require.Zero(t, environment{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}.manager(t).Watchdog(), "it is another process's")
	_, err := service.FromEnvironment(environment{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "soon"}.get, environment{}.unset)
	require.ErrorContains(t, err, "WATCHDOG_USEC")
	require.Error(t, environment{"NOTIFY_SOCKET": path + "-gone"}.manager(t).Notify("READY=1"))
}

func TestWatchdogIsFedOnProgressAlone(t *testing.T) {
	path, next := listen(t)
	m := environment{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000"}.manager(t)
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan error, 1)
	stuck <- nil
	var now error
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Feed(ctx, func() error {
			select {
			case now = <-stuck:
			default:
			}
			return now
		}, slog.New(slog.DiscardHandler))
	}()
	require.Equal(t, "WATCHDOG=1", next())
	stuck <- errors.New("lane 0: its reader hangs")
	for got := next(); got != "STATUS=no progress: lane 0: its reader hangs"; got = next() {
		require.Equal(t, "WATCHDOG=1", got)
	}
	require.NotEqual(t, "WATCHDOG=1", next(), "fed while it hangs")
	stuck <- nil
	for got := next(); got != "WATCHDOG=1"; got = next() {
		require.Contains(t, got, "no progress")
	}
	cancel()
	<-done
}
