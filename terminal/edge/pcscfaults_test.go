//go:build pcsc && vpcd

package edge_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc/pcsctest"
	"github.com/purselane/purselane/terminal/reader/vpcdproto"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// met is a card at whose first command of an instruction something happens.
type met struct {
	vpcd.Card
	ins    byte
	before func() // the card has not seen the command
	after  func() // it has carried it out

	mu   sync.Mutex
	done bool
}

func (m *met) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	m.mu.Lock()
	now := command[1] == m.ins && !m.done
	m.done = m.done || now
	m.mu.Unlock()
	if now && m.before != nil {
		m.before()
	}
	response, err := m.Card.Transmit(ctx, command)
	if now && m.after != nil {
		m.after()
	}
	return response, err
}

// TestPCSCDaemonEndsInATap ends pcscd while two cards are at their DEBIT, one of which has carried it out, and a third lane waits. Nobody helps it up
// but who starts pcscd again; the cards stay where they are.
func TestPCSCDaemonEndsInATap(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			one, other := newPCSCPair(t)
			third, _ := newPCSCPair(t)
			pool, err := keys.NewPool(&slotted{SAM: psamOf(t, ep.TerminalNumber{1: 1})}, &slotted{SAM: psamOf(t, ep.TerminalNumber{1: 2})})
			require.NoError(t, err)
			w := newWorld(t, func(cfg *edge.Config) {
				cfg.SAM, cfg.Pool = nil, pool
				l := lanes()[bus]
				cfg.Lanes = []edge.Lane{l, l, l}
				for i, h := range []*pcscHand{one, other, third} {
					cfg.Lanes[i].Reader = h.r
				}
			})
			stop := w.run()
			seen, fresh := newCard(t, 1, 20_00, nil), newCard(t, 2, 20_00, nil)
			var there sync.WaitGroup // both are at their DEBIT
			there.Add(2)
			ended := make(chan struct{})
			meet := func() { there.Done(); <-ended }
			one.put(&met{Card: seen, ins: 0x54, after: meet})
			other.put(&met{Card: fresh, ins: 0x54, before: meet})
			there.Wait()
			pcsctest.Restart(t, signal)
			// What each lane shows until its card is through, and until the reader is back where nobody is.
			shown := [3][]tap.Outcome{}
			ready := false
			for through := 0; through < 2 || !ready; {
				e := w.soon()
				switch {
				case e.Ready:
					ready = ready || e.Lane == 2
				case errors.Is(e.Err, reader.ErrReaderLost):
					require.Equal(t, tap.OutOfService, e.Result.Outcome)
				default:
					if shown[e.Lane] = append(shown[e.Lane], e.Result.Outcome); e.Result.Outcome.Pass() {
						through++
					}
				}
				if len(shown[0]) > 0 && len(shown[1]) > 0 {
					select {
					case <-ended:
					default: // only now do the cards answer, to nobody
						close(ended)
					}
				}
			}
			require.Equal(t, tap.PresentAgain, shown[0][0])
			require.Equal(t, tap.RecoveredGranted, shown[0][len(shown[0])-1])
			require.Equal(t, tap.PresentAgain, shown[1][0])
			require.True(t, shown[1][len(shown[1])-1].Pass(), "%v", shown[1])
			require.NoError(t, w.Alive())
			late := newCard(t, 3, 20_00, nil)
			third.put(late)
			require.Equal(t, tap.Granted, w.at(2).Result.Outcome)
			for _, h := range []*pcscHand{one, other, third} {
				h.take()
			}
			require.NoError(t, stop())
			for _, c := range []*epcard.Card{seen, fresh, late} {
				require.Equal(t, money.Minor(18_00), c.Balance())
				require.EqualValues(t, 1, c.OfflineCounter())
			}
			open, err := w.Journal().OpenIntents()
			require.NoError(t, err)
			require.Empty(t, open)
			completed := 0
			for _, s := range w.states() {
				if s == wire.State_STATE_COMPLETED {
					completed++
				}
			}
			require.Equal(t, 3, completed)
			require.NoError(t, w.Journal().Verify())
		})
	}
}

