package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// Scheme is what an operator writes into scheme.yaml; docs/scheme.md is its page.
type Scheme struct {
	Name        string             `yaml:"name"`
	TimeZone    string             `yaml:"time_zone"`    // IANA name; clearing days and purse times are in it
	MaxLoad     money.Amount       `yaml:"max_load"`     // of one load
	MaxBalance  money.Amount       `yaml:"max_balance"`  // on a card after a load
	MaxPaidOut  money.Amount       `yaml:"max_paid_out"` // by one agent on one day, of cards given back and goodwill; 0: no limit
	Term        string             `yaml:"term"`         // T+n working days or D+n calendar days until positions are due
	Holidays    string             `yaml:"holidays"`     // file with the calendar, beside this one; empty: plain weeks
	Currency    string             `yaml:"currency"`     // of the settlement files, ISO 4217 letters; empty: CNY
	CaseAfter   int                `yaml:"case_after"`   // days that a record is held before the acquirer's report calls it a case, and until its case opens; 0: 30
	ExpireAfter int                `yaml:"expire_after"` // days between a tap and its arrival after which it is not paid for; 0: it always is
	CaseDue     map[cases.Kind]int `yaml:"case_due"`     // days until a case of a kind is overdue; others have the usual

	API     Listen `yaml:"api"`
	Console Listen `yaml:"console"` // asks nobody who is looking: a loopback address
	Broker  Listen `yaml:"broker"`

	Gateway *Gateway `yaml:"gateway"` // online payments; nil: none

	Store string `yaml:"store"` // the database, as store.Open takes it, without a password; empty: a file in the node's folder

	HSM HSM `yaml:"hsm"` // where the master keys are; empty: in the sealed key file

	Windows intake.Windows `yaml:"windows"` // how a fleet that comes home at once is spread

	Posters int `yaml:"posters"` // that post side by side, on PostgreSQL; 0: as many as the machine has cores, at most 4

	Posting intake.Posting `yaml:"posting"` // strict or journal-first; empty: strict

	Watch watch.Settings `yaml:"watch"` // what the watch holds usual, and where terminals are

	ElectronicCash bool   `yaml:"electronic_cash"` // records of such cards are taken; their keys are beside the others
	ECLoadLog      int    `yaml:"ec_load_log"`     // how many records the load log of such cards keeps; 0: not known
	DESFireSystem  string `yaml:"desfire_system"`  // the system identifier that DESFire cards' keys are derived with, hexadecimal; empty: none are taken

	Acquirers []Party    `yaml:"acquirers"`
	Channels  []Party    `yaml:"channels"`
	Merchants []Merchant `yaml:"merchants"`
}

// HSM is the token that has the master keys, behind PKCS#11.
type HSM struct {
	Module  string `yaml:"module"`   // path of the maker's library
	Token   string `yaml:"token"`    // label of the token
	PINFile string `yaml:"pin_file"` // the PIN of its user, in the first line; beside this file
	// Sessions is how many calls it does at a time; 0 is the door's own choice. A device with more cores than that, or one far away, wants more.
	Sessions int `yaml:"sessions"`
}

// maxSessions is far above what devices give one user.
const maxSessions = 1024

// maxCaseAfter is ten years, in days: a larger number is a typing error.
const maxCaseAfter = 3650

// Used says whether the scheme has an HSM.
func (h HSM) Used() bool { return h != HSM{} }

// Listen is an address to serve at, in clear on loopback, else with TLS.
type Listen struct {
	Address     string `yaml:"address"`     // host:port
	Certificate string `yaml:"certificate"` // PEM files, beside scheme.yaml
	Key         string `yaml:"key"`
	ClientCA    string `yaml:"client_ca"` // broker only: who signs device certificates
}

// Party is an acquirer or a payment channel with its fee standards.
type Party struct {
	ID   string         `yaml:"id"`
	Name string         `yaml:"name"`
	Fees []fee.Standard `yaml:"fees"`

	CutOff   string `yaml:"cut_off"`   // acquirers: when its clearing day ends, such as 23:30 or 27:00; empty: 24:00
	TimeZone string `yaml:"time_zone"` // acquirers: by which clock; empty: the scheme's
}

// Merchant is paid for purchases through its acquirer.
type Merchant struct {
	ID       string `yaml:"id"`
	Acquirer string `yaml:"acquirer"`
	Name     string `yaml:"name"`
}

// ParseScheme reads a scheme in YAML, strictly: an unknown field is a fault.
func ParseScheme(raw []byte) (*Scheme, error) {
	var s Scheme
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("scheme: more than one YAML document")
	}
	if s.Term == "" {
		s.Term = "T+1"
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return &s, nil
}

