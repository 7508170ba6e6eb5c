package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// errDied is a process's end.
var errDied = errors.New("died")

// world is a database, a clock, and what receivers got.
type world struct {
	t     require.TestingT
	store *store.Store
	clock *clock.Manual

	mu      sync.Mutex
	got     map[string][]string     // ids by key, in the order of delivery
	refuses func(id string) error   // what a receiver says, nil for yes
	dies    func(point string) bool // whether a process ends at a point
	torn    string                  // where the next commit dies
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: clock.NewManual(noon)}
	w.reset()
	var err error
	w.store, err = store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true, Fault: func(point string) error {
		if point == w.torn {
			w.torn = ""
			return errDied
		}
		return nil
	}})
	require.NoError(t, err)
	t.Cleanup(func() { w.store.Close() })
	return w
}

func (w *world) reset() {
	w.got, w.torn = map[string][]string{}, ""
	w.refuses, w.dies = func(string) error { return nil }, func(string) bool { return false }
}

func (w *world) relay() *outbox.Relay {
	r, err := outbox.New(w.store, outbox.Config{Clock: w.clock, Handlers: map[string]outbox.Handler{"t": w.receive}, Fault: func(point string) error {
		if w.dies(point) {
			return errDied
		}
		return nil
	}})
	require.NoError(w.t, err)
	return r
}

func (w *world) receive(_ context.Context, m store.OutboxMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.refuses(m.ID); err != nil {
		return err
	}
	w.got[m.Key] = append(w.got[m.Key], m.ID)
	return nil
}

func (w *world) add(ctx context.Context, key, id string) error {
	return w.store.Update(ctx, func(tx *store.Tx) error {
		return tx.AddOutbox(ctx, store.OutboxMessage{ID: id, Topic: "t", Key: key, Body: []byte(id), AtMS: w.clock.Now().UnixMilli()})
	})
}

// drain steps until nothing is left, whatever the pauses.
func (w *world) drain(ctx context.Context) {
	r := w.relay()
	for range 1000 {
		_, err := r.Step(ctx)
		require.NoError(w.t, err)
		var waits []store.OutboxMessage
		require.NoError(w.t, w.store.View(ctx, func(tx *store.Tx) (err error) { waits, err = tx.OutboxWaiting(ctx, 1); return err }))
		if len(waits) == 0 {
			return
		}
		w.clock.Advance(time.Minute)
	}
	require.Fail(w.t, "the outbox never ran dry")
}

// firsts are the first deliveries of each id, in their order.
func firsts(all []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, id := range all {
		if !seen[id] {
			out = append(out, id)
		}
		seen[id] = true
	}
	return out
}

// TestAMessageIsSentIfAndOnlyIfItWasCommitted lets writers and relays die at every point, in any order.
func TestAMessageIsSentIfAndOnlyIfItWasCommitted(t *testing.T) {
	w := newWorld(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		run++
		w.t = t
		w.reset()
		committed := map[string][]string{}
		relays := []*outbox.Relay{w.relay(), w.relay()}
		for i := range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"commit", "rollback", "dies before", "dies after", "relay", "relay dies", "refused", "time"}).Draw(t, "what") {
			case "commit":
				key, id := fmt.Sprintf("%d-%d", run, rapid.IntRange(0, 2).Draw(t, "key")), fmt.Sprint(i)
				require.NoError(t, w.add(ctx, key, id))
				committed[key] = append(committed[key], id)
			case "rollback":
				require.ErrorIs(t, w.store.Update(ctx, func(tx *store.Tx) error {
					require.NoError(t, tx.AddOutbox(ctx, store.OutboxMessage{ID: fmt.Sprint(i), Topic: "t", Key: fmt.Sprintf("%d-0", run)}))
					return errDied
				}), errDied)
			case "dies before":
				w.torn = "commit:before"
				require.ErrorIs(t, w.add(ctx, fmt.Sprintf("%d-0", run), fmt.Sprint(i)), errDied)
			case "dies after":
				w.torn = "commit:after"
				key, id := fmt.Sprintf("%d-1", run), fmt.Sprint(i)
				require.ErrorIs(t, w.add(ctx, key, id), errDied)
				committed[key] = append(committed[key], id)
			case "relay":
				_, err := rapid.SampledFrom(relays).Draw(t, "relay").Step(ctx)
				require.NoError(t, err)
			case "relay dies":
				at := rapid.SampledFrom([]string{"leased", "delivered", "commit:before", "commit:after"}).Draw(t, "at")
				w.dies = func(point string) bool { return point == at }
				if strings.HasPrefix(at, "commit") {
					w.torn = at
				}
				n := rapid.IntRange(0, 1).Draw(t, "relay")
				_, err := relays[n].Step(ctx)
				if err != nil {
					require.ErrorIs(t, err, errDied)
					relays[n] = w.relay() // another process takes its place
				}
				w.dies, w.torn = func(string) bool { return false }, ""
			case "refused":
				w.refuses = func(string) error { return errors.New("busy") }
				_, err := relays[0].Step(ctx)
				require.NoError(t, err)
				w.refuses = func(string) error { return nil }
			case "time":
				w.clock.Advance(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			}
		}
		w.drain(ctx)
		require.Len(t, w.got, len(committed))
		for key, ids := range committed {
			require.Equal(t, ids, firsts(w.got[key]), "messages of %s", key)
		}
	})
}

