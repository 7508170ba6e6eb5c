package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// fragments are the parts of the page that are sent again when they change: template name and id of the element.
var fragments = []string{"state", "money", "taps", "terminals", "findings", "cases", "days"}

const (
	writeWithin = 10 * time.Second // a reader slower than this has gone
	heartbeat   = 15 * time.Second // an event this often keeps proxies from closing a quiet stream, and tells the page that it is live
	retryMS     = 2000
)

// events streams the fragments: all of them at once, then each that looks different after a change. A browser that
// lost the stream reconnects by itself and starts with the whole picture, so nothing needs to be remembered for it.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many open pages", http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // else nginx holds the events back
	s := &stream{h: h, w: w, lang: language(r), out: http.NewResponseController(w), sent: map[string]string{}}
	if err := s.write(fmt.Sprintf("retry: %d\n\n", retryMS)); err != nil {
		return
	}
	poll := time.NewTicker(h.Poll)
	defer poll.Stop()
	quiet := time.NewTicker(heartbeat)
	defer quiet.Stop()
	seen, first := uint64(0), true
	for {
		if now := h.reader.Changes(); first || now != seen {
			if err := s.sendChanged(r, first); err != nil {
				if r.Context().Err() == nil {
					h.Log.Warn("console: event stream ended", "err", err)
				}
				return
			}
			seen, first = now, false
		}
		select {
		case <-r.Context().Done():
			return
		case <-poll.C:
		case <-quiet.C:
			if err := s.write("event: beat\ndata: {}\n\n"); err != nil {
				return
			}
		}
	}
}

type stream struct {
	h    *handler
	w    http.ResponseWriter
	out  *http.ResponseController
	lang string
	sent map[string]string // what the browser shows now
}

// sendChanged sends what looks different now. After the first, whole set it says so, and the page starts to mark news.
func (s *stream) sendChanged(r *http.Request, first bool) error {
	ov, err := s.h.overview(r.Context())
	if err != nil {
		return err
	}
	v := view(ov, s.lang, s.h.Location)
	var b, all bytes.Buffer
	for _, id := range fragments {
		b.Reset()
		if err := pages.ExecuteTemplate(&b, id, v); err != nil {
			return fmt.Errorf("render %s: %w", id, err)
		}
		html := b.String()
		if s.sent[id] == html {
			continue
		}
		s.sent[id] = html
		// JSON has no raw line feeds, which would end an event early.
		data, err := json.Marshal(map[string]string{"id": id, "html": html})
		if err != nil {
			return fmt.Errorf("encode %s: %w", id, err)
		}
		fmt.Fprintf(&all, "event: fragment\ndata: %s\n\n", data)
	}
	if first {
		all.WriteString("event: whole\ndata: {}\n\n")
	}
	if all.Len() == 0 {
		return nil
	}
	return s.write(all.String())
}

func (s *stream) write(text string) error {
	// Not every ResponseWriter has deadlines; where there is none, the server's own limits hold.
	_ = s.out.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.Flush()
}
