package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/purselane/purselane/card/keys"
)

// day is a flag of a calendar day.
type day struct{ keys.Day }

// UnmarshalText reads 2026-11-25.
func (d *day) UnmarshalText(text []byte) (err error) {
	d.Day, err = keys.ParseDay(string(text))
	return err
}

// oneVersion names a version of a key that is on its way out.
type oneVersion struct {
	Purpose   string  `required:"" help:"The key's purpose."`
	Version   hexByte `required:"" help:"Its version, two hexadecimal digits."`
	Algorithm hexByte `default:"00" help:"Its algorithm byte, two hexadecimal digits."`
	Yes       string  `placeholder:"NAME" help:"The key's name, such as tac/01/00, in place of typing it when asked."`
}

func (v oneVersion) id() keys.ID {
	return keys.ID{Purpose: keys.Purpose(v.Purpose), Version: byte(v.Version), Algorithm: byte(v.Algorithm)}
}

// confirm asks for the key's name, so that nobody ends a key by one key stroke.
func (v oneVersion) confirm(out io.Writer, what string) error {
	answer := v.Yes
	if answer == "" {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return fmt.Errorf("nobody to ask: %s want --yes %v", what, v.id())
		}
		fmt.Fprintf(out, "%s Type %v to go on: ", what, v.id())
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return err
		}
		answer = strings.TrimSpace(line)
	}
	if answer != v.id().String() {
		return fmt.Errorf("%q is not the name of the key, %v; nothing was done", answer, v.id())
	}
	return nil
}

// held are the check values of the keys of ring and HSM.
func held(ctx context.Context, r *keys.Ring, d keys.Device) (map[keys.ID][3]byte, error) {
	out := map[keys.ID][3]byte{}
	for id, k := range r.Masters {
		out[id] = keys.KindOf(id, 0).CheckValue(k)
	}
	if d == nil {
		return out, nil
	}
	inside, err := d.Masters(ctx)
	maps.Copy(out, inside)
	return out, err
}

// KeysRetireCmd is `purselane keys retire`.
type KeysRetireCmd struct {
	changedFile
	oneVersion
	hsmBeside
	CardsExpire day `required:"" placeholder:"DAY" help:"The last day on which any card issued with the version is valid, such as 2027-06-30."`
	Until       day `placeholder:"DAY" help:"The last day on which its proofs are judged. By default 30 days after the cards' last, because records come late."`
}

// Run takes a version out of new work.
func (c *KeysRetireCmd) Run(ctx context.Context, k *kong.Kong) error {
	f := keys.Retire{Today: keys.DayOf(now()), CardsExpire: c.CardsExpire.Day, Until: c.Until.Day}
	if f.Until == "" {
		f.Until = max(f.CardsExpire.After(keys.RecordsLate), f.Today.After(1))
	}
	return c.hsmBeside.with(func(d keys.Device) error {
		return c.change(k, "retire", func(r *keys.Ring, l *auditLine) error {
			there, err := held(ctx, r, d)
			if err != nil {
				return err
			}
			if err := r.Retire(c.id(), slices.Collect(maps.Keys(there)), f); err != nil {
				return err
			}
			l.named(c.id(), there[c.id()])
			l.CardsExpire, l.Until, l.Token = f.CardsExpire, f.Until, c.Token
			return c.confirm(k.Stdout, fmt.Sprintf("From now on %v does nothing new; its proofs are judged until %s.", c.id(), f.Until))
		})
	})
}

// KeysDestroyCmd is `purselane keys destroy`.
type KeysDestroyCmd struct {
	changedFile
	oneVersion
	hsmBeside
	Settled day `required:"" placeholder:"DAY" help:"The last clearing day that is closed and settled, with no record of the version left to judge."`
}

// Run takes a retired version out for good. The HSM comes first: a key that is gone there and still retired in the file can be destroyed again.
func (c *KeysDestroyCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.hsmBeside.with(func(d keys.Device) error {
		return c.change(k, "destroy", func(r *keys.Ring, l *auditLine) error {
			there, err := held(ctx, r, d)
			if err != nil {
				return err
			}
			if err := r.Destroy(c.id(), slices.Collect(maps.Keys(there)), keys.Destroy{Today: keys.DayOf(now()), Settled: c.Settled.Day}); err != nil {
				return err
			}
			l.named(c.id(), there[c.id()])
			l.Settled, l.Token = c.Settled.Day, c.Token
			if err := c.confirm(k.Stdout, fmt.Sprintf("%v will be gone for good: no record of it can ever be judged again. Destroy the copies of the old key file too.", c.id())); err != nil || d == nil {
				return err
			}
			if err := d.Destroy(ctx, c.id()); err != nil && !errors.Is(err, keys.ErrUnknownKey) {
				return err
			}
			return nil
		})
	})
}

// KeysSplitCmd is `purselane keys split`.
type KeysSplitCmd struct {
	sealedFile
	Role string `required:"" help:"Whose the new file is: issuer, host or acquirer."`
	Out  string `required:"" placeholder:"NEW" type:"path" help:"The new key file, with what that role may hold."`
	To   string `placeholder:"age1…" help:"Seal it to this recipient, who alone can open it then. By default it is sealed as the old one."`

	Audit string `placeholder:"FILE" type:"path" help:"File to which a line about it is added; by default keys-audit.jsonl beside the new key file."`
}

// Run makes a ring for a role.
func (c *KeysSplitCmd) Run(k *kong.Kong) (err error) {
	role, err := keys.ParseRole(c.Role)
	if err != nil {
		return err
	}
	to, identity, err := c.relock()
	if err != nil {
		return err
	}
	if c.To != "" {
		if to, err = age.ParseX25519Recipient(c.To); err != nil {
			return fmt.Errorf("--to: want a recipient age1… as age-keygen shows it: %w", err)
		}
	}
	whole, err := keys.OpenFile(c.File, identity)
	if err != nil {
		return err
	}
	ring, err := whole.For(role)
	if err != nil {
		return err
	}
	audit, err := openAudit(c.Audit, c.Out)
	if err != nil {
		return err
	}
	defer func() { err = audit.close(err) }()
	if err := keys.CreateFile(c.Out, ring, to); err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "%s\n\nmade %s\n", developmentOnly, c.Out)
	show(k.Stdout, ring)
	l := auditLine{Do: "split", File: c.Out, Role: role.String()}
	for _, id := range ring.Held() {
		l.named(id, keys.KindOf(id, 0).CheckValue(ring.Masters[id]))
	}
	return audit.add(k.Stdout, l)
}