// Check returns every fault of the scheme at once.
func (s *Scheme) Check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("scheme: "+format, args...)) }
	if s.Name == "" {
		bad("name: want the scheme's name")
	}
	if s.TimeZone == "" {
		bad("time_zone: want an IANA name such as Asia/Shanghai")
	} else if _, err := time.LoadLocation(s.TimeZone); err != nil {
		bad("time_zone: %v", err)
	}
	if s.MaxLoad.Sign() <= 0 {
		bad("max_load: %v: want more than 0.00", s.MaxLoad)
	}
	if s.MaxBalance.Sign() <= 0 {
		bad("max_balance: %v: want more than 0.00", s.MaxBalance)
	}
	if !s.MaxPaidOut.IsZero() && s.MaxPaidOut.Cmp(s.MaxBalance) < 0 {
		bad("max_paid_out: %v: want 0.00, or at least max_balance: what one card holds is paid out on one day", s.MaxPaidOut)
	}
	if _, err := calendar.ParseTerm(s.Term); err != nil {
		bad("term: %v", err)
	}
	if s.Currency != "" && (len(s.Currency) != 3 || strings.Trim(s.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		bad("currency: %q: want three letters such as CNY", s.Currency)
	}
	if s.CaseAfter < 0 || s.CaseAfter > maxCaseAfter {
		bad("case_after: %d: want 1 to %d days, or none for the usual 30", s.CaseAfter, maxCaseAfter)
	}
	if s.ExpireAfter < 0 || s.ExpireAfter > maxCaseAfter {
		bad("expire_after: %d: want 1 to %d days, or none: taps that come late are paid for, however late", s.ExpireAfter, maxCaseAfter)
	}
	for _, k := range slices.Sorted(maps.Keys(s.CaseDue)) {
		if d := s.CaseDue[k]; !slices.Contains(cases.Kinds, k) || d < 1 || d > maxCaseAfter {
			bad("case_due: %s: %d: want kinds of %v, and 1 to %d days", k, d, cases.Kinds, maxCaseAfter)
		}
	}
	if store.HasPassword(s.Store) {
		bad("store: a password does not belong into this file: give it in ~/.pgpass, in PGPASSWORD, or with the whole address in PURSELANE_STORE")
	}
	s.API.check("api", bad)
	s.Broker.check("broker", bad)
	s.Console.check("console", bad)
	if host, _, err := net.SplitHostPort(s.Console.Address); err == nil && s.Console.Address != "" && !loopback(host) {
		bad("console.address: %s: the page asks nobody who is looking: want a loopback address such as 127.0.0.1:8081, and a proxy with a login before it", s.Console.Address)
	}
	if s.HSM.Used() && (s.HSM.Module == "" || s.HSM.Token == "" || s.HSM.PINFile == "") {
		bad("hsm: module, token and pin_file go together")
	}
	if s.HSM.Sessions < 0 || s.HSM.Sessions > maxSessions {
		bad("hsm.sessions: %d: want 1 to %d, or none for the usual 4", s.HSM.Sessions, maxSessions)
	}
	if err := s.Windows.Check(); err != nil {
		bad("%v", err)
	}
	if s.Posters < 0 || s.Posters > store.Lanes {
		bad("posters: %d: want 1 to %d, or none for the usual number", s.Posters, store.Lanes)
	}
	if err := s.Posting.Check(); err != nil {
		bad("%v", err)
	}
	if s.Posting == intake.JournalFirst && s.Posters > 1 {
		bad("posters: %d: who posts %s is one", s.Posters, s.Posting)
	}
	if s.ECLoadLog < 0 || s.ECLoadLog > 255 {
		bad("ec_load_log: %d: want the number of records that a card's load log keeps, or none if it is not known", s.ECLoadLog)
	}
	if raw, err := hex.DecodeString(s.DESFireSystem); err != nil || len(raw) != 0 && (len(raw) < 6 || len(raw) > 21) {
		bad("desfire_system: want the 6 to 21 bytes of the scheme's system identifier in hexadecimal digits")
	}
	if err := s.Watch.Check(); err != nil {
		bad("%w", err)
	}
	s.Gateway.check(bad)
	acquirers := checkParties("acquirers", "acquirer", s.Acquirers, bad)
	if acquirers[string(OnlineAgent)] {
		bad("acquirers: %s is the name under which loads are sold that are paid online: give the acquirer another id", OnlineAgent)
	}
	checkParties("channels", "channel", s.Channels, bad)
	seen := map[string]bool{}
	for i, m := range s.Merchants {
		if err := ids.Check(m.ID); err != nil {
			bad("merchants[%d].id: %v", i, err)
		}
		if seen[m.ID] {
			bad("merchants[%d].id: %s stands twice", i, m.ID)
		}
		seen[m.ID] = true
		if !acquirers[m.Acquirer] {
			bad("merchants[%d].acquirer: %q is not among the acquirers", i, m.Acquirer)
		}
	}
	return errors.Join(all...)
}

