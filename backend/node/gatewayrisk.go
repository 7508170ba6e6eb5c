package node

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/desk"
	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/risk/outside"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// GatewayRisk is what an operator writes of risk; docs/risk.md is its page. Files lie beside scheme.yaml.
type GatewayRisk struct {
	Rules string `yaml:"rules"` // file, looked at again and again
	Key   string `yaml:"key"`   // Ed25519 public key that Rules are signed with, 64 hexadecimal digits; empty: they are not signed
	Lists string `yaml:"lists"` // file with who is denied and allowed; empty: nobody

	Apps []string `yaml:"apps"` // that ask their payers for a password themselves

	Hold time.Duration `yaml:"hold"` // how old what was transferred must be before it is withdrawn, for the fact young; 0: it may be at once

	Codes    *OutsideService  `yaml:"codes"`    // takes one-time codes to payers; nil: none are sent
	Identity *IdentityService `yaml:"identity"` // knows who somebody is; nil: nobody is asked
}

// OutsideService is one of the operator's own services.
type OutsideService struct {
	URL string `yaml:"url"`
	Key string `yaml:"key"` // secret file: requests are signed with it
}

// IdentityService is a provider that knows persons, with its prices.
type IdentityService struct {
	OutsideService `yaml:",inline"`

	Timeout          time.Duration `yaml:"timeout"` // default 3s
	Two, Three, Four money.Amount  // of a call, by the number of elements
	Budget           money.Amount  `yaml:"budget"` // of a day, for each process
}

// RiskFiles are what the files hold that the section names.
type RiskFiles struct {
	Rules, Lists func() ([]byte, error) // read the file as it is by now; Lists nil: there is none

	CodesKey, IdentityKey []byte // of the services
}

func (r *GatewayRisk) check(bad func(string, ...any)) {
	if r == nil {
		return
	}
	if r.Rules == "" {
		bad("gateway.risk.rules: want the file with the rules; a scheme without them leaves the section out")
	}
	if _, err := r.PublicKey(); err != nil {
		bad("gateway.risk.key: %w", err)
	}
	if r.Hold < 0 || r.Hold > maxHold {
		bad("gateway.risk.hold: %v: want none, or up to %v", r.Hold, maxHold)
	}
	for i, a := range r.Apps {
		if err := ids.Check(a); err != nil {
			bad("gateway.risk.apps[%d]: %w", i, err)
		}
	}
	service := func(field string, s OutsideService) {
		if err := checkNotifyURL(s.URL); err != nil {
			bad("gateway.risk.%s.url: %w", field, err)
		}
		if s.Key == "" {
			bad("gateway.risk.%s.key: want the file with the key that requests are signed with", field)
		}
	}
	if r.Codes != nil {
		service("codes", *r.Codes)
	}
	if r.Identity != nil {
		service("identity", r.Identity.OutsideService)
		if err := r.Identity.settings(time.UTC).Check(); err != nil {
			bad("gateway.risk.identity: %w", err)
		}
	}
}

// PublicKey is what the rules are signed with, nil where they are not.
func (r *GatewayRisk) PublicKey() (ed25519.PublicKey, error) {
	if r.Key == "" {
		return nil, nil
	}
	key, err := hex.DecodeString(r.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("want %d hexadecimal digits, as purselane risk sign prints them", 2*ed25519.PublicKeySize)
	}
	return key, nil
}

func (s *IdentityService) settings(zone *time.Location) identity.Settings {
	set := identity.Defaults()
	if s.Timeout != 0 {
		set.Timeout = s.Timeout
	}
	set.Two, set.Three, set.Four, set.Budget, set.Zone = s.Two, s.Three, s.Four, s.Budget, zone
	return set
}

// RiskKey is the key by which risk knows whom without keeping who: payers, devices, cards and merchants. Like [BooksKey] it is made from the scheme's token key.
func RiskKey(tokenKey []byte) []byte { return riskKey(tokenKey, "id") }

func riskKey(tokenKey []byte, use string) []byte {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-risk-" + use + "-key-1"))
	return h.Sum(nil)
}

// openRisk opens the desk that assesses payments; nil where the scheme has no rules.
func (n *Node) openRisk(ctx context.Context) (*desk.Desk, error) {
	c, r := n.cfg, n.cfg.Scheme.Gateway.Risk
	if r == nil {
		return nil, nil
	}
	if c.Risk == nil {
		return nil, errors.New("node: the scheme has risk rules, and Risk is not set")
	}
	hash, err := risk.NewHasher(RiskKey(c.TokenKey))
	if err != nil {
		return nil, err
	}
	key, err := r.PublicKey()
	if err != nil {
		return nil, err
	}
	cfg := desk.Config{Rules: c.Risk.Rules, Lists: c.Risk.Lists, Key: key, Hash: hash, Clock: c.Clock, Zone: c.Scheme.Location(), Apps: r.Apps, Log: c.Log}
	lately := bill.NewWatch(n.store, c.Clock, c.Channels, c.Log)
	n.lately = lately
	cfg.Facts = n.riskFacts(lately, r.Hold)
	if r.Codes != nil {
		s, err := outside.New(r.Codes.URL, c.Risk.CodesKey, codeTimeout, c.Clock)
		if err != nil {
			return nil, fmt.Errorf("codes: %w", err)
		}
		cfg.Sender, cfg.CodeKey = s, riskKey(c.TokenKey, "code")
	}
	if r.Identity != nil {
		set := r.Identity.settings(c.Scheme.Location())
		s, err := outside.New(r.Identity.URL, c.Risk.IdentityKey, set.Timeout, c.Clock)
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		cfg.Process = processName(c.Dir)
		if cfg.Identity, err = identity.New(set, s, riskKey(c.TokenKey, "person")); err != nil {
			return nil, err
		}
	}
	return desk.Open(ctx, n.store, cfg)
}

// processName is a backend's name for its own counts: the machine and its data folder, which a restart does not change.
func processName(dir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + ":" + filepath.Base(filepath.Dir(filepath.Clean(dir))) + "/" + filepath.Base(dir)
}

// maxHold is a month: a longer hold is a typing error.
const maxHold = 31 * 24 * time.Hour

// codeTimeout bounds how long a payer waits for the service that sends codes.
const codeTimeout = 3 * time.Second

// Risk is what assesses payments, nil where the scheme has no rules or this process runs no gateway.
func (n *Node) Risk() *desk.Desk {
	if n.online == nil {
		return nil
	}
	return n.online.risk
}
