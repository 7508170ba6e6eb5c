package desk

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/assess"
	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Config of a desk. Rules, Hash, Clock and Zone are wanted.
type Config struct {
	// Rules reads the file of the rules, and Lists that of the lists. With a Key the rules' file is a signed one.
	//
	// Lists nil: nobody is denied or allowed.
	Rules func() ([]byte, error)
	Lists func() ([]byte, error)
	Key   ed25519.PublicKey

	Hash  risk.Hasher
	Clock clock.Clock
	Zone  *time.Location

	// Sender takes codes to payers, and CodeKey are 32 bytes that they are hashed with.
	//
	// Default: no code is sent, and none is believed.
	Sender  stepup.Sender
	CodeKey []byte

	// Apps are those that ask their payers for a password themselves: their word is a proof.
	Apps []string

	// Identity says who somebody is. Who is who he says has proved more.
	//
	// Default: nobody is asked.
	Identity *identity.Service

	// Process names this process, alike after a restart: what it has spent on identity questions is kept under it. Those that share a name add up.
	Process string

	// Facts adds what else is known of an attempt: reconciliation, and what of a withdrawal is too young.
	//
	// Default: nothing.
	Facts func(context.Context, gateway.Assessed, *risk.Facts) error

	// Windows is how many notes the counts of the last day take at most.
	//
	// Default 400,000, of about 100 bytes each.
	Windows int

	// Log gets what an operator should hear of.
	//
	// Default slog.Default().
	Log *slog.Logger
}

// Desk is risk over a database. It is safe for concurrent use, and several processes may have one each.
type Desk struct {
	*assess.Assessor
	store   *store.Store
	cfg     Config
	rules   *risk.Engine
	windows *risk.Velocity
	codes   *stepup.Codes // nil: none

	read  [2]string         // of the files, as they were last looked at: rules, lists
	spent identity.Spending // as it is kept
}

const (
	lookEvery   = time.Second
	seenAgain   = 10 * time.Second // decisions of other processes may be committed so much later than they were made
	page        = 1000
	ofDay       = 24 * time.Hour
	defWindows  = 400_000
	wordOfApp   = "app"
	wordOfCode  = "code"
	wordOfTruth = "identity"
)

// Open reads rules and lists, and fills the windows with the last day. Errors: [risk.ErrRules], [risk.ErrSigned], [risk.ErrLists], [store.ErrRiskRules].
func Open(ctx context.Context, s *store.Store, c Config) (*Desk, error) {
	if c.Rules == nil {
		return nil, errors.New("risk: there is no file of rules")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Windows == 0 {
		c.Windows = defWindows
	}
	d := &Desk{store: s, cfg: c, rules: risk.New()}
	var err error
	if d.windows, err = risk.NewVelocity(c.Windows, c.Clock.Now()); err != nil {
		return nil, err
	}
	if c.Sender != nil {
		if d.codes, err = stepup.New(s, c.CodeKey, c.Sender, c.Clock, nil); err != nil {
			return nil, err
		}
	}
	if d.Assessor, err = assess.New(assess.Config{Rules: d.rules, Windows: d.windows, Hash: c.Hash, Clock: c.Clock, Zone: c.Zone, Prove: d.prove, More: d.more, Challenge: d.challenge, Record: record}); err != nil {
		return nil, err
	}
	if err := errors.Join(d.useRules(ctx), d.useLists()); err != nil {
		return nil, err
	}
	return d, errors.Join(d.fill(ctx), d.recall(ctx))
}

// Version of the rules in use.
func (d *Desk) Version() int {
	s, _ := d.rules.Set()
	return s.Version
}

// record keeps a decision with its facts.
func record(ctx context.Context, tx *store.Tx, r assess.Recorded) error {
	facts, err := json.Marshal(r.Facts)
	if err != nil {
		return err
	}
	e, d := r.Event, r.Decision
	return tx.PutRiskDecision(ctx, store.RiskDecision{Payment: e.Number, Proved: r.Facts.SteppedUp, Order: r.Order, At: r.At, Version: d.Version, Outcome: int(d.Outcome), Rule: d.Rule, Failed: d.Failed,
		Facts: facts, Made: e.At, Amount: e.Amount, Payer: bytesOf(e.Payer), Device: bytesOf(e.Device), Card: bytesOf(e.Card), Merchant: bytesOf(e.Merchant)})
}

func bytesOf(id risk.ID) []byte {
	if id == (risk.ID{}) {
		return nil
	}
	return id[:]
}

// eventOf is an attempt as it was kept.
func eventOf(d store.RiskDecision) risk.Event {
	e := risk.Event{Number: d.Payment, At: d.Made, Amount: d.Amount}
	copy(e.Payer[:], d.Payer)
	copy(e.Device[:], d.Device)
	copy(e.Card[:], d.Card)
	copy(e.Merchant[:], d.Merchant)
	return e
}

// fill brings the windows of the last day back. They are whole since the last payment that nobody asked risk about.
func (d *Desk) fill(ctx context.Context) error {
	now := d.cfg.Clock.Now()
	since := now.Add(-ofDay)
	if err := d.follow(ctx, since, now.Add(lookEvery)); err != nil {
		return err
	}
	return d.store.View(ctx, func(tx *store.Tx) error {
		missing, err := tx.LastUnassessed(ctx, since)
		if err != nil {
			return err
		}
		if missing.After(since) {
			since = missing.Add(time.Millisecond)
		}
		d.windows.Complete(since)
		return nil
	})
}

// follow adds the decisions of a span to the windows; those that are in stay as they are.
func (d *Desk) follow(ctx context.Context, from, until time.Time) error {
	var after store.RiskDecision
	for {
		var all []store.RiskDecision
		if err := d.store.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.RiskDecisions(ctx, from, until, after, page); return err }); err != nil {
			return err
		}
		for _, x := range all {
			d.windows.Add(eventOf(x), d.cfg.Clock.Now())
		}
		if len(all) < page {
			return nil
		}
		after = all[len(all)-1]
	}
}

