package cases

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Config bounds the service.
type Config struct {
	// After is how long a tap may wait for something to decide it until its case opens by itself.
	//
	// Default 30 days.
	After time.Duration

	// Clock is how long a case of a kind may run until it is overdue. An overdue case is shown as such, and does not decide itself.
	//
	// Default for each kind not given: rejected 10 days, suspect 20, aged 30, claimed 10, expired 10, goodwill 10.
	Clock map[Kind]time.Duration

	// Location is the scheme's: the clearing day is in it.
	//
	// Default time.UTC.
	Location *time.Location

	// Log gets what an operator should hear of at once.
	//
	// Default slog.Default().
	Log *slog.Logger
}

const day = 24 * time.Hour

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.After < 0 {
		errs = append(errs, fmt.Errorf("cases: After %v: want zero (the default) or more", c.After))
	}
	if c.After == 0 {
		c.After = 30 * day
	}
	clocks := map[Kind]time.Duration{Rejected: 10 * day, Suspect: 20 * day, Aged: 30 * day, Claimed: 10 * day, Expired: 10 * day, Goodwill: 10 * day}
	for k, d := range c.Clock {
		if _, known := clocks[k]; !known || d <= 0 {
			errs = append(errs, fmt.Errorf("cases: Clock %s %v: want a kind of case and more than nothing", k, d))
			continue
		}
		clocks[k] = d
	}
	c.Clock = clocks
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, errors.Join(errs...)
}

// Service runs cases. It is safe for concurrent use.
type Service struct {
	store *store.Store
	clock clock.Clock
	cfg   Config
}

// New makes a service; it starts nothing.
func New(s *store.Store, c clock.Clock, cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Service{store: s, clock: c, cfg: cfg}, nil
}

// Kinds of refusal. Any other error means that the service could not do its work.
var (
	// ErrUnknownCase: there is no such case.
	ErrUnknownCase = errors.New("no such case")
	// ErrUnknownTap: no record of that tap has been posted.
	ErrUnknownTap = errors.New("no such tap")
	// ErrNothingToDecide: the card's own records say what the tap is worth. To repay a holder for a debit that stands is a case of another kind ([Service.Complain]).
	ErrNothingToDecide = errors.New("the tap has decided itself")
	// ErrSamePerson: who proposed cannot approve or refuse.
	ErrSamePerson = errors.New("a second person must decide")
	// ErrRequest: a part of the request is missing.
	ErrRequest = errors.New("request does not fit")
)

// Proposal is what an officer proposes to do about a claim. The text is stored and is an outside contract.
type Proposal string

// Proposals.
const (
	Grant Proposal = "grant" // the merchant is paid: at the scheme's loss, or of what the card paid if the tap only came too late
	Deny  Proposal = "deny"  // nothing is owed
	Repay Proposal = "repay" // the holder gets back what the card paid, at the scheme's loss; of goodwill cases alone
)

func (p Proposal) decision() (shadowaccount.Decision, error) {
	switch p {
	case Grant:
		return shadowaccount.GrantClaim, nil
	case Deny:
		return shadowaccount.DenyClaim, nil
	}
	return shadowaccount.Undecided, fmt.Errorf("%q: want %s or %s: %w", p, Grant, Deny, ErrRequest)
}

// late is what the proposal makes of a tap that came too late.
func (p Proposal) late() (store.Late, error) {
	switch p {
	case Grant:
		return store.LateGranted, nil
	case Deny:
		return store.LateDenied, nil
	}
	_, err := p.decision()
	return store.TooLate, err
}

// Case is a case as it stands.
type Case struct {
	ID         string
	Kind       Kind
	State      State
	Token      string // of the card
	Counter    uint32
	Tap        ids.TapID
	Merchant   ids.MerchantID
	Amount     money.Amount
	Worth      shadowaccount.Status // of the tap now
	Opened     time.Time
	Due        time.Time
	Overdue    bool
	Proposal   Proposal
	ProposedBy string
	Repay      Repayment // of a case that proposes or decided one
}

// Entry is a row of a case's trail.
type Entry struct {
	At     time.Time
	Event  Event
	By     string
	Detail string
}

func (s *Service) caseOf(c store.Case) Case {
	return Case{ID: c.ID, Kind: Kind(c.Kind), State: State(c.State), Token: c.Token, Counter: c.Claim.Counter,
		Tap: ids.TapID{Terminal: c.Claim.Terminal, Epoch: c.Claim.Epoch, Tap: c.Claim.Tap}, Merchant: c.Merchant, Amount: c.Amount, Worth: c.Status,
		Opened: c.Opened, Due: c.Due, Overdue: State(c.State).Running() && s.now().After(c.Due), Proposal: Proposal(c.Proposal), ProposedBy: c.ProposedBy,
		Repay: Repayment{Agent: c.Repay.Agent, Amount: c.Repay.Amount, LoadOrder: c.Repay.LoadOrder}}
}

