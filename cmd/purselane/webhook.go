package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
)

// WebhookCmd is `purselane webhook`.
type WebhookCmd struct {
	List   WebhookListCmd   `cmd:"" help:"List where apps want to be told of events."`
	Add    WebhookAddCmd    `cmd:"" help:"Add an endpoint of an app, and tell its secret."`
	Rotate WebhookRotateCmd `cmd:"" help:"Give an endpoint a new secret, and tell it; the old one signs beside it for a day."`
	Dead   WebhookDeadCmd   `cmd:"" help:"List messages that nobody took."`
	Resend WebhookResendCmd `cmd:"" help:"Have a message sent again, or all that are dead; the backend does it."`
}

// withWebhooks does a tool's work on the folder's webhooks.
func (f schemeFolder) withWebhooks(ctx context.Context, do func(*webhook.Service) error) error {
	box, err := f.gatewayBox()
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		w, err := webhook.New(s, webhook.Config{Box: box})
		if err != nil {
			return err
		}
		return do(w)
	})
}

// WebhookListCmd is `purselane webhook list`.
type WebhookListCmd struct {
	schemeFolder
	App  string `help:"Only this app's."`
	JSON bool   `name:"json" help:"Print JSON, one endpoint a line."`
}

// Run lists.
func (c *WebhookListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withWebhooks(ctx, func(s *webhook.Service) error {
		all, err := s.Endpoints(ctx, c.App)
		if err != nil {
			return err
		}
		for _, e := range all {
			if err := printEndpoint(k, c.JSON, e, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// shownEndpoint is the JSON form.
type shownEndpoint struct {
	ID      string    `json:"id"`
	App     string    `json:"app"`
	URL     string    `json:"url"`
	Events  []string  `json:"events"`
	Active  bool      `json:"active"`
	Created time.Time `json:"created"`
	Secret  string    `json:"secret,omitempty"`
}

func printEndpoint(k *kong.Kong, asJSON bool, e webhook.Endpoint, secret string) error {
	if asJSON {
		return json.NewEncoder(k.Stdout).Encode(shownEndpoint{e.ID, e.App, e.URL, e.Events, e.Active, e.Created, secret})
	}
	stopped := ""
	if !e.Active {
		stopped = ", STOPPED"
	}
	p := &printer{out: k.Stdout}
	p.line("%s  %s: %s at %s%s", e.ID, e.App, strings.Join(e.Events, " "), e.URL, stopped)
	if secret != "" {
		p.line("  secret, not told again: %s", secret)
	}
	return p.err
}

// WebhookAddCmd is `purselane webhook add`.
type WebhookAddCmd struct {
	schemeFolder
	App   string   `required:"" help:"The app."`
	URL   string   `required:"" name:"url" help:"https, at a public address."`
	Event []string `required:"" help:"What to tell: payment.paid, payment.* or *. May be given again."`
	By    string   `required:"" help:"Who adds it."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run adds.
func (c *WebhookAddCmd) Run(ctx context.Context, k *kong.Kong) error {
	// An endpoint of an app that is none would hear of nothing, and nobody would know why.
	if err := c.withApps(ctx, func(s *app.Service) error { _, _, err := s.Show(ctx, c.App); return err }); err != nil {
		return err
	}
	return c.withWebhooks(ctx, func(s *webhook.Service) error {
		e, secret, err := s.Subscribe(ctx, c.App, c.URL, c.Event, c.By)
		if err != nil {
			return err
		}
		return printEndpoint(k, c.JSON, e, secret.Reveal())
	})
}

// WebhookRotateCmd is `purselane webhook rotate`.
type WebhookRotateCmd struct {
	schemeFolder
	ID   string `arg:"" help:"The endpoint."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run rotates.
func (c *WebhookRotateCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withWebhooks(ctx, func(s *webhook.Service) error {
		secret, err := s.Rotate(ctx, "", c.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(map[string]string{"id": c.ID, "secret": secret.Reveal()})
		}
		_, err = fmt.Fprintf(k.Stdout, "%s\n  secret, not told again: %s\n", c.ID, secret.Reveal())
		return err
	})
}

// WebhookDeadCmd is `purselane webhook dead`.
type WebhookDeadCmd struct {
	schemeFolder
	App   string `help:"Only this app's."`
	Limit int    `default:"100" help:"At most so many."`
	JSON  bool   `name:"json" help:"Print JSON, one message a line."`
}

// Run lists.
func (c *WebhookDeadCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withWebhooks(ctx, func(s *webhook.Service) error {
		all, err := s.Deliveries(ctx, c.App, webhook.Dead, c.Limit)
		if err != nil {
			return err
		}
		for _, d := range all {
			if err := printDelivery(k, c.JSON, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// shownDelivery is the JSON form.
type shownDelivery struct {
	Endpoint string    `json:"endpoint"`
	ID       string    `json:"id"`
	App      string    `json:"app"`
	Event    string    `json:"event"`
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	Status   int       `json:"status,omitempty"`
	Error    string    `json:"error,omitempty"`
}

func printDelivery(k *kong.Kong, asJSON bool, d webhook.Delivery) error {
	if asJSON {
		return json.NewEncoder(k.Stdout).Encode(shownDelivery{d.Endpoint, d.ID, d.App, d.Event, d.At, string(d.State), d.Status, d.Error})
	}
	why := ""
	if d.Error != "" {
		why = ": " + d.Error
	}
	_, err := fmt.Fprintf(k.Stdout, "%s %s  %s of %s for %s, %s%s\n", d.Endpoint, d.ID, d.Event, d.At.Format(time.DateTime), d.App, d.State, why)
	return err
}

// WebhookResendCmd is `purselane webhook resend`.
type WebhookResendCmd struct {
	schemeFolder
	Endpoint string `arg:"" optional:"" help:"The message's endpoint."`
	ID       string `arg:"" optional:"" help:"The message."`
	Dead     bool   `help:"All that are dead, in place of one."`
	App      string `help:"With --dead: only this app's."`
	Limit    int    `default:"1000" help:"With --dead: at most so many."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run asks for it.
func (c *WebhookResendCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Dead == (c.ID != "") {
		return errors.New("want an endpoint and a message, or --dead")
	}
	return c.withWebhooks(ctx, func(s *webhook.Service) error {
		if !c.Dead {
			d, err := s.Resend(ctx, c.App, c.Endpoint, c.ID)
			if err != nil {
				return err
			}
			return printDelivery(k, c.JSON, d)
		}
		n, err := s.ResendDead(ctx, c.App, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(map[string]int{"resent": n})
		}
		_, err = fmt.Fprintf(k.Stdout, "%d messages will be sent again\n", n)
		return err
	})
}
