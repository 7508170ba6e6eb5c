package settlement

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// What may be proposed.
const (
	actionPay    = "pay"    // note that the day was paid by hand, under a reference
	actionResend = "resend" // order a payment again that came back
)

// The states of a proposal.
const (
	proposalOpen     = "open"
	proposalApproved = "approved"
	proposalRefused  = "refused"
)

var (
	// ErrSamePerson: who proposes does not decide.
	ErrSamePerson = errors.New("it takes another person")
	// ErrDecided: the proposal is decided, or there is another one.
	ErrDecided = errors.New("it is decided, or proposed already")
)

// ProposePay proposes to note that a closed day was paid by hand, under the bank's reference. Another person approves it.
func ProposePay(ctx context.Context, s *store.Store, day, bankRef, by, reason string, now time.Time) (store.Proposal, error) {
	if err := checkBankRef(bankRef); err != nil {
		return store.Proposal{}, fmt.Errorf("propose to pay %s: %w", day, err)
	}
	return propose(ctx, s, store.Proposal{Day: day, Action: actionPay, Ref: bankRef, ProposedBy: by, Reason: reason, ProposedAt: now})
}

// ProposeResend proposes to order the payment of a party again, which the bank rejected or which came back.
func ProposeResend(ctx context.Context, s *store.Store, day, kind, party, by, reason string, now time.Time) (store.Proposal, error) {
	return propose(ctx, s, store.Proposal{Day: day, Action: actionResend, Kind: kind, Party: party, ProposedBy: by, Reason: reason, ProposedAt: now})
}

func propose(ctx context.Context, s *store.Store, p store.Proposal) (store.Proposal, error) {
	if _, err := calendar.ParseDate(p.Day); err != nil {
		return p, err
	}
	if err := errors.Join(line("operator", p.ProposedBy, 64), line("reason", p.Reason, 500)); err != nil {
		return p, err
	}
	out := p
	err := s.Update(ctx, func(tx *store.Tx) error {
		p := p
		head, err := tx.ClosedDay(ctx, p.Day)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%w: close it first", ErrNotClosed)
		}
		if err != nil {
			return err
		}
		if p.Action == actionPay && head.Paid() {
			return fmt.Errorf("%w: under reference %q", ErrPaid, head.BankRef)
		}
		all, err := tx.Proposals(ctx, p.Day)
		if err != nil {
			return err
		}
		for _, have := range all {
			if have.State == proposalOpen && have.Action == p.Action && have.Kind == p.Kind && have.Party == p.Party {
				return fmt.Errorf("%w: %s, by %s: have it approved or refused", ErrDecided, have.ID, have.ProposedBy)
			}
		}
		p.Number, p.State = len(all)+1, proposalOpen
		p.ID = fmt.Sprintf("%s-%d", p.Day, p.Number)
		if err := tx.PutProposal(ctx, p); err != nil {
			return err
		}
		out = p
		return tx.AddProposalStep(ctx, store.ProposalStep{Proposal: p.ID, At: p.ProposedAt, Who: p.ProposedBy, What: "proposed", Text: p.Reason})
	})
	if err != nil {
		return p, fmt.Errorf("propose to %s %s: %w", p.Action, p.Day, err)
	}
	return out, nil
}

// Approve does what another person proposed, and notes who decided it: both or neither. A try that is not allowed is noted too. Approving an
// approved proposal again is [ErrDecided]. The order is that of a resend.
func Approve(ctx context.Context, s *store.Store, id, by string, o BankOptions) (store.Proposal, Order, error) {
	var order Order
	p, err := decide(ctx, s, id, by, "", proposalApproved, o.Now, func(tx *store.Tx, p store.Proposal) (err error) {
		order = Order{}
		switch p.Action {
		case actionPay:
			return pay(ctx, tx, p.Day, p.Ref, o.Now)
		case actionResend:
			order, err = resend(ctx, tx, p.Day, p.Kind, p.Party, o)
			return err
		}
		return fmt.Errorf("action %q is not known", p.Action)
	})
	return p, order, err
}

// Refuse decides that a proposal is not done. Its own author may take it back.
func Refuse(ctx context.Context, s *store.Store, id, by, note string, now time.Time) (store.Proposal, error) {
	if err := line("reason", note, 500); err != nil {
		return store.Proposal{}, err
	}
	return decide(ctx, s, id, by, note, proposalRefused, now, func(*store.Tx, store.Proposal) error { return nil })
}

func decide(ctx context.Context, s *store.Store, id, by, note, state string, now time.Time, do func(*store.Tx, store.Proposal) error) (store.Proposal, error) {
	if err := line("operator", by, 64); err != nil {
		return store.Proposal{}, err
	}
	var out store.Proposal
	var denied error
	err := s.Update(ctx, func(tx *store.Tx) error {
		denied = nil
		p, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case p.State != proposalOpen:
			denied = fmt.Errorf("%w: %s by %s", ErrDecided, p.State, p.DecidedBy)
		case state == proposalApproved && same(p.ProposedBy, by):
			denied = fmt.Errorf("%w: %s proposed it", ErrSamePerson, p.ProposedBy)
		}
		if denied != nil { // the try stands in the trail
			return tx.AddProposalStep(ctx, store.ProposalStep{Proposal: id, At: now, Who: by, What: "denied", Text: denied.Error()})
		}
		if err := do(tx, p); err != nil {
			return err
		}
		p.State, p.DecidedBy, p.DecidedAt, p.Note = state, by, now, note
		out = p
		if err := tx.PutProposal(ctx, p); err != nil {
			return err
		}
		return tx.AddProposalStep(ctx, store.ProposalStep{Proposal: id, At: now, Who: by, What: state, Text: note})
	})
	if err = errors.Join(err, denied); err != nil {
		return store.Proposal{}, fmt.Errorf("proposal %s: %w", id, err)
	}
	return out, nil
}

// same reports whether two names are one person's, however they are typed.
func same(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// line checks a line that a person typed.
func line(what, s string, most int) error {
	if strings.TrimSpace(s) == "" || len(s) > most || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fmt.Errorf("%s: want 1 to %d characters that can be printed", what, most)
	}
	return nil
}

// Trail is a proposal with all that was done about it.
type Trail struct {
	store.Proposal
	Steps []store.ProposalStep
}

// ProposalsOf lists a day's proposals, or without a day all that wait, each with its trail.
func ProposalsOf(ctx context.Context, s *store.Store, day string) ([]Trail, error) {
	var out []Trail
	err := s.View(ctx, func(tx *store.Tx) error {
		var all []store.Proposal
		var err error
		if day == "" {
			all, err = tx.OpenProposals(ctx)
		} else {
			all, err = tx.Proposals(ctx, day)
		}
		if err != nil {
			return err
		}
		for _, p := range all {
			steps, err := tx.ProposalSteps(ctx, p.ID)
			if err != nil {
				return err
			}
			out = append(out, Trail{p, steps})
		}
		return nil
	})
	return out, err
}
