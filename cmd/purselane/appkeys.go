package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/app"
)

// AppKeysCmd is `purselane app keys`.
type AppKeysCmd struct {
	List AppKeysListCmd `cmd:"" default:"withargs" help:"List the keys that an app has had."`
	Add  AppKeysAddCmd  `cmd:"" help:"Ask for a key; a second person asks for the same, and is told the secret if it is one."`
	End  AppKeysEndCmd  `cmd:"" help:"End a key, at once, by one person."`
}

// AppKeysListCmd is `purselane app keys list`.
type AppKeysListCmd struct {
	schemeFolder
	ID   string `arg:"" help:"The app."`
	JSON bool   `name:"json" help:"Print JSON, one key a line."`
}

// Run lists.
func (c *AppKeysListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withApps(ctx, func(s *app.Service) error {
		all, err := s.Keys(ctx, c.ID)
		if err != nil {
			return err
		}
		p := &printer{out: k.Stdout}
		for _, key := range all {
			if c.JSON {
				if err := json.NewEncoder(k.Stdout).Encode(shownKeyOf(key, "")); err != nil {
					return err
				}
				continue
			}
			p.line("%s  %s, since %s%s", key.ID, key.Kind, key.Since.Format(time.DateTime), ending(key))
		}
		return p.err
	})
}

// shownKey is the JSON form.
type shownKey struct {
	ID     string     `json:"id"`
	Kind   string     `json:"kind"`
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty"`
	Valid  bool       `json:"valid"`
	Secret string     `json:"secret,omitempty"`
}

func shownKeyOf(k app.Key, secret string) shownKey {
	out := shownKey{ID: k.ID, Kind: string(k.Kind), Since: k.Since, Valid: k.Valid, Secret: secret}
	if !k.Until.IsZero() {
		out.Until = &k.Until
	}
	return out
}

func ending(k app.Key) string {
	switch {
	case k.Until.IsZero():
		return ""
	case k.Valid:
		return ", valid until " + k.Until.Format(time.DateTime)
	}
	return ", OVER since " + k.Until.Format(time.DateTime)
}

// AppKeysAddCmd is `purselane app keys add`.
type AppKeysAddCmd struct {
	appStep
	Public string `placeholder:"FILE" type:"existingfile" help:"The caller's RSA public key (PEM). Default: a new secret for HMAC-SHA256."`
}

// Run asks.
func (c *AppKeysAddCmd) Run(ctx context.Context, k *kong.Kong) error {
	var public []byte
	if c.Public != "" {
		var err error
		if public, err = os.ReadFile(c.Public); err != nil {
			return err
		}
	}
	return c.withApps(ctx, func(s *app.Service) error {
		n, err := s.AskKey(ctx, c.ID, public, c.By, c.Reason)
		if err != nil {
			return err
		}
		if n.Key == nil {
			return printApps(k, c.JSON, n.App)
		}
		secret := ""
		if n.Secret != nil {
			secret = n.Secret.Reveal()
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(shownKeyOf(*n.Key, secret))
		}
		p := &printer{out: k.Stdout}
		p.line("%s  %s", n.Key.ID, n.Key.Kind)
		if secret != "" {
			p.line("  secret, not told again: %s", secret)
		}
		return p.err
	})
}

// AppKeysEndCmd is `purselane app keys end`.
type AppKeysEndCmd struct {
	appStep
	Key string `arg:"" help:"The key."`
}

// Run ends.
func (c *AppKeysEndCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, func(s *app.Service) (app.App, error) { return s.EndKey(ctx, c.ID, c.Key, c.By, c.Reason) })
}