// Open opens a case about a tap that somebody claims, or returns the one that runs. Errors: [ErrUnknownTap], [ErrNothingToDecide], [ErrRequest].
func (s *Service) Open(ctx context.Context, tap ids.TapID, by, reason string) (Case, error) {
	if err := said(by, reason); err != nil {
		return Case{}, fmt.Errorf("open: %w", err)
	}
	var out Case
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		claim, kind, err := claimOf(ctx, tx, tap)
		if err != nil {
			return err
		}
		have, err := tx.RunningCase(ctx, claim)
		if errors.Is(err, store.ErrNotFound) {
			have, err = s.add(ctx, tx, claim, kind, by, reason)
		}
		out = s.caseOf(have)
		return err
	})
	if err != nil {
		return Case{}, fmt.Errorf("open: %w", err)
	}
	return out, nil
}

// claimOf is the claim of a tap that officers can decide, and the kind of its case.
func claimOf(ctx context.Context, tx *store.Tx, tap ids.TapID) (store.TapKey, Kind, error) {
	all, err := tx.ClaimsOfTap(ctx, tap)
	if err != nil {
		return store.TapKey{}, "", err
	}
	if len(all) == 0 {
		return store.TapKey{}, "", fmt.Errorf("%v: %w", tap, ErrUnknownTap)
	}
	for _, c := range all {
		if c.Status.Decidable() {
			return c.TapKey, Claimed, nil
		}
		expired, err := tx.Expired(ctx, c.TapKey)
		if err != nil {
			return store.TapKey{}, "", err
		}
		if expired {
			return c.TapKey, Expired, nil
		}
	}
	return store.TapKey{}, "", fmt.Errorf("%v is %v: %w", tap, all[0].Status, ErrNothingToDecide)
}

func said(by, reason string) error {
	if strings.TrimSpace(by) == "" {
		return fmt.Errorf("who does it is not said: %w", ErrRequest)
	}
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("a reason is needed: %w", ErrRequest)
	}
	return nil
}

