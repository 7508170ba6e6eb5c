package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"filippo.io/age"
	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/purselane/purselane/card/keys"
)

// hexByte is a flag of two hexadecimal digits, as versions and algorithms are shown.
type hexByte byte

// UnmarshalText reads two digits.
func (b *hexByte) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != 1 {
		return fmt.Errorf("%q: want two hexadecimal digits, such as 01", text)
	}
	*b = hexByte(raw[0])
	return nil
}

// changedFile is a key file and the new one that a command makes of it. The old one stays as it is: it may be the only one of a scheme.
type changedFile struct {
	sealedFile
	Out   string `required:"" placeholder:"NEW" type:"path" help:"The new key file, sealed as the old one; that one is not touched."`
	Audit string `placeholder:"FILE" type:"path" help:"File to which a line about the change is added; by default keys-audit.jsonl beside the new key file."`
}

// change opens the key file, changes the ring, seals it into the new file, and writes a line about it.
func (f changedFile) change(k *kong.Kong, what string, do func(*keys.Ring, *auditLine) error) (err error) {
	if _, err := os.Lstat(f.Out); err == nil {
		return fmt.Errorf("%s exists; it was not touched", f.Out)
	}
	to, identity, err := f.relock()
	if err != nil {
		return err
	}
	ring, err := keys.OpenFile(f.File, identity)
	if err != nil {
		return err
	}
	audit, err := openAudit(f.Audit, f.Out)
	if err != nil {
		return err
	}
	defer func() { err = audit.close(err) }()
	line := auditLine{Do: what, File: f.Out}
	if err := do(ring, &line); err != nil {
		return err
	}
	if err := keys.CreateFile(f.Out, ring, to); err != nil {
		return err
	}
	written, err := keys.OpenFile(f.Out, identity)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	fmt.Fprintf(k.Stdout, "%s\n\nmade %s\n", developmentOnly, f.Out)
	show(k.Stdout, written)
	return audit.add(k.Stdout, line)
}

// relock returns what opens the file, and what seals another in the same way.
func (f sealedFile) relock() (age.Recipient, age.Identity, error) {
	if lock, used, err := f.hsmLock(); err != nil || used {
		return lock, lock, err
	}
	if f.IdentityFile != "" {
		x, err := keys.OpenIdentityFile(f.IdentityFile)
		if err != nil {
			return nil, nil, err
		}
		return x.Recipient(), x, nil
	}
	passphrase, err := f.passphrase(false)
	if err != nil {
		return nil, nil, err
	}
	to, err1 := keys.PassphraseRecipient(passphrase)
	identity, err2 := keys.PassphraseIdentity(passphrase)
	return to, identity, errors.Join(err1, err2)
}

// components is how the parts of a key come in: each from its holder's own file, or typed by its holder and not shown.
type components struct {
	Component []string `placeholder:"FILE" type:"path" sep:"none" help:"File with one component: 32 hexadecimal digits and, if you like, its check value. Two or three times. Without it each is asked for and not shown."`
	Parts     int      `default:"2" help:"How many components are asked for: 2 or 3."`
}

// combine reads all components and shows their check values. The key itself is shown by its check value only.
func (c components) combine(k *kong.Kong, kind keys.Kind, what string) (keys.Key, error) {
	var parts []keys.Key
	for i, path := range c.Component {
		text, err := os.ReadFile(path)
		if err != nil {
			return keys.Key{}, fmt.Errorf("component %d: %w", i+1, err)
		}
		part, err := kind.ParseComponent(text)
		clear(text)
		if err != nil {
			return keys.Key{}, fmt.Errorf("component %d, %s: %w", i+1, path, err)
		}
		parts = append(parts, part)
	}
	if len(c.Component) == 0 {
		var err error
		if parts, err = c.ask(kind); err != nil {
			return keys.Key{}, err
		}
	}
	for i, part := range parts {
		fmt.Fprintf(k.Stdout, "component %d of %s: check value %X", i+1, what, kind.CheckValue(part))
		if kind == keys.Kind3DES {
			fmt.Fprintf(k.Stdout, ", %s parity", keys.Parity(part))
		}
		fmt.Fprintln(k.Stdout)
	}
	key, err := kind.Combine(parts...)
	if err != nil {
		return keys.Key{}, err
	}
	fmt.Fprintf(k.Stdout, "%s: check value %X (%s)\n", what, kind.CheckValue(key), kind)
	return key, nil
}

func (c components) ask(kind keys.Kind) ([]keys.Key, error) {
	if c.Parts != 2 && c.Parts != 3 {
		return nil, fmt.Errorf("--parts %d: want 2 or 3", c.Parts)
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("nobody to ask for the components: want --component for each of them")
	}
	return askComponents(c.Parts, kind, askHidden)
}

func askHidden(prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	raw, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(raw), err
}

