package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"filippo.io/age"
	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/keys"
)

// KeysHSMCmd are the commands on the master keys in an HSM.
type KeysHSMCmd struct {
	Show KeysHSMShowCmd `cmd:"" help:"Show the master keys in an HSM by their check values, and check that none can leave it."`
	Put  KeysHSMPutCmd  `cmd:"" help:"Store the master keys of a key file in an HSM, so that they cannot leave it again."`
	Draw KeysHSMDrawCmd `cmd:"" help:"Draw a data key inside an HSM: it seals key files."`
}

// hsmFlags name a token.
type hsmFlags struct {
	Module  string `required:"" placeholder:"FILE" type:"path" help:"The maker's PKCS#11 library."`
	Token   string `required:"" help:"Label of the token."`
	PINFile string `required:"" placeholder:"FILE" type:"path" name:"pin-file" help:"File with the PIN of the token's user in its first line."`
}

// openHSM is the HSM that a command has open, if any: a PKCS#11 library is opened once in a program.
var openHSM struct {
	of hsmFlags
	d  keys.Device
}

// with does a piece of work on the HSM.
func (f hsmFlags) with(do func(keys.Device) error) error {
	if openHSM.d != nil && openHSM.of.Module == f.Module && openHSM.of.Token == f.Token {
		return do(openHSM.d)
	}
	pin, err := readFirstLine("--pin-file", f.PINFile)
	if err != nil {
		return err
	}
	d, err := keys.OpenDevice(keys.DeviceOptions{Module: f.Module, Token: f.Token, PIN: keys.Secret(pin)})
	if err != nil {
		return err
	}
	defer d.Close()
	if openHSM.d == nil {
		openHSM.of, openHSM.d = f, d
		defer func() { openHSM.d = nil }()
	}
	return do(d)
}

// hsmBeside names a token that may have what a file has not.
type hsmBeside struct {
	Module  string `placeholder:"FILE" type:"path" help:"The HSM's PKCS#11 library, where it is in an HSM."`
	Token   string `help:"Label of its token."`
	PINFile string `placeholder:"FILE" type:"path" name:"pin-file" help:"File with the PIN of the token's user in its first line."`
}

func (h hsmBeside) used() bool { return h != (hsmBeside{}) }

func (h hsmBeside) check() error {
	if h.used() && (h.Module == "" || h.Token == "" || h.PINFile == "") {
		return errors.New("the module, token and PIN file of an HSM go together")
	}
	return nil
}

// with does a piece of work with the HSM, or with none: nil.
func (h hsmBeside) with(do func(keys.Device) error) error {
	if !h.used() {
		return do(nil)
	}
	if err := h.check(); err != nil {
		return err
	}
	return hsmFlags(h).with(do)
}

// hsmLock seals key files by the newest data key in an HSM, and opens them by the one they name. It opens the HSM for each.
type hsmLock struct{ hsmFlags }

// Wrap implements age.Recipient.
func (l hsmLock) Wrap(fileKey []byte) (out []*age.Stanza, err error) {
	err = l.with(func(d keys.Device) error {
		found, err := d.Masters(context.Background())
		if err != nil {
			return err
		}
		newest := keys.ID{Purpose: keys.Data}
		for id := range found {
			if id.Purpose == keys.Data && id.Algorithm == 0 {
				newest.Version = max(newest.Version, id.Version)
			}
		}
		out, err = keys.DeviceLock(context.Background(), d, newest).Wrap(fileKey)
		return err
	})
	return out, err
}

// Unwrap implements age.Identity.
func (l hsmLock) Unwrap(stanzas []*age.Stanza) (out []byte, err error) {
	err = l.with(func(d keys.Device) error {
		out, err = keys.DeviceLock(context.Background(), d, keys.ID{Purpose: keys.Data}).Unwrap(stanzas)
		return err
	})
	return out, err
}

// KeysHSMShowCmd is `purselane keys hsm show`.
type KeysHSMShowCmd struct{ hsmFlags }

// Run prints what the HSM holds.
func (c *KeysHSMShowCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.with(func(d keys.Device) error { return showDevice(ctx, k, d) })
}

