package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
)

// AppCmd is `purselane app`.
type AppCmd struct {
	Apply    AppApplyCmd    `cmd:"" help:"Note a merchant's app that wants to call the gateway."`
	Approve  AppApproveCmd  `cmd:"" help:"Ask that an app be approved; a second person asks for the same."`
	Activate AppActivateCmd `cmd:"" help:"Ask that an approved or frozen app may transact; a second person asks for the same."`
	Freeze   AppFreezeCmd   `cmd:"" help:"Stop an app, at once, by one person."`
	Close    AppCloseCmd    `cmd:"" help:"Ask that an app end for good; a second person asks for the same."`
	Terms    AppTermsCmd    `cmd:"" help:"Ask for other channels, accounts and rates of an app; a second person asks for the same."`
	TakeBack AppTakeBackCmd `cmd:"" help:"Forget what is asked to be done to an app."`
	Keys     AppKeysCmd     `cmd:"" help:"What an app signs its requests with."`
	List     AppListCmd     `cmd:"" help:"List apps."`
	Show     AppShowCmd     `cmd:"" help:"Show an app and what was done to it."`
}

// gatewayBox seals the gateway's secrets under the scheme's key file.
func (f schemeFolder) gatewayBox() (*sealed.Box, error) {
	ring, err := f.ring()
	if err != nil {
		return nil, err
	}
	token, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return nil, err
	}
	return sealed.New(node.GatewayKey(token))
}

// withApps does a tool's work on the folder's apps.
func (f schemeFolder) withApps(ctx context.Context, do func(*app.Service) error) error {
	box, err := f.gatewayBox()
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		a, err := app.New(s, app.Config{Box: box})
		if err != nil {
			return err
		}
		return do(a)
	})
}

