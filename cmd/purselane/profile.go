package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/money"
)

// ProfileCmd are the commands on terminal profiles; docs/profile.md is their page.
type ProfileCmd struct {
	Sample ProfileSampleCmd `cmd:"" help:"Print a small whole profile to begin with."`
	Check  ProfileCheckCmd  `cmd:"" help:"Say everything that is wrong with a profile, at once."`
	Show   ProfileShowCmd   `cmd:"" help:"Show a profile's fares and limits as tables."`
	Sign   ProfileSignCmd   `cmd:"" help:"Sign a profile with the scheme's key, for terminals to take."`
}

// ProfileSampleCmd is `purselane profile sample`.
type ProfileSampleCmd struct{}

// Run prints the sample.
func (ProfileSampleCmd) Run(k *kong.Kong) error {
	_, err := k.Stdout.Write(firmwareconfig.SampleYAML())
	return err
}

// profileFile names a profile, signed or not, and who must have signed it.
type profileFile struct {
	File      string `arg:"" placeholder:"FILE" type:"path" help:"The profile, plain YAML or signed."`
	PublicKey string `placeholder:"HEX" help:"Public key that must have signed it (purselane keys show). Without it a signature is not checked."`
}

// open reads the profile and says what is known of its signature.
func (f profileFile) open() (p *firmwareconfig.Profile, signature string, err error) {
	raw, err := os.ReadFile(f.File)
	if err != nil {
		return nil, "", err
	}
	if f.PublicKey != "" {
		key, err := hex.DecodeString(f.PublicKey)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, "", errors.New("--public-key: want 64 hexadecimal digits, as purselane keys show prints them")
		}
		if p, err = firmwareconfig.OpenSigned(key, raw); err != nil {
			return nil, "", fmt.Errorf("%s: %w", f.File, err)
		}
		return p, "signed by that key", nil
	}
	text, signed := firmwareconfig.Text(raw)
	if p, err = firmwareconfig.ParseProfile(text); err != nil {
		return nil, "", fmt.Errorf("%s:\n%w", f.File, err)
	}
	if signed {
		return p, "signature NOT checked: give --public-key", nil
	}
	return p, "not signed", nil
}

// ProfileCheckCmd is `purselane profile check`.
type ProfileCheckCmd struct{ profileFile }

// Run reads the profile as a terminal would.
func (c *ProfileCheckCmd) Run(k *kong.Kong) error {
	p, signature, err := c.open()
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "%s is sound: profile %d of %s, %d bus lines, %d stations, %s\n",
		c.File, p.Version, p.Scheme, len(p.Fares.Bus), len(p.Fares.Metro.Stations), signature)
	if !p.ValidUntil.IsZero() && time.Now().After(p.ValidUntil) {
		fmt.Fprintf(k.Stdout, "it expired on %s: terminals that have it are out of service\n", p.ValidUntil.Format(time.DateOnly))
	}
	return nil
}

// ProfileShowCmd is `purselane profile show`.
type ProfileShowCmd struct{ profileFile }

// Run prints fares and limits. The metro's table is asked of the production rules, cell by cell.
func (c *ProfileShowCmd) Run(k *kong.Kong) error {
	p, signature, err := c.open()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(k.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "profile\t%d of %s, %s (%s)\n", p.Version, p.Scheme, p.Currency, signature)
	until := "for good"
	if !p.ValidUntil.IsZero() {
		until = "until " + p.ValidUntil.Format(time.RFC3339)
	}
	fmt.Fprintf(w, "valid\t%s\n", until)
	fmt.Fprintf(w, "one trip\ta second tap within %v\n", p.SameTrip)
	fmt.Fprintf(w, "without a link\t%s records, %s old, worth %s\n", bound(p.Limits.MaxRecords != 0, p.Limits.MaxRecords),
		bound(p.Limits.MaxAge != 0, p.Limits.MaxAge), bound(!p.Limits.MaxValue.IsZero(), p.Limits.MaxValue))
	fmt.Fprintf(w, "balance\tlow below %v, %v to enter the metro, at most %v after a load\n", p.Limits.LowBalance, p.Limits.MetroMinBalance, p.Limits.MaxBalance)
	for _, l := range p.Fares.Bus {
		fmt.Fprintf(w, "bus %v\t%v  %s\n", l.Line, l.Fare, l.Name)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return showMetro(k.Stdout, p.Fares)
}

func bound(is bool, most any) string {
	if !is {
		return "any"
	}
	return fmt.Sprintf("at most %v", most)
}

func showMetro(out io.Writer, f fare.Tables) error {
	if len(f.Metro.Stations) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\nfrom \\ to\t")
	for _, s := range f.Metro.Stations {
		fmt.Fprintf(w, "%v\t", s.Code)
	}
	fmt.Fprint(w, "marked\t\n")
	for _, from := range f.Metro.Stations {
		fmt.Fprintf(w, "%s %v\t", from.Name, from.Code)
		for _, to := range f.Metro.Stations {
			q, err := f.MetroExit(from.Code, to.Code, 0)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%v\t", q.Amount)
		}
		marked := money.Amount{}
		if q, err := f.MetroEntry(from.Code); err == nil { // a network of one station marks nothing
			marked = q.Marked
		}
		fmt.Fprintf(w, "%v\t\n", marked)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "missing entry %v, over time %v after %v\n", f.Metro.MissingEntry, f.Metro.OverTime, f.Metro.MaxStay)
	return nil
}

// ProfileSignCmd is `purselane profile sign`.
type ProfileSignCmd struct {
	schemeFolder
	File string `placeholder:"FILE" type:"path" help:"The profile. Default: profile.yaml in the folder."`
	Out  string `placeholder:"FILE" type:"path" help:"The signed profile. Default: profile.signed in the folder."`
}

// Run checks the profile and signs it. A signed profile that is there is replaced only by one with a higher version: terminals
// would take anything else for an old one, or for another one of the same name.
func (c *ProfileSignCmd) Run(k *kong.Kong) error {
	if c.File == "" {
		c.File = c.path(fileProfile)
	}
	if c.Out == "" {
		c.Out = c.path(fileSigned)
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if _, signed := firmwareconfig.Text(text); signed {
		return fmt.Errorf("%s is signed already: want the plain YAML", c.File)
	}
	p, err := firmwareconfig.ParseProfile(text)
	if err != nil {
		return fmt.Errorf("%s:\n%w", c.File, err)
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	key, err := ring.SigningKey(keys.SecretProfile)
	if err != nil {
		return err
	}
	signed := firmwareconfig.Sign(key, text)
	if err := c.newer(p, signed); err != nil {
		return err
	}
	if err := replaceFile(c.Out, signed, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "signed profile %d: %s\npublic key %x\n", p.Version, c.Out, key.Public())
	return nil
}

// newer refuses to replace a profile by one that terminals would not take for newer.
func (c *ProfileSignCmd) newer(p *firmwareconfig.Profile, signed []byte) error {
	have, err := os.ReadFile(c.Out)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if bytes.Equal(have, signed) {
		return nil
	}
	text, _ := firmwareconfig.Text(have)
	old, err := firmwareconfig.ParseProfile(text)
	if err != nil {
		return fmt.Errorf("%s is there and is no profile; it was not touched: %w", c.Out, err)
	}
	if p.Version <= old.Version {
		return fmt.Errorf("%s: version %d is not above %d, which %s has: raise it, or terminals would not know that anything changed", c.File, p.Version, old.Version, c.Out)
	}
	return nil
}
