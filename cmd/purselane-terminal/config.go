package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/tap"
)

// config is a terminal's own configuration, version 1; docs/terminal.md is its page. Fares and limits are not in it: they come
// with the signed profile.
type config struct {
	Version  int    `yaml:"version"` // of this file's form
	Terminal string `yaml:"terminal"`
	Merchant string `yaml:"merchant"`

	Journal   journalConfig  `yaml:"journal"`
	Profile   profileConfig  `yaml:"profile"`
	DeviceKey string         `yaml:"device_key"` // file; needed with an uplink
	Uplink    *uplinkConfig  `yaml:"uplink"`     // none: offline for good
	PSAM      chipConfig     `yaml:"psam"`
	PSAMs     []chipConfig   `yaml:"psams"`   // several, in the place of psam
	EC        *ecConfig      `yaml:"ec"`      // none: no electronic cash cards
	DESFire   *desfireConfig `yaml:"desfire"` // none: no DESFire cards
	Lanes     []laneConfig   `yaml:"lanes"`
	API       *apiConfig     `yaml:"api"` // none: no local API
	Screen    screenConfig   `yaml:"screen"`
	Link      *linkConfig    `yaml:"link"` // none: not linked
	Clock     clockConfig    `yaml:"clock"`

	dir   string // paths are relative to it
	cards cardSecrets
}

type journalConfig struct {
	Path        string `yaml:"path"`
	MaxBytes    int64  `yaml:"max_bytes"`    // 0: 256 MiB
	Keep        uint64 `yaml:"keep"`         // records kept after their receipt; 0: 20,000
	WhenDamaged string `yaml:"when_damaged"` // go-on (default) or stop
}

type profileConfig struct {
	File      string `yaml:"file"`
	PublicKey string `yaml:"public_key"` // 64 hexadecimal digits
}

type uplinkConfig struct {
	Broker        string        `yaml:"broker"`
	BackendKey    string        `yaml:"backend_key"` // 64 hexadecimal digits: whose receipts count
	PasswordFile  string        `yaml:"password_file"`
	Certificate   string        `yaml:"certificate"` // PEM files of the device, and who signs the broker's
	Key           string        `yaml:"key"`
	CA            string        `yaml:"ca"`
	ConnectJitter time.Duration `yaml:"connect_jitter"` // 0: 1 s; a depot wants minutes
}

// chipConfig says where a PSAM is.
type chipConfig struct {
	Kind        string `yaml:"kind"`   // pcsc, socket or simulated
	Reader      string `yaml:"reader"` // of pcsc: a part of the name that only one reader has
	Listen      string `yaml:"listen"` // of socket: where a virtual PSAM plugs in
	File        string `yaml:"file"`   // of simulated
	Application string `yaml:"application"`
}

// laneConfig is one reader and what it sells.
type laneConfig struct {
	Kind    string `yaml:"kind"` // pcsc, pn532 or socket
	Reader  string `yaml:"reader"`
	Listen  string `yaml:"listen"`
	Signals string `yaml:"signals"` // of pcsc: acr122u works its light and buzzer
	Port    string `yaml:"port"`    // of pn532: the serial port
	Baud    int    `yaml:"baud"`    // of pn532; 0: pn532.DefaultBaud
	Mode    string `yaml:"mode"`
	Line    string `yaml:"line"`
	Station string `yaml:"station"`
}

var modes = map[string]tap.Mode{"bus-flat": tap.BusFlat, "metro-entry": tap.MetroEntry, "metro-exit": tap.MetroExit, "sale": tap.Sale}

