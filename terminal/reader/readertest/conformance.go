// Package readertest is the conformance test of reader.Reader: what every reader must do with a card that answers, stays
// mute, leaves and comes back.
//
// Start with [Run], from the test of an implementation.
package readertest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

// patience bounds every wait of the test: longer means that the reader hangs.
const patience = 30 * time.Second

// Stand is a reader under test and the hand that puts cards into it.
type Stand interface {
	Reader() reader.Reader
	// Insert puts the chip into the reader's field; Withdraw takes it out. Withdraw returns when another chip may come.
	Insert(*Chip)
	Withdraw()
}

// Chip is a card that echoes. Commands starting with FF, which no card knows, make it misbehave.
type Chip struct {
	name byte

	mu      sync.Mutex
	session int // commands since the last power-on or reset
}

// Commands of a Chip besides the echo.
var (
	cmdCount = []byte{0xFF, 0x01, 0x00, 0x00} // answers the number of commands in this session
	cmdBreak = []byte{0xFF, 0x02, 0x00, 0x00} // leaves the field while it works
	cmdByte  = []byte{0xFF, 0x03, 0x00, 0x00} // answers one byte
	cmdHang  = []byte{0xFF, 0x04, 0x00, 0x00} // never answers
)

// Power implements the simulated card's power.
func (c *Chip) Power(bool) { c.Reset() }

// Reset forgets the session.
func (c *Chip) Reset() { c.mu.Lock(); defer c.mu.Unlock(); c.session = 0 }

// Transmit implements apdu.Transmitter: the echo of the command with the chip's name before it.
func (c *Chip) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	c.session++
	n := c.session
	c.mu.Unlock()
	switch {
	case bytes.Equal(command, cmdCount):
		return []byte{byte(n), 0x90, 0x00}, nil
	case bytes.Equal(command, cmdBreak):
		return nil, errors.New("left the field")
	case bytes.Equal(command, cmdByte):
		return []byte{0x90}, nil
	case bytes.Equal(command, cmdHang):
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return append(append([]byte{c.name}, command...), 0x90, 0x00), nil
}

// Run runs the conformance test on the reader of stand. The reader is closed at the end.
func Run(t *testing.T, stand Stand) {
	s := &test{ctx: t.Context(), Stand: stand}
	// One after the other on one reader: a terminal's reader lives for years.
	t.Run("nothing in the field", s.empty)
	t.Run("a card answers", s.answers)
	t.Run("a card that was there before is found", s.level)
	t.Run("a reset ends the card's session", s.reset)
	t.Run("an open card is not opened again", s.busy)
	t.Run("a card leaves between commands", s.leaves)
	t.Run("a card leaves during a command", func(t *testing.T) { s.mute(t, cmdBreak) })
	t.Run("a card answers one byte", func(t *testing.T) { s.mute(t, cmdByte) })
	t.Run("a card hangs", func(t *testing.T) { s.mute(t, cmdHang) })
	t.Run("commands that cannot be sent", s.notSent)
	t.Run("closed", s.closed)
}

// CloseWithOpenCard wants the reader's Close to end an open session: a card that stayed open would keep the next program
// out of the reader.
func CloseWithOpenCard(t *testing.T, stand Stand) {
	s := &test{ctx: t.Context(), Stand: stand}
	s.insert(t)
	c := s.wait(t)
	require.NoError(t, s.Reader().Close())
	_, err := c.Transmit(s.ctx, cmdCount)
	require.ErrorIs(t, err, apdu.ErrNotSent)
	s.removed(t, c)
	require.NoError(t, c.Close(reader.Leave))
	s.withdraw()
}

type test struct {
	ctx context.Context
	Stand
	chips byte
	in    bool // a chip is in the field
}

// insert puts a new chip into the field. It is out again at the end of the subtest, however that ends: each finds the
// reader as the first one did.
func (s *test) insert(t *testing.T) *Chip {
	s.chips++
	chip := &Chip{name: s.chips}
	s.Insert(chip)
	s.in = true
	t.Cleanup(s.withdraw)
	return chip
}

func (s *test) withdraw() {
	if s.in {
		s.in = false
		s.Withdraw()
	}
}

// wait opens the card in the field, and closes it at the end of the subtest if that has not.
func (s *test) wait(t *testing.T) reader.Card {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	c, err := s.Reader().Wait(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(reader.Leave) })
	return c
}

func (s *test) removed(t *testing.T, c reader.Card) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	require.NoError(t, c.Removed(ctx))
}

// echo wants the chip's answer to one command.
func (s *test) echo(t *testing.T, c reader.Card, chip *Chip, command []byte) {
	response, err := c.Transmit(s.ctx, command)
	require.NoError(t, err)
	require.Equal(t, append(append([]byte{chip.name}, command...), 0x90, 0x00), response)
}

func (s *test) count(t *testing.T, c reader.Card) int {
	response, err := c.Transmit(s.ctx, cmdCount)
	require.NoError(t, err)
	require.Len(t, response, 3)
	return int(response[0])
}

