package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/screen"
)

// apiConfig is the local API (docs/terminal-api.md).
type apiConfig struct {
	Listen    string `yaml:"listen"`     // HOST:PORT or unix:PATH
	TokenFile string `yaml:"token_file"` // wanted where other machines can reach it
}

// screenConfig is the pages that the API serves (docs/terminal-screens.md).
type screenConfig struct {
	Texts string `yaml:"texts"` // a file of own words
	Off   bool   `yaml:"off"`
}

// linkConfig is the linked terminals (docs/terminal-link.md).
type linkConfig struct {
	Listen  string   `yaml:"listen"`
	Peers   []string `yaml:"peers"`
	KeyFile string   `yaml:"key_file"`
}

// checkLocal finds what is wrong with the local parts.
func (c *config) checkLocal(f *faults) {
	if a := c.API; a != nil {
		if err := api.CheckAddress(a.Listen, a.TokenFile != ""); err != nil {
			f.bad("api.listen: %w", err)
		}
	}
	if c.Screen.Texts != "" && (c.API == nil || c.Screen.Off) {
		f.bad("screen.texts: there is no screen without api.listen, and with screen.off: take it out")
	}
	if l := c.Link; l != nil {
		for _, a := range append([]string{l.Listen}, l.Peers...) {
			if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
				f.bad("link: %q: want an address such as 10.0.7.1:8802", a)
			}
		}
		if len(l.Peers) == 0 {
			f.bad("link.peers: want at least one, or leave link out")
		}
		f.want("link.key_file", l.KeyFile, "a file of 64 hexadecimal digits, the same at all linked terminals")
	}
}

// local are the local parts' files, read.
type local struct {
	token   string
	texts   screen.Texts
	linkKey []byte
}

// readLocal reads the files of the local parts and returns every fault.
func (c *config) readLocal() (out local, err error) {
	var all []error
	if c.API != nil && c.API.TokenFile != "" {
		if out.token, err = readPassword(c.path(c.API.TokenFile)); err != nil {
			all = append(all, fmt.Errorf("api.token_file: %w", err))
		} else if len(out.token) < 16 {
			all = append(all, errors.New("api.token_file: want a token of at least 16 characters"))
		}
	}
	if out.texts, err = c.texts(); err != nil {
		all = append(all, fmt.Errorf("screen.texts: %w", err))
	}
	if c.Link != nil {
		if out.linkKey, err = readLinkKey(c.path(c.Link.KeyFile)); err != nil {
			all = append(all, fmt.Errorf("link.key_file: %w", err))
		}
	}
	return out, errors.Join(all...)
}

func (c *config) texts() (screen.Texts, error) {
	if c.Screen.Texts == "" {
		return screen.Default(), nil
	}
	raw, err := os.ReadFile(c.path(c.Screen.Texts))
	if err != nil {
		return nil, err
	}
	var own screen.Texts
	if err := yaml.Unmarshal(raw, &own); err != nil {
		return nil, err
	}
	return screen.Default().With(own)
}

func readLinkKey(path string) ([]byte, error) {
	raw, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: want 64 hexadecimal digits", path) // and not what is there
	}
	return key, nil
}
