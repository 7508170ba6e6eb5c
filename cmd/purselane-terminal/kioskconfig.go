package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk"
	kioskpage "github.com/purselane/purselane/terminal/kiosk/page"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

// kioskConfig is a kiosk's own configuration, version 1; docs/kiosk.md is its page.
type kioskConfig struct {
	Version   int            `yaml:"version"`
	Backend   string         `yaml:"backend"`    // the backend's API
	TokenFile string         `yaml:"token_file"` // of the kiosk's agent
	Terminal  string         `yaml:"terminal"`   // number, 12 hexadecimal digits
	Family    string         `yaml:"family"`     // of EP purses: tunion (default) or pboc
	Journal   string         `yaml:"journal"`
	Listen    string         `yaml:"listen"`   // of the page
	Language  string         `yaml:"language"` // that the page begins in
	TimeZone  string         `yaml:"time_zone"`
	Amounts   []string       `yaml:"amounts"`
	Reader    laneConfig     `yaml:"reader"`
	Patience  patienceConfig `yaml:"patience"`

	dir     string // paths are relative to it
	amounts []money.Amount
	request kiosk.Request
}

type patienceConfig struct {
	Choose time.Duration `yaml:"choose"`
	Check  time.Duration `yaml:"check"`
	Hold   time.Duration `yaml:"hold"`
	Refund time.Duration `yaml:"refund"`
	Notice time.Duration `yaml:"notice"`
	Poll   time.Duration `yaml:"poll"`
	Keep   time.Duration `yaml:"keep"`
	Give   time.Duration `yaml:"give_back"`
}

// parseKiosk reads a configuration strictly and returns every fault it can see in the text. dir is the file's folder.
func parseKiosk(raw []byte, dir string) (*kioskConfig, error) {
	c := kioskConfig{dir: dir, Family: "tunion", Listen: "127.0.0.1:8811", Language: "zh", TimeZone: "Asia/Shanghai", Amounts: []string{"20.00", "50.00", "100.00", "200.00"}}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("config: more than one YAML document: want one")
	}
	return &c, c.check()
}

func (c *kioskConfig) check() error {
	var f faults
	if c.Version != 1 {
		f.bad("version: %d: want 1, the form that this program reads", c.Version)
	}
	if _, err := kiosk.ParseAddress("backend", c.Backend); err != nil {
		f.bad("%w", err)
	}
	f.want("token_file", c.TokenFile, "a file with an agent's token of the backend, such as the agent.token that \"purselane init\" makes")
	f.want("journal", c.Journal, "a file on a disk that keeps what it promised")
	term, err := hex.DecodeString(c.Terminal)
	if err != nil || len(term) != len(c.request.Terminal) {
		f.bad("terminal: %q: want 12 hexadecimal digits", c.Terminal)
	}
	copy(c.request.Terminal[:], term)
	switch c.Family {
	case "tunion":
	case "pboc":
		c.request.AID, c.request.Levels = ep.AIDPBOC, 1
	default:
		f.bad("family: %q: want tunion or pboc", c.Family)
	}
	if kioskpage.Default()[c.Language] == nil {
		f.bad("language: %q: want en or zh", c.Language)
	}
	if place, err := time.LoadLocation(c.TimeZone); err != nil {
		f.bad("time_zone: %w", err)
	} else {
		c.request.Now = func() time.Time { return time.Now().In(place) }
	}
	if len(c.Amounts) == 0 || len(c.Amounts) > 8 {
		f.bad("amounts: %d: want 1 to 8, as many as fit on the screen", len(c.Amounts))
	}
	for i, text := range c.Amounts {
		a, err := money.Parse(text)
		if err != nil || a.Sign() <= 0 {
			f.bad("amounts[%d]: %q: want an amount such as 50.00", i, text)
		}
		c.amounts = append(c.amounts, a)
	}
	r := c.Reader
	r.Mode = "sale" // checked as a till's reader, which asks for neither line nor station
	if c.Reader.Mode != "" {
		f.bad("reader.mode: a kiosk has none: take it out")
	}
	r.check(&f, "reader")
	for _, p := range []struct {
		key string
		d   time.Duration
	}{{"choose", c.Patience.Choose}, {"check", c.Patience.Check}, {"hold", c.Patience.Hold}, {"refund", c.Patience.Refund}, {"notice", c.Patience.Notice},
		{"poll", c.Patience.Poll}, {"keep", c.Patience.Keep}, {"give_back", c.Patience.Give}} {
		if p.d < 0 {
			f.bad("patience.%s: %v: want zero (the default) or more", p.key, p.d)
		}
	}
	return errors.Join(f...)
}

func (c *kioskConfig) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

func (c *kioskConfig) patience() session.Patience { return session.Patience(c.Patience) }