func (s *test) empty(t *testing.T) {
	require.NotEmpty(t, s.Reader().Name())
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.Reader().Wait(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func (s *test) answers(t *testing.T) {
	before := time.Now()
	chip := s.insert(t)
	c := s.wait(t)
	seer, tells := c.(reader.Seer)
	require.True(t, tells, "a tap's time begins when its reader sees the card")
	seen := seer.Seen()
	require.False(t, seen.Before(before), "not before it came")
	require.False(t, seen.After(time.Now()))
	s.echo(t, c, chip, []byte{0x00, 0xB0, 0x95, 0x00, 0x1E})
	s.echo(t, c, chip, append([]byte{0x80, 0xDC, 0x01, 0xD0, 0xF5}, bytes.Repeat([]byte{0x5A}, 0xF5)...))
	for range 20 {
		s.echo(t, c, chip, []byte{0x80, 0x5C, 0x00, 0x02, 0x04})
	}
	require.NoError(t, c.Close(reader.Leave))
	require.NoError(t, c.Close(reader.Reset), "closing twice is harmless")
	_, err := c.Transmit(s.ctx, cmdCount)
	require.ErrorIs(t, err, apdu.ErrNotSent)

	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	require.ErrorIs(t, c.Removed(ctx), context.Canceled, "the card is still there")
	s.withdraw()
	s.removed(t, c)
}

func (s *test) level(t *testing.T) {
	chip := s.insert(t)
	first := s.wait(t)
	s.echo(t, first, chip, []byte{0, 1, 2, 3})
	require.NoError(t, first.Close(reader.Leave))
	second := s.wait(t)
	require.Equal(t, first.(reader.Seer).Seen(), second.(reader.Seer).Seen(), "it has not come again")
	s.echo(t, second, chip, []byte{0, 1, 2, 3})
	require.NoError(t, second.Close(reader.Leave))
	s.withdraw()
	s.removed(t, first)
	s.removed(t, second)
}

func (s *test) reset(t *testing.T) {
	for _, d := range []reader.Disposition{reader.Reset, reader.Unpower} {
		s.insert(t)
		c := s.wait(t)
		require.Equal(t, 1, s.count(t, c))
		require.Equal(t, 2, s.count(t, c))
		require.NoError(t, c.Close(d))
		c = s.wait(t)
		require.Equal(t, 1, s.count(t, c))
		require.NoError(t, c.Close(reader.Leave))
		s.withdraw()
		s.removed(t, c)
	}
}

func (s *test) busy(t *testing.T) {
	s.insert(t)
	c := s.wait(t)
	_, err := s.Reader().Wait(s.ctx)
	require.ErrorIs(t, err, reader.ErrBusy)
	require.NoError(t, c.Close(reader.Leave))
	s.withdraw()
	s.removed(t, c)
}

func (s *test) leaves(t *testing.T) {
	s.insert(t)
	c := s.wait(t)
	require.Equal(t, 1, s.count(t, c))
	s.withdraw()
	s.removed(t, c)
	_, err := c.Transmit(s.ctx, cmdCount)
	require.True(t, errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer), "%v", err)
	require.NoError(t, c.Close(reader.Reset))

	chip := s.insert(t)
	c = s.wait(t)
	s.echo(t, c, chip, []byte{0, 1, 2, 3})
	require.NoError(t, c.Close(reader.Leave))
	s.withdraw()
	s.removed(t, c)
}

// mute sends a command that gets no answer: the outcome is unknown, the session is over, and the next card is as good as
// any.
func (s *test) mute(t *testing.T, command []byte) {
	s.insert(t)
	c := s.wait(t)
	require.Equal(t, 1, s.count(t, c))
	ctx, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
	if !bytes.Equal(command, cmdHang) {
		ctx = s.ctx
	}
	_, err := c.Transmit(ctx, command)
	cancel()
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
	_, err = c.Transmit(s.ctx, cmdCount)
	require.ErrorIs(t, err, apdu.ErrNotSent)
	s.withdraw()
	s.removed(t, c)
	require.NoError(t, c.Close(reader.Reset))

	// The next card comes at once: what is left of the session before must not reach it.
	chip := s.insert(t)
	c = s.wait(t)
	require.Equal(t, 1, s.count(t, c))
	s.echo(t, c, chip, []byte{0, 1, 2, 3})
	require.NoError(t, c.Close(reader.Leave))
	s.withdraw()
	s.removed(t, c)
}

func (s *test) notSent(t *testing.T) {
	chip := s.insert(t)
	c := s.wait(t)
	for _, command := range [][]byte{nil, {}} {
		_, err := c.Transmit(s.ctx, command)
		require.ErrorIs(t, err, apdu.ErrNotSent)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := c.Transmit(ctx, cmdCount)
	require.ErrorIs(t, err, apdu.ErrNotSent)
	s.echo(t, c, chip, []byte{0, 1, 2, 3})
	require.NoError(t, c.Close(reader.Leave))
	s.withdraw()
	s.removed(t, c)
}

func (s *test) closed(t *testing.T) {
	started, done := make(chan struct{}), make(chan error, 1)
	go func() {
		close(started)
		_, err := s.Reader().Wait(s.ctx)
		done <- err
	}()
	<-started
	require.NoError(t, s.Reader().Close())
	require.ErrorIs(t, <-done, reader.ErrClosed)
	_, err := s.Reader().Wait(s.ctx)
	require.ErrorIs(t, err, reader.ErrClosed)
	require.NoError(t, s.Reader().Close(), "closing twice is harmless")
}
