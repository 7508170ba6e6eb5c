package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/tlv"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/terminal/families"
)

// ecConfig is what a terminal has of its own for electronic cash cards; what they are is in the profile.
type ecConfig struct {
	TokenKey string            `yaml:"token_key"` // file
	Device   map[string]string `yaml:"device"`    // its own objects in field 55: hexadecimal digits by tag
	Number   string            `yaml:"number"`    // in trip records; empty: that of the first PSAM
	Operator *keyConfig        `yaml:"operator"`  // the keys of trip records, where the profile has ec.transit
}

// desfireConfig is what a terminal has of its own for DESFire cards.
type desfireConfig struct {
	SAM    keyConfig `yaml:"sam"`    // the application key
	Number string    `yaml:"number"` // in the cards' records; empty: that of the first PSAM
}

// keyConfig says where keys of cards are.
type keyConfig struct {
	Kind string `yaml:"kind"` // simulated: no commands of a SAM for them are public
	File string `yaml:"file"`
}

// deviceObjects are the objects of a terminal's own, and their sizes in bytes.
var deviceObjects = map[string][2]int{"9F33": {3, 3}, "9F34": {3, 3}, "9F35": {1, 1}, "9F1E": {8, 8}, "9F09": {2, 2}, "9F41": {2, 4}}

// checkFamilies finds what is wrong with the card families.
func (c *config) checkFamilies(f *faults) {
	if e := c.EC; e != nil {
		f.want("ec.token_key", e.TokenKey, `the file that "purselane terminal token-key" makes`)
		checkNumber(f, "ec.number", e.Number)
		if e.Operator != nil {
			e.Operator.check(f, "ec.operator")
		}
		for _, tag := range slices.Sorted(maps.Keys(e.Device)) {
			text := e.Device[tag]
			size, known := deviceObjects[tag]
			raw, err := hex.DecodeString(text)
			switch {
			case !known:
				f.bad("ec.device.%s: want one of 9F33, 9F34, 9F35, 9F1E, 9F09, 9F41", tag)
			case err != nil || len(raw) < size[0] || len(raw) > size[1]:
				f.bad("ec.device.%s: %q: want %d to %d bytes as hexadecimal digits", tag, text, size[0], size[1])
			}
		}
	}
	if d := c.DESFire; d != nil {
		d.SAM.check(f, "desfire.sam")
		checkNumber(f, "desfire.number", d.Number)
	}
}

func checkNumber(f *faults, key, digits string) {
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 0 && len(raw) != 6 || digits == "000000000000" {
		f.bad("%s: %q: want 12 hexadecimal digits that no other terminal has, or nothing for the first PSAM's", key, digits)
	}
}

func (k keyConfig) check(f *faults, key string) {
	if k.Kind != "simulated" {
		f.bad("%s.kind: %q: want simulated: no other SAM for these cards is known to this program", key, k.Kind)
	}
	f.want(key+".file", k.File, "a file of keys (docs/terminal.md)")
}

// simulatedKeys is what the program says of keys of cards that lie in files.
const simulatedKeys = `*** SIMULATED SAM for %s ***
The cards' keys lie in a plain file. Whoever copies it can take value from every such card. For development only.`

// cardSecrets are the secrets of the card families, read.
type cardSecrets struct {
	token       []byte
	operator    ec.Operator // nil: none
	application *keys.Key   // of DESFire cards; nil: none
}

// Format prints no key.
func (cardSecrets) Format(f fmt.State, _ rune) { io.WriteString(f, "[secrets of card families]") }

// readFamilies reads the secrets, and tries them on the profile.
func (c *config) readFamilies(p *firmwareconfig.Profile) (s cardSecrets, err error) {
	var all []error
	note := func(key string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("config: %s: %w", key, err))
		}
	}
	if c.EC != nil {
		list, err := readKeys(c.path(c.EC.TokenKey), 1, 16, 64)
		note("ec.token_key", err)
		if err == nil {
			s.token = list[0]
		}
		if c.EC.Operator != nil {
			list, err := readKeys(c.path(c.EC.Operator.File), 2, 16, 16)
			note("ec.operator.file", err)
			if err == nil {
				s.operator = ec.NewSoftOperator(keys.Key(list[0]), keys.Key(list[1]))
			}
		}
	}
	if c.DESFire != nil {
		list, err := readKeys(c.path(c.DESFire.SAM.File), 1, 16, 16)
		note("desfire.sam.file", err)
		if err == nil {
			s.application = (*keys.Key)(list[0])
		}
	}
	if len(all) > 0 || p == nil {
		return s, errors.Join(all...)
	}
	_, err = c.families(p, s, [6]byte{1})()
	return s, err
}

