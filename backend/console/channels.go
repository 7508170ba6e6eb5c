package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
)

// Channels is what the page of payment channels is made from, at /channels. Who looks is not asked; who switches is, by an operator's token.
type Channels interface {
	// Panel is what is seen, and when the database was heard last; lonely are kinds of payment that one channel alone takes.
	Panel(ctx context.Context) (p panel.Panel, heard time.Time, lonely []string, err error)
	// Operator says whose a token is.
	Operator(token string) (name string, ok bool)
	Switch(ctx context.Context, c health.Cell, e health.Event, version uint64, by, reason string) error
	Close(ctx context.Context, c health.Cell, incident uint64, cause, note, by string) error
}

// maxForm bounds what a form sends.
const maxForm = 8 << 10

// channelsView is all that the channels page reads.
type channelsView struct {
	Lang, HTMLLang string
	Base           string // what links are relative to: forms are answered one folder deeper
	T              map[string]string
	Links          []link
	Said, Bad      string
	Channels       []channelView
	Incidents      []incidentView
	Causes         []string
	Lonely         []string
	Stale          string
}

type channelView struct {
	Name, Channel, Bank, Card, State, Tone, Share, Success, Bound, Pace, Since, Reason string
	Version                                                                            uint64
	Out                                                                                bool
	SuccessLine, ShareLine                                                             string // points of polylines in a box of 120 by 32
}

type incidentView struct {
	Name, Channel, Bank, Card, Began, Ended string
	Incident                                uint64
	Lasts                                   bool
}

func (h *handler) channels(w http.ResponseWriter, r *http.Request) {
	h.showChannels(w, r, http.StatusOK, "", "")
}

// showChannels writes the page with what was done, or what was wrong.
func (h *handler) showChannels(w http.ResponseWriter, r *http.Request, status int, said, bad string) {
	lang := language(r)
	p, heard, lonely, err := h.Channels.Panel(r.Context())
	if err != nil {
		h.Log.Error("console: read the channels", "err", err)
		http.Error(w, texts[lang]["unreadable"], http.StatusInternalServerError)
		return
	}
	v := channelsOf(p, lang, h.Location)
	v.Said, v.Bad, v.Lonely, v.Base, v.Links = said, bad, lonely, "./", h.links("channels", lang)
	if r.Method == http.MethodPost {
		v.Base = "../"
	}
	if age := p.At.Sub(heard); !heard.IsZero() && age > 5*time.Second {
		v.Stale = age.Round(time.Second).String()
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "channels.html", v); err != nil {
		h.Log.Error("console: render", "err", err)
		http.Error(w, texts[lang]["unreadable"], http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Security-Policy", strings.Replace(head.Get("Content-Security-Policy"), "form-action 'none'", "form-action 'self'", 1))
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Language", lang)
	head.Set("Cache-Control", "no-store")
	head.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	w.Write(b.Bytes()) //nolint:errcheck // the reader has gone; there is nobody to tell
}

func channelsOf(p panel.Panel, lang string, loc *time.Location) channelsView {
	t := texts[lang]
	v := channelsView{Lang: lang, HTMLLang: map[string]string{"en": "en", "zh": "zh-Hans"}[lang], T: t, Causes: store.Causes}
	for _, x := range p.Channels {
		c := channelView{Name: x.Cell.String(), Channel: x.Cell.Channel, Bank: x.Cell.Bank, Card: x.Cell.Card, State: t["channel."+x.State.String()], Tone: "good", Share: fmt.Sprintf("%.0f %%", 100*x.Share),
			Success: t["no_payments"], Version: x.Version, Out: x.State != health.Available}
		switch x.State {
		case health.Unavailable:
			c.Tone = "bad"
		case health.Ramping:
			c.Tone = "warn"
		}
		if x.Payments > 0 {
			c.Success, c.Bound = fmt.Sprintf("%.1f %%", 100*x.Success), fmt.Sprintf("%.1f – %.1f %%", 100*x.Lo, 100*x.Hi)
			c.Pace = fmt.Sprintf("%d · %d ms", x.Payments, x.Took.Milliseconds())
		}
		if !x.Since.IsZero() {
			c.Since = full(x.Since, loc)
		}
		c.SuccessLine, c.ShareLine = lines(x.Points)
		v.Channels = append(v.Channels, c)
	}
	for _, i := range p.Incidents {
		x := incidentView{Name: i.Cell.String(), Channel: i.Cell.Channel, Bank: i.Cell.Bank, Card: i.Cell.Card, Incident: i.Incident, Began: full(i.Began, loc), Lasts: i.Ended.IsZero()}
		if !x.Lasts {
			x.Ended = full(i.Ended, loc)
		}
		v.Incidents = append(v.Incidents, x)
	}
	return v
}

// lines draws success and share over time in a box of 120 by 32.
func lines(points []panel.Point) (success, share string) {
	var a, b strings.Builder
	at := func(i int, y float64) string {
		return fmt.Sprintf("%.1f,%.1f ", 120*float64(i)/float64(max(len(points)-1, 1)), 30-28*y)
	}
	for i, p := range points {
		if p.Payments > 0 {
			a.WriteString(at(i, float64(p.Payments-p.Failed)/float64(p.Payments)))
		}
		b.WriteString(at(i, p.Share))
	}
	return strings.TrimSpace(a.String()), strings.TrimSpace(b.String())
}

// switchChannel does what a person asks for, and closeIncident notes a cause.
func (h *handler) switchChannel(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(by string, c health.Cell, reason string) (string, error) {
		version, err := strconv.ParseUint(r.PostFormValue("version"), 10, 64)
		if err != nil {
			return "", errors.New("the form has no version: reload the page")
		}
		e := health.SwitchedOff
		if r.PostFormValue("to") == "on" {
			e = health.SwitchedOn
		}
		return "switched", h.Channels.Switch(r.Context(), c, e, version, by, reason)
	})
}

func (h *handler) closeIncident(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(by string, c health.Cell, reason string) (string, error) {
		incident, err := strconv.ParseUint(r.PostFormValue("incident"), 10, 64)
		if err != nil {
			return "", errors.New("the form has no incident: reload the page")
		}
		return "incident_closed", h.Channels.Close(r.Context(), c, incident, r.PostFormValue("cause"), reason, by)
	})
}

// act asks who it is, and why, before anything is done. Each refusal is a line in the log.
func (h *handler) act(w http.ResponseWriter, r *http.Request, do func(by string, c health.Cell, reason string) (string, error)) {
	t := texts[language(r)]
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form does not read", http.StatusBadRequest)
		return
	}
	c := health.Cell{Channel: r.PostFormValue("channel"), Bank: r.PostFormValue("bank"), Card: r.PostFormValue("card")}
	by, ok := h.Channels.Operator(strings.TrimSpace(r.PostFormValue("token")))
	if !ok {
		h.Log.WarnContext(r.Context(), "console: a switch was refused: no operator's token", "channel", c.String(), "from", r.RemoteAddr)
		h.showChannels(w, r, http.StatusForbidden, "", t["no_operator"])
		return
	}
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if reason == "" || len(reason) > 500 {
		h.showChannels(w, r, http.StatusUnprocessableEntity, "", t["no_reason"])
		return
	}
	said, err := do(by, c, reason)
	if err != nil {
		h.Log.WarnContext(r.Context(), "console: a switch was refused", "channel", c.String(), "by", by, "error", err)
		h.showChannels(w, r, http.StatusConflict, "", err.Error())
		return
	}
	h.showChannels(w, r, http.StatusOK, t[said]+" "+c.String(), "")
}
