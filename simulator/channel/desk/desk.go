package desk

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Channel is one simulated channel. What it has no function for its people cannot do.
type Channel struct {
	Name    string
	Weather *sim.Weather
	Sick    string // the code of an error of the channel's own, for when it is sick
	Hint    string // what else there is to know, as which test cards it has

	Payments func() []sim.Payment      // the newest first
	Pay      func(number string) error // the error is what the payer's screen says
	Refuse   func(number string) error
	Open     func(what string) error // lets a payer's device open what an app was given
	Code     func() string           // a payment code, as a payer shows it

	Run func(context.Context) // does what is due by the clock
}

// Desk is the page. It is safe for concurrent use.
type Desk struct {
	channels []Channel

	mu    sync.Mutex
	moods map[string]string // by channel
}

// New makes a desk for channels, all of which are well.
func New(channels ...Channel) *Desk {
	d := &Desk{channels: channels, moods: map[string]string{}}
	for _, c := range channels {
		d.moods[c.Name] = moods[0].name
		if c.Weather.Wait == nil {
			c.Weather.Wait = wait
		}
	}
	return d
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step is how often channels do what is due.
const step = 200 * time.Millisecond

// Run has all channels do what is due, each by itself so that one whose merchant does not answer holds up no other, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range d.channels {
		if c.Run == nil {
			continue
		}
		all.Go(func() {
			t := time.NewTicker(step)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					c.Run(ctx)
				}
			}
		})
	}
	all.Wait()
}

//go:embed desk.html
var deskHTML string

//go:embed desk.js
var deskJS []byte

var page = template.Must(template.New("desk").Funcs(template.FuncMap{"money": func(units int64) string { return money.Minor(units).String() }}).Parse(deskHTML))

// shown is how many payments of a channel the page shows.
const shown = 20

// maxForm bounds what a form sends: an Alipay page's address is the longest thing in one.
const maxForm = 16 << 10

// Handler serves the page, at /, and the same for programs:
//
//	GET  /payments                            every payment, one JSON object a line, the newest of a channel first
//	POST /channels/CHANNEL/pay     number=    its payer pays
//	POST /channels/CHANNEL/refuse  number=    its payer types no password
//	POST /channels/CHANNEL/open    what=      a payer's device opens what an app was given
//	POST /channels/CHANNEL/code               a payer shows a payment code
//	POST /channels/CHANNEL/mood    mood=      how the channel is from now on
//
// A browser gets the page again, any other client one line of text; 404 says that there is no such channel, 422 what the payer's screen says.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.show)
	mux.HandleFunc("GET /desk.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(deskJS) // whoever asked has gone
	})
	mux.HandleFunc("GET /payments", d.list)
	safe := http.NewCrossOriginProtection()
	mux.Handle("POST /channels/{channel}/{act}", safe.Handler(http.HandlerFunc(d.act)))
	return mux
}

// view is all that the page reads.
type view struct {
	Said, Bad string
	Moods     []mood
	Channels  []channelView
}

type channelView struct {
	Channel
	Mood, Says string
	List       []sim.Payment
	More       int
}

func (c channelView) CanRefuse() bool { return c.Refuse != nil }
func (c channelView) CanOpen() bool   { return c.Open != nil }
func (c channelView) CanCode() bool   { return c.Code != nil }
func (c channelView) CanPay() bool    { return c.Pay != nil }

func (m mood) Name() string { return m.name }
func (m mood) Says() string { return m.says }

func (d *Desk) show(w http.ResponseWriter, r *http.Request) {
	v := view{Said: r.URL.Query().Get("said"), Bad: r.URL.Query().Get("bad"), Moods: moods}
	for _, c := range d.channels {
		m, _ := moodOf(d.mood(c.Name))
		cv := channelView{Channel: c, Mood: m.name, Says: m.says}
		if c.Payments != nil {
			cv.List = c.Payments()
		}
		if n := len(cv.List) - shown; n > 0 {
			cv.List, cv.More = cv.List[:shown], n
		}
		v.Channels = append(v.Channels, cv)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	_ = page.Execute(w, v) // whoever looked has gone
}

func (d *Desk) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	out := json.NewEncoder(w)
	for _, c := range d.channels {
		if c.Payments == nil {
			continue
		}
		for _, p := range c.Payments() {
			err := out.Encode(struct {
				Channel string    `json:"channel"`
				Number  string    `json:"number"`
				Amount  string    `json:"amount"`
				Subject string    `json:"subject"`
				Way     string    `json:"way"`
				State   string    `json:"state"`
				Waits   bool      `json:"waits"`
				Made    time.Time `json:"made"`
			}{c.Name, p.Number, money.Minor(p.Amount).String(), p.Subject, p.Way, p.State, p.Waits, p.Made})
			if err != nil {
				return // whoever asked has gone
			}
		}
	}
}

func (d *Desk) mood(channel string) string { d.mu.Lock(); defer d.mu.Unlock(); return d.moods[channel] }

func (d *Desk) act(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(d.channels, func(c Channel) bool { return c.Name == r.PathValue("channel") })
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	switch err := r.ParseForm(); {
	case err != nil:
		http.Error(w, "this is no form, or it is too long", http.StatusBadRequest)
	case at < 0:
		http.Error(w, fmt.Sprintf("there is no channel %.40q", r.PathValue("channel")), http.StatusNotFound)
	default:
		said, err := d.do(d.channels[at], r.PathValue("act"), r.PostForm)
		answer(w, r, said, err)
	}
}

// do is what somebody at the desk does.
func (d *Desk) do(c Channel, act string, f url.Values) (said string, err error) {
	number, what := strings.TrimSpace(f.Get("number")), strings.TrimSpace(f.Get("what"))
	switch {
	case act == "pay" && c.Pay != nil:
		return number + " is paid", c.Pay(number)
	case act == "refuse" && c.Refuse != nil:
		return number + " is refused", c.Refuse(number)
	case act == "open" && c.Open != nil:
		return "it is opened, and waits to be paid", c.Open(what)
	case act == "code" && c.Code != nil:
		return c.Code(), nil
	case act == "mood":
		m, known := moodOf(f.Get("mood"))
		if !known {
			return "", fmt.Errorf("mood %.40q: want one of %s", f.Get("mood"), moodNames())
		}
		c.Weather.Set(m.faults(c.Sick))
		c.Weather.Unreachable(m.gone)
		d.mu.Lock()
		d.moods[c.Name] = m.name
		d.mu.Unlock()
		return c.Name + ": " + m.says, nil
	}
	return "", fmt.Errorf("nobody can do that at %s: %.40q", c.Name, act)
}

func moodNames() string {
	names := make([]string, 0, len(moods))
	for _, m := range moods {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}

// answer says what came of it.
func answer(w http.ResponseWriter, r *http.Request, said string, err error) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		q := url.Values{"said": {said}}
		if err != nil {
			q = url.Values{"bad": {err.Error()}}
		}
		http.Redirect(w, r, "/?"+q.Encode(), http.StatusSeeOther)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	fmt.Fprintln(w, said)
}

// Reachable serves a channel over a network: while nobody can reach it each connection ends without an answer.
func Reachable(h http.Handler, w *sim.Weather) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !w.Reachable() {
			sim.Break()
		}
		h.ServeHTTP(out, r)
	})
}
