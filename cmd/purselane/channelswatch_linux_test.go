package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// pseudoTerminal returns a terminal's two ends: what the program writes to, and what a person sees.
func pseudoTerminal(t *testing.T, columns, lines uint16) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}))
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { program.Close() })
	return program, person
}

// seen collects what is written.
type seen struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func TestChannelsAreWatched(t *testing.T) {
	x := newPayTown(t)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(x.Dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	k := keeper.New(s, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }})
	for i := range 40 {
		k.Ended(k.Began(health.Cell{Channel: "wechat"}), i%20 == 0, true)
	}
	k.Step(t.Context())
	watch := func(ctx context.Context, out io.Writer, args ...string) error {
		parser, err := kong.New(&ChannelsWatchCmd{}, kong.Writers(out, out), kong.BindTo(ctx, (*context.Context)(nil)))
		require.NoError(t, err)
		cmd, err := parser.Parse(append(args, "--dir", x.Dir))
		require.NoError(t, err)
		return cmd.Run()
	}
	// live watches until f has seen enough.
	live := func(out io.Writer, now *seen, args []string, f func()) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- watch(ctx, out, args...) }()
		f()
		stop()
		require.NoError(t, <-ended)
	}
	eventually := func(s *seen, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(s.String(), text) }, 30*time.Second, 10*time.Millisecond, text)
	}

	program, person := pseudoTerminal(t, 80, 24)
	var screen, log seen
	go io.Copy(&screen, person) //nolint:errcheck // it ends with the terminal
	live(program, &screen, []string{"--every", "100ms"}, func() {
		eventually(&screen, "success 95.0 % (83.5 to 98.6) of 40")
		_, err := k.Switch(t.Context(), health.Cell{Channel: "wechat"}, health.SwitchedOff, 0, "ann", "tests")
		require.NoError(t, err)
		eventually(&screen, "LASTS")
	})
	eventually(&screen, "\x1b[?1049l") // what was there before comes back
	require.True(t, strings.HasPrefix(screen.String(), "\x1b[?1049h\x1b[?25l\x1b[H"))
	require.Contains(t, screen.String(), "unavailable")

	live(&log, &log, []string{"--every", "100ms"}, func() {
		eventually(&log, "wechat  unavailable, takes 0 %; success 95.0 %")
		_, err := k.Switch(t.Context(), health.Cell{Channel: "wechat"}, health.SwitchedOn, 1, "ann", "done")
		require.NoError(t, err)
		eventually(&log, "wechat  available, takes 100 %")
	})
	require.Equal(t, 3, strings.Count(log.String(), "\n"), "two channels at first, then the one that moved:\n%s", log.String())
	require.NotContains(t, log.String(), "\x1b")

	x.write(t, "plan.json", 0o644, `{"version": 2, "rules": [{"name": "all", "accounts": ["wechat"], "strategy": "best"}],
		"accounts": [{"name": "wechat", "channel": "wechat", "products": ["qr"], "currencies": ["CNY"], "feePPM": 6000, "feeFlat": 10, "perDay": 5000000}]}`)
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	rules, _, _ := strings.Cut(string(raw), "\n  rules:\n    - {product: qr") // in place of rules
	x.write(t, fileScheme, 0o644, rules+"\n  plan: plan.json\n")
	var score bytes.Buffer
	parser, err := kong.New(&ChannelsScoreCmd{}, kong.Writers(&score, &score), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	cmd, err := parser.Parse([]string{"--dir", x.Dir, "--window", "1h"})
	require.NoError(t, err)
	require.NoError(t, cmd.Run())
	require.Regexp(t, `^wechat\n  stability  takes (9\d\.\d\d|100\.00) % of its traffic over 1h0m0s\n  success    success 95\.0 % .* of 40\n  answers    in \d+ ms, mean\n  fee        0\.10 and 0\.60 %\n  priority   0\n  limits     a payment none, a day 50000\.00\n$`, score.String())

	var once bytes.Buffer
	require.NoError(t, watch(t.Context(), &once, "--once"))
	require.Contains(t, once.String(), "wechat")
	require.ErrorContains(t, watch(t.Context(), &once, "--every", "1ms"), "--every")
}

// TestTheWatchPicture: as text, without colours.
func TestTheWatchPicture(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	p := panel.Panel{At: at, Window: time.Minute, Channels: []panel.Channel{
		{Status: health.Status{Cell: health.Cell{Channel: "a", Bank: "\x1b[2J"}, State: health.Ramping, Share: 0.25}, Payments: 30, Failed: 10, Success: 2.0 / 3, Lo: 0.5, Hi: 0.8, Took: 45 * time.Millisecond,
			Points: []panel.Point{{Payments: 10, Share: 1}, {Payments: 10, Failed: 10}, {Payments: 10, Failed: 5, Share: 0.25}, {Share: 0.25}}},
	}, Incidents: []store.ChannelIncident{{Cell: health.Cell{Channel: "b"}, Incident: 7, Began: at.Add(-time.Hour), Ended: at.Add(-time.Minute)}}}
	require.Equal(t, `payment channels   2026-11-25 12:00:00, the last 1m0s

◐ a/?[2J           ramping      25 %  success 66.7 % (50.0 to 80.0) of 30
  success █▁▅   0.5/s 45 ms
  share   █▁▃▃

faults that are not closed
  b  incident 7, from 2026-11-25 11:00:00: took 59m0s, wants a cause
`, watchPicture(p, false))
	frame := frameOf(watchPicture(p, true), 20, 6)
	require.Equal(t, 5, strings.Count(frame, "\r\n"), "no line is scrolled away")
	require.Contains(t, frame, "… 4 lines more")
	for line := range strings.SplitSeq(strings.TrimSuffix(frame, "\x1b[J"), "\r\n") {
		plain := strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[0m", "", "\x1b[1m", "", "\x1b[31m", "", "\x1b[33m", "", "\x1b[36m", "").Replace(line)
		require.LessOrEqual(t, len([]rune(plain)), 20, "%q", line)
		require.NotContains(t, plain, "\x1b")
	}
}
