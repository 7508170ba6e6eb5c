package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/desk"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
)

// RiskCmd is `purselane risk`.
type RiskCmd struct {
	Check    RiskCheckCmd    `cmd:"" help:"Check a file of risk rules, or of lists."`
	DryRun   RiskDryRunCmd   `cmd:"" name:"dry-run" help:"Decide a day's payments by new rules: what would have changed."`
	Explain  RiskExplainCmd  `cmd:"" help:"Say why an order's payments were passed, challenged or blocked."`
	Sign     RiskSignCmd     `cmd:"" help:"Sign a file of risk rules."`
	Identity RiskIdentityCmd `cmd:"" help:"Say what a day's questions of who somebody is were and cost."`
	ID       RiskIDCmd       `cmd:"" name:"id" help:"Print the ID by which lists name a payer, device, card or merchant; it is read from standard input."`
}

// riskFiles adds what the scheme's risk section names files for. A scheme without one stays as it is.
func (f schemeFolder) riskFiles(c *node.Config) error {
	r := c.Scheme.Gateway.Risk
	if r == nil {
		return nil
	}
	files := &node.RiskFiles{Rules: func() ([]byte, error) { return os.ReadFile(f.path(r.Rules)) }}
	if r.Lists != "" {
		files.Lists = func() ([]byte, error) { return os.ReadFile(f.path(r.Lists)) }
	}
	var errs []error
	key := func(field, name string) []byte {
		raw, err := readKeyFile(f.path(name), true)
		if err != nil {
			errs = append(errs, fmt.Errorf("scheme: gateway.risk.%s.key: %w", field, err))
		}
		return bytes.TrimSpace(raw)
	}
	if r.Codes != nil {
		files.CodesKey = key("codes", r.Codes.Key)
	}
	if r.Identity != nil {
		files.IdentityKey = key("identity", r.Identity.Key)
	}
	c.Risk = files
	return errors.Join(errs...)
}

// RiskCheckCmd is `purselane risk check`.
type RiskCheckCmd struct {
	File  string `arg:"" type:"existingfile" help:"The file."`
	Lists bool   `help:"It holds lists, not rules."`
	Key   string `placeholder:"HEX" help:"The rules are signed by this key."`
}

