package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/terminal/kiosk"
)

// keep looks after sales whose rider has gone, until ctx ends.
func (k *Kiosk) keep(ctx context.Context) {
	tick := time.NewTicker(k.Patience.Keep)
	defer tick.Stop()
	for {
		if err := k.round(ctx); err != nil && ctx.Err() == nil {
			k.Log.Warn("kiosk: open sales", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks at each open sale that no rider stands before.
func (k *Kiosk) round(ctx context.Context) error {
	all, err := k.Journal.Sales()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range all {
		if !k.Journal.tryClaim(s.Key) {
			continue
		}
		if now, still, err := k.Journal.sale(s.Key); err != nil || still {
			errs = append(errs, err, k.lookAfter(ctx, now))
		}
		k.Journal.release(s.Key)
	}
	return errors.Join(errs...)
}

// lookAfter moves a sale towards its end. What the backend does not decide is tried again in the next round.
func (k *Kiosk) lookAfter(ctx context.Context, s Sale) error {
	fail := func(err error) error { return fmt.Errorf("sale %s, payment %s: %w", s.Key, s.Payment, err) }
	to := func(p Phase) error { s.Phase, s.Changed = p, k.Clock.Now(); return k.Journal.Put(s) }
	switch s.Phase {
	case Named: // the answer was lost, and nobody has seen the code: it must not be payable
		v, err := k.Host.Buy(ctx, s.Key, s.Amount, s.Way)
		if err != nil && kiosk.Decided(err) {
			return k.Journal.Drop(s.Key)
		}
		if err != nil {
			return fail(err)
		}
		s.Payment = v.Payment
		return to(Showed)
	case Showed:
		v, err := k.Host.CancelSale(ctx, s.Payment)
		if err != nil {
			return fail(err)
		}
		switch v.State {
		case kiosk.SaleClosed, kiosk.SaleRefused, kiosk.SaleRefunded:
			return k.Journal.Drop(s.Key)
		case kiosk.SaleRefunding:
			return to(Giving)
		case kiosk.SalePaid:
			s.Load = v.Load
			return to(Settled)
		}
		return nil
	case Settled:
		o, err := k.Host.Order(ctx, s.Load)
		if err != nil {
			return fail(err)
		}
		switch {
		case o.State == kiosk.Loaded:
			return k.Journal.Drop(s.Key)
		case o.State == kiosk.Refunded || o.State == kiosk.Paid && k.Clock.Now().Sub(s.Changed) > k.Patience.Give:
			return to(Giving)
		}
		return nil
	case Giving:
		v, err := k.Host.RefundSale(ctx, s.Payment)
		switch {
		case errors.Is(err, kiosk.ErrState): // it is on its way to the card, which will say; or it went back before
			if v, err = k.Host.Sale(ctx, s.Payment); err != nil {
				return fail(err)
			}
			if v.State == kiosk.SalePaid {
				return to(Settled)
			}
		case errors.Is(err, kiosk.ErrNoRefund): // the card can still have it; a person may give it back another way
			k.Log.Error("kiosk: the payment cannot be given back: an operator must look after it", "payment", s.Payment, "err", err)
			return to(Settled)
		case err != nil:
			return fail(err)
		}
		if v.State == kiosk.SaleRefunded {
			return k.Journal.Drop(s.Key)
		}
		return nil
	case Credit:
		r, err := s.result()
		if err != nil {
			return fail(err)
		}
		if _, err := kiosk.Confirm(ctx, k.Host, r); err != nil && !kiosk.Decided(err) {
			return fail(err)
		} else if err != nil {
			k.Log.Error("kiosk: a load is on the card, and the backend does not take the card's word. The card's next tap settles it", "load", s.Load, "err", err)
		}
		return k.Journal.Drop(s.Key)
	}
	return fail(fmt.Errorf("phase %q: of a newer program", s.Phase))
}

// result is what a card said of a load.
func (s Sale) result() (kiosk.Result, error) {
	r := kiosk.Result{Order: s.Load, Amount: s.Amount}
	if s.TAC != "" {
		raw, err := hex.DecodeString(s.TAC)
		if err != nil || len(raw) != len(ep.MAC{}) {
			return r, errors.New("the journal's TAC is none")
		}
		tac := ep.MAC(raw)
		r.TAC = &tac
		return r, nil
	}
	raw, err := hex.DecodeString(s.Script)
	if err != nil {
		return r, errors.New("the journal's script result is none")
	}
	script, err := ec.ParseScriptResult(raw)
	r.Script = &script
	return r, err
}
