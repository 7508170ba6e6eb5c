package vpcd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

// chip is a card that writes down what happens to it and answers by a function.
type chip struct {
	mu     sync.Mutex
	events []string
	answer func(command []byte) ([]byte, error)
}

func (c *chip) note(e string) { c.mu.Lock(); c.events = append(c.events, e); c.mu.Unlock() }

func (c *chip) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.events...)
}

func (c *chip) Power(on bool) {
	if on {
		c.note("on")
	} else {
		c.note("off")
	}
}
func (c *chip) Reset() { c.note("reset") }
func (c *chip) Transmit(_ context.Context, command []byte) ([]byte, error) {
	return c.answer(command)
}

func echo(command []byte) ([]byte, error) { return append(bytes.Clone(command), 0x90, 0x00), nil }

// driver stands at the other end of a slot.
func serve(t *testing.T, card *chip) (driver net.Conn, done <-chan error) {
	card1, driver := net.Pipe()
	result := make(chan error, 1)
	atr, err := ATR(nil)
	require.NoError(t, err)
	go func() { result <- Serve(context.Background(), card1, card, atr) }()
	t.Cleanup(func() { driver.Close() })
	return driver, result
}

func TestADriverSession(t *testing.T) {
	card := &chip{answer: echo}
	driver, done := serve(t, card)
	ask := func(message []byte, answer []byte) {
		require.NoError(t, vpcdproto.Write(driver, message))
		if answer == nil {
			return
		}
		got, err := vpcdproto.Read(driver)
		require.NoError(t, err)
		require.Equal(t, answer, got)
	}
	atr := []byte{0x3B, 0x80, 0x80, 0x01, 0x01}
	ask([]byte{vpcdproto.ATR}, atr) // from any state
	ask([]byte{vpcdproto.On}, nil)
	ask([]byte{vpcdproto.ATR}, atr)
	ask([]byte{0x80, 0x5C}, []byte{0x80, 0x5C, 0x90, 0x00})
	ask([]byte{vpcdproto.Reset}, nil)
	ask([]byte{0x03}, nil) // never sent by a driver; must not hang one
	ask([]byte{vpcdproto.ATR}, atr)
	long := bytes.Repeat([]byte{0xA5}, 65000)
	ask(long, append(bytes.Clone(long), 0x90, 0x00))
	ask([]byte{vpcdproto.Off}, nil)
	require.NoError(t, driver.Close())
	require.Error(t, <-done)
	require.Equal(t, []string{"on", "reset", "off", "off"}, card.seen())
}

func TestACardWithoutAnswerLeavesAndNeverSendsAnEmptyMessage(t *testing.T) {
	for name, answer := range map[string]func([]byte) ([]byte, error){
		"an error":       func([]byte) ([]byte, error) { return nil, errors.New("torn") },
		"no bytes":       func([]byte) ([]byte, error) { return nil, nil },
		"a single byte":  func([]byte) ([]byte, error) { return []byte{0x90}, nil },
		"a giant answer": func([]byte) ([]byte, error) { return make([]byte, 70000), nil },
	} {
		t.Run(name, func(t *testing.T) {
			card := &chip{answer: answer}
			driver, done := serve(t, card)
			require.NoError(t, vpcdproto.Write(driver, []byte{0x00, 0xB0}))
			rest, err := io.ReadAll(driver)
			require.NoError(t, err)
			require.Empty(t, rest)
			err = <-done
			if name != "a giant answer" {
				require.ErrorIs(t, err, ErrWithdrawn)
			}
			require.Equal(t, []string{"off"}, card.seen())
		})
	}
}

func TestRunComesBackWhenTheDriverDoes(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := first.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	card := &chip{answer: echo}
	go func() { done <- Slot{Addr: addr}.Run(ctx, card) }()

	meet := func(l net.Listener) {
		conn, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, vpcdproto.Write(conn, []byte{vpcdproto.ATR}))
		_, err = vpcdproto.Read(conn)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.NoError(t, l.Close())
	}
	meet(first)
	second, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	meet(second)
	cancel()
	require.NoError(t, <-done)
}

func TestRunEndsWhenTheCardLeaves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	done := make(chan error, 1)
	card := &chip{answer: func([]byte) ([]byte, error) { return nil, errors.New("torn") }}
	go func() { done <- Slot{Addr: l.Addr().String()}.Run(t.Context(), card) }()
	conn, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, vpcdproto.Write(conn, []byte{0x00, 0xB0}))
	require.ErrorIs(t, <-done, ErrWithdrawn)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the driver sees the card leave")
}

func TestATR(t *testing.T) {
	atr, err := ATR([]byte("ABC"))
	require.NoError(t, err)
	require.Equal(t, []byte{0x3B, 0x83, 0x80, 0x01, 'A', 'B', 'C', 0x83 ^ 0x80 ^ 0x01 ^ 'A' ^ 'B' ^ 'C'}, atr)
	_, err = ATR(make([]byte, 16))
	require.Error(t, err)
	require.Error(t, Slot{ATR: make([]byte, 34)}.Run(t.Context(), &chip{}))
}