func showDevice(ctx context.Context, k *kong.Kong, d keys.Device) error {
	found, err := d.Masters(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.SortedFunc(maps.Keys(found), keys.ID.Compare) {
		fmt.Fprintf(k.Stdout, "  master %-12s version %02X  algorithm %02X  %-4s  check value %X\n", id.Purpose, id.Version, id.Algorithm, keys.KindOf(id, 0), found[id])
	}
	fmt.Fprintf(k.Stdout, "%d master keys, none of which can leave the HSM\n", len(found))
	return nil
}

// KeysHSMPutCmd is `purselane keys hsm put`.
type KeysHSMPutCmd struct {
	sealedFile
	hsmFlags
	Backend string   `placeholder:"NEW" type:"path" help:"New key file for the backend: its own secrets, and no master key. It is sealed as the old one, or with --data-key."`
	DataKey bool     `help:"Seal that file by the newest data key in the HSM: it opens there and nowhere else (purselane keys hsm draw makes a data key)."`
	Purpose []string `help:"Only keys of these purposes; by default all. A backend needs load and tac, and not purchase."`
	Audit   string   `placeholder:"FILE" type:"path" help:"File to which a line about it is added; by default keys-audit.jsonl beside the key file."`
}

// Run stores the keys: all of them or none.
func (c *KeysHSMPutCmd) Run(ctx context.Context, k *kong.Kong) error {
	if _, err := os.Lstat(c.Backend); c.Backend != "" && err == nil {
		return fmt.Errorf("%s exists; it was not touched", c.Backend)
	}
	to, identity, err := c.relock()
	if err != nil {
		return err
	}
	ring, err := keys.OpenFile(c.File, identity)
	if err != nil {
		return err
	}
	masters := maps.Clone(ring.Masters)
	if len(c.Purpose) > 0 {
		maps.DeleteFunc(masters, func(id keys.ID, _ keys.Key) bool { return !slices.Contains(c.Purpose, string(id.Purpose)) })
	}
	if c.DataKey {
		to = hsmLock{c.hsmFlags}
	}
	if len(masters) == 0 {
		return fmt.Errorf("%s holds no master key to store", c.File)
	}
	audit, err := openAudit(c.Audit, c.File)
	if err != nil {
		return err
	}
	return audit.close(c.with(func(d keys.Device) error {
		if c.DataKey { // before anything is stored: whether it seals at all
			if _, err := to.Wrap(make([]byte, 16)); err != nil {
				return fmt.Errorf("--data-key: %w (purselane keys hsm draw makes one)", err)
			}
		}
		if err := d.Put(ctx, masters); err != nil {
			return err
		}
		l := auditLine{Do: "hsm-put", Token: c.Token, File: c.Backend}
		for _, id := range slices.SortedFunc(maps.Keys(masters), keys.ID.Compare) {
			l.named(id, keys.KindOf(id, 0).CheckValue(masters[id]))
		}
		if err := audit.add(k.Stdout, l); err != nil {
			return err
		}
		if err := showDevice(ctx, k, d); err != nil || c.Backend == "" {
			return err
		}
		clear(ring.Masters)
		return keys.CreateFile(c.Backend, ring, to)
	}))
}

// KeysHSMDrawCmd is `purselane keys hsm draw`.
type KeysHSMDrawCmd struct {
	hsmFlags
	Version hexByte `default:"01" help:"Version of the data key, two hexadecimal digits."`
	Audit   string  `required:"" placeholder:"FILE" type:"path" help:"File to which a line about it is added."`
}

// Run draws a data key.
func (c *KeysHSMDrawCmd) Run(ctx context.Context, k *kong.Kong) error {
	id := keys.ID{Purpose: keys.Data, Version: byte(c.Version)}
	audit, err := openAudit(c.Audit, c.Audit)
	if err != nil {
		return err
	}
	return audit.close(c.with(func(d keys.Device) error {
		if err := d.Draw(ctx, id); err != nil {
			return err
		}
		found, err := d.Masters(ctx)
		if err != nil {
			return err
		}
		l := auditLine{Do: "hsm-draw", Token: c.Token}
		l.named(id, found[id])
		return errors.Join(showDevice(ctx, k, d), audit.add(k.Stdout, l))
	}))
}
