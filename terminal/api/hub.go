package api

import (
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/edge"
)

// hubKeeps is how many events a client that lost the stream can still be told.
const hubKeeps = 256

// Hub takes a terminal's events and hands them to all who watch. Its Show goes into edge.Config.
type Hub struct {
	modes []string

	mu       sync.Mutex
	next     uint64 // id of the next event
	kept     []Event
	depth    *uint64 // as last told; nil: not yet
	watchers map[*watcher]struct{}
}

// watcher is one open stream. wake has room for one: it says that there is news, the events themselves are in the hub.
type watcher struct {
	wake chan struct{}
	seen uint64 // id of the last event taken
	lost bool   // it has missed events that nobody has any more
}

// NewHub makes a hub for lanes of those modes.
func NewHub(modes []string) *Hub {
	return &Hub{modes: modes, next: 1, watchers: map[*watcher]struct{}{}}
}

// Show takes an event. It never waits for a watcher.
func (h *Hub) Show(e edge.Event) {
	mode := ""
	if e.Lane >= 0 && e.Lane < len(h.modes) {
		mode = h.modes[e.Lane]
	}
	h.publish(eventOf(e, mode))
}

// Depth tells how many records are without a receipt, when that is news.
func (h *Hub) Depth(records uint64, at time.Time) {
	h.mu.Lock()
	news := h.depth == nil || *h.depth != records
	h.depth = &records
	h.mu.Unlock()
	if news {
		h.publish(Event{Version: Version, Type: TypeJournal, At: stamp(at), Lane: edge.AllLanes, Records: &records})
	}
}

func (h *Hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.ID = h.next
	h.next++
	h.kept = append(h.kept, e)
	if len(h.kept) > hubKeeps {
		h.kept = append(h.kept[:0], h.kept[len(h.kept)-hubKeeps:]...)
	}
	for w := range h.watchers {
		select {
		case w.wake <- struct{}{}:
		default: // it has been woken and has not come yet
		}
	}
}

// watch begins a stream: with resume after event number after, else with the next event. A number that this life of the program has not given
// is of an earlier one, whose events are lost.
func (h *Hub) watch(after uint64, resume bool) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1), seen: h.next - 1}
	if resume {
		w.seen = after
		if w.lost = after >= h.next; w.lost {
			w.seen = 0
		}
		w.wake <- struct{}{}
	}
	h.watchers[w] = struct{}{}
	return w
}

func (h *Hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// take returns the events that w has not seen, and whether some before them are lost: it was too slow, or away too long.
func (h *Hub) take(w *watcher) (news []Event, lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.kept {
		if e.ID > w.seen {
			news = append(news, e)
		}
	}
	lost = w.lost || len(news) > 0 && news[0].ID != w.seen+1
	w.seen, w.lost = h.next-1, false
	return news, lost
}
