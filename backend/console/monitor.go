package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/monitor"
)

// Monitor is what the pages of the business, of merchants and of accounts are made from. *monitor.Watcher is one.
type Monitor interface {
	Business(ctx context.Context) (monitor.Business, error)
	Sales(ctx context.Context) (monitor.Sales, error)
	Accounts(ctx context.Context) (monitor.Accounts, error)
}

// monitorView is what all three pages read.
type monitorView struct {
	Lang, HTMLLang, Page, Heading, Asked string
	T                                    map[string]string
	Links                                []link
	Alerts                               []alertView

	Business businessView
	Sellers  []monitor.Seller
	More     int
	Accounts monitor.Accounts
}

type alertView struct{ Tone, About, Text string }

type businessView struct {
	Kinds []kindView
	Hours []hourView // the oldest first, as bars stand
	Rows  []hourView // the newest first, as one reads
	monitor.Business
}

type kindView struct {
	Name string
	monitor.Kind
}

// hourView is an hour with its bar in a box of 240 by 60: ten wide, as high as its orders are to those of the busiest hour.
type hourView struct {
	Full, Clock   string
	X             int
	High, Low     string // of all orders, and of those that were paid
	Top, PaidAtop string // where the bars begin, from above
	monitor.Hour
}

func (h *handler) business(w http.ResponseWriter, r *http.Request) {
	b, err := h.Monitor.Business(r.Context())
	v := h.watched("business", r, b.At, b.Alerts())
	v.Business = businessOf(b, v.T, h.Location)
	h.show(w, v, err)
}

func (h *handler) merchants(w http.ResponseWriter, r *http.Request) {
	s, err := h.Monitor.Sales(r.Context())
	v := h.watched("merchants", r, s.At, s.Alerts())
	v.Sellers, v.More = s.Sellers, s.More
	h.show(w, v, err)
}

func (h *handler) accounts(w http.ResponseWriter, r *http.Request) {
	a, err := h.Monitor.Accounts(r.Context())
	v := h.watched("accounts", r, a.At, a.Alerts())
	v.Accounts = a
	h.show(w, v, err)
}

// watched is what the three pages have in common.
func (h *handler) watched(page string, r *http.Request, at time.Time, alerts []monitor.Alert) monitorView {
	lang := language(r)
	v := monitorView{Lang: lang, HTMLLang: map[string]string{"en": "en", "zh": "zh-Hans"}[lang], Page: page, Heading: texts[lang]["page."+page], T: texts[lang], Links: h.links(page, lang), Asked: full(at, h.Location)}
	for _, a := range alerts {
		v.Alerts = append(v.Alerts, alertOf(a, v.T))
	}
	return v
}

// alertOf writes an alert as a line.
func alertOf(a monitor.Alert, t map[string]string) alertView {
	v := alertView{Tone: "warn", About: a.About, Text: t["alert."+a.Code]}
	if a.Grave {
		v.Tone = "bad"
	}
	if v.Text == "" {
		v.Text = a.Code // newer than the page
	}
	v.Text = strings.NewReplacer("{count}", showCount(a.Count), "{before}", showCount(a.Before), "{amount}", showMoney(a.Amount), "{was}", percent(a.Was), "{is}", percent(a.Is)).Replace(v.Text)
	return v
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// showRate writes the success of attempts, or a dash where there were none.
func showRate(c monitor.Count) string {
	rate, known := c.Success()
	if !known {
		return "–"
	}
	return percent(rate)
}

// businessOf leaves the hour of yesterday out: it is there to compare.
func businessOf(b monitor.Business, t map[string]string, loc *time.Location) businessView {
	v := businessView{Business: b}
	for _, k := range b.Kinds {
		name := t["action."+k.Action.String()]
		if name == "" {
			name = k.Action.String()
		}
		v.Kinds = append(v.Kinds, kindView{name, k})
	}
	most := int64(1)
	for _, h := range b.Hours {
		most = max(most, h.Orders)
	}
	for i, h := range b.Hours {
		if i == 0 {
			continue
		}
		high, low := 58*float64(h.Orders)/float64(most), 58*float64(h.Paid)/float64(most)
		v.Hours = append(v.Hours, hourView{Full: full(h.From, loc), Clock: h.From.In(loc).Format("15:04"), X: 10*(i-1) + 1, High: fmt.Sprintf("%.1f", high), Low: fmt.Sprintf("%.1f", low),
			Top: fmt.Sprintf("%.1f", 60-high), PaidAtop: fmt.Sprintf("%.1f", 60-low), Hour: h})
	}
	v.Rows = slices.Clone(v.Hours)
	slices.Reverse(v.Rows)
	return v
}

// show writes a page whole, or says that it could not be read.
func (h *handler) show(w http.ResponseWriter, v monitorView, err error) {
	var b bytes.Buffer
	if err == nil {
		err = pages.ExecuteTemplate(&b, "monitor.html", v)
	}
	if err != nil {
		h.Log.Error("console: read or render "+v.Page, "err", err)
		http.Error(w, v.T["unreadable"], http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Language", v.Lang)
	head.Set("Cache-Control", "no-store")
	head.Add("Vary", "Accept-Language")
	w.Write(b.Bytes()) //nolint:errcheck // the reader has gone; there is nobody to tell
}