// TestPCSCReaderUnpluggedAndBack takes the front door's reader out of pcscd's list and puts it back. vpcd's readers come and go only with a start of pcscd, so the
// rear door's reader is lost for a moment too, and sells while the front one is away.
func TestPCSCReaderUnpluggedAndBack(t *testing.T) {
	first, _, plug := pcsctest.Removable(t)
	one := newPCSC(t, first, 0)
	other, slot := newPCSCPair(t)
	chip, _ := newPSAM(t)
	slot.put(chip)
	sam, err := edge.OpenPSAM(t.Context(), slot.r, ep.PSAMTUnion)
	require.NoError(t, err)
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.SAM = sam
		cfg.Lanes[bus].Reader, cfg.Lanes[bus2].Reader = one.r, other.r
	})
	stop := w.run()
	ready := func(lane int) {
		for e := w.soon(); !e.Ready || e.Lane != lane; {
			e = w.soon()
		}
	}
	one.put(newCard(t, 1, 20_00, nil))
	require.Equal(t, tap.Granted, w.at(bus).Result.Outcome)
	one.take()

	plug(false)
	pcsctest.Restart(t, syscall.SIGTERM)
	ready(bus2)
	require.Equal(t, edge.LaneLost, w.Lanes()[bus].State)
	require.Eventually(t, func() bool { // it says what there is
		err := w.Lanes()[bus].Err
		return err != nil && strings.Contains(err.Error(), other.at.Name)
	}, patience, 10*time.Millisecond)
	require.NoError(t, w.Alive(), "it is waited for")
	other.put(newCard(t, 2, 20_00, nil))
	require.Equal(t, tap.Granted, w.at(bus2).Result.Outcome, "the PSAM's session is opened again by itself")
	other.take()

	plug(true)
	pcsctest.Restart(t, syscall.SIGTERM)
	ready(bus)
	require.Equal(t, edge.LaneWaiting, w.Lanes()[bus].State)
	one.put(newCard(t, 3, 20_00, nil))
	require.Equal(t, tap.Granted, w.at(bus).Result.Outcome)
	one.take()
	require.NoError(t, stop())
	require.Len(t, w.records(), 3)
}

func TestPCSCTwoDoors(t *testing.T) {
	t.Parallel()
	one, other := newPCSCPair(t)
	twoDoors(t, one, other)
}

// TestPCSCHangsAtTheDebit has a driver that keeps the DEBIT: the card carries it out when nobody waits any more.
func TestPCSCHangsAtTheDebit(t *testing.T) {
	t.Parallel()
	first, second := pcsctest.Pair(t)
	aReaderHangs(t, newPCSC(t, first, time.Second), newPCSC(t, second, 0), func(c *epcard.Card) (vpcd.Card, func()) {
		hung := make(chan struct{})
		answered := make(chan struct{})
		return &met{Card: c, ins: 0x54, before: func() { <-hung }, after: func() { close(answered) }}, func() { close(hung); <-answered }
	})
}

