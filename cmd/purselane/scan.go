package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/forbidden"
)

// ScanCmd is `purselane scan`.
type ScanCmd struct {
	Paths []string `arg:"" optional:"" type:"path" help:"Files and folders to look through: databases, logs, traces, bills, reports, copies. Default: the data of --dir."`

	Dir            string `placeholder:"FOLDER" type:"path" help:"A scheme's folder: its keys are looked for too."`
	PassphraseFile string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's passphrase."`
	IdentityFile   string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's age identity. Default: keys.identity in the folder."`
	Known          string `type:"existingfile" placeholder:"FILE" help:"More that must be nowhere: one a line, a name, a blank, and digits of a card, or a key after hex:."`
	JSON           bool   `name:"json" help:"Print JSON, one place a line."`
}

// errForbidden says that something was found.
var errForbidden = errors.New("forbidden data was found: say who wrote it, take it out of every copy, and treat the card or key as known to others (docs/forbidden-data.md)")

// foundLine is a place as it is printed. It holds no number and no key.
type foundLine struct {
	Path  string         `json:"path"`
	At    int64          `json:"at"`
	Kind  forbidden.Kind `json:"kind"`
	Form  string         `json:"form"`
	Shown string         `json:"shown"`
}

// Run looks through everything, and fails where something is found.
func (c *ScanCmd) Run(k *kong.Kong) error {
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	if len(c.Paths) == 0 {
		if c.Dir == "" {
			return errors.New("want files or folders, or --dir")
		}
		c.Paths = []string{filepath.Join(c.Dir, folderData)}
	}
	s, err := forbidden.New(secrets...)
	if err != nil {
		return err
	}
	p := &printer{out: k.Stdout}
	var all forbidden.Totals
	var faults []error
	for _, path := range c.Paths {
		root, only := path, "."
		if info, err := os.Stat(path); err != nil {
			return err
		} else if !info.IsDir() {
			root, only = filepath.Split(path)
		}
		part, err := fs.Sub(os.DirFS(root), ".")
		if err != nil {
			return err
		}
		t, err := s.Tree(onlyFile{part, only}, func(at string, f forbidden.Found) {
			where := filepath.Join(root, at)
			if !c.JSON {
				p.line("%s  %v", where, f)
			} else if p.err == nil {
				p.err = json.NewEncoder(k.Stdout).Encode(foundLine{where, f.At, f.Kind, f.Form, f.Shown})
			}
		})
		faults = append(faults, err)
		all.Files, all.Bytes, all.Found = all.Files+t.Files, all.Bytes+t.Bytes, all.Found+t.Found
	}
	if !c.JSON {
		p.line("%d files, %d bytes, %d secrets known; found %d", all.Files, all.Bytes, len(secrets), all.Found)
	}
	if all.Found > 0 {
		faults = append(faults, errForbidden)
	}
	return errors.Join(append(faults, p.err)...)
}

// onlyFile is a folder of which one file is looked at, or all.
type onlyFile struct {
	fs.FS
	name string
}

// ReadDir implements [fs.ReadDirFS].
func (o onlyFile) ReadDir(dir string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(o.FS, dir)
	if o.name == "." {
		return all, err
	}
	var out []fs.DirEntry
	for _, e := range all {
		if e.Name() == o.name {
			out = append(out, e)
		}
	}
	return out, err
}

// secrets are the scheme's keys, those that are made from them, and what the file names.
func (c *ScanCmd) secrets() ([]forbidden.Secret, error) {
	var out []forbidden.Secret
	if c.Dir != "" {
		ring, err := schemeFolder{Dir: c.Dir, PassphraseFile: c.PassphraseFile, IdentityFile: c.IdentityFile}.ring()
		if err != nil {
			return nil, err
		}
		for id, key := range ring.Masters {
			out = append(out, forbidden.Secret{Name: "the master key " + id.String(), Value: key[:]})
		}
		for name, secret := range ring.Secrets {
			if len(secret) >= 8 {
				out = append(out, forbidden.Secret{Name: "the secret " + name, Value: secret})
			}
		}
		if token, err := ring.Secret(keys.SecretToken, 32); err == nil {
			for name, key := range map[string][]byte{"of the gateway": node.GatewayKey(token), "of the books": node.BooksKey(token), "of risk": node.RiskKey(token)} {
				out = append(out, forbidden.Secret{Name: "the key " + name, Value: key})
			}
		}
	}
	if c.Known == "" {
		return out, nil
	}
	raw, err := os.ReadFile(c.Known)
	if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, ok := knownSecret(line)
		if !ok {
			return nil, fmt.Errorf("%s: line %d: want a name, a blank, and digits, or hex: and a key", c.Known, n+1) // the line is not repeated: it is secret
		}
		out = append(out, s)
	}
	return out, nil
}
