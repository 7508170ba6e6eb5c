package link

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
)

// tickEvery is how often the table is asked what is due.
const tickEvery = 50 * time.Millisecond

// keySize is the least a key may have, in bytes.
const keySize = 32

// Config of a link. Everything without a default is required.
type Config struct {
	Terminal ids.TerminalID
	Key      []byte         // shared by the linked terminals
	Conn     net.PacketConn // the link owns it
	Peers    []net.Addr     // the others' addresses
	Window   time.Duration  // how long a tap counts: the profile's window of one trip
	Clock    clock.Clock    // default: the machine's
	Log      *slog.Logger   // default: none
}

// Link keeps a table and carries its datagrams. It is safe for concurrent use.
type Link struct {
	cfg Config

	mu    sync.Mutex
	table *Table
}

// New makes a link; Run starts it.
func New(cfg Config) (*Link, error) {
	if err := ids.Check(string(cfg.Terminal)); err != nil {
		return nil, fmt.Errorf("link: terminal id %q: %w", cfg.Terminal, err)
	}
	if len(cfg.Key) < keySize {
		return nil, fmt.Errorf("link: key of %d bytes: want at least %d", len(cfg.Key), keySize)
	}
	if len(cfg.Peers) == 0 {
		return nil, errors.New("link: no peers: name at least one, or leave the link out")
	}
	if cfg.Window <= 0 {
		return nil, errors.New("link: the profile's same_trip is 0: there is nothing to tell the others")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	boot := make([]byte, 8)
	if _, err := rand.Read(boot); err != nil {
		return nil, fmt.Errorf("link: draw the boot number: %w", err)
	}
	return &Link{cfg: cfg, table: NewTable(cfg.Key, cfg.Terminal, binary.BigEndian.Uint64(boot), cfg.Window)}, nil
}

// Note tells the others of a tap of this terminal's own. It does not wait for them.
func (l *Link) Note(card ids.CardNumber, line, station [2]byte, granted bool) {
	l.mu.Lock()
	out := l.table.Note(card, line, station, granted, l.cfg.Clock.Now())
	l.mu.Unlock()
	l.send(out)
}

// Recent is the newest granted tap of a card at another terminal, on that line and within the window.
func (l *Link) Recent(card ids.CardNumber, line [2]byte) (Seen, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.Recent(card, line, l.cfg.Clock.Now())
}

// Peers lists the others that have ever spoken.
func (l *Link) Peers() []Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.Peers(l.cfg.Clock.Now())
}

// Run carries datagrams until ctx ends, and closes the connection then.
func (l *Link) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = l.cfg.Conn.Close() })
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { l.hear(ctx) })
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	up := map[ids.TerminalID]bool{}
	for {
		l.mu.Lock()
		out := l.table.Tick(l.cfg.Clock.Now())
		l.mu.Unlock()
		l.send(out)
		l.tell(up)
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-tick.C:
		}
	}
}

// tell logs peers that come and go.
func (l *Link) tell(up map[ids.TerminalID]bool) {
	for _, p := range l.Peers() {
		if up[p.Terminal] != p.Up {
			up[p.Terminal] = p.Up
			l.cfg.Log.Info("linked terminal", "terminal", p.Terminal, "up", p.Up)
		}
	}
}

func (l *Link) hear(ctx context.Context) {
	buf := make([]byte, maxSize+1)
	var quiet time.Time // what cannot be used is logged once a minute: anybody on the LAN can send
	for {
		n, _, err := l.cfg.Conn.ReadFrom(buf)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as "connection refused" of a datagram that we sent
			continue
		}
		now := l.cfg.Clock.Now()
		l.mu.Lock()
		out, err := l.table.Take(buf[:n], now)
		l.mu.Unlock()
		if err != nil && now.Sub(quiet).Abs() > time.Minute {
			quiet = now
			l.cfg.Log.Warn("linked terminals: a datagram is not used", "err", err)
		}
		l.send(out)
	}
}

// send sends to every peer. What is lost is sent again.
func (l *Link) send(out []Out) {
	for _, o := range out {
		for _, p := range l.cfg.Peers {
			_, _ = l.cfg.Conn.WriteTo(o, p)
		}
	}
}