// TestPCSCHungPSAM has a PSAM that does not answer any more, before or after the rider's card has debited. The terminal says that it does not sell, and sells
// when the PSAM was put in again.
func TestPCSCHungPSAM(t *testing.T) {
	const initForPurchase, creditForPurchase = 0x70, 0x72
	for name, c := range map[string]struct {
		at   byte
		paid int64
		then tap.Outcome
	}{"before the DEBIT": {initForPurchase, 0, tap.Granted}, "after the DEBIT": {creditForPurchase, 2_00, tap.RecoveredGranted}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front, slot := newPCSCPair(t)
			require.NoError(t, slot.r.Close())
			slot = newPCSC(t, slot.at, 2*time.Second)
			chip, _ := newPSAM(t)
			hung := make(chan struct{})
			slot.put(&met{Card: chip, ins: c.at, before: func() { <-hung }})
			sam, err := edge.OpenPSAM(t.Context(), slot.r, ep.PSAMTUnion)
			require.NoError(t, err)
			w := newWorld(t, func(cfg *edge.Config) {
				cfg.SAM = sam
				cfg.Lanes[bus].Reader = front.r
			})
			stop := w.run()
			card := newCard(t, 1, 20_00, nil)
			front.put(card)
			r := w.at(bus).Result
			require.Equal(t, tap.OutOfService, r.Outcome, r.Reason)
			require.EqualValues(t, c.paid, 20_00-card.Balance().Minor())
			e := w.soon()
			require.Equal(t, edge.AllLanes, e.Lane)
			require.Equal(t, tap.OutOfService, e.Result.Outcome)
			require.Error(t, w.OutOfUse())
			require.NoError(t, w.Alive(), "the lanes get on, and say that they do not sell")
			front.take()
			close(hung)
			slot.take()
			slot.put(chip)
			for e = w.soon(); !e.Ready; {
				e = w.soon()
			}
			front.put(card)
			r = w.at(bus).Result
			require.Equal(t, c.then, r.Outcome, r.Reason)
			front.take()
			require.NoError(t, stop())
			require.Equal(t, money.Minor(18_00), card.Balance())
			require.EqualValues(t, 1, card.OfflineCounter())
			require.NoError(t, w.Journal().Verify())
		})
	}
}

// TestPCSCWhatALeavingCardLooksLike has cards that carry the DEBIT out and leave while they answer, as a driver may tell it. Each
// time the outcome is unknown, and the card tells when it is back.
func TestPCSCWhatALeavingCardLooksLike(t *testing.T) {
	for name, c := range map[string]struct {
		says   func(net.Conn) error
		reason string
	}{
		"no error and no bytes": {func(net.Conn) error { return nil }, "response of 0 bytes"},
		"a line that is reset":  {func(c net.Conn) error { return c.(*net.TCPConn).SetLinger(0) }, "response of 0 bytes"},
		"one byte":              {func(c net.Conn) error { return vpcdproto.Write(c, []byte{0x90}) }, "response of 1 bytes"},
		"a cut answer":          {func(c net.Conn) error { _, err := c.Write([]byte{0, 10, 1, 2, 3, 4}); return err }, "outcome unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := newPCSCPair(t)
			s := newStack(t, kinds()[bus], one, other)
			card := newCard(t, 1, 20_00, nil)
			pcsctest.Empty(t, one.at.Name)
			conn, err := net.Dial("tcp", one.at.Addr)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- leaving(conn, card, c.says) }()
			e := s.soon()
			require.NoError(t, <-done)
			one.since = time.Now()
			require.Equal(t, tap.PresentAgain, e.Result.Outcome, e.Result.Reason)
			require.Contains(t, e.Result.Reason, c.reason)
			require.Equal(t, money.Minor(18_00), card.Balance())
			require.Len(t, s.pending(), 1)
			again := s.present(front, card)
			require.Equal(t, tap.RecoveredGranted, again.Outcome, again.Reason)
			one.take()
			s.end(card, money.Minor(20_00), 0)
		})
	}
}

// leaving is a card's end of a slot until its DEBIT, which is carried out and answered by says; then the card has left.
func leaving(conn net.Conn, card *epcard.Card, says func(net.Conn) error) error {
	defer conn.Close()
	atr, err := vpcd.ATR(nil)
	if err != nil {
		return err
	}
	for {
		vpcdproto.QuickAck(conn)
		message, err := vpcdproto.Read(conn)
		if err != nil {
			return err
		}
		vpcdproto.QuickAck(conn)
		answer := atr
		switch {
		case bytes.Equal(message, []byte{vpcdproto.ATR}):
		case len(message) == 1:
			card.Reset()
			continue
		default:
			if answer, err = card.Transmit(context.Background(), message); err != nil {
				return err
			}
			if message[1] == 0x54 {
				return says(conn)
			}
		}
		if err := vpcdproto.Write(conn, answer); err != nil {
			return err
		}
	}
}
