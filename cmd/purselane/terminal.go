package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

// TerminalCmd are the commands on terminals.
type TerminalCmd struct {
	Add  TerminalAddCmd  `cmd:"" help:"Register a terminal; without --public-key also make its key, simulated PSAM and configuration."`
	Stop TerminalStopCmd `cmd:"" help:"Take no more records of a terminal: stolen, or retired."`
	List TerminalListCmd `cmd:"" help:"List the terminals and what they hold."`
	PSAM TerminalPSAMCmd `cmd:"" name:"psam" help:"Say which PSAMs a terminal has: one was added, or changed."`

	TokenKey TerminalTokenKeyCmd `cmd:"" help:"Write the key of electronic cash tokens to a file, for a terminal that has files of its own."`

	Import TerminalImportCmd `cmd:"" help:"Take the journal of a terminal whose modem has died, from the file it exported."`
}

// TerminalAddCmd is `purselane terminal add`.
type TerminalAddCmd struct {
	schemeFolder
	ID        string   `required:"" placeholder:"ID" help:"The terminal's name for ever: letters, digits, _ and -."`
	Merchant  string   `required:"" placeholder:"ID" help:"Who is paid: a merchant of scheme.yaml."`
	Place     string   `placeholder:"TEXT" help:"Where it is, for people."`
	PSAM      []string `name:"psam" placeholder:"DIGITS" help:"Terminal number of its PSAM, 12 hexadecimal digits; once for each PSAM. Default: one, made from the id."`
	PublicKey string   `placeholder:"HEX" help:"Public key of a terminal that made its own (purselane-terminal device-key). Then nothing else is made."`

	Out     string   `placeholder:"FOLDER" type:"path" help:"Where the terminal's files go: a new folder."`
	Mode    string   `enum:"bus-flat,metro-entry,metro-exit,sale" default:"bus-flat" help:"What its readers sell: bus-flat, metro-entry, metro-exit or sale."`
	Line    string   `placeholder:"CODE" help:"Line of the profile, four hexadecimal digits; a bus needs it."`
	Station string   `placeholder:"CODE" help:"Station of the profile, four hexadecimal digits; a gate needs it."`
	Listen  []string `default:"127.0.0.1:35963" help:"One address a reader, where simulated cards plug in (purselane simulate card --connect)."`
}

// Run registers the terminal and makes its files.
func (c *TerminalAddCmd) Run(ctx context.Context, k *kong.Kong) error {
	id, err := ids.ParseTerminalID(c.ID)
	if err != nil {
		return fmt.Errorf("--id: %w", err)
	}
	numbers, err := c.psamNumbers()
	if err != nil {
		return err
	}
	var key ed25519.PrivateKey
	public, err := hex.DecodeString(c.PublicKey)
	switch {
	case c.PublicKey == "" && c.Out == "":
		return errors.New("want --out FOLDER for the terminal's files, or --public-key of a terminal that has its own")
	case c.PublicKey != "" && c.Out != "":
		return errors.New("--public-key registers a terminal that has its own files: leave --out away")
	case err != nil || len(public) != 0 && len(public) != ed25519.PublicKeySize:
		return fmt.Errorf("--public-key: want %d hexadecimal digits", 2*ed25519.PublicKeySize)
	case c.PublicKey == "":
		if public, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return err
		}
	}
	return c.withNode(ctx, func(n *node.Node) error {
		if err := c.check(ctx, n.Store(), id, numbers); err != nil {
			return err
		}
		if key != nil { // files first: a terminal that is registered and has no key would have to be registered again
			if err := c.write(key, numbers); err != nil {
				return err
			}
		}
		m := store.Terminal{ID: id, Merchant: ids.MerchantID(c.Merchant), PSAMs: numbers, PublicKey: public, Active: true, Place: c.Place}
		if err := n.Store().Update(ctx, func(tx *store.Tx) error { return tx.PutTerminal(ctx, m) }); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "terminal %s is registered, PSAM %s, public key %x\n", id, listed(numbers), public)
		if key != nil {
			fmt.Fprintf(k.Stdout, "SIMULATED PSAM, with the scheme's master key in a plain file: for development only\nnext: purselane-terminal run --config %s\n",
				filepath.Join(c.Out, "terminal.yaml"))
		}
		return nil
	})
}

