package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/sinks"
	"github.com/purselane/purselane/internal/ids"
)

// GatewayHealth says what channels do by themselves; docs/channel-health.md says what is meant. What is left out is as usual.
type GatewayHealth struct {
	Mode     string                        `yaml:"mode"`     // manual, semi-automatic or automatic
	Channels map[string]GatewayHealthOfOne `yaml:"channels"` // in place of it
	Slow     time.Duration                 `yaml:"slow"`     // a call without an answer after it counts as failed
	BackOff  time.Duration                 `yaml:"back_off"` // before the first ramp
	Interval time.Duration                 `yaml:"interval"` // shortest step of a ramp
	First    float64                       `yaml:"first"`    // smallest first share, 0.01 is one payment in a hundred
	Growth   float64                       `yaml:"growth"`   // of a step over the one before
}

// GatewayHealthOfOne is what one channel does by itself.
type GatewayHealthOfOne struct {
	Mode string `yaml:"mode"`
}

var modes = map[string]health.Mode{"manual": health.Manual, "semi-automatic": health.SemiAutomatic, "automatic": health.Automatic, "": health.Automatic}

// HealthOf gives the settings of a cell.
func (g *Gateway) HealthOf(c health.Cell) health.Settings {
	s := health.Defaults()
	if g == nil || g.Health == nil {
		return s
	}
	h := g.Health
	s.Mode = modes[h.Mode]
	if one, there := h.Channels[c.Channel]; there {
		s.Mode = modes[one.Mode]
	}
	for _, d := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&s.Slow, h.Slow}, {&s.BackOff, h.BackOff}, {&s.Interval, h.Interval}} {
		if d.from != 0 {
			*d.to = d.from
		}
	}
	s.MaxOff = max(s.MaxOff, s.BackOff)
	if h.First != 0 {
		s.First = h.First
	}
	if h.Growth != 0 {
		s.Growth = h.Growth
	}
	return s
}

// Kinds of sinks.
const (
	SinkWebhook = "webhook"
	SinkMail    = "mail"
)

// GatewaySink is told of channels that go out and come back.
type GatewaySink struct {
	Name     string   `yaml:"name"`
	Kind     string   `yaml:"kind"`
	Channels []string `yaml:"channels"` // only of these
	Faults   bool     `yaml:"faults"`   // only of a fault's begin and end, and of alarms
	URL      string   `yaml:"url"`      // webhook
	SMTP     string   `yaml:"smtp"`     // mail: host:port
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	User     string   `yaml:"user"`
	Secret   string   `yaml:"secret"` // file, its owner's alone: what a webhook is signed with, or the password for mail
}

// Sinks lists who is told of channels, the log and apps first.
func (g *Gateway) Sinks() []string {
	all := []string{LogSink, AppsSink}
	if g != nil {
		for _, s := range g.Tell {
			all = append(all, s.Name)
		}
	}
	return all
}

// checkHealth tells every fault of health and tell.
func (g *Gateway) checkHealth(bad func(string, ...any)) {
	if h := g.Health; h != nil {
		if _, ok := modes[h.Mode]; !ok {
			bad("gateway.health.mode: %q: want manual, semi-automatic or automatic", h.Mode)
		}
		for name, one := range h.Channels {
			if _, ok := modes[one.Mode]; !ok || one.Mode == "" {
				bad("gateway.health.channels.%s.mode: %q: want manual, semi-automatic or automatic", name, one.Mode)
			}
		}
		if err := g.HealthOf(health.Cell{}).Check(); err != nil {
			bad("gateway.health: %w", err)
		}
	}
	seen := []string{LogSink, AppsSink}
	for i, s := range g.Tell {
		field := fmt.Sprintf("gateway.tell[%d]", i)
		if err := ids.Check(s.Name); err != nil {
			bad("%s.name: %w", field, err)
		}
		if slices.Contains(seen, s.Name) {
			bad("%s.name: %q stands twice, or is one of log and apps, which are there always", field, s.Name)
		}
		seen = append(seen, s.Name)
		switch s.Kind {
		case SinkWebhook:
			u, err := url.Parse(s.URL)
			if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
				bad("%s.url: want an https address, without a user", field)
			}
			if s.Secret == "" {
				bad("%s.secret: want the file with the secret that messages are signed with", field)
			}
		case SinkMail:
			if err := s.mail(nil).Check(); err != nil {
				bad("%s: %w", field, err)
			}
			if (s.User == "") != (s.Secret == "") {
				bad("%s: want user and secret, or neither", field)
			}
		default:
			bad("%s.kind: %q: want webhook or mail", field, s.Kind)
		}
	}
}

func (s GatewaySink) filter() sinks.Filter {
	return sinks.Filter{Channels: s.Channels, Faults: s.Faults}
}

func (s GatewaySink) mail(secret []byte) sinks.Mail {
	return sinks.Mail{Server: s.SMTP, From: s.From, To: s.To, User: s.User, Password: string(secret), Filter: s.filter()}
}

// tell makes a relay for each sink: one that hangs holds up no other.
func (n *Node) tell() (run []func(context.Context) error, _ error) {
	handlers := map[string]outbox.Handler{LogSink: logMove(n.cfg.Log), AppsSink: sinks.Apps(n.store)}
	for _, s := range n.cfg.Scheme.Gateway.Tell {
		var h outbox.Handler
		err := errors.New("its secret is not read")
		secret, there := n.cfg.SinkSecrets[s.Name]
		switch {
		case s.Secret != "" && !there:
		case s.Kind == SinkWebhook:
			h, err = sinks.Webhook{URL: s.URL, Secret: secret, Filter: s.filter()}.Handler()
		default:
			h, err = s.mail(secret).Handler()
		}
		if err != nil {
			return nil, fmt.Errorf("tell %s: %w", s.Name, err)
		}
		handlers[s.Name] = h
	}
	for name, h := range handlers {
		relay, err := outbox.New(n.store, outbox.Config{Handlers: map[string]outbox.Handler{keeper.Topic(name): h}, Clock: n.cfg.Clock, Log: n.cfg.Log})
		if err != nil {
			return nil, err
		}
		run = append(run, relay.Run)
	}
	left := sinks.Leftovers{Store: n.store, Sinks: n.cfg.Scheme.Gateway.Sinks(), Clock: n.cfg.Clock, Log: n.cfg.Log}
	return append(run, left.Run), nil
}