func TestAMessageThatCannotBeDeliveredHoldsUpItsKeyOnly(t *testing.T) {
	w := newWorld(t)
	w.refuses = func(id string) error {
		if id == "bad" {
			return errors.New("no")
		}
		return nil
	}
	for _, m := range [][2]string{{"a", "bad"}, {"a", "2"}, {"b", "1"}, {"b", "2"}} {
		require.NoError(t, w.add(t.Context(), m[0], m[1]))
	}
	r := w.relay()
	for _, want := range []int{1, 1, 0} {
		n, err := r.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	require.Equal(t, map[string][]string{"b": {"1", "2"}}, w.got)
	w.refuses = func(string) error { return nil }
	n, err := r.Step(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "it is tried again after a pause")
	w.clock.Advance(time.Second)
	for range 2 {
		n, err = r.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Equal(t, []string{"bad", "2"}, w.got["a"])
}

// TestTwoProcessesNeverDeliverOneMessageInTheSameLease runs two relays at once.
func TestTwoProcessesNeverDeliverOneMessageInTheSameLease(t *testing.T) {
	w := newWorld(t)
	const keys, each = 5, 4
	for k := range keys {
		for i := range each {
			require.NoError(t, w.add(t.Context(), fmt.Sprint("k", k), fmt.Sprint(i)))
		}
	}
	var both sync.WaitGroup
	for range 2 {
		r := w.relay()
		both.Go(func() {
			for range keys * each {
				if _, err := r.Step(t.Context()); err != nil {
					t.Errorf("step: %v", err)
				}
			}
		})
	}
	both.Wait()
	require.Len(t, w.got, keys)
	for k, all := range w.got {
		require.Equal(t, []string{"0", "1", "2", "3"}, all, k)
	}
}

func TestRunDeliversWhatIsCommittedMeanwhile(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	arrived := make(chan string, 10)
	r, err := outbox.New(w.store, outbox.Config{Clock: w.clock, Handlers: map[string]outbox.Handler{"t": func(_ context.Context, m store.OutboxMessage) error {
		arrived <- m.ID
		return nil
	}}})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for _, id := range []string{"1", "2"} {
		require.NoError(t, w.add(t.Context(), "a", id))
		require.Equal(t, id, <-arrived)
	}
	stop()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestOldMessagesAreForgotten(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.add(t.Context(), "a", "1"))
	w.drain(t.Context())
	n, err := w.relay().Prune(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	w.clock.Advance(7*24*time.Hour + time.Second)
	n, err = w.relay().Prune(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestPausesGrowToFiveMinutes(t *testing.T) {
	for attempt, want := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1 << 40: 5 * time.Minute} {
		require.Equal(t, want, outbox.Pause(attempt), "%d", attempt)
	}
}

func TestARelayWithoutHandlersIsRefused(t *testing.T) {
	_, err := outbox.New(nil, outbox.Config{})
	require.Error(t, err)
	_, err = outbox.New(nil, outbox.Config{Handlers: map[string]outbox.Handler{"t": nil}, Lease: -1})
	require.Error(t, err)
}
