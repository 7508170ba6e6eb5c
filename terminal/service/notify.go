package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is the service manager that started the program. The zero value is none.
type Manager struct {
	socket   string
	watchdog time.Duration
}

// FromEnvironment reads what systemd says of itself (sd_notify(3), sd_watchdog_enabled(3)) and takes it out of the environment, so that no
// program that is started later speaks for this one. get and unset are os.Getenv and os.Unsetenv.
func FromEnvironment(get func(string) string, unset func(string) error) (Manager, error) {
	m := Manager{socket: get("NOTIFY_SOCKET")}
	text, pid := get("WATCHDOG_USEC"), get("WATCHDOG_PID")
	if err := errors.Join(unset("NOTIFY_SOCKET"), unset("WATCHDOG_USEC"), unset("WATCHDOG_PID")); err != nil {
		return Manager{}, err
	}
	if m.socket == "" {
		return Manager{}, nil
	}
	if text != "" && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		us, err := strconv.ParseInt(text, 10, 64)
		if err != nil || us <= 0 {
			return Manager{}, fmt.Errorf("WATCHDOG_USEC: %q: want microseconds above 0", text)
		}
		m.watchdog = time.Duration(us) * time.Microsecond
	}
	return m, nil
}

// Watchdog is the time within which the manager wants to hear; 0: it does not.
func (m Manager) Watchdog() time.Duration { return m.watchdog }

// Notify sends a state such as "READY=1".
func (m Manager) Notify(state ...string) error {
	if m.socket == "" {
		return nil
	}
	name := m.socket
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:] // an abstract socket
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	_, err = c.Write([]byte(strings.Join(state, "\n")))
	return errors.Join(err, c.Close())
}

// Feed feeds the watchdog until ctx ends, while alive says that the terminal makes progress. When alive gives an error the manager is told why and fed no
// more until it is nil again: it will restart the program, which is what helps against a reader or a disk that hangs.
func (m Manager) Feed(ctx context.Context, alive func() error, log *slog.Logger) {
	if m.watchdog == 0 {
		return
	}
	tick := time.NewTicker(m.watchdog / 3)
	defer tick.Stop()
	hungry := false
	for {
		err := alive()
		if err != nil && !hungry {
			log.Error("no progress: the service manager is not fed any more and will restart this program", "err", err)
		}
		hungry = err != nil
		state := []string{"WATCHDOG=1"}
		if err != nil {
			state = []string{"STATUS=no progress: " + err.Error()}
		}
		if err := m.Notify(state...); err != nil {
			log.Error("watchdog", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