// parseConfig reads a configuration strictly: an unknown field is a fault. It returns every fault it can see in the text,
// each with its key and what to do. dir is the file's folder.
func parseConfig(raw []byte, dir string) (*config, error) {
	c := config{dir: dir}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("config: more than one YAML document: want one")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// faults collects what is wrong.
type faults []error

func (f *faults) bad(format string, args ...any) {
	*f = append(*f, fmt.Errorf("config: "+format, args...))
}

func (f *faults) want(key, value, what string) {
	if value == "" {
		f.bad("%s: want %s", key, what)
	}
}

func (f *faults) unwanted(key, value, why string) {
	if value != "" {
		f.bad("%s: %s: take it out", key, why)
	}
}

func (f *faults) publicKey(key, value string) {
	if raw, err := hex.DecodeString(value); err != nil || len(raw) != 32 {
		f.bad("%s: want 64 hexadecimal digits, as \"purselane keys show\" prints them", key)
	}
}

func (c *config) check() error {
	var f faults
	if c.Version != 1 {
		f.bad("version: %d: want 1, the form that this program reads", c.Version)
	}
	if err := ids.Check(c.Terminal); err != nil {
		f.bad("terminal: %w", err)
	}
	if err := ids.Check(c.Merchant); err != nil {
		f.bad("merchant: %w", err)
	}
	f.want("journal.path", c.Journal.Path, "a file on a disk that keeps what it promised")
	if n := c.Journal.MaxBytes; n != 0 && n < 1<<20 {
		f.bad("journal.max_bytes: %d: want at least 1048576, or 0 for 256 MiB", n)
	}
	if n, most := c.Journal.Keep, max(c.Journal.MaxBytes, 0); most > 0 && n > uint64(most)/2048 {
		f.bad("journal.keep: %d records do not leave room in journal.max_bytes: want at most %d", n, most/2048)
	}
	if c.Journal.WhenDamaged == "" {
		c.Journal.WhenDamaged = goOn
	}
	if w := c.Journal.WhenDamaged; w != goOn && w != "stop" {
		f.bad("journal.when_damaged: %q: want go-on or stop", w)
	}
	f.want("profile.file", c.Profile.File, "the signed profile")
	f.publicKey("profile.public_key", c.Profile.PublicKey)
	c.checkUplink(&f)
	c.Clock.check(&f)
	c.checkPSAMs(&f)
	c.checkFamilies(&f)
	if len(c.Lanes) == 0 {
		f.bad("lanes: want at least one")
	}
	seen := map[string]int{}
	for i, l := range c.Lanes {
		l.check(&f, fmt.Sprintf("lanes[%d]", i))
		place := l.Kind + " " + l.place()
		if first, twice := seen[place]; twice && l.Listen != "127.0.0.1:0" {
			f.bad("lanes[%d]: the reader of lanes[%d]: want a reader for each lane", i, first)
		}
		seen[place] = i
	}
	c.checkLocal(&f)
	return errors.Join(f...)
}

const goOn = "go-on"

func (c *config) checkUplink(f *faults) {
	u := c.Uplink
	if u == nil {
		return
	}
	f.want("device_key", c.DeviceKey, "the file that \"purselane-terminal device-key\" makes")
	f.want("uplink.broker", u.Broker, "a URL such as tls://broker:8883")
	f.publicKey("uplink.backend_key", u.BackendKey)
	secure := u.Certificate != "" || u.Key != "" || u.CA != ""
	switch {
	case secure && (u.Certificate == "" || u.Key == "" || u.CA == ""):
		f.bad("uplink.certificate, uplink.key, uplink.ca: want all three or none")
	case secure && u.PasswordFile != "":
		f.bad("uplink.password_file: a device with a certificate has no password: take one of them out")
	case !secure && u.PasswordFile == "":
		f.bad("uplink.password_file: want it, or a certificate")
	case !secure && !onLoopback(u.Broker):
		f.bad("uplink.broker: %s: without a certificate the password would be readable on the way: want tls:// with certificate, key and ca", u.Broker)
	}
	if u.ConnectJitter < 0 {
		f.bad("uplink.connect_jitter: %v: want 0s or more", u.ConnectJitter)
	}
}

// onLoopback reports whether a broker URL or an address names this machine alone.
func onLoopback(address string) bool {
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// namedChip is a PSAM and its key in the configuration.
type namedChip struct {
	key string
	chipConfig
}

// psams are all PSAMs.
func (c *config) psams() []namedChip {
	if len(c.PSAMs) == 0 {
		return []namedChip{{"psam", c.PSAM}}
	}
	var out []namedChip
	for i, p := range c.PSAMs {
		out = append(out, namedChip{fmt.Sprintf("psams[%d]", i), p})
	}
	return out
}

func (c *config) checkPSAMs(f *faults) {
	if len(c.PSAMs) > 0 && c.PSAM != (chipConfig{}) {
		f.bad("psam: it is one of psams, or the only one: take psam or psams out")
	}
	seen := map[string]string{}
	for _, p := range c.psams() {
		p.check(f)
		place := p.Kind + " " + p.Reader + p.Listen + p.File
		if first, twice := seen[place]; twice && p.Listen != "127.0.0.1:0" {
			f.bad("%s: the PSAM of %s: want another one", p.key, first)
		}
		seen[place] = p.key
	}
}

func (p namedChip) check(f *faults) {
	switch p.Kind {
	case "pcsc":
		checkPCSC(f, p.key+".kind")
		f.want(p.key+".reader", p.Reader, "the reader's name, or a part of it")
	case "socket":
		checkListen(f, p.key+".listen", p.Listen)
	case "simulated":
		f.want(p.key+".file", p.File, "the file that \"purselane simulate psam --new\" makes")
	default:
		f.bad("%s.kind: %q: want pcsc, socket or simulated", p.key, p.Kind)
		return
	}
	for _, field := range []struct{ kind, name, value string }{{"pcsc", "reader", p.Reader}, {"socket", "listen", p.Listen}, {"simulated", "file", p.File}} {
		if field.kind != p.Kind {
			f.unwanted(p.key+"."+field.name, field.value, "a PSAM of kind "+p.Kind+" has none")
		}
	}
	if raw, err := hex.DecodeString(p.Application); err != nil || len(raw) != 0 && len(raw) != 2 && (len(raw) < 5 || len(raw) > 16) {
		f.bad("%s.application: %q: want an FID of 4 hexadecimal digits or a name of 10 to 32, or nothing for the profile's", p.key, p.Application)
	}
}

// place says where a lane's reader is, in the words of its kind.
func (l laneConfig) place() string { return l.Reader + l.Listen + l.Port }

func (l laneConfig) check(f *faults, key string) {
	switch l.Kind {
	case "pcsc":
		checkPCSC(f, key+".kind")
		f.want(key+".reader", l.Reader, "the reader's name, or a part of it")
	case "pn532":
		f.want(key+".port", l.Port, "a serial port, best by its name in /dev/serial/by-id")
		if err := pn532.CheckBaud(l.Baud); err != nil {
			f.bad("%s.baud: %w, or nothing for %d", key, err, pn532.DefaultBaud)
		}
	case "socket":
		checkListen(f, key+".listen", l.Listen)
	default:
		f.bad("%s.kind: %q: want pcsc, pn532 or socket", key, l.Kind)
	}
	why := "a lane of kind " + l.Kind + " has none"
	for _, field := range []struct{ kind, name, value string }{{"pcsc", "reader", l.Reader}, {"pn532", "port", l.Port}, {"socket", "listen", l.Listen}} {
		if field.kind != l.Kind {
			f.unwanted(key+"."+field.name, field.value, why)
		}
	}
	if l.Signals != "" && (l.Kind != "pcsc" || l.Signals != pcsc.ACR122U) {
		f.bad("%s.signals: %q: want %s at a lane of kind pcsc, or nothing", key, l.Signals, pcsc.ACR122U)
	}
	if l.Kind != "pn532" && l.Baud != 0 {
		f.bad("%s.baud: %s: take it out", key, why)
	}
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	slices.Sort(names)
	mode, known := modes[l.Mode]
	if !known {
		f.bad("%s.mode: %q: want one of %s", key, l.Mode, strings.Join(names, ", "))
		return
	}
	code := func(field, value string, wanted bool) {
		var c fare.Code
		switch err := c.UnmarshalText([]byte(value)); {
		case value == "" && wanted:
			f.bad("%s.%s: a lane of mode %s wants it: four hexadecimal digits", key, field, l.Mode)
		case value != "" && err != nil:
			f.bad("%s.%s: %w", key, field, err)
		}
	}
	code("line", l.Line, mode == tap.BusFlat)
	code("station", l.Station, mode == tap.MetroEntry || mode == tap.MetroExit)
}

func checkPCSC(f *faults, key string) {
	if !pcsc.Available {
		f.bad("%s: this program was built without PC/SC: build it with -tags pcsc (needs gcc and libpcsclite-dev), or use another kind", key)
	}
}

func checkListen(f *faults, key, address string) {
	switch _, port, err := net.SplitHostPort(address); {
	case err != nil || port == "":
		f.bad("%s: %q: want an address such as 127.0.0.1:35963", key, address)
	case !onLoopback(address):
		f.bad("%s: %s: whoever can connect is a card: want a loopback address", key, address)
	}
}

// path is a path of the configuration, which is relative to its own folder.
func (c *config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}