// readKeys reads a file of keys: as many lines of hexadecimal digits, each of least to most bytes.
func readKeys(path string, lines, least, most int) ([][]byte, error) {
	raw, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(raw))
	var out [][]byte
	for _, w := range words {
		key, err := hex.DecodeString(w)
		if err != nil || len(key) < least || len(key) > most {
			return nil, fmt.Errorf("%s: want lines of %d to %d hexadecimal digits", path, 2*least, 2*most) // the text may be a key
		}
		out = append(out, key)
	}
	if len(out) != lines {
		return nil, fmt.Errorf("%s: %d keys: want %d, a line each", path, len(out), lines)
	}
	return out, nil
}

// families makes what makes each lane's drivers, for a terminal whose first PSAM has that number. Sections without their part of the
// profile make none: the profile says what is taken.
func (c *config) families(p *firmwareconfig.Profile, s cardSecrets, first [6]byte) func() ([]purse.Driver, error) {
	var sams desfiredriver.SAMs
	if s.application != nil {
		sams = desfiredriver.Lend(desfire.NewSoftSAM(*s.application, rand.Reader)) // all lanes share it
	}
	return func() (out []purse.Driver, err error) {
		if c.EC != nil && p.EC != nil {
			t := families.ECTerminal{TokenKey: s.token, Device: c.EC.device(), Operator: s.operator, Number: numberOr(c.EC.Number, first)}
			d, err := families.EC(p, t, rand.Reader)
			if err != nil {
				return nil, fmt.Errorf("config: ec: %w", err)
			}
			out = append(out, d)
		}
		if c.DESFire != nil && p.DESFire != nil {
			d, err := families.DESFire(p, numberOr(c.DESFire.Number, first), sams, rand.Reader)
			if err != nil {
				return nil, fmt.Errorf("config: desfire: %w", err)
			}
			out = append(out, d)
		}
		return out, nil
	}
}

func (e *ecConfig) device() map[tlv.Tag][]byte {
	out := map[tlv.Tag][]byte{}
	for tag, text := range e.Device {
		name, err1 := hex.DecodeString(tag)
		raw, err2 := hex.DecodeString(text)
		if err1 == nil && err2 == nil && len(name) == 2 { // as check has found them
			out[tlv.Tag(name[0])<<8|tlv.Tag(name[1])] = raw
		}
	}
	return out
}

// numberOr is a number that check has found well-formed, or the other one.
func numberOr(digits string, other [6]byte) [6]byte {
	if raw, err := hex.DecodeString(digits); err == nil && len(raw) == 6 {
		return [6]byte(raw)
	}
	return other
}

// tellFamilies says which cards are taken, and which of the profile's are not.
func (c *config) tellFamilies(p *firmwareconfig.Profile) (taken string, lines []string) {
	names := []string{"EP"}
	for _, f := range []struct {
		name             string
		section, profile bool
	}{{"ec", c.EC != nil, p.EC != nil}, {"desfire", c.DESFire != nil, p.DESFire != nil}} {
		switch {
		case f.section && f.profile:
			names = append(names, map[string]string{"ec": "electronic cash", "desfire": "DESFire"}[f.name])
		case f.section:
			lines = append(lines, fmt.Sprintf("the profile has no %s section: such cards are not taken", f.name))
		case f.profile:
			lines = append(lines, fmt.Sprintf("the profile takes such cards, and this terminal has no %s section: they are refused here", f.name))
		}
	}
	if c.EC != nil && p.EC != nil && c.EC.Operator != nil {
		lines = append(lines, fmt.Sprintf(simulatedKeys, "trips of electronic cash cards"))
	}
	if c.DESFire != nil && p.DESFire != nil {
		lines = append(lines, fmt.Sprintf(simulatedKeys, "DESFire cards"))
	}
	return strings.Join(names, ", "), lines
}