func checkParties(field, kind string, all []Party, bad func(string, ...any)) map[string]bool {
	seen := map[string]bool{}
	for i, p := range all {
		if err := ids.Check(p.ID); err != nil {
			bad("%s[%d].id: %v", field, i, err)
		}
		if seen[p.ID] {
			bad("%s[%d].id: %s stands twice", field, i, p.ID)
		}
		seen[p.ID] = true
		sound := true
		for j, f := range p.Fees {
			if err := f.Check(); err != nil {
				sound = false
				bad("%s[%d].fees[%d]: %v", field, i, j, err)
			}
		}
		if kind != "acquirer" && (p.CutOff != "" || p.TimeZone != "") {
			bad("%s[%d]: cut_off and time_zone are an acquirer's", field, i)
		}
		if p.CutOff != "" {
			if _, err := calendar.ParseCutOff(p.CutOff); err != nil {
				bad("%s[%d].cut_off: %v", field, i, err)
			}
		}
		if _, err := time.LoadLocation(p.TimeZone); err != nil {
			bad("%s[%d].time_zone: %v", field, i, err)
		}
		if sound { // what settlement cannot do, said before a day is closed
			if err := settlement.CheckStandards(kind, p.ID, p.Fees); err != nil {
				bad("%s[%d].fees: %v", field, i, err)
			}
		}
	}
	return seen
}

func (l Listen) check(field string, bad func(string, ...any)) {
	if l.Address == "" {
		return // not served
	}
	host, _, err := net.SplitHostPort(l.Address)
	switch {
	case err != nil:
		bad("%s.address: %q: want host:port", field, l.Address)
	case (l.Certificate == "") != (l.Key == ""):
		bad("%s: certificate and key go together", field)
	case l.Certificate == "" && !loopback(host):
		bad("%s.address: %s is not on this machine alone: TLS is needed (certificate and key)", field, l.Address)
	case field == "broker" && l.Certificate != "" && l.ClientCA == "":
		bad("broker.client_ca: with TLS each device shows a certificate: whose signature counts?")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Location is the scheme's time zone.
func (s *Scheme) Location() *time.Location {
	l, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return time.UTC // Check has refused such a scheme
	}
	return l
}

// register writes the scheme's parties into the database.
func (s *Scheme) register(ctx context.Context, tx *store.Tx) error {
	for _, p := range s.Acquirers {
		fees, err := feeList(p.Fees)
		if err != nil {
			return err
		}
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: ids.AcquirerID(p.ID), Name: p.Name, Fees: fees}); err != nil {
			return err
		}
		cut, err := s.cutOff(p)
		if err != nil {
			return err
		}
		if err := tx.PutCutOff(ctx, cut); err != nil {
			return err
		}
	}
	for _, p := range s.Channels {
		fees, err := feeList(p.Fees)
		if err != nil {
			return err
		}
		if err := tx.PutChannel(ctx, store.ClearingChannel{ID: p.ID, Name: p.Name, Fees: fees}); err != nil {
			return err
		}
	}
	for _, m := range s.Merchants {
		if err := tx.PutMerchant(ctx, store.Merchant{ID: ids.MerchantID(m.ID), Acquirer: ids.AcquirerID(m.Acquirer), Name: m.Name}); err != nil {
			return err
		}
	}
	return nil
}

// cutOff is when an acquirer's days end; without a time zone where the scheme's midnight ends them.
func (s *Scheme) cutOff(p Party) (store.CutOff, error) {
	out := store.CutOff{Acquirer: ids.AcquirerID(p.ID)}
	if p.CutOff == "" && p.TimeZone == "" {
		return out, nil
	}
	if out.TimeZone = p.TimeZone; out.TimeZone == "" {
		out.TimeZone = s.TimeZone
	}
	if p.CutOff == "" {
		return out, nil
	}
	var err error
	out.At, err = calendar.ParseCutOff(p.CutOff)
	return out, err
}

func feeList(all []fee.Standard) (string, error) {
	if len(all) == 0 {
		return "[]", nil
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("code fee standards: %w", err)
	}
	return string(raw), nil
}

// Cases is how the scheme runs its cases.
func (s *Scheme) Cases(log *slog.Logger) cases.Config {
	out := cases.Config{After: time.Duration(s.CaseAfter) * 24 * time.Hour, Clock: map[cases.Kind]time.Duration{}, Location: s.Location(), Log: log}
	for k, days := range s.CaseDue {
		out.Clock[k] = time.Duration(days) * 24 * time.Hour
	}
	return out
}
