package socket_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/readertest"
	"github.com/purselane/purselane/terminal/reader/socket"
	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

// stand is a socket reader with the simulator's slot as the hand that brings cards.
type stand struct {
	t    *testing.T
	r    *socket.Reader
	out  context.CancelFunc
	done chan struct{}
}

func newStand(t *testing.T) *stand {
	r, err := socket.Listen("127.0.0.1:0", socket.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return &stand{t: t, r: r}
}

func (s *stand) Reader() reader.Reader { return s.r }

func (s *stand) Insert(chip *readertest.Chip) {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.out, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = vpcd.Slot{Addr: s.r.Addr().String()}.Run(ctx, chip)
	}()
}

func (s *stand) Withdraw() {
	s.out()
	<-s.done
}

func TestConformance(t *testing.T) { readertest.Run(t, newStand(t)) }

func TestCloseWithOpenCard(t *testing.T) { readertest.CloseWithOpenCard(t, newStand(t)) }

// dial connects as a card by hand and answers the power-up.
func dial(t *testing.T, r *socket.Reader) (net.Conn, reader.Card) {
	conn, err := net.Dial("tcp", r.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	go func() {
		for _, want := range []byte{vpcdproto.Off, vpcdproto.On, vpcdproto.ATR} {
			m, err := vpcdproto.Read(conn)
			if err != nil || len(m) != 1 || m[0] != want {
				conn.Close()
				return
			}
		}
		_ = vpcdproto.Write(conn, []byte{0x3B, 0x80, 0x80, 0x01, 0x01})
	}()
	c, err := r.Wait(t.Context())
	require.NoError(t, err)
	return conn, c
}

func TestACardThatSpeaksOutOfTurnIsDropped(t *testing.T) {
	cases := []struct {
		name string
		send []byte
	}{
		{"two answers", []byte{0, 2, 0x90, 0x00, 0, 2, 0x90, 0x00}},
		{"an empty message", []byte{0, 0}},
		{"a message cut short", []byte{0, 10, 0x90}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			conn, card := dial(t, s.r)
			_, err := conn.Write(c.send)
			require.NoError(t, err)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			require.NoError(t, card.Removed(t.Context()))
			_, err = card.Transmit(t.Context(), []byte{0, 0xB0, 0, 0})
			require.ErrorIs(t, err, apdu.ErrNotSent)
			_, err = io.Copy(io.Discard, conn)
			require.NoError(t, err, "the reader has closed the connection")
		})
	}
}

func TestWhatIsNoCardDoesNotHoldTheReader(t *testing.T) {
	s := newStand(t)
	for _, atr := range [][]byte{{0x3B}, make([]byte, 34)} {
		conn, err := net.Dial("tcp", s.r.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		go func() { _ = vpcdproto.Write(conn, atr) }()
	}
	conn, err := net.Dial("tcp", s.r.Addr().String()) // gone before it said anything
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	_, card := dial(t, s.r)
	require.NoError(t, card.Close(reader.Leave))
}

func TestASecondCardWaitsForTheFirstToLeave(t *testing.T) {
	s := newStand(t)
	first, card := dial(t, s.r)
	require.NoError(t, card.Close(reader.Leave))
	chip := &readertest.Chip{}
	s.Insert(chip)
	require.NoError(t, first.Close())
	require.NoError(t, card.Removed(t.Context()))
	second, err := s.r.Wait(t.Context())
	require.NoError(t, err)
	response, err := second.Transmit(t.Context(), []byte{0, 1, 2, 3})
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 1, 2, 3, 0x90, 0x00}, response)
	s.Withdraw()
}

func TestThePollFindsADeadCard(t *testing.T) {
	r, err := socket.Listen("127.0.0.1:0", socket.Options{Name: "gate", Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, "gate", r.Name())
	_, card := dial(t, r) // answers the power-up and nothing after it
	require.NoError(t, card.Removed(t.Context()))
}
