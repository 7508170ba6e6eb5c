package cardlife

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Sweep moves the value of every approved order whose time has come, and returns how many. It is made as often as one likes.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	var due []store.LifeOrder
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.LifeOrdersDue(ctx, string(Settling), s.now())
		return err
	}); err != nil {
		return 0, fmt.Errorf("sweep card orders: %w", err)
	}
	moved := 0
	var errs []error // one order that cannot move must not hold up the others
	for _, o := range due {
		done := false
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			done, err = s.settle(ctx, tx, o.ID)
			return err
		})
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("card order %s: %w", o.ID, err))
		case done:
			moved++
		}
	}
	return moved, errors.Join(errs...)
}

// settle moves the value of one order, if nothing of its card is open.
func (s *Service) settle(ctx context.Context, tx *store.Tx, id string) (bool, error) {
	o, err := tx.LifeOrder(ctx, id)
	if err != nil || State(o.State) != Settling {
		return false, err // another process was quicker
	}
	card, err := tx.CardByNumber(ctx, o.Card)
	if err != nil {
		return false, err
	}
	if wait, err := s.waits(ctx, tx, o, card); err != nil || wait {
		return false, err
	}
	if Kind(o.Kind) == Breakage { // a late record may show that somebody did use it
		seen, err := tx.CardActivity(ctx, o.Card)
		if err != nil {
			return false, err
		}
		if err := s.idle(seen); err != nil {
			s.cfg.Log.WarnContext(ctx, "card order cancelled", "order", o.ID, "error", err)
			return true, s.move(ctx, tx, &o, Withdrawn)
		}
	}
	if card.Shadow.Sign() <= 0 {
		return true, s.move(ctx, tx, &o, DueEmpty)
	}
	o.Amount = card.Shadow
	to, event := books.Account(books.Funding), Due
	if Kind(o.Kind) == Breakage {
		to, event = Income, DueOff
	} else {
		o.LoadOrder = loadID(o.ID)
		at := s.now()
		if err := tx.AddLoadOrder(ctx, store.LoadOrder{ID: o.LoadOrder, Agent: o.Agent, IdempotencyKey: store.LoadOfCardLife + o.ID, Amount: o.Amount, State: loadPaid, Created: at, Changed: at}); err != nil {
			return false, err
		}
	}
	if err := tx.TakeShadow(ctx, o.Card, o.Amount, to, "card:"+o.ID+":"+o.Kind, "card-"+o.Kind, s.now().In(s.cfg.Location).Format(time.DateOnly), o.ID); err != nil {
		return false, err
	}
	return true, s.move(ctx, tx, &o, event)
}

// Income is where value goes that nobody claims.
const Income books.Account = "fee:breakage"

// loadPaid is topup's state of an order whose money is in the funding account.
const loadPaid = "paid"

// loadID is the id of the load order that has an order's value, in topup's form.
func loadID(id string) string {
	sum := sha256.Sum256([]byte("purselane-card-life\x00" + id))
	return "L" + hex.EncodeToString(sum[:12])
}

// waits reports that something of the card is not known yet. A load on its way is waited for without end: it is value that may be on the
// card, or come back to its payer.
func (s *Service) waits(ctx context.Context, tx *store.Tx, o store.LifeOrder, card store.Card) (bool, error) {
	_, err := tx.OpenLoadOrder(ctx, o.Card)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err == nil, err
	}
	if !s.now().Before(o.Due.Add(s.cfg.Patience)) {
		return false, nil
	}
	open, err := tx.OpenClaims(ctx, o.Card, int(shadowaccount.Open))
	return open > 0 || card.Missing > 0, err
}

// Run sweeps at once and then every so often, until ctx ends. What fails is logged and made again.
func (s *Service) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "card orders", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