// Run looks for new rules, new lists, and the decisions of other processes, until ctx ends. A file that is wrong is told once and changes nothing.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.keepSpending(context.WithoutCancel(ctx)))
		case <-time.After(lookEvery):
		}
		if err := d.Look(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.ErrorContext(ctx, "risk", "error", err)
		}
	}
}

// Look looks once.
func (d *Desk) Look(ctx context.Context) error {
	now := d.cfg.Clock.Now()
	return errors.Join(d.useRules(ctx), d.useLists(), d.keepSpending(ctx), d.follow(ctx, now.Add(-seenAgain), now.Add(lookEvery)))
}

// changed reads a file, and reports whether it is another than at the last look.
func (d *Desk) changed(i int, read func() ([]byte, error)) ([]byte, bool, error) {
	raw, err := read()
	said := string(raw)
	if err != nil {
		said = "error " + err.Error()
	}
	if said == d.read[i] {
		return nil, false, nil
	}
	d.read[i] = said
	return raw, true, err
}

// useRules takes rules that are new.
func (d *Desk) useRules(ctx context.Context) error {
	raw, changed, err := d.changed(0, d.cfg.Rules)
	if err != nil || !changed {
		return wrap("rules", err)
	}
	set, err := ReadRules(raw, d.cfg.Key)
	if err != nil {
		return err
	}
	body, err := json.Marshal(set)
	if err != nil {
		return err
	}
	if err := d.store.Update(ctx, func(tx *store.Tx) error {
		return tx.UseRiskRules(ctx, store.RiskRules{Version: set.Version, Body: body, At: d.cfg.Clock.Now()})
	}); err != nil {
		d.read[0] = "" // the store may be back the next time
		return wrap("rules", err)
	}
	if err := d.rules.Use(set); err != nil {
		return err
	}
	d.cfg.Log.InfoContext(ctx, "risk rules are in use", "version", set.Version, "rules", len(set.Rules))
	return nil
}

// ReadRules reads a file of rules: a signed one where there is a key. Errors: [risk.ErrRules], [risk.ErrSigned].
func ReadRules(raw []byte, key ed25519.PublicKey) (risk.Set, error) {
	if key != nil {
		return risk.Open(raw, key)
	}
	return risk.Parse(raw)
}

// useLists takes lists that are new.
func (d *Desk) useLists() error {
	if d.cfg.Lists == nil {
		return nil
	}
	raw, changed, err := d.changed(1, d.cfg.Lists)
	if err != nil || !changed {
		return wrap("lists", err)
	}
	l, err := risk.ParseLists(raw)
	if err != nil {
		return err
	}
	if err := d.Use(l); err != nil {
		return err
	}
	d.cfg.Log.Info("risk lists are in use", "version", l.Version())
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("risk %s: %w", what, err)
}

// challenge sends a code to who must prove more, unless this attempt brought a proof that was none.
func (d *Desk) challenge(ctx context.Context, in gateway.Assessed) error {
	if d.codes == nil || in.Proof != "" {
		return nil
	}
	if err := d.codes.Send(ctx, in); err != nil {
		// The attempt is challenged all the same: it comes again for another code.
		d.cfg.Log.WarnContext(ctx, "a payer's code was not sent", "payment", in.Payment.Number, "error", err)
	}
	return nil
}

// prove reports whether what the payer brought proves anything.
func (d *Desk) prove(ctx context.Context, in gateway.Assessed) (bool, error) {
	kind, what := split(in.Proof)
	switch kind {
	case wordOfCode:
		if d.codes == nil {
			return false, nil
		}
		return d.codes.Check(ctx, in.Payment.Number, what)
	case wordOfApp:
		return what != "" && slices.Contains(d.cfg.Apps, in.Order.App), nil
	}
	return false, nil // who somebody is becomes a fact
}
