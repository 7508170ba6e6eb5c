package page_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

// walk is a rider who wants one load, and does what the screen says until it is there; whoever ends the kiosk starts it again. It returns how often the rider paid.
func (w *town) walk(n ids.CardNumber, ended <-chan struct{}) (pays int) {
	t := w.t
	deadline := time.After(60 * time.Second)
	paid := map[string]bool{}
	var seen uint64
	done := false
	for {
		view, changed := w.kiosk.Now()
		if view.Seq != seen {
			seen = view.Seq
			say := func(c session.Choice) { c.Seq = view.Seq; w.kiosk.Say(c) }
			switch view.State {
			case session.Idle:
				w.take()
				if done {
					return len(paid)
				}
				w.hold(n)
			case session.Hold, session.Again:
				w.take()
				w.hold(n)
			case session.Amount:
				if done || view.Reason == "settled" { // what was paid earlier is there, or the card lies there still
					done = true
					say(session.Choice{Choice: session.CancelAsked})
					break
				}
				say(session.Choice{Choice: session.AmountChosen, Amount: money.Minor(20_00)})
			case session.Way:
				say(session.Choice{Choice: session.WayChosen, Way: "wechat"})
			case session.QR:
				if !paid[view.Payment] { // a phone does not pay one code twice
					paid[view.Payment] = true
					w.pays()
				}
			case session.Done:
				done = true
				say(session.Choice{Choice: session.Finished})
			case session.Offline, session.Unsure, session.Kept, session.Expired, session.Refused, session.Unread, session.Refunded, session.RefundLater:
				say(session.Choice{Choice: session.Finished})
			}
		}
		select {
		case <-changed:
		case <-ended:
			ended = nil
			w.stop()
			w.start(patience())
			seen = 0
		case <-deadline:
			view, _ := w.kiosk.Now()
			require.FailNow(t, "the rider stands there for ever", "%+v", view)
		}
	}
}

// TestTheKioskEndsAtEveryCall ends the program at each of its calls, before the backend has it and after, and starts it again: the rider has what was paid for,
// once, and the kiosk has nothing left to do.
func TestTheKioskEndsAtEveryCall(t *testing.T) {
	w := newTownOf(t, money.Minor(9000_00), time.Minute)
	want := money.Minor(0)
	run := func(call int, after bool) (calls int) {
		ended := make(chan struct{})
		w.network.endAt(call, after, func() { w.kill(); close(ended) })
		w.start(patience())
		pays := w.walk(mine, ended)
		for range pays {
			var err error
			want, err = want.Add(money.Minor(20_00))
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return w.nothingOpen() }, 30*time.Second, 20*time.Millisecond)
		w.requireBooks(mine, want)
		require.LessOrEqual(t, pays, 1, "the rider was asked to pay twice")
		w.stop()
		return w.network.calls
	}
	calls := run(0, false)
	require.Greater(t, calls, 8)
	for call := 1; call <= calls; call++ {
		for _, after := range []bool{false, true} {
			t.Log("call", call, "after", after)
			run(call, after)
		}
	}
}

// nothingOpen reports that no sale is open at the kiosk, which has it on its disk.
func (w *town) nothingOpen() bool {
	all, err := w.sales()
	require.NoError(w.t, err)
	return len(all) == 0
}