// checkPlace finds a place that does not fit what the readers sell, before a configuration is written that no terminal would take.
func (c *TerminalAddCmd) checkPlace() error {
	gate := c.Mode == "metro-entry" || c.Mode == "metro-exit"
	switch {
	case c.Mode == "bus-flat" && c.Line == "" && c.Station != "":
		return errors.New("--station is a gate's: want --mode metro-entry or metro-exit with it, or --line for a bus")
	case c.Mode == "bus-flat" && c.Line == "":
		return errors.New("--line: a bus wants its line, four hexadecimal digits; gates and tills have --mode")
	case gate && c.Station == "":
		return errors.New("--station: a gate wants its station, four hexadecimal digits")
	}
	return nil
}

func (c *TerminalAddCmd) psamNumbers() ([][6]byte, error) {
	if len(c.PSAM) > 0 {
		return psamNumbers("--psam", c.PSAM)
	}
	var n [6]byte
	sum := sha256.Sum256([]byte("purselane-psam\x00" + c.ID))
	for i := range n {
		n[i] = sum[2*i]%10<<4 | sum[2*i+1]%10 // BCD, as terminal numbers are
	}
	return [][6]byte{n}, nil
}

// psamNumbers reads terminal numbers, each once.
func psamNumbers(flag string, all []string) ([][6]byte, error) {
	var out [][6]byte
	for _, digits := range all {
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) != 6 {
			return nil, fmt.Errorf("%s %q: want 12 hexadecimal digits", flag, digits)
		}
		if n := [6]byte(raw); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// listed prints terminal numbers.
func listed(all [][6]byte) string {
	var out []string
	for _, n := range all {
		out = append(out, fmt.Sprintf("%X", n))
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}

// check refuses what would take another terminal's place: its records, or its PSAM's serials.
func (c *TerminalAddCmd) check(ctx context.Context, s *store.Store, id ids.TerminalID, psams [][6]byte) error {
	return s.View(ctx, func(tx *store.Tx) error {
		merchants, err := tx.Merchants(ctx)
		if err != nil {
			return err
		}
		known := false
		for _, m := range merchants {
			known = known || string(m.ID) == c.Merchant
		}
		if !known {
			return fmt.Errorf("--merchant %s: it is not in scheme.yaml", c.Merchant)
		}
		all, err := tx.Terminals(ctx)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.ID == id {
				return fmt.Errorf("--id: terminal %s is registered already; a terminal that was replaced gets a new name", id)
			}
		}
		return othersPSAM(all, id, psams)
	})
}

// othersPSAM refuses the number of a PSAM that another terminal has.
func othersPSAM(all []store.Terminal, id ids.TerminalID, psams [][6]byte) error {
	for _, m := range all {
		for _, n := range psams {
			if m.ID != id && m.HasPSAM(n) {
				return fmt.Errorf("PSAM number %X belongs to terminal %s", n, m.ID)
			}
		}
	}
	return nil
}

// write makes the terminal's folder.
func (c *TerminalAddCmd) write(key ed25519.PrivateKey, numbers [][6]byte) error {
	if have, err := os.ReadDir(c.Out); err == nil && len(have) > 0 {
		return fmt.Errorf("--out %s: the folder is not empty", c.Out)
	}
	if err := c.checkPlace(); err != nil {
		return err
	}
	s, err := c.scheme()
	if err != nil {
		return err
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(c.path(fileSigned))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	receipts, err1 := ring.SigningKey(keys.SecretReceipt)
	profiles, err2 := ring.SigningKey(keys.SecretProfile)
	tokenKey, err3 := ring.Secret(keys.SecretToken, 32)
	text, _ := firmwareconfig.Text(signed)
	profile, err4 := firmwareconfig.ParseProfile(text)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	sections, secrets, err := c.families(profile, ring, tokenKey)
	if err := errors.Join(err, os.MkdirAll(c.Out, 0o700)); err != nil {
		return err
	}
	psams, err := c.psams(profile, ring, numbers)
	if err != nil {
		return err
	}
	var y bytes.Buffer
	fmt.Fprintf(&y, "# Made by purselane terminal add. docs/terminal.md says what each line means.\nversion: 1\nterminal: %s\nmerchant: %s\n", c.ID, c.Merchant)
	fmt.Fprintf(&y, "journal: {path: journal.db}\nprofile: {file: %s, public_key: %x}\ndevice_key: device.key\n", fileSigned, profiles.Public())
	fmt.Fprintf(&y, "uplink: {broker: \"tcp://%s\", backend_key: %x, password_file: broker.password}\n", s.Broker.Address, receipts.Public())
	fmt.Fprintf(&y, "%s%s# Status, events, a till's sales, and the screens:\n# api: {listen: \"127.0.0.1:8801\"}\nlanes:\n", psams, sections)
	for _, l := range c.Listen {
		fmt.Fprintf(&y, "  - {kind: socket, listen: %q, mode: %s", l, c.Mode)
		if c.Line != "" {
			fmt.Fprintf(&y, ", line: %q", c.Line)
		}
		if c.Station != "" {
			fmt.Fprintf(&y, ", station: %q", c.Station)
		}
		fmt.Fprintf(&y, "}\n")
	}
	for name, lines := range secrets {
		if err := writeNew(filepath.Join(c.Out, name), []byte(lines), 0o600); err != nil {
			return err
		}
	}
	return errors.Join(
		writeNew(filepath.Join(c.Out, "device.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
		writeNew(filepath.Join(c.Out, "broker.password"), []byte(node.DevicePassword(tokenKey, ids.TerminalID(c.ID))+"\n"), 0o600),
		writeNew(filepath.Join(c.Out, fileSigned), signed, 0o644),
		writeNew(filepath.Join(c.Out, "terminal.yaml"), y.Bytes(), 0o644),
	)
}

// psams makes the files of the terminal's PSAMs, and the section that names them.
func (c *TerminalAddCmd) psams(p *firmwareconfig.Profile, ring *keys.Ring, numbers [][6]byte) (section string, err error) {
	var entries []string
	for i, n := range numbers {
		name := "psam.json"
		if len(numbers) > 1 {
			name = fmt.Sprintf("psam-%d.json", i+1)
		}
		img, err := personalise.PSAM(ring.ForNewWork(), personalise.PSAMSpec{
			Terminal: n, Issuer: sampleIssuer, NextSerial: 1, Application: p.Card.Variant.Application, SM4Algorithm: p.Card.Variant.SM4Algorithm[0],
		})
		if err != nil {
			return "", err
		}
		chip, err := psam.CreateFile(filepath.Join(c.Out, name), img)
		if err != nil {
			return "", err
		}
		if err := chip.Close(); err != nil {
			return "", err
		}
		entries = append(entries, "{kind: simulated, file: "+name+"}")
	}
	if len(entries) == 1 {
		return "psam: " + entries[0] + "\n", nil
	}
	return "psams: [" + strings.Join(entries, ", ") + "]\n", nil
}

// families is what a terminal has of its own for the card families that its profile takes: sections of its configuration, and the files they name.
func (c *TerminalAddCmd) families(p *firmwareconfig.Profile, ring *keys.Ring, tokenKey []byte) (sections string, secrets map[string]string, err error) {
	secrets = map[string]string{}
	if p.EC != nil {
		token, _, err := node.ECTerminalKeys(tokenKey)
		if err != nil {
			return "", nil, err
		}
		secrets[fileToken] = keyLines(token)
		operator := ""
		if p.EC.Transit != nil {
			issuer, err := c.ecIssuerImage()
			if err != nil {
				return "", nil, fmt.Errorf("the profile's ec.transit: %w", err)
			}
			secrets["operator.key"] = keyLines(issuer.Initial.Key[:], issuer.Management.Key[:])
			operator = ", operator: {kind: simulated, file: operator.key}"
		}
		sections += fmt.Sprintf("ec: {token_key: %s%s}\n", fileToken, operator)
	}
	if p.DESFire != nil {
		key, err := desfireApplication(ring)
		if err != nil {
			return "", nil, err
		}
		secrets["desfire.key"] = keyLines(key[:])
		sections += "desfire: {sam: {kind: simulated, file: desfire.key}}\n"
	}
	return sections, secrets, nil
}

// fileToken is the key of electronic cash tokens, in a terminal's folder.
const fileToken = "token.key"

// keyLines is a terminal's file of keys.
func keyLines(all ...[]byte) string {
	var b strings.Builder
	for _, k := range all {
		fmt.Fprintf(&b, "%x\n", k)
	}
	return b.String()
}

// TerminalTokenKeyCmd is `purselane terminal token-key`.
type TerminalTokenKeyCmd struct {
	schemeFolder
	File string `required:"" placeholder:"FILE" type:"path" help:"The file to make, for ec.token_key of a terminal's configuration. It is a secret."`
}

// Run writes the key. All terminals of a scheme have one: the backend knows a card by its tokens.
func (c *TerminalTokenKeyCmd) Run(k *kong.Kong) error {
	ring, err := c.ring()
	if err != nil {
		return err
	}
	tokenKey, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	token, _, err := node.ECTerminalKeys(tokenKey)
	if err != nil {
		return err
	}
	if err := writeNew(c.File, []byte(keyLines(token)), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "token key in %s: a secret, the same at all terminals of the scheme. Who has it can find card numbers by trying\n", c.File)
	return err
}

// TerminalPSAMCmd is `purselane terminal psam`.
type TerminalPSAMCmd struct {
	schemeFolder
	ID     string   `required:"" placeholder:"ID" help:"The terminal."`
	Add    []string `placeholder:"DIGITS" help:"Terminal number of a PSAM that it has from now on, 12 hexadecimal digits."`
	Remove []string `placeholder:"DIGITS" help:"Terminal number of a PSAM that it has no more, once all its records have come: one that comes later is an alarm."`
}

// Run changes the terminal's PSAMs; with neither flag it tells them.
func (c *TerminalPSAMCmd) Run(ctx context.Context, k *kong.Kong) error {
	add, err1 := psamNumbers("--add", c.Add)
	remove, err2 := psamNumbers("--remove", c.Remove)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var m store.Terminal
		if err := s.Update(ctx, func(tx *store.Tx) (err error) {
			if m, err = tx.Terminal(ctx, ids.TerminalID(c.ID)); err != nil {
				return err
			}
			all, err := tx.Terminals(ctx)
			if err != nil {
				return err
			}
			if err := othersPSAM(all, m.ID, add); err != nil {
				return fmt.Errorf("--add: %w", err)
			}
			for _, n := range remove {
				if !m.HasPSAM(n) {
					return fmt.Errorf("--remove: terminal %s has no PSAM %X: it has %s", m.ID, n, listed(m.PSAMs))
				}
			}
			m.PSAMs = slices.DeleteFunc(append(m.PSAMs, add...), func(n [6]byte) bool { return slices.Contains(remove, n) })
			if err := tx.PutTerminal(ctx, m); err != nil {
				return err
			}
			m, err = tx.Terminal(ctx, m.ID)
			return err
		}); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "terminal %s has the PSAMs %s\n", m.ID, listed(m.PSAMs))
		return nil
	})
}

// TerminalStopCmd is `purselane terminal stop`.
type TerminalStopCmd struct {
	schemeFolder
	ID string `required:"" placeholder:"ID" help:"The terminal."`
}

// Run stops the terminal. What it has sent stays.
func (c *TerminalStopCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		if err := s.Update(ctx, func(tx *store.Tx) error {
			m, err := tx.Terminal(ctx, ids.TerminalID(c.ID))
			if err != nil {
				return err
			}
			m.Active = false
			return tx.PutTerminal(ctx, m)
		}); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "terminal %s is stopped: its messages are dropped from now on, what came before stays\n", c.ID)
		return nil
	})
}

