package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/simulator/eccard"
)

// FamilyCmd are the commands that prepare a scheme for cards of another family, as an issuer would. docs/card-tools.md walks them.
type FamilyCmd struct {
	EC      FamilyECCmd      `cmd:"" name:"ec" help:"Make a simulated issuer of electronic cash cards, and print what profile and scheme want."`
	DESFire FamilyDESFireCmd `cmd:"" name:"desfire" help:"Print what profile and scheme want for DESFire cards."`
}

// fileECIssuer is the simulated issuer of electronic cash cards.
const fileECIssuer = "ec-issuer.json"

// apply is what both families' commands do with their sections.
type apply struct {
	schemeFolder
	Apply bool `help:"Also write it: into profile.yaml with the next version, signed, and into scheme.yaml. Restart serve, and give terminals the new profile."`
}

// finish prints the sections, or writes them.
func (a apply) finish(k *kong.Kong, has func(*firmwareconfig.Profile) bool, profile, scheme string, inScheme func(*node.Scheme) bool) error {
	if !a.Apply {
		_, err := fmt.Fprintf(k.Stdout, "# for %s; raise its version, and sign it (purselane profile sign):\n%s\n# for %s:\n%s", fileProfile, profile, fileScheme, scheme)
		return err
	}
	s, err := a.scheme()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(a.path(fileProfile))
	if err != nil {
		return err
	}
	p, err := firmwareconfig.ParseProfile(text)
	if err != nil {
		return fmt.Errorf("%s:\n%w", a.path(fileProfile), err)
	}
	if has(p) {
		return fmt.Errorf("%s has such a section already: it was not touched", a.path(fileProfile))
	}
	next, err := nextVersion(text, p.Version)
	if err != nil {
		return err
	}
	next = append(next, "\n"+profile...)
	if _, err := firmwareconfig.ParseProfile(next); err != nil {
		return fmt.Errorf("%s with the section: %w", a.path(fileProfile), err)
	}
	if !inScheme(s) {
		raw, err := os.ReadFile(a.path(fileScheme))
		if err != nil {
			return err
		}
		raw = append(raw, "\n"+scheme...)
		if _, err := node.ParseScheme(raw); err != nil {
			return fmt.Errorf("%s with %q: %w", a.path(fileScheme), strings.TrimSpace(scheme), err)
		}
		if err := replaceFile(a.path(fileScheme), raw, 0o644); err != nil {
			return err
		}
	}
	if err := replaceFile(a.path(fileProfile), next, 0o644); err != nil {
		return err
	}
	sign := ProfileSignCmd{schemeFolder: a.schemeFolder}
	if err := sign.Run(k); err != nil {
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "%s and %s are written: restart serve, and give terminals %s\n", fileProfile, fileScheme, fileSigned)
	return err
}

// versionLine is the version of a profile.
var versionLine = regexp.MustCompile(`(?m)^version: *([0-9]+)`)

// nextVersion is the text of a profile with the version after its own.
func nextVersion(text []byte, version uint64) ([]byte, error) {
	at := versionLine.FindSubmatchIndex(text)
	if at == nil || string(text[at[2]:at[3]]) != strconv.FormatUint(version, 10) {
		return nil, errors.New("profile: its version is not at the beginning of a line: raise it and add the section by hand (without --apply)")
	}
	return []byte(string(text[:at[2]]) + strconv.FormatUint(version+1, 10) + string(text[at[3]:])), nil
}

// FamilyECCmd is `purselane family ec`.
type FamilyECCmd struct {
	apply
	IIN     string `name:"iin" default:"621094" placeholder:"DIGITS" help:"What the cards' numbers begin with, 3 to 8 digits."`
	Transit bool   `help:"The cards make metro trips: with the operator's record on them."`
}

// ecTransit is the place of the operator's record on simulated cards.
var ecTransit = firmwareconfig.ECTransit{File: 20, ID: firmwareconfig.Hex{0x28, 0x07}}