// askComponents asks each holder, and again when the digits are not right.
func askComponents(n int, kind keys.Kind, ask func(prompt string) (string, error)) ([]keys.Key, error) {
	var parts []keys.Key
	for len(parts) < n {
		text, err := ask(fmt.Sprintf("Component %d of %d (not shown): ", len(parts)+1, n))
		if err != nil {
			return nil, err
		}
		part, err := kind.ParseComponent([]byte(text))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// KeysCeremonyCmd is `purselane keys ceremony`.
type KeysCeremonyCmd struct {
	changedFile
	Purpose   string  `required:"" help:"What the key is for: purchase, load, tac, maintenance, unload, limit …"`
	Version   hexByte `default:"01" help:"Its version, two hexadecimal digits."`
	Algorithm hexByte `default:"00" help:"Its algorithm byte, two hexadecimal digits."`
	components
}

// Run combines a master key and adds it.
func (c *KeysCeremonyCmd) Run(k *kong.Kong) error {
	id := keys.ID{Purpose: keys.Purpose(c.Purpose), Version: byte(c.Version), Algorithm: byte(c.Algorithm)}
	kind := keys.KindOf(id, 0)
	return c.change(k, "ceremony", func(r *keys.Ring, l *auditLine) error {
		if err := r.MayAdd(id); err != nil {
			return err // before anyone types
		}
		key, err := c.combine(k, kind, fmt.Sprintf("master key %v", id))
		if err != nil {
			return err
		}
		l.named(id, kind.CheckValue(key))
		return r.Add(id, key)
	})
}

// KeysAddCmd is `purselane keys add`.
type KeysAddCmd struct {
	changedFile
	Purpose   string  `required:"" help:"What the key is for: purchase, load, tac, maintenance, unload, limit …"`
	Algorithm hexByte `default:"00" help:"Its algorithm byte, two hexadecimal digits."`
}

// Run draws the next version of a key.
func (c *KeysAddCmd) Run(k *kong.Kong) error {
	return c.change(k, "add", func(r *keys.Ring, l *auditLine) error {
		id, err := r.Next(keys.Purpose(c.Purpose), byte(c.Algorithm))
		if err != nil {
			return err
		}
		var key keys.Key
		if _, err := rand.Read(key[:]); err != nil {
			return err
		}
		l.named(id, keys.KindOf(id, 0).CheckValue(key))
		return r.Add(id, key)
	})
}

// KeysExportCmd is `purselane keys export`.
type KeysExportCmd struct {
	sealedFile
	Purpose   string  `required:"" help:"The key's purpose."`
	Version   hexByte `default:"01" help:"Its version, two hexadecimal digits."`
	Algorithm hexByte `default:"00" help:"Its algorithm byte, two hexadecimal digits."`
	Block     string  `required:"" placeholder:"NEW" type:"path" help:"New file for the key block."`
	Audit     string  `placeholder:"FILE" type:"path" help:"File to which a line about it is added; by default keys-audit.jsonl beside the key block."`
	components
}

// Run writes one master key under a transport key.
func (c *KeysExportCmd) Run(k *kong.Kong) (err error) {
	ring, err := c.open()
	if err != nil {
		return err
	}
	id := keys.ID{Purpose: keys.Purpose(c.Purpose), Version: byte(c.Version), Algorithm: byte(c.Algorithm)}
	transport, err := c.combine(k, keys.TransportKind(id, 0), "transport key")
	if err != nil {
		return err
	}
	text, err := ring.Export(id, 0, transport)
	if err != nil {
		return err
	}
	audit, err := openAudit(c.Audit, c.Block)
	if err != nil {
		return err
	}
	defer func() { err = audit.close(err) }()
	if err := writeNew(c.Block, text, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "made %s\n", c.Block)
	l := auditLine{Do: "export", File: c.Block}
	l.named(id, keys.KindOf(id, 0).CheckValue(ring.Masters[id]))
	return audit.add(k.Stdout, l)
}

// KeysImportCmd is `purselane keys import`.
type KeysImportCmd struct {
	changedFile
	Block string `required:"" placeholder:"FILE" type:"path" help:"The key block."`
	components
}

// Run adds the master key of a key block.
func (c *KeysImportCmd) Run(k *kong.Kong) error {
	text, err := os.ReadFile(c.Block)
	if err != nil {
		return err
	}
	return c.change(k, "import", func(r *keys.Ring, l *auditLine) error {
		kind, err := keys.TransportKindOf(text)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Block, err)
		}
		transport, err := c.combine(k, kind, "transport key")
		if err != nil {
			return err
		}
		id, key, err := keys.ParseTransport(text, transport)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Block, err)
		}
		l.named(id, keys.KindOf(id, 0).CheckValue(key))
		return r.Add(id, key)
	})
}