// TerminalImportCmd is `purselane terminal import`.
type TerminalImportCmd struct {
	schemeFolder
	File string `required:"" placeholder:"FILE" type:"path" help:"What purselane-terminal journal export made."`
}

// Run takes the file. Taking it again changes nothing.
func (c *TerminalImportCmd) Run(ctx context.Context, k *kong.Kong) error {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	return c.withNode(ctx, func(n *node.Node) error {
		got, err := n.Carry(ctx, file)
		if err != nil {
			return fmt.Errorf("%s: %w. What came before that line is taken (%d records); take the file again once it is mended", c.File, err, got.Records)
		}
		fmt.Fprintf(k.Stdout, "%d records of terminal %s are taken and posted; those that were here before changed nothing\n", got.Records, got.Terminal)
		return nil
	})
}

// TerminalListCmd is `purselane terminal list`.
type TerminalListCmd struct{ schemeFolder }

// Run lists the terminals.
func (c *TerminalListCmd) Run(ctx context.Context, k *kong.Kong) error {
	s, err := c.scheme()
	if err != nil {
		return err
	}
	at := s.Location()
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			all, err := tx.Terminals(ctx)
			for _, m := range all {
				seen, state := "never seen", "active"
				if !m.LastSeen.IsZero() {
					seen = "seen " + m.LastSeen.In(at).Format(time.DateTime)
				}
				if !m.Active {
					state = "stopped"
				}
				fmt.Fprintf(k.Stdout, "%-20s %-8s %-20s PSAM %s  %d waiting  %s  %s\n", m.ID, state, m.Merchant, listed(m.PSAMs), m.Backlog, seen, m.Place)
			}
			return err
		})
	})
}