// add writes a new case. Its id is its own also where the case before it was withdrawn in the same millisecond.
func (s *Service) add(ctx context.Context, tx *store.Tx, claim store.TapKey, kind Kind, by, reason string) (store.Case, error) {
	at := s.now()
	before, err := tx.CasesOfClaim(ctx, claim)
	if err != nil {
		return store.Case{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %s %d %d %d %d", claim.Card, claim.Counter, claim.Terminal, claim.Epoch, claim.Tap, at.UnixMilli(), before))
	c := store.Case{ID: "C" + hex.EncodeToString(sum[:8]), Claim: claim, Kind: string(kind), State: string(Open), Opened: at, Due: at.Add(s.cfg.Clock[kind])}
	if err := tx.AddCase(ctx, c); err != nil {
		return c, err
	}
	if err := tx.AddCaseEvent(ctx, c.ID, store.CaseEvent{At: at, Event: string(opened), By: by, Detail: reason}); err != nil {
		return c, err
	}
	return tx.Case(ctx, c.ID)
}

// Propose says what to do about a case, and why. Errors: [ErrUnknownCase], [ErrState], [ErrRequest].
func (s *Service) Propose(ctx context.Context, id string, p Proposal, by, reason string) (Case, error) {
	return s.step(ctx, "propose", id, by, reason, func(tx *store.Tx, c *store.Case) error {
		if err := p.fits(Kind(c.Kind)); err != nil {
			return err
		}
		c.Proposal, c.ProposedBy = string(p), strings.TrimSpace(by)
		return s.move(ctx, tx, c, Made, by, string(p)+": "+reason)
	})
}

// Approve does what was proposed: the claim is decided, and the books follow, in one transaction with the case. Approving a decided case once more changes nothing.
// Errors: [ErrUnknownCase], [ErrState], [ErrSamePerson], [ErrNothingToDecide].
func (s *Service) Approve(ctx context.Context, id, by, reason string) (Case, error) {
	return s.second(ctx, "approve", id, by, reason, func(tx *store.Tx, c *store.Case) error {
		if State(c.State) == Decided {
			return nil
		}
		switch Kind(c.Kind) {
		case Expired:
			return s.approveLate(ctx, tx, c, by, reason)
		case Goodwill:
			return s.approveGoodwill(ctx, tx, c, by, reason)
		}
		if !c.Status.Decidable() {
			return fmt.Errorf("it is %v, and the next sweep ends the case: %w", c.Status, ErrNothingToDecide)
		}
		if err := s.move(ctx, tx, c, Approved, by, reason); err != nil {
			return err
		}
		d, err := Proposal(c.Proposal).decision()
		if err != nil {
			return err
		}
		at := s.now()
		clearing, err := tx.ClearingDay(ctx, at.In(s.cfg.Location))
		if err != nil {
			return err
		}
		c.Status, err = tx.DecideClaim(ctx, store.Group{Day: clearing, AtMS: at.UnixMilli()}, c.Claim, d)
		return err
	})
}

// approveLate decides a tap that came too late. What it is worth stays as it is: the next day that closes pays for it, or nobody does.
func (s *Service) approveLate(ctx context.Context, tx *store.Tx, c *store.Case, by, reason string) error {
	if err := s.move(ctx, tx, c, Approved, by, reason); err != nil {
		return err
	}
	late, err := Proposal(c.Proposal).late()
	if err != nil {
		return err
	}
	err = tx.DecideLate(ctx, c.Claim, late)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("it is expired no longer, and the next sweep ends the case: %w", ErrNothingToDecide)
	}
	return err
}

// Refuse sends a proposal back. Errors: [ErrUnknownCase], [ErrState], [ErrSamePerson], [ErrRequest].
func (s *Service) Refuse(ctx context.Context, id, by, reason string) (Case, error) {
	return s.second(ctx, "refuse", id, by, reason, func(tx *store.Tx, c *store.Case) error {
		c.Proposal, c.ProposedBy, c.Repay = "", "", store.Repayment{}
		if err := tx.DropRepayment(ctx, c.ID); err != nil {
			return err
		}
		return s.move(ctx, tx, c, Refused, by, reason)
	})
}

// Withdraw ends a case that is not decided, and leaves the claim as it is. Errors: [ErrUnknownCase], [ErrState], [ErrRequest].
func (s *Service) Withdraw(ctx context.Context, id, by, reason string) (Case, error) {
	return s.step(ctx, "withdraw", id, by, reason, func(tx *store.Tx, c *store.Case) error {
		return s.move(ctx, tx, c, Left, by, reason)
	})
}

// second is a step that takes another person than proposed. Who tries it all the same stands in the trail.
func (s *Service) second(ctx context.Context, what, id, by, reason string, do func(*store.Tx, *store.Case) error) (Case, error) {
	same := false
	out, err := s.step(ctx, what, id, by, reason, func(tx *store.Tx, c *store.Case) error {
		same = State(c.State) == Proposed && strings.EqualFold(strings.TrimSpace(by), c.ProposedBy)
		if same {
			return tx.AddCaseEvent(ctx, c.ID, store.CaseEvent{At: s.now(), Event: string(tried), By: by, Detail: what + ": " + reason})
		}
		return do(tx, c)
	})
	if err == nil && same {
		return Case{}, fmt.Errorf("%s: %s proposed it: %w", what, strings.TrimSpace(by), ErrSamePerson)
	}
	return out, err
}

func (s *Service) step(ctx context.Context, what, id, by, reason string, do func(*store.Tx, *store.Case) error) (Case, error) {
	if err := said(by, reason); err != nil {
		return Case{}, fmt.Errorf("%s: %w", what, err)
	}
	var out Case
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		c, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		err = do(tx, &c)
		out = s.caseOf(c)
		return err
	})
	if err != nil {
		return Case{}, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

func find(ctx context.Context, tx *store.Tx, id string) (store.Case, error) {
	c, err := tx.Case(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%s: %w", id, ErrUnknownCase)
	}
	return c, err
}

// move takes a case to its next state by the table, and writes it and its trail.
func (s *Service) move(ctx context.Context, tx *store.Tx, c *store.Case, e Event, by, detail string) error {
	next, err := Next(State(c.State), e)
	if err != nil {
		return fmt.Errorf("case %s: %w", c.ID, err)
	}
	c.State = string(next)
	if err := tx.SetCase(ctx, *c); err != nil {
		return err
	}
	return tx.AddCaseEvent(ctx, c.ID, store.CaseEvent{At: s.now(), Event: string(e), By: strings.TrimSpace(by), Detail: detail})
}

// Cases lists cases, the first to be due at the top, at most limit; in one state where that is not empty.
func (s *Service) Cases(ctx context.Context, state State, limit int) ([]Case, error) {
	var out []Case
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Cases(ctx, string(state), limit)
		for _, c := range all {
			out = append(out, s.caseOf(c))
		}
		return err
	})
	return out, err
}

// Show returns a case and its trail, oldest first. Error: [ErrUnknownCase].
func (s *Service) Show(ctx context.Context, id string) (Case, []Entry, error) {
	var out Case
	var trail []Entry
	err := s.store.View(ctx, func(tx *store.Tx) error {
		c, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		out = s.caseOf(c)
		events, err := tx.CaseEvents(ctx, id)
		for _, e := range events {
			trail = append(trail, Entry{At: e.At, Event: Event(e.Event), By: e.By, Detail: e.Detail})
		}
		return err
	})
	return out, trail, err
}

// now is the time, cut to the resolution in which it is stored.
func (s *Service) now() time.Time { return time.UnixMilli(s.clock.Now().UnixMilli()) }
