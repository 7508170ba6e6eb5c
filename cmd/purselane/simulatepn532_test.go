//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
)

// buffer is written and read by two goroutines.
type buffer struct {
	mu  sync.Mutex
	raw bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.raw.Write(p)
}
func (b *buffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.raw.String() }

// TestASimulatedCardAtAPN532 is what an engineer without hardware does: take the card out and put it back, pull the plug.
func TestASimulatedCardAtAPN532(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "pn532")
	flags := SimulateCardCmd{File: filepath.Join(dir, "card.json"), New: true, Number: "00010203040506070809", Issuer: "01011000FFFFFFFF", Family: "tunion", Kind: 1}
	flags.TestKeys = true
	card, err := flags.open()
	require.NoError(t, err)
	defer card.Close()
	in, hand := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &buffer{}, make(chan error, 1)
	go func() { done <- servePN532(ctx, card, link, in, out) }()

	r, err := pn532.Open(pn532.Options{Port: link})
	require.NoError(t, err)
	defer r.Close()
	meet := func() reader.Card {
		c, err := r.Wait(t.Context())
		for err != nil { // the port is there in a moment
			require.ErrorIs(t, err, reader.ErrReaderLost)
			c, err = r.Wait(t.Context())
		}
		_, _, err = ep.Select(t.Context(), c, ep.AIDTUnion)
		require.NoError(t, err)
		require.NoError(t, c.Close(reader.Leave))
		return c
	}
	say := func(line string) {
		_, err := io.WriteString(hand, line+"\n")
		require.NoError(t, err)
	}
	c := meet()
	say("")
	require.NoError(t, c.Removed(t.Context()))
	say("")
	meet()
	say("power")
	meet()
	say("unplug")
	require.NoError(t, c.Removed(t.Context()))
	say("plug")
	meet()
	say("what")
	require.NoError(t, hand.Close())
	meet()
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, out.String(), "****0809")
	require.Contains(t, out.String(), "Enter takes the card out")
	require.NotContains(t, out.String(), "00010203040506070809")

	require.ErrorContains(t, servePN532(t.Context(), card, flags.File, in, out), "not touched")
}
