//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	emulator "github.com/purselane/purselane/simulator/pn532"
)

// TestATerminalWithAPN532 checks and runs a terminal whose bus lane has a PN532, with its plug pulled and put back.
func TestATerminalWithAPN532(t *testing.T) {
	h := newHome(t)
	link := filepath.Join(h.dir, "pn532")
	chip, err := emulator.New(emulator.Options{Link: link})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, chip.Close()) })
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	socket := fmt.Sprintf("kind: socket, listen: %q", h.bus)
	require.Contains(t, string(raw), socket)
	require.NoError(t, os.WriteFile(h.config, []byte(strings.Replace(string(raw), socket, "kind: pn532, port: pn532", 1)), 0o600))

	out, err := terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "lane 0: bus-flat at pn532 reader pn532")
	require.Empty(t, chip.Heard(), "no device is opened")
	out, err = terminal("check", "--config", h.config, "--readers")
	require.NoError(t, err)
	require.Contains(t, out, "lane 0: PN532 firmware 1.6 at 921600 baud")

	chip.Unplug()
	out, err = terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "the terminal waits for it")
	_, err = terminal("check", "--config", h.config, "--readers")
	require.ErrorContains(t, err, "lanes[0]: no such serial port: "+link)

	s := h.start(t)
	l := s.next()
	require.Equal(t, "out-of-service", l.Outcome)
	require.Contains(t, l.Reason, "plug the reader in")
	require.NoError(t, chip.Plug())
	card := testCard(t, 1)
	chip.Put(card, emulator.Target{})
	for l = s.next(); l.Outcome == "ready"; { // if the reader was back before the card
		l = s.next()
	}
	require.Equal(t, "granted", l.Outcome, l.Reason)
	require.NoError(t, s.stop())
	require.Equal(t, money.Minor(48_00), card.Balance())
	require.Eventually(t, func() bool { return chip.Baud() == 115200 }, 20*time.Second, time.Millisecond, "as the next program expects it")
}
