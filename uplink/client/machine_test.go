package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

var errFault = errors.New("a fault of the test")

// world is a rig between whose ends everything can go wrong: messages and receipts are in the air until the test lets
// them arrive, once, twice, late or never.
type world struct {
	*rig
	inFlight int
	up       []client.Message
	down     [][]byte
	backup   any
	everHeld map[uint64]bool // by any ledger there ever was, restored or not
	acked    uint64
}

func newWorld(t *rapid.T) *world {
	w := &world{everHeld: map[uint64]bool{}, inFlight: rapid.IntRange(1, 4).Draw(t, "in flight")}
	w.rig = newRig(t, rapid.IntRange(0, 40).Draw(t, "records"), func(c *client.SenderConfig) {
		c.InFlight, c.BatchRecords = w.inFlight, rapid.IntRange(1, 8).Draw(t, "batch")
	})
	w.backup = w.ledger.Backup()
	return w
}

// look asks the sender what is due, and puts it in the air.
func (w *world) look() (next time.Time, err error) {
	out, next, err := w.sender.Due(w.now)
	w.up = append(w.up, out...)
	for _, m := range out {
		if m.Kind != wire.KindUp {
			continue
		}
		h := w.opened(m)
		for i, body := range h.Records {
			seq := h.Header.GetFirstSeq() + uint64(i)
			require.Equal(w.t, w.journal.Record(seq), body, "a number names one content")
		}
	}
	s := w.sender.Stats()
	require.LessOrEqual(w.t, s.InFlight, w.inFlight)
	require.LessOrEqual(w.t, s.Waiting, 64+w.inFlight)
	return next, err
}

// arriveUp lets the backend have message i. It stays in the air if the backend cannot commit it.
func (w *world) arriveUp(i int, twice bool) {
	m := w.up[i]
	receipt, err := w.backend.Process(context.Background(), bus1, m.Kind, m.Raw, w.now)
	if err != nil {
		require.ErrorIs(w.t, err, errFault)
		return
	}
	w.down = append(w.down, receipt)
	if !twice {
		w.up = append(w.up[:i:i], w.up[i+1:]...)
	}
	for seq := uint64(1); seq <= w.journal.LastSeq(); seq++ {
		if w.ledger.Has(bus1, epoch, seq) {
			w.everHeld[seq] = true
		}
	}
}

func (w *world) arriveDown(i int, twice bool) {
	receipt := w.down[i]
	if !twice {
		w.down = append(w.down[:i:i], w.down[i+1:]...)
	}
	if err := w.sender.OnReceipt(w.now, receipt); err != nil {
		require.ErrorIs(w.t, err, errFault)
	}
}

// check is what holds at any moment.
func (w *world) check(t *rapid.T) {
	acked := w.journal.AckedSeq()
	for seq := w.acked + 1; seq <= acked; seq++ {
		require.True(t, w.everHeld[seq], "record %d is acknowledged, and no ledger ever held it", seq)
	}
	w.acked = acked
	require.Empty(t, w.ledger.Conflicts())
	require.NotEqual(t, client.Halted, w.sender.Stats().State)
}

// recover ends all faults and lets things run.
func (w *world) recover(t *rapid.T) {
	w.journal.SetReadErr(nil)
	w.journal.SetAckErr(nil)
	w.ledger.Set(func(l *uplinktest.Ledger) { l.Fail, l.RetryAfter = nil, 0 })
	if w.sender.Stats().State == client.Offline {
		w.sender.OnConnect(w.now)
	}
	w.journal.Add(1) // the terminal goes on selling
	for range 20_000 {
		next, err := w.look()
		require.NoError(t, err)
		busy := len(w.up)+len(w.down) > 0
		for len(w.up)+len(w.down) > 0 {
			for len(w.up) > 0 {
				w.arriveUp(0, false)
			}
			for len(w.down) > 0 {
				w.arriveDown(0, false)
			}
		}
		w.check(t)
		if busy {
			continue
		}
		if next.IsZero() {
			break
		}
		w.now = next
	}
	last, first := w.journal.LastSeq(), w.journal.FirstSeq()
	require.Equal(t, last, w.journal.AckedSeq(), "everything is acknowledged")
	require.Equal(t, last, w.ledger.Through(bus1, epoch), "and held")
	w.has(first, last)
	for seq := uint64(1); seq < first; seq++ {
		require.True(t, w.ledger.Has(bus1, epoch, seq), "what is pruned is held, or known to be gone")
	}
	s := w.sender.Stats()
	require.Equal(t, []uint64{0, 0, 0}, []uint64{uint64(s.InFlight), uint64(s.Waiting), s.Backlog})
}

