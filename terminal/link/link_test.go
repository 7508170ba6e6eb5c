package link

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
)

func TestTwoTerminalsOnLoopback(t *testing.T) {
	at := clock.NewManual(noon)
	var conns []net.PacketConn
	for range 2 {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		conns = append(conns, c)
	}
	var links []*Link
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	for i, name := range []ids.TerminalID{"door-front", "door-rear"} {
		cfg := Config{Terminal: name, Key: testKey, Conn: conns[i], Peers: []net.Addr{conns[1-i].LocalAddr()}, Window: window, Clock: at}
		l, err := New(cfg)
		require.NoError(t, err)
		links = append(links, l)
		go func() { l.Run(ctx); done <- struct{}{} }()
	}
	links[0].Note(cardOf(1), line7, stop, true)
	require.Eventually(t, func() bool { at.Advance(10 * time.Millisecond); _, ok := links[1].Recent(cardOf(1), line7); return ok }, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { p := links[0].Peers(); return len(p) == 1 && p[0].Up && p[0].Untold == 0 }, 20*time.Second, 10*time.Millisecond)
	_, err := conns[0].WriteTo([]byte("noise"), conns[1].LocalAddr())
	require.NoError(t, err)
	cancel()
	<-done
	<-done
}

func TestBadConfigurations(t *testing.T) {
	good := func() Config {
		return Config{Terminal: "door", Key: testKey, Peers: []net.Addr{&net.UDPAddr{}}, Window: window}
	}
	for want, spoil := range map[string]func(*Config){
		"terminal id":  func(c *Config) { c.Terminal = "a b" },
		"at least 32":  func(c *Config) { c.Key = testKey[:31] },
		"no peers":     func(c *Config) { c.Peers = nil },
		"same_trip is": func(c *Config) { c.Window = 0 },
	} {
		c := good()
		spoil(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
	_, err := New(good())
	require.NoError(t, err)
}
