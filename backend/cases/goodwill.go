package cases

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Repayment is what a holder gets back for a debit that stands: a paid load order for the card, which a kiosk loads, or the agent's desk pays out.
type Repayment struct {
	Agent     ids.AcquirerID // whose kiosk or desk
	Amount    money.Amount   // zero in a proposal: all that is left of the tap
	LoadOrder string         // that has it once it is decided
}

var (
	// ErrUnknownAgent: no such acquirer is registered.
	ErrUnknownAgent = errors.New("no such acquirer")
	// ErrTooMuch: with what was given back before, it would be more than the card paid.
	ErrTooMuch = errors.New("more than the card paid")
	// ErrRunning: another case of the tap runs, and a tap has one at most.
	ErrRunning = errors.New("another case of the tap runs")
)

// fits refuses a proposal that a kind of case does not know.
func (p Proposal) fits(k Kind) error {
	if k == Goodwill {
		switch p {
		case Deny:
			return nil
		case Repay:
			return fmt.Errorf("to repay, say at whose desk: %w", ErrRequest)
		}
		return fmt.Errorf("%q of a case of kind %s: want %s or %s: %w", p, k, Repay, Deny, ErrRequest)
	}
	_, err := p.decision()
	return err
}

// standing reports whether the card has paid a tap.
func standing(s shadowaccount.Status) bool {
	return s == shadowaccount.Stands || s == shadowaccount.Inferred
}

// Complain opens a case about a tap that stands and that its holder wants back, or returns the one that runs. Errors: [ErrUnknownTap], [ErrNothingToDecide] if
// the card has not paid it, [ErrRunning], [ErrRequest].
func (s *Service) Complain(ctx context.Context, tap ids.TapID, by, reason string) (Case, error) {
	if err := said(by, reason); err != nil {
		return Case{}, fmt.Errorf("complain: %w", err)
	}
	var out Case
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		claim, err := paidClaim(ctx, tx, tap)
		if err != nil {
			return err
		}
		have, err := tx.RunningCase(ctx, claim)
		if err == nil && Kind(have.Kind) != Goodwill {
			return fmt.Errorf("%s, of kind %s: decide it first: %w", have.ID, have.Kind, ErrRunning)
		}
		if errors.Is(err, store.ErrNotFound) {
			have, err = s.add(ctx, tx, claim, Goodwill, by, reason)
		}
		out = s.caseOf(have)
		return err
	})
	if err != nil {
		return Case{}, fmt.Errorf("complain: %w", err)
	}
	return out, nil
}

// paidClaim is the claim of a tap that its card has paid.
func paidClaim(ctx context.Context, tx *store.Tx, tap ids.TapID) (store.TapKey, error) {
	all, err := tx.ClaimsOfTap(ctx, tap)
	if err != nil {
		return store.TapKey{}, err
	}
	if len(all) == 0 {
		return store.TapKey{}, fmt.Errorf("%v: %w", tap, ErrUnknownTap)
	}
	for _, c := range all {
		if standing(c.Status) {
			return c.TapKey, nil
		}
	}
	return store.TapKey{}, fmt.Errorf("%v is %v, its card has not paid it: %w", tap, all[0].Status, ErrNothingToDecide)
}

// ProposeRepay proposes to give a holder back what the card paid, or a part of it. Errors: [ErrUnknownCase], [ErrState], [ErrRequest], [ErrUnknownAgent],
// [ErrTooMuch].
func (s *Service) ProposeRepay(ctx context.Context, id string, r Repayment, by, reason string) (Case, error) {
	return s.step(ctx, "propose", id, by, reason, func(tx *store.Tx, c *store.Case) error {
		if Kind(c.Kind) != Goodwill {
			return fmt.Errorf("a case of kind %s repays nobody: %w", c.Kind, ErrRequest)
		}
		known, err := tx.HasAcquirer(ctx, r.Agent)
		if err == nil && !known {
			err = fmt.Errorf("%s: %w", r.Agent, ErrUnknownAgent)
		}
		if err != nil {
			return err
		}
		if r.Amount.Sign() < 0 {
			return fmt.Errorf("amount %v: want more than nothing: %w", r.Amount, ErrRequest)
		}
		left, err := leftToRepay(ctx, tx, *c)
		if err != nil {
			return err
		}
		if r.Amount.IsZero() {
			r.Amount = left
		}
		if left.Sign() <= 0 || r.Amount.Cmp(left) > 0 {
			return fmt.Errorf("%v of a tap of %v, of which %v is left: %w", r.Amount, c.Amount, left, ErrTooMuch)
		}
		c.Repay = store.Repayment{Agent: r.Agent, Amount: r.Amount}
		c.Proposal, c.ProposedBy = string(Repay), strings.TrimSpace(by)
		if err := s.move(ctx, tx, c, Made, by, fmt.Sprintf("%s %v at %s: %s", Repay, r.Amount, r.Agent, reason)); err != nil {
			return err
		}
		return tx.PutRepayment(ctx, c.ID, c.Repay)
	})
}

// leftToRepay is what of a tap was not given back yet.
func leftToRepay(ctx context.Context, tx *store.Tx, c store.Case) (money.Amount, error) {
	repaid, err := tx.Repaid(ctx, c.Claim)
	if err != nil {
		return money.Amount{}, err
	}
	return c.Amount.Sub(repaid)
}

// approveGoodwill does what was proposed about a debit that stands. The tap stays what it is, and its merchant is paid: the scheme bears it.
func (s *Service) approveGoodwill(ctx context.Context, tx *store.Tx, c *store.Case, by, reason string) error {
	if !standing(c.Status) {
		return fmt.Errorf("it is %v, and the next sweep ends the case: %w", c.Status, ErrNothingToDecide)
	}
	if err := s.move(ctx, tx, c, Approved, by, reason); err != nil {
		return err
	}
	if Proposal(c.Proposal) == Deny {
		return nil
	}
	left, err := leftToRepay(ctx, tx, *c)
	if err != nil {
		return err
	}
	if c.Repay.Amount.Cmp(left) > 0 { // another case was decided since, or the tap is another's now
		return fmt.Errorf("%v, of which %v is left: %w", c.Repay.Amount, left, ErrTooMuch)
	}
	at := s.now()
	clearing, err := tx.ClearingDay(ctx, at.In(s.cfg.Location))
	if err != nil {
		return err
	}
	c.Repay.LoadOrder = loadID(c.ID)
	if err := tx.AddLoadOrder(ctx, store.LoadOrder{ID: c.Repay.LoadOrder, Agent: c.Repay.Agent, IdempotencyKey: store.LoadOfCase + c.ID, Amount: c.Repay.Amount, State: loadPaid, Created: at, Changed: at}); err != nil {
		return err
	}
	lines, err := books.Move(books.LossGoodwill, books.Funding, c.Repay.Amount)
	if err != nil {
		return err
	}
	if err := tx.Post(ctx, books.Entry{ID: "case:" + c.ID + ":repay", Kind: "case-repay", Day: clearing, Ref: c.ID, Lines: lines}); err != nil {
		return err
	}
	return tx.PutRepayment(ctx, c.ID, c.Repay)
}

// loadPaid is topup's state of an order whose money is in the funding account.
const loadPaid = "paid"

// loadID is the id of the load order that has what a case repays, in topup's form.
func loadID(id string) string {
	sum := sha256.Sum256([]byte("purselane-case-repay\x00" + id))
	return "L" + hex.EncodeToString(sum[:12])
}
