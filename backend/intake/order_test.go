package intake_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// event is one thing that happens to the backend: a record comes, or a load of card 1 turns out to be on it.
type event struct {
	terminal ids.TerminalID
	seq      uint64
	raw      []byte
	loaded   uint16 // online counter of the load, where raw is nil
}

var loads = []int64{10_00, 2_00, 1_00} // of card 1, by online counter; the first is on the card from the start

// drawEvents makes records from small domains, so that they collide in every way: clones, replays, unknown taps and
// their resolutions, forged TACs, strangers, balances that do not follow.
func drawEvents(r *rapid.T, s *scheme) []event {
	var out []event
	var last *tap
	var lastSerial uint32
	n := rapid.IntRange(1, 14).Draw(r, "records")
	for range n {
		p := tap{
			terminal: rapid.SampledFrom([]ids.TerminalID{"bus-1", "gate-3"}).Draw(r, "terminal"),
			tap:      rapid.Uint64Range(1, 4).Draw(r, "tap"),
			card:     rapid.SampledFrom([]byte{1, 1, 1, 2, 9}).Draw(r, "card"),
			counter:  uint16(rapid.IntRange(0, 4).Draw(r, "counter")),
			before:   int64(rapid.IntRange(4, 12).Draw(r, "before")) * 100,
			amount:   int64(rapid.IntRange(0, 3).Draw(r, "amount")) * 100,
			state:    wire.State(rapid.IntRange(1, 4).Draw(r, "state")),
			at:       int64(rapid.IntRange(0, 5).Draw(r, "at")),
			forged:   rapid.IntRange(0, 9).Draw(r, "forged") == 0,
		}
		if p.state == wire.State_STATE_COMPLETED {
			p.evidence = rapid.SampledFrom([]wire.Evidence{1, 1, 2, 3}).Draw(r, "evidence")
		}
		serial, other := rapid.Uint32Range(1, 6).Draw(r, "serial"), rapid.IntRange(0, 9).Draw(r, "other sam") == 0
		if last != nil && rapid.IntRange(0, 3).Draw(r, "replay") == 0 { // the same debit in another record
			p.card, p.amount, p.at, p.state, p.evidence, serial = last.card, last.amount, last.at, wire.State_STATE_COMPLETED, 1, lastSerial
			other = p.terminal != "bus-1"
		}
		if last != nil && rapid.IntRange(0, 5).Draw(r, "follows") == 0 { // the card's next debit, from a balance near the one it was left with
			p.card, p.counter, p.state, p.evidence, p.forged, other = last.card, last.counter+1, wire.State_STATE_COMPLETED, 1, false, false
			p.before = last.before - last.amount + rapid.SampledFrom([]int64{-100, 0, 100}).Draw(r, "off")
		}
		if p.state == wire.State_STATE_COMPLETED && (other || p.terminal == "bus-1") {
			last, lastSerial = &p, serial
		}
		p.change = func(w *wire.Record) {
			w.PsamSerial = serial
			if other {
				w.PsamTerminal = []byte{5: '1'}
			}
		}
		raw := s.record(p)
		out = append(out, event{terminal: p.terminal, seq: s.seq[p.terminal], raw: raw})
	}
	for i := range loads[1:] {
		if rapid.Bool().Draw(r, "loaded") {
			out = append(out, event{loaded: uint16(i + 1)})
		}
	}
	return out
}

// play hands events over in an order, some of them twice, in batches as they happen to be contiguous, with steps in between.
func (s *scheme) play(r *rapid.T, events []event) {
	for i := 0; i < len(events); {
		e := events[i]
		i++
		if e.raw == nil {
			s.update(func(tx *store.Tx) error { s.load(tx, 1, e.loaded, loads[e.loaded]); return nil })
			continue
		}
		batch := [][]byte{e.raw}
		for i < len(events) && events[i].raw != nil && events[i].terminal == e.terminal && events[i].seq == e.seq+uint64(len(batch)) && rapid.Bool().Draw(r, "join") {
			batch = append(batch, events[i].raw)
			i++
		}
		for range rapid.IntRange(1, 2).Draw(r, "copies") {
			_, err := s.accept(e.terminal, e.seq, batch...)
			require.NoError(s.t, err)
			if rapid.IntRange(0, 2).Draw(r, "step") == 0 {
				_, err := s.pipe.Step(s.ctx)
				require.NoError(s.t, err)
			}
		}
	}
	s.drain()
	s.proveBooks()
}

// state is all that must not depend on the order of arrival.
func (s *scheme) state() map[string]any {
	out := map[string]any{"balances": s.balances()}
	s.view(func(tx *store.Tx) error {
		for _, n := range []byte{1, 2, 9} {
			c, err := tx.CardByNumber(s.ctx, number(n))
			if err == nil {
				out[fmt.Sprint("card ", n)] = c
			}
			taps, err := tx.CardTaps(s.ctx, number(n))
			require.NoError(s.t, err)
			for i := range taps {
				taps[i].ReceivedMS = 0
			}
			out[fmt.Sprint("taps ", n)] = taps
		}
		var err error
		out["findings"], err = tx.Findings(s.ctx, "", 1000)
		require.NoError(s.t, err)
		out["gaps"], err = tx.Gaps(s.ctx, "", 1000)
		require.NoError(s.t, err)
		out["explained"], err = tx.ExplainedLoads(s.ctx)
		require.NoError(s.t, err)
		return nil
	})
	return out
}

func TestTheOrderOfArrivalLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	seen := map[string]bool{} // the records must have collided in every way, or the test proves nothing
	rapid.Check(t, func(r *rapid.T) {
		runs++
		one, other := fmt.Sprintf("%s/%d-a", dir, runs), fmt.Sprintf("%s/%d-b", dir, runs)
		var states []map[string]any
		var events []event
		for i, d := range []string{one, other} {
			require.NoError(r, os.Mkdir(d, 0o700))
			s := newScheme(r, d, store.Options{})
			if events == nil {
				events = drawEvents(r, s)
			}
			s.update(func(tx *store.Tx) error {
				for counter, minor := range loads[1:] {
					l := shadowaccount.Load{Counter: uint16(counter + 1), Amount: money.Minor(minor)}
					require.NoError(r, tx.PutCardLoad(s.ctx, number(1), l, "order"))
				}
				return nil
			})
			order := events
			if i == 1 {
				order = rapid.Permutation(events).Draw(r, "order")
			}
			s.play(r, order)
			states = append(states, s.state())
			for _, n := range []byte{1, 2, 9} {
				for _, status := range s.statuses(n) {
					seen[status] = true
				}
			}
			for _, code := range s.codes() {
				seen[strings.Split(code, "@")[0]] = true
			}
			require.NoError(r, s.store.Close())
			require.NoError(r, os.RemoveAll(d))
		}
		require.Equal(r, states[0], states[1])
	})
	if pgtest.Postgres {
		return // fewer runs are made there
	}
	for _, want := range []string{"accepted", "inferred", "unknown", "clone", "bad-tac", "void", "CLONE", "REPLAY", "BAD_TAC", "BALANCE_UP",
		"BALANCE_DOWN", "UNKNOWN_CARD", "WRONG_SAM", "NEGATIVE_SHADOW"} {
		require.True(t, seen[want], "no run ended with %s", want)
	}
}
