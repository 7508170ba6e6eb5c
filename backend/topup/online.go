package topup

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// PaidOnline writes a load order for a payment that the online gateway has taken and books to the funding account in the same transaction: what holders are
// owed and what the books hold for them then never differ. key is the gateway's number of the payment's order; the same key with the same amount is the
// same order. Neither limit is asked for: the money is there. Where the payment's order names a card, the load waits for that one. Error: [ErrConflict].
func (s *Service) PaidOnline(ctx context.Context, tx *store.Tx, key string, amount money.Amount) error {
	have, err := tx.LoadOrderByKey(ctx, s.cfg.Online, key)
	switch {
	case err == nil && have.Amount != amount:
		return fmt.Errorf("load of payment order %s: is order %s over %v, came again with %v: %w", key, have.ID, have.Amount, amount, ErrConflict)
	case err == nil || !errors.Is(err, store.ErrNotFound):
		return err
	}
	at, id := s.now(), OnlineOrder(s.cfg.Online, key)
	if err := tx.AddLoadOrder(ctx, store.LoadOrder{ID: id, Agent: s.cfg.Online, IdempotencyKey: key, Amount: amount, State: string(Paid), Created: at, Changed: at}); err != nil {
		return err
	}
	token, err := tx.GatewayOrderCard(ctx, key)
	if err != nil || token == "" {
		return err
	}
	card, err := tx.CardByToken(ctx, token)
	if err != nil {
		return err
	}
	return tx.BindLoad(ctx, id, card.Number)
}

// MayLoad reports an amount that is no load here: a payment of it is not to be asked for. What a card may hold is asked when there is a card. Error: [ErrAmount].
func (s *Service) MayLoad(amount money.Amount) error {
	if amount.Sign() <= 0 || amount.Cmp(s.cfg.MaxAmount) > 0 || amount.Cmp(s.cfg.MaxBalance) > 0 {
		return fmt.Errorf("%v: want more than zero and at most %v: %w", amount, money.Minor(min(s.cfg.MaxAmount.Minor(), s.cfg.MaxBalance.Minor())), ErrAmount)
	}
	return nil
}

// OnlineOrder is the id of the load order of a payment order that was paid online, under the agent that stands for the gateway.
func OnlineOrder(online ids.AcquirerID, key string) string { return orderID(online, key) }

// GiveBackOnline ends the load order of a payment of which the gateway gives the whole back, in the transaction in which that is booked. From
// here on no card gets it. Errors: [ErrUnknownOrder]; [ErrAmount] for a part of it; [ErrState] if it is on a card, on its way to one, or was given back.
func (s *Service) GiveBackOnline(ctx context.Context, tx *store.Tx, key string, amount money.Amount) error {
	o, err := tx.LoadOrderByKey(ctx, s.cfg.Online, key)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load of payment order %s: %w", key, ErrUnknownOrder)
	}
	if err != nil {
		return err
	}
	if o.Amount != amount {
		return fmt.Errorf("load order %s is over %v, and %v of it was to be given back: %w", o.ID, o.Amount, amount, ErrAmount)
	}
	return s.move(ctx, tx, &o, GivenBack)
}

// sells reports an agent that cannot sell loads: the one that stands for the gateway.
func (s *Service) sells(agent ids.AcquirerID) error {
	if s.cfg.Online != "" && agent == s.cfg.Online {
		return fmt.Errorf("agent %s: %w", agent, ErrOnline)
	}
	return nil
}
