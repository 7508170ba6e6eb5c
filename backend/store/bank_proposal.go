package store

import (
	"context"
	"fmt"
	"time"
)

// Proposal is what one person proposes to do about a closed day's money and another decides.
type Proposal struct {
	ID, Day     string
	Number      int    // of the day, from 1
	Action      string // pay or resend
	Kind, Party string // of a resend
	Ref         string // of a payment
	ProposedBy  string
	ProposedAt  time.Time
	Reason      string
	State       string // open, approved, refused
	DecidedBy   string
	DecidedAt   time.Time // zero while open
	Note        string
}

// PutProposal writes a proposal, or what was decided about it: nothing else of it changes.
func (t *Tx) PutProposal(ctx context.Context, p Proposal) error {
	_, err := t.exec(ctx, "put proposal", `INSERT INTO settlement_proposal (id, day, number, action, kind, party, ref, proposed_by, proposed_ms, reason, state, decided_by, decided_ms, note)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, decided_by = excluded.decided_by, decided_ms = excluded.decided_ms, note = excluded.note`,
		p.ID, p.Day, p.Number, p.Action, p.Kind, p.Party, p.Ref, p.ProposedBy, p.ProposedAt.UnixMilli(), p.Reason, p.State, p.DecidedBy, msOrZero(p.DecidedAt), p.Note)
	return err
}

func msOrZero(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// Proposals lists the proposals of a day by number.
func (t *Tx) Proposals(ctx context.Context, day string) ([]Proposal, error) {
	return t.proposals(ctx, `WHERE day = ? ORDER BY number`, day)
}

// OpenProposals lists what waits to be decided, oldest first.
func (t *Tx) OpenProposals(ctx context.Context) ([]Proposal, error) {
	return t.proposals(ctx, `WHERE state = 'open' ORDER BY day, number`)
}

// Proposal finds a proposal, or ErrNotFound.
func (t *Tx) Proposal(ctx context.Context, id string) (Proposal, error) {
	all, err := t.proposals(ctx, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("proposal %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Proposal{}, err
	}
	return all[0], nil
}

func (t *Tx) proposals(ctx context.Context, where string, args ...any) ([]Proposal, error) {
	var out []Proposal
	err := t.rows(ctx, "proposals", func(scan func(...any) error) error {
		var p Proposal
		var proposed, decided int64
		err := scan(&p.ID, &p.Day, &p.Number, &p.Action, &p.Kind, &p.Party, &p.Ref, &p.ProposedBy, &proposed, &p.Reason, &p.State, &p.DecidedBy, &decided, &p.Note)
		p.ProposedAt = time.UnixMilli(proposed)
		if decided != 0 {
			p.DecidedAt = time.UnixMilli(decided)
		}
		out = append(out, p)
		return err
	}, `SELECT id, day, number, action, kind, party, ref, proposed_by, proposed_ms, reason, state, decided_by, decided_ms, note FROM settlement_proposal `+where, args...)
	return out, err
}

// ProposalStep is one thing that somebody did about a proposal.
type ProposalStep struct {
	Proposal  string
	Number    int
	At        time.Time
	Who, What string // what: proposed, approved, refused, denied
	Text      string
}

// AddProposalStep adds a step to a proposal's trail.
func (t *Tx) AddProposalStep(ctx context.Context, s ProposalStep) error {
	var before int
	if _, err := t.one(ctx, "count proposal steps", `SELECT COUNT(*) FROM settlement_audit WHERE proposal = ?`, []any{s.Proposal}, &before); err != nil {
		return err
	}
	_, err := t.exec(ctx, "add proposal step", `INSERT INTO settlement_audit (proposal, number, at_ms, who, what, text) VALUES (?, ?, ?, ?, ?, ?)`,
		s.Proposal, before+1, s.At.UnixMilli(), s.Who, s.What, s.Text)
	return err
}

// ProposalSteps lists a proposal's trail.
func (t *Tx) ProposalSteps(ctx context.Context, id string) ([]ProposalStep, error) {
	var out []ProposalStep
	err := t.rows(ctx, "proposal steps", func(scan func(...any) error) error {
		var s ProposalStep
		var at int64
		err := scan(&s.Proposal, &s.Number, &at, &s.Who, &s.What, &s.Text)
		s.At = time.UnixMilli(at)
		out = append(out, s)
		return err
	}, `SELECT proposal, number, at_ms, who, what, text FROM settlement_audit WHERE proposal = ? ORDER BY number`, id)
	return out, err
}
