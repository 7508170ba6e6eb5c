package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
)

// Notice is one thing that a channel wants to say, as often as it takes.
type Notice struct {
	ID  string // for tests and logs
	URL string // where to; "" is nowhere, and the notice is dropped

	// Make writes and signs the notification of one try at a moment: signatures have a time, and some channels count tries.
	Make func(at time.Time) gateway.Notification

	// Accepted judges an answer. Nil: any status from 200 to 299.
	Accepted func(gateway.Reply) bool
}

// Receiver takes a notification that was sent to a URL. A zero reply is no answer.
type Receiver func(ctx context.Context, url string, n gateway.Notification) gateway.Reply

// HTTPReceiver posts notifications.
func HTTPReceiver(d gateway.Doer) Receiver {
	return func(ctx context.Context, to string, n gateway.Notification) gateway.Reply {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(n.Body))
		if err != nil {
			return gateway.Reply{}
		}
		r.Header, r.URL.RawQuery = n.Header.Clone(), n.Query
		answer, err := d.Do(r)
		if err != nil {
			return gateway.Reply{}
		}
		defer answer.Body.Close()
		body, err := gateway.ReadAnswer(answer.Body)
		if err != nil {
			return gateway.Reply{}
		}
		return gateway.Reply{Status: answer.StatusCode, Type: answer.Header.Get("Content-Type"), Body: body}
	}
}

// Notifier sends notices when they are due and again until they are accepted, in the gaps of its schedule. It does nothing by itself: the
// clock is moved and Run called, by a test or by a loop. It is safe for concurrent use.
type Notifier struct {
	clock    clock.Clock
	weather  *Weather
	schedule []time.Duration

	mu      sync.Mutex
	to      Receiver
	waiting []waiting
	seq     uint64
}

type waiting struct {
	Notice
	due time.Time
	try int // tries that were made
	seq uint64
}

// NewNotifier takes the gaps between the tries: schedule[0] is the time from the first to the second one. After the last gap it gives up.
func NewNotifier(c clock.Clock, w *Weather, schedule []time.Duration) *Notifier {
	return &Notifier{clock: c, weather: w, schedule: slices.Clone(schedule)}
}

// Receive says who gets the notifications. Until then they wait.
func (n *Notifier) Receive(to Receiver) { n.mu.Lock(); defer n.mu.Unlock(); n.to = to }

// Send takes a notice; its first try is due at once, or later if the weather says so.
func (n *Notifier) Send(what Notice) {
	if what.URL == "" {
		return
	}
	n.put(waiting{Notice: what, due: n.clock.Now().Add(n.weather.late())})
}

func (n *Notifier) put(w waiting) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.seq == 0 {
		n.seq++
		w.seq = n.seq
	}
	n.waiting = append(n.waiting, w)
	slices.SortFunc(n.waiting, func(a, b waiting) int {
		if c := a.due.Compare(b.due); c != 0 {
			return c
		}
		return int(int64(a.seq) - int64(b.seq))
	})
}

// Next is when the next try is due.
func (n *Notifier) Next() (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		return time.Time{}, false
	}
	return n.waiting[0].due, true
}

// Step makes one try that is due by now. It is false when none is.
func (n *Notifier) Step(ctx context.Context) bool {
	now := n.clock.Now()
	n.mu.Lock()
	if n.to == nil || len(n.waiting) == 0 || n.waiting[0].due.After(now) {
		n.mu.Unlock()
		return false
	}
	w, to := n.waiting[0], n.to
	n.waiting = slices.Delete(n.waiting, 0, 1)
	n.mu.Unlock()

	if !n.try(ctx, to, w, now) && w.try < len(n.schedule) {
		w.due = now.Add(n.schedule[w.try])
		w.try++
		n.put(w)
	}
	return true
}

func (n *Notifier) try(ctx context.Context, to Receiver, w waiting, now time.Time) (accepted bool) {
	fate := n.weather.notice()
	if fate.lost {
		return false
	}
	message := w.Make(now)
	if fate.forged {
		to(ctx, w.URL, Tamper(message))
	}
	if fate.reencoded {
		message = Reencode(message)
	}
	judge := w.Accepted
	if judge == nil {
		judge = func(r gateway.Reply) bool { return r.Status >= 200 && r.Status < 300 }
	}
	accepted = judge(to(ctx, w.URL, message))
	if fate.doubled {
		to(ctx, w.URL, message)
	}
	return accepted
}

// Run makes every try that is due by now, and says how many.
func (n *Notifier) Run(ctx context.Context) int {
	tries := 0
	for ctx.Err() == nil && n.Step(ctx) {
		tries++
	}
	return tries
}

// Tamper is a copy of a notification with one character of its body changed.
func Tamper(m gateway.Notification) gateway.Notification {
	body := bytes.Clone(m.Body)
	for i := len(body) / 2; i < len(body); i++ {
		if c := body[i]; c >= '0' && c <= '9' {
			body[i] = '0' + (c-'0'+1)%10
			break
		} else if c >= 'a' && c <= 'y' {
			body[i] = c + 1
			break
		}
	}
	m.Body, m.Header = body, m.Header.Clone()
	return m
}

// Reencode is a copy of a notification as a proxy passes it on that reads the body and writes it anew: the same content in other bytes.
func Reencode(m gateway.Notification) gateway.Notification {
	m.Header = m.Header.Clone()
	if form, err := url.ParseQuery(string(m.Body)); err == nil && strings.HasPrefix(m.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		m.Body = []byte(form.Encode())
		return m
	}
	var any map[string]json.RawMessage
	if json.Unmarshal(m.Body, &any) == nil {
		if out, err := json.MarshalIndent(any, "", " "); err == nil {
			m.Body = out
		}
	}
	return m
}
