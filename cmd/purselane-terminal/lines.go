package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// linesVersion is the version of the JSON lines.
//
//   - 1: 2026-11-24: first
const linesVersion = 1

// line is one outcome as a JSON line; docs/terminal.md lists the fields. The card is masked.
type line struct {
	Version int    `json:"version"`
	At      string `json:"at"`
	Lane    int    `json:"lane"`
	Mode    string `json:"mode,omitempty"`
	Outcome string `json:"outcome"`
	Pass    bool   `json:"pass"`
	Light   string `json:"light"`
	Beeps   int    `json:"beeps"`
	Amount  string `json:"amount,omitempty"`
	Balance string `json:"balance,omitempty"`
	Card    string `json:"card,omitempty"`
	Tap     string `json:"tap,omitempty"`
	Request string `json:"request,omitempty"` // of an answer to a till
	Reason  string `json:"reason,omitempty"`
	TookMs  int64  `json:"took_ms"`
}

func lineOf(e edge.Event, mode string) line {
	r := e.Result
	l := line{
		Version: linesVersion, At: e.At.UTC().Format("2006-01-02T15:04:05.000Z"), Lane: e.Lane, Mode: mode, Outcome: r.Outcome.String(), Pass: r.Outcome.Pass(),
		Light: e.Pattern.Light, Beeps: e.Pattern.Beeps(), Reason: r.Reason, TookMs: e.Took.Milliseconds(),
	}
	if e.Ready {
		l.Outcome = "ready"
	}
	if r.Card != (ids.CardNumber{}) {
		l.Card = r.Card.String()
	}
	if r.Tap != (ids.TapID{}) {
		l.Tap, l.Amount = r.Tap.String(), r.Amount.String()
	}
	if r.Outcome.Pass() && !r.Balance.IsZero() {
		l.Balance = r.Balance.String()
	}
	return l
}

// lights writes outcomes for people or for programs. Whoever reads them must not hold up the terminal: when they do not keep up,
// lines are dropped, and the log says so.
type lights struct {
	json    bool
	log     *slog.Logger
	modes   []string
	profile *firmwareconfig.Profile // what outcomes look like
	local   *time.Location          // of the profile
	queue   chan string
	done    chan struct{}
}

// lightsRoom is how many lines a slow reader may be behind.
const lightsRoom = 1000

// startLights begins to write to out.
func startLights(out io.Writer, asJSON bool, log *slog.Logger, profile *firmwareconfig.Profile) *lights {
	s := &lights{json: asJSON, log: log, profile: profile, local: profile.Location(), queue: make(chan string, lightsRoom), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for text := range s.queue {
			if _, err := fmt.Fprintln(out, text); err != nil {
				log.Error("outcome line", "err", err)
			}
		}
	}()
	return s
}

// close writes what is left, but waits for no reader that has stopped.
func (s *lights) close() {
	close(s.queue)
	select {
	case <-s.done:
	case <-time.After(time.Second):
		s.log.Warn("outcome lines: nobody reads them", "left", len(s.queue))
	}
}

func (s *lights) mode(lane int) string {
	if lane < 0 || lane >= len(s.modes) {
		return ""
	}
	return s.modes[lane]
}

func (s *lights) show(e edge.Event) {
	if e.Card {
		return // its outcome follows, and lines are of outcomes
	}
	s.write(lineOf(e, s.mode(e.Lane)), e.At)
}

// answer tells a till what became of its request.
func (s *lights) answer(lane int, request string, r tap.Result, err error) {
	at := time.Now()
	l := lineOf(edge.Event{Lane: lane, At: at, Result: r, Pattern: r.Outcome.Pattern(s.profile)}, s.mode(lane))
	l.Request = request
	if err != nil {
		l.Reason = err.Error()
	}
	s.write(l, at)
}

func (s *lights) write(l line, at time.Time) {
	text := l.text(at.In(s.local))
	if s.json {
		raw, err := json.Marshal(l)
		if err != nil {
			s.log.Error("outcome line", "err", err)
			return
		}
		text = string(raw)
	}
	select {
	case s.queue <- text:
	default:
		s.log.Warn("outcome line dropped: its reader does not keep up", "outcome", l.Outcome)
	}
}

func (l line) text(at time.Time) string {
	parts := []string{at.Format("15:04:05"), fmt.Sprintf("lane %d", l.Lane), fmt.Sprintf("%-5s", strings.ToUpper(l.Light)),
		fmt.Sprintf("%-3s", strings.Repeat("*", l.Beeps)), l.Outcome}
	for _, p := range []struct{ name, value string }{{"", l.Amount}, {"balance ", l.Balance}, {"card ", l.Card}, {"request ", l.Request}} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	if l.Reason != "" {
		parts = append(parts, "("+l.Reason+")")
	}
	return strings.Join(parts, "  ")
}
