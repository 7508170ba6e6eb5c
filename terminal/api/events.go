package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// events streams what happens as server-sent events. A client that lost the stream sends the last id it saw and is told what it missed, as far as
// that is kept; else it is told that events are lost.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		probUnavailable.with("too many open event streams").write(w)
		return
	}
	after, resume := uint64(0), false
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			probRequest.with("Last-Event-ID: want a number").write(w)
			return
		}
		after, resume = n, true
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	send := func(text string) bool {
		if err := out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
			return false
		}
		if _, err := fmt.Fprint(w, text); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	me := s.Hub.watch(after, resume)
	defer s.Hub.leave(me)
	if !send("retry: 2000\n\n") {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			if !send(": beat\n\n") {
				return
			}
		case <-me.wake:
			news, lost := s.Hub.take(me)
			if lost && !send("event: lost\ndata: {}\n\n") {
				return
			}
			for _, e := range news {
				raw, err := json.Marshal(e)
				if err != nil {
					return
				}
				if !send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, raw)) {
					return
				}
			}
		}
	}
}