// appStep is what every step of an app takes.
type appStep struct {
	schemeFolder
	ID     string `arg:"" help:"The app."`
	By     string `required:"" help:"Who asks for it."`
	Reason string `required:"" help:"Why, for people."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (c appStep) do(ctx context.Context, k *kong.Kong, step func(*app.Service) (app.App, error)) error {
	return c.withApps(ctx, func(s *app.Service) error {
		a, err := step(s)
		if err != nil {
			return err
		}
		return printApps(k, c.JSON, a)
	})
}

func (c appStep) ask(ctx context.Context, k *kong.Kong, e app.Event) error {
	return c.do(ctx, k, func(s *app.Service) (app.App, error) { return s.Ask(ctx, c.ID, e, c.By, c.Reason) })
}

// AppApplyCmd is `purselane app apply`.
type AppApplyCmd struct {
	appStep
	Name         string `required:"" help:"The merchant's."`
	Registration string `help:"The merchant's number at the office that registers it."`
	Contact      string `help:"Whom to tell when something is wrong."`
	Terms        string `placeholder:"FILE" type:"existingfile" help:"Channels, accounts and rates (YAML, see docs/gateway-apps.md). Default: none yet."`
}

// Run applies.
func (c *AppApplyCmd) Run(ctx context.Context, k *kong.Kong) error {
	var terms app.Terms
	if c.Terms != "" {
		var err error
		if terms, err = readTerms(c.Terms); err != nil {
			return err
		}
	}
	return c.do(ctx, k, func(s *app.Service) (app.App, error) {
		return s.Apply(ctx, c.ID, app.Filing{Name: c.Name, Registration: c.Registration, Contact: c.Contact}, terms, c.By, c.Reason)
	})
}

func readTerms(path string) (app.Terms, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return app.Terms{}, err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	var t app.Terms
	if err := d.Decode(&t); err != nil && !errors.Is(err, io.EOF) {
		return app.Terms{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// AppApproveCmd is `purselane app approve`.
type AppApproveCmd struct{ appStep }

// Run asks.
func (c *AppApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.ask(ctx, k, app.Approve)
}

// AppActivateCmd is `purselane app activate`.
type AppActivateCmd struct{ appStep }

// Run asks.
func (c *AppActivateCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.ask(ctx, k, app.Activate)
}

// AppFreezeCmd is `purselane app freeze`.
type AppFreezeCmd struct{ appStep }

// Run freezes.
func (c *AppFreezeCmd) Run(ctx context.Context, k *kong.Kong) error { return c.ask(ctx, k, app.Freeze) }

// AppCloseCmd is `purselane app close`.
type AppCloseCmd struct{ appStep }

// Run asks.
func (c *AppCloseCmd) Run(ctx context.Context, k *kong.Kong) error { return c.ask(ctx, k, app.Close) }

// AppTermsCmd is `purselane app terms`.
type AppTermsCmd struct {
	appStep
	File string `arg:"" type:"existingfile" help:"All of the app's channels, accounts and rates (YAML, see docs/gateway-apps.md)."`
}

// Run asks.
func (c *AppTermsCmd) Run(ctx context.Context, k *kong.Kong) error {
	terms, err := readTerms(c.File)
	if err != nil {
		return err
	}
	return c.do(ctx, k, func(s *app.Service) (app.App, error) { return s.AskTerms(ctx, c.ID, terms, c.By, c.Reason) })
}

// AppTakeBackCmd is `purselane app take-back`.
type AppTakeBackCmd struct{ appStep }

// Run takes back.
func (c *AppTakeBackCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, func(s *app.Service) (app.App, error) { return s.TakeBack(ctx, c.ID, c.By, c.Reason) })
}

// AppListCmd is `purselane app list`.
type AppListCmd struct {
	schemeFolder
	State app.State `help:"Only apps in this state."`
	JSON  bool      `name:"json" help:"Print JSON, one app a line."`
}

// Run lists.
func (c *AppListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withApps(ctx, func(s *app.Service) error {
		all, err := s.Apps(ctx, c.State)
		if err != nil {
			return err
		}
		return printApps(k, c.JSON, all...)
	})
}

// AppShowCmd is `purselane app show`.
type AppShowCmd struct {
	schemeFolder
	ID string `arg:"" help:"The app."`
}

// Run shows.
func (c *AppShowCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withApps(ctx, func(s *app.Service) error {
		a, steps, err := s.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := printApps(k, false, a); err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, e := range steps {
			p.line("  %s  %s by %s: %s", e.At.Format(time.DateTime), e.What, e.By, e.Detail)
		}
		return p.err
	})
}

// shownApp is the JSON form.
type shownApp struct {
	ID           string             `json:"id"`
	Name         string             `json:"name"`
	Registration string             `json:"registration,omitempty"`
	Contact      string             `json:"contact,omitempty"`
	State        string             `json:"state"`
	Merchants    []ids.MerchantID   `json:"merchants"`
	Channels     []app.ChannelTerms `json:"channels"`
	Created      time.Time          `json:"created"`
	Asked        string             `json:"asked,omitempty"`
	AskedDetail  string             `json:"asked_detail,omitempty"`
	AskedBy      string             `json:"asked_by,omitempty"`
}

func printApps(k *kong.Kong, asJSON bool, all ...app.App) error {
	for _, a := range all {
		asked := app.Asked{}
		if a.Asked != nil {
			asked = *a.Asked
		}
		if asJSON {
			if err := json.NewEncoder(k.Stdout).Encode(shownApp{a.ID, a.Name, a.Registration, a.Contact, string(a.State), append([]ids.MerchantID{}, a.Terms.Merchants...), append([]app.ChannelTerms{}, a.Terms.Channels...), a.Created, asked.What, asked.Detail, asked.By}); err != nil {
				return err
			}
			continue
		}
		p := &printer{out: k.Stdout}
		p.line("%s  %s, %s: %v", a.ID, a.Name, a.State, a.Terms)
		if a.Asked != nil {
			p.line("  %s asks for %s%s; a second person must ask for the same", asked.By, asked.What, inBrackets(asked.Detail))
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " [" + s + "]"
}