// Run checks.
func (c *RiskCheckCmd) Run(k *kong.Kong) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if c.Lists {
		l, err := risk.ParseLists(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		_, err = fmt.Fprintf(k.Stdout, "%s  lists, version %d: they can be used\n", c.File, l.Version())
		return err
	}
	s, err := riskRules(raw, c.Key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(k.Stdout, "%s  %d rules, version %d: they can be used\n", c.File, len(s.Rules), s.Version)
	return err
}

// riskRules reads rules that are signed by a key in hexadecimal digits, or, without one, not signed.
func riskRules(raw []byte, key string) (risk.Set, error) {
	public, err := (&node.GatewayRisk{Key: key}).PublicKey()
	if err != nil {
		return risk.Set{}, fmt.Errorf("--key: %w", err)
	}
	return desk.ReadRules(raw, public)
}

// RiskDryRunCmd is `purselane risk dry-run`.
type RiskDryRunCmd struct {
	schemeFolder
	File string `arg:"" type:"existingfile" help:"The new rules."`
	Key  string `placeholder:"HEX" help:"They are signed by this key."`
	Day  string `placeholder:"YYYY-MM-DD" help:"Whose payments. Default: yesterday, where the scheme is."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// riskPage is how many decisions are read at a time.
const riskPage = 1000

// Run decides the day's payments again.
func (c *RiskDryRunCmd) Run(ctx context.Context, k *kong.Kong) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	next, err := riskRules(raw, c.Key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	s, err := c.scheme()
	if err != nil {
		return err
	}
	if c.Day == "" {
		c.Day = now().In(s.Location()).AddDate(0, 0, -1).Format(time.DateOnly)
	}
	from, err := time.ParseInLocation(time.DateOnly, c.Day, s.Location())
	if err != nil {
		return fmt.Errorf("--day %q: want a day such as 2026-11-25", c.Day)
	}
	return c.withStore(ctx, func(s *store.Store) error {
		inUse, err := rulesInUse(ctx, s)
		if err != nil {
			return err
		}
		var fault error
		r, err := risk.Compare(inUse, next, decided(ctx, s, from, from.AddDate(0, 0, 1), &fault))
		if err := errors.Join(fault, err); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(r)
		}
		return printDryRun(k.Stdout, c.Day, r)
	})
}

// rulesInUse are those that the backend took last.
func rulesInUse(ctx context.Context, s *store.Store) (risk.Set, error) {
	var r store.RiskRules
	found := false
	if err := s.View(ctx, func(tx *store.Tx) (err error) { r, found, err = tx.NewestRiskRules(ctx); return err }); err != nil {
		return risk.Set{}, err
	}
	if !found {
		return risk.Set{}, errors.New("no risk rules were ever in use here: name them in scheme.yaml (docs/risk.md), and no payment has facts before")
	}
	return risk.Parse(r.Body)
}

// decided reads a span's decisions with their facts, page by page. A case's name is its order and payment.
func decided(ctx context.Context, s *store.Store, from, until time.Time, fault *error) iter.Seq2[string, risk.Facts] {
	return func(yield func(string, risk.Facts) bool) {
		var after store.RiskDecision
		for {
			var all []store.RiskDecision
			if *fault = s.View(ctx, func(tx *store.Tx) (err error) {
				all, err = tx.RiskDecisions(ctx, from, until, after, riskPage)
				return err
			}); *fault != nil {
				return
			}
			for _, d := range all {
				f, err := factsOf(d)
				if err != nil {
					*fault = err
					return
				}
				if !yield(d.Order+" "+d.Payment, f) {
					return
				}
			}
			if len(all) < riskPage {
				return
			}
			after = all[len(all)-1]
		}
	}
}

func factsOf(d store.RiskDecision) (risk.Facts, error) {
	var f risk.Facts
	if err := json.Unmarshal(d.Facts, &f); err != nil {
		return f, fmt.Errorf("the facts of payment %s: %w", d.Payment, err)
	}
	return f, nil
}

func printDryRun(w io.Writer, day string, r risk.Report) error {
	p := &printer{out: w}
	p.line("%s: %d decisions, by version %d and by version %d; %d would differ", day, r.Cases, r.Old, r.New, r.Changed)
	for _, was := range risk.Outcomes {
		for _, will := range risk.Outcomes {
			if n := r.Table[was][will]; n > 0 && was != will {
				p.line("  %v -> %v  %d", was, will, n)
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Rules), func(a, b string) int { return cmp.Or(r.Rules[b]-r.Rules[a], strings.Compare(a, b)) }) {
		p.line("  %-24s decides %d", cmp.Or(name, "no rule"), r.Rules[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Failed)) {
		p.line("  %-24s COULD NOT BE EVALUATED for %d", name, r.Failed[name])
	}
	for _, x := range r.Examples {
		p.line("  %s  %v (%s) -> %v (%s)", x.Case, x.Old.Outcome, cmp.Or(x.Old.Rule, "no rule"), x.New.Outcome, cmp.Or(x.New.Rule, "no rule"))
	}
	return p.err
}

// RiskExplainCmd is `purselane risk explain`.
type RiskExplainCmd struct {
	schemeFolder
	Order string `arg:"" help:"The order."`
}

// Run explains each decision by the rules that made it.
func (c *RiskExplainCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			if _, err := tx.GatewayOrder(ctx, c.Order); errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("order %q: there is none", c.Order)
			} else if err != nil {
				return err
			}
			all, err := tx.RiskDecisionsOf(ctx, c.Order)
			if err != nil {
				return err
			}
			p := &printer{out: k.Stdout}
			if len(all) == 0 {
				p.line("order %s: risk decided nothing about it: it has no payment yet, or the scheme had no risk rules", c.Order)
			}
			for _, d := range all {
				why, err := riskExplained(ctx, tx, d)
				if err != nil {
					return err
				}
				proof := ""
				if d.Proved {
					proof = ", after the payer proved more"
				}
				p.line("%s  payment %s%s\n%v", d.At.UTC().Format(time.DateTime), d.Payment, proof, why)
			}
			return p.err
		})
	})
}

func riskExplained(ctx context.Context, tx *store.Tx, d store.RiskDecision) (risk.Explanation, error) {
	r, found, err := tx.RiskRulesOf(ctx, d.Version)
	if err != nil {
		return risk.Explanation{}, err
	}
	if !found {
		return risk.Explanation{}, fmt.Errorf("payment %s: version %d of the risk rules is not kept", d.Payment, d.Version)
	}
	set, err := risk.Parse(r.Body)
	if err != nil {
		return risk.Explanation{}, err
	}
	f, err := factsOf(d)
	if err != nil {
		return risk.Explanation{}, err
	}
	e := risk.New()
	if err := e.Use(set); err != nil {
		return risk.Explanation{}, err
	}
	return e.Explain(&f)
}

// RiskSignCmd is `purselane risk sign`.
type RiskSignCmd struct {
	File string `arg:"" type:"existingfile" help:"The rules, in JSON."`
	Key  string `required:"" type:"existingfile" placeholder:"FILE" help:"An Ed25519 private key in PEM, as openssl genpkey -algorithm ed25519 makes it; its owner's alone."`
	Out  string `required:"" type:"path" placeholder:"FILE" help:"The signed file. It takes the place of what is there."`
}

// Run signs.
func (c *RiskSignCmd) Run(k *kong.Kong) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	set, err := risk.Parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	key, err := readEd25519(c.Key)
	if err != nil {
		return err
	}
	sealed, err := risk.Seal(set, key)
	if err != nil {
		return err
	}
	if err := replaceFile(c.Out, sealed, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "%s  version %d, signed by %s\n", c.Out, set.Version, hex.EncodeToString(key.Public().(ed25519.PublicKey)))
	return err
}

// RiskIDCmd is `purselane risk id`.
type RiskIDCmd struct {
	schemeFolder
	Kind string `arg:"" enum:"payer,device,card,merchant" help:"payer, device, card or merchant."`
}

// maxThing bounds what an ID is made of, in bytes.
const maxThing = 1 << 10

// Run prints the ID of what the first line of standard input says.
func (c *RiskIDCmd) Run(k *kong.Kong) error {
	ring, err := c.ring()
	if err != nil {
		return err
	}
	token, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	hash, err := risk.NewHasher(node.RiskKey(token))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(os.Stdin, maxThing+1))
	if err != nil {
		return err
	}
	thing, _, _ := strings.Cut(string(raw), "\n")
	thing = strings.TrimSpace(thing)
	if thing == "" || len(raw) > maxThing {
		return fmt.Errorf("want what to name on standard input, in one line of 1 to %d bytes", maxThing)
	}
	_, err = fmt.Fprintln(k.Stdout, hash.Of(risk.Kind(c.Kind), thing))
	return err
}
