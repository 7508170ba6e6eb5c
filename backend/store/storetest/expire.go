package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/uplink/wire"
)

// expiry is what the suite knows by itself of taps that come too late to be paid for.
type expiry struct {
	model *reference.Model
	came  map[reference.Key]int64 // Unix ms: when each record first came whole
	late  map[reference.Tapped]store.Late
	state reference.State // when the last day closed
}

// heard notes what an action told, and when its records came.
func (e *expiry) heard(a action, at int64) {
	a.tell(e.model)
	k, batch := a.(keep)
	if !batch {
		return
	}
	for i := range k.bodies {
		key := reference.Key{Terminal: k.epoch.Terminal, Epoch: k.epoch.Epoch, Seq: k.first + uint64(i)}
		if _, before := e.came[key]; !before {
			e.came[key] = at
		}
	}
}

// judge says of each tap that a day which is about to close settles for the first time whether it came in time: by the record that speaks for it now, and by the first
// that ever came of it, though it may have waited for its card's name and a later one have been posted before it.
func (w *settled) judge(day string, days int) {
	t := w.t
	var err error
	w.state, err = w.model.State()
	require.NoError(t, err)
	first := map[reference.Tapped]int64{}
	for tap, keys := range w.model.Told() {
		for i, k := range keys {
			if i == 0 || w.came[k] < first[tap] {
				first[tap] = w.came[k]
			}
		}
	}
	claims, numbers := w.claims(), map[string]ids.CardNumber{}
	for n := range w.state.Cards {
		numbers[token(n)] = n
	}
	view(t, w.player, func(tx *store.Tx) error {
		taps, err := tx.TapsThrough(w.ctx, day)
		for _, p := range taps {
			k := reference.Tapped{Card: numbers[p.Token], Counter: p.Counter, Tap: p.Tap}
			require.Equal(t, first[k], p.ReceivedMS, "%s: %s came when its first record came", day, nameOf(k))
			if _, before := w.late[k]; !before {
				w.late[k] = w.lateness(claims[k], first[k], days)
			}
		}
		return err
	})
}

func (w *settled) lateness(c reference.Claim, came int64, days int) store.Late {
	r, err := parse(w.model.Body(reference.Key{Terminal: c.Tap.Terminal, Epoch: c.Tap.Epoch, Seq: c.Seq}))
	require.NoError(w.t, err)
	midnight := func(ms int64) time.Time { return time.UnixMilli(ms).UTC().Truncate(24 * time.Hour) }
	late := days > 0 && midnight(came).Sub(midnight(c.AtMS)) > time.Duration(days)*24*time.Hour
	switch {
	case late && clockOf(r) == wire.ClockState_CLOCK_BAD:
		w.seen["bad clock"]++
		return store.InTime
	case late:
		return store.TooLate
	}
	return store.InTime
}

// claims are the taps' claims when the last day closed.
func (e *expiry) claims() map[reference.Tapped]reference.Claim {
	out := map[reference.Tapped]reference.Claim{}
	for n, card := range e.state.Cards {
		for _, c := range card.Claims {
			out[reference.Tapped{Card: n, Counter: c.Counter, Tap: c.Tap}] = c
		}
	}
	return out
}

func nameOf(k reference.Tapped) string {
	return fmt.Sprintf("%x@%d %s/%d/%d", k.Card[:], k.Counter, k.Tap.Terminal, k.Tap.Epoch, k.Tap.Tap)
}

// officers decide some of what closed days let expire. Nothing else can be decided so.
func (w *settled) officers(r *rand.Rand) {
	for _, n := range slices.SortedFunc(maps.Keys(w.state.Cards), func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) }) {
		for _, c := range w.state.Cards[n].Claims {
			k := reference.Tapped{Card: n, Counter: c.Counter, Tap: c.Tap}
			late := []store.Late{store.LateGranted, store.LateDenied}[r.IntN(2)]
			key := store.TapKey{Card: n[:], Counter: k.Counter, Terminal: k.Tap.Terminal, Epoch: k.Tap.Epoch, Tap: k.Tap.Tap}
			decide := func() error {
				return w.update(func(tx *store.Tx) error { return tx.DecideLate(w.ctx, key, late) })
			}
			switch expired := w.items[nameOf(k)].Expired; {
			case expired && r.IntN(3) == 0:
				require.NoError(w.t, decide(), nameOf(k))
				w.late[k] = late
			case !expired && r.IntN(20) == 0:
				require.ErrorIs(w.t, decide(), store.ErrNotFound, nameOf(k))
			}
		}
	}
}

// classOf is how a closed day tells of a tap.
func classOf(s shadowaccount.Status, l store.Late) (class, reason string) {
	switch s {
	case shadowaccount.Stands, shadowaccount.Inferred:
		switch l {
		case store.TooLate, store.LateDenied:
			return "rejected", "expired"
		case store.LateGranted:
			return "accepted", "late-granted"
		}
		return "accepted", ""
	case shadowaccount.Granted:
		return "accepted", "granted"
	case shadowaccount.Denied:
		return "rejected", "denied"
	case shadowaccount.BadTAC:
		return "rejected", "bad-tac"
	case shadowaccount.Open:
		return "suspect", "unknown"
	case shadowaccount.Clone:
		return "suspect", "clone"
	}
	return "void", ""
}

// expired wants what expired, and nobody granted, to lie in suspense.
func (w *settled) expired(want reference.State) {
	var lies int64
	for n, card := range want.Cards {
		for _, c := range card.Claims {
			if _, reason := classOf(c.Status, w.late[reference.Tapped{Card: n, Counter: c.Counter, Tap: c.Tap}]); reason == "expired" {
				lies += c.Amount.Minor()
			}
		}
	}
	view(w.t, w.player, func(tx *store.Tx) error {
		balance, err := tx.Balance(w.ctx, books.SuspExpired)
		require.Equal(w.t, money.Minor(-lies), balance)
		return err
	})
}