// Run makes the issuer if there is none, and tells what its cards are believed by.
func (c *FamilyECCmd) Run(k *kong.Kong) error {
	ring, err := c.ring()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.path(fileECIssuer)); errors.Is(err, os.ErrNotExist) {
		made, err := eccard.NewIssuer(rand.Reader, c.IIN)
		if err != nil {
			return fmt.Errorf("--iin: %w", err)
		}
		raw, err := json.MarshalIndent(made.Image(), "", "\t")
		if err != nil {
			return err
		}
		if err := writeNew(c.path(fileECIssuer), append(raw, '\n'), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "# SIMULATED issuer and authority in %s: their private keys lie in a plain file, for development only\n", c.path(fileECIssuer))
	}
	issuer, err := c.ecIssuer(ring)
	if err != nil {
		return err
	}
	tokenKey, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	_, seal, err := node.ECTerminalKeys(tokenKey)
	if err != nil {
		return err
	}
	key := issuer.Authority()
	sum := key.Checksum()
	var y strings.Builder
	fmt.Fprintf(&y, "ec:\n  aids: [\"A000000333\"]\n  ttq: \"28000080\"\n  country: \"156\"\n  currency: \"156\"\n  ca_keys:\n")
	fmt.Fprintf(&y, "    - {rid: \"%X\", index: \"%02X\", exponent: \"%X\", expiry: \"2040-12-31\", checksum: \"%X\",\n       modulus: \"%X\"}\n", key.RID[:], key.Index, key.Exponent, sum, key.Modulus)
	fmt.Fprintf(&y, "  seal_to: \"%X\"\n  readback: balance\n", seal.PublicKey().Bytes())
	if c.Transit {
		fmt.Fprintf(&y, "  transit: {file: %d, id: \"%X\"}\n", ecTransit.File, []byte(ecTransit.ID))
	}
	return c.finish(k, func(p *firmwareconfig.Profile) bool { return p.EC != nil }, y.String(), "electronic_cash: true\nec_load_log: 10\n", func(s *node.Scheme) bool { return s.ElectronicCash })
}

// ecIssuerImage reads the simulated issuer's file.
func (f schemeFolder) ecIssuerImage() (img eccard.IssuerImage, err error) {
	raw, err := os.ReadFile(f.path(fileECIssuer))
	if errors.Is(err, os.ErrNotExist) {
		return img, fmt.Errorf("no simulated issuer of electronic cash: purselane family ec --dir %s makes one", f.Dir)
	}
	if err != nil {
		return img, err
	}
	if err := json.Unmarshal(raw, &img); err != nil {
		return img, fmt.Errorf("%s is damaged: %w", f.path(fileECIssuer), err)
	}
	return img, nil
}

// ecIssuer is the simulated issuer, with the scheme's master keys.
func (f schemeFolder) ecIssuer(ring *keys.Ring) (*eccard.Issuer, error) {
	img, err := f.ecIssuerImage()
	if err != nil {
		return nil, err
	}
	var masters ec.Masters
	for purpose, to := range map[keys.Purpose]*keys.Key{keys.ECCryptogram: &masters.AC, keys.ECMAC: &masters.MAC, keys.ECEncipher: &masters.ENC} {
		k, ok := ring.ForNewWork()[keys.ID{Purpose: purpose, Version: 1}]
		if !ok {
			return nil, fmt.Errorf("the key file has no %s key of version 1 for new cards (docs/keys.md)", purpose)
		}
		*to = k
	}
	return eccard.OpenIssuer(img, masters, rand.Reader)
}

// FamilyDESFireCmd is `purselane family desfire`.
type FamilyDESFireCmd struct {
	apply
	System string `default:"50555253454C414E45" placeholder:"HEX" help:"System identifier that the cards' keys are derived with, 6 to 21 bytes. It never changes."`
}

// Run prints the usual layout.
func (c *FamilyDESFireCmd) Run(k *kong.Kong) error {
	if raw, err := hex.DecodeString(c.System); err != nil || len(raw) < 6 || len(raw) > 21 {
		return errors.New("--system: want 6 to 21 bytes as hexadecimal digits")
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	if _, err := desfireApplication(ring); err != nil {
		return err
	}
	const section = `desfire:
  aid: "3F0001"
  key_number: 1
  mac_key: 1
  value_file: 1
  record_file: 2
  mac_file: 3
  value_mode: mac
  mac_mode: mac
  readback: balance
`
	return c.finish(k, func(p *firmwareconfig.Profile) bool { return p.DESFire != nil }, section, fmt.Sprintf("desfire_system: %q\n", strings.ToUpper(c.System)),
		func(s *node.Scheme) bool { return s.DESFireSystem != "" })
}

// desfireApplication is the application key of new cards.
func desfireApplication(ring *keys.Ring) (keys.Key, error) {
	k, ok := ring.ForNewWork()[keys.ID{Purpose: keys.DESFireApp, Version: 1}]
	if !ok {
		return k, fmt.Errorf("the key file has no %s key of version 1 for new cards (docs/keys.md)", keys.DESFireApp)
	}
	return k, nil
}