func pick(t *rapid.T, n int, what string) int {
	if n == 0 {
		t.Skip("none in the air")
	}
	return rapid.IntRange(0, n-1).Draw(t, what)
}

func TestWhateverHappensNothingAcknowledgedIsLostAndInTheEndAllArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		faulty := false // reads may fail
		tolerate := func(err error) {
			if err != nil && !faulty {
				require.NoError(t, err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"sell":  func(t *rapid.T) { w.journal.Add(rapid.IntRange(1, 20).Draw(t, "records")) },
			"look":  func(*rapid.T) { _, err := w.look(); tolerate(err) },
			"look2": func(*rapid.T) { _, err := w.look(); tolerate(err) },
			"wait": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
				_, err := w.look()
				tolerate(err)
			},
			"connect":    func(*rapid.T) { w.sender.OnConnect(w.now) },
			"disconnect": func(*rapid.T) { w.sender.OnDisconnect(); w.down = nil }, // QoS 0 and a clean session: no receipt waits
			"up":         func(t *rapid.T) { w.arriveUp(pick(t, len(w.up), "message"), false) },
			"up in order": func(t *rapid.T) {
				for n := len(w.up); n > 0; n-- {
					w.arriveUp(0, false)
				}
			},
			"up twice": func(t *rapid.T) { w.arriveUp(pick(t, len(w.up), "message"), true) },
			"up lost": func(t *rapid.T) {
				i := pick(t, len(w.up), "message")
				w.up = append(w.up[:i:i], w.up[i+1:]...)
			},
			"down":       func(t *rapid.T) { w.arriveDown(pick(t, len(w.down), "receipt"), false) },
			"down twice": func(t *rapid.T) { w.arriveDown(pick(t, len(w.down), "receipt"), true) },
			"down in order": func(t *rapid.T) {
				for len(w.down) > 0 {
					w.arriveDown(0, false)
				}
			},
			"down lost": func(t *rapid.T) {
				i := pick(t, len(w.down), "receipt")
				w.down = append(w.down[:i:i], w.down[i+1:]...)
			},
			"forged": func(t *rapid.T) {
				r := &wire.Receipt{Terminal: string(bus1), Epoch: epoch, ThroughSeq: w.journal.LastSeq(), RetryAfterMs: 1 << 30}
				require.ErrorIs(t, w.sender.OnReceipt(w.now, w.signed(otherKey, r)), wire.ErrSignature)
				r.Epoch++
				require.ErrorIs(t, w.sender.OnReceipt(w.now, w.signed(backendKey, r)), client.ErrForeign)
			},
			"prune": func(t *rapid.T) {
				w.journal.Prune(rapid.Uint64Range(w.journal.FirstSeq(), w.journal.AckedSeq()+1).Draw(t, "first"))
			},
			"backup": func(*rapid.T) { w.backup = w.ledger.Backup() },
			"restore": func(t *rapid.T) {
				w.ledger.Restore(w.backup)
				if rapid.Bool().Draw(t, "with the broker") {
					w.sender.OnDisconnect()
					w.up, w.down = nil, nil
				}
			},
			"reads fail": func(t *rapid.T) {
				faulty = rapid.Bool().Draw(t, "fail")
				from := rapid.Uint64Range(1, w.journal.LastSeq()+1).Draw(t, "from")
				w.journal.SetReadErr(func(first uint64) error {
					if faulty && first >= from {
						return errFault
					}
					return nil
				})
			},
			"notes fail": func(t *rapid.T) {
				w.journal.SetAckErr(rapid.SampledFrom([]error{nil, errFault}).Draw(t, "err"))
			},
			"backend fails": func(t *rapid.T) {
				err := rapid.SampledFrom([]error{nil, fmt.Errorf("disk: %w", errFault)}).Draw(t, "err")
				w.ledger.Set(func(l *uplinktest.Ledger) { l.Fail = func(intake.Accepted) error { return err } })
			},
			"backend busy": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second
				w.ledger.Set(func(l *uplinktest.Ledger) { l.RetryAfter = d })
			},
			"": w.check,
		})
		w.recover(t)
	})
}
