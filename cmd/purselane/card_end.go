package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// CardEndCmd is `purselane card end`.
type CardEndCmd struct {
	Request CardEndRequestCmd `cmd:"" help:"Block a card, and order what becomes of its value."`
	Approve CardEndApproveCmd `cmd:"" help:"Approve an order: another person than asked for it."`
	Cancel  CardEndCancelCmd  `cmd:"" help:"End an order whose value has not moved. The card stays blocked."`
	List    CardEndListCmd    `cmd:"" help:"List the orders, newest first."`
	Sweep   CardEndSweepCmd   `cmd:"" help:"Move the value of every approved order whose time has come; the backend does it by itself."`
}

// withLife does a tool's work on the lives of the folder's cards.
func (f schemeFolder) withLife(ctx context.Context, do func(*store.Store, *cardlife.Service) error) error {
	scheme, err := f.scheme()
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		l, err := cardlife.New(s, clock.System{}, cardlife.Config{Location: scheme.Location()})
		if err != nil {
			return err
		}
		return do(s, l)
	})
}

// CardEndRequestCmd is `purselane card end request`.
type CardEndRequestCmd struct {
	schemeFolder
	cardName
	Kind   cardlife.Kind  `enum:"transfer,cash,breakage" required:"" help:"transfer, to another card; cash, to the holder at a desk; or breakage, to the scheme."`
	Target string         `placeholder:"HEX" help:"Of a transfer: the new card's token."`
	Agent  ids.AcquirerID `placeholder:"ACQUIRER" help:"At whose desk the value is handed over; of breakage none."`
	Reason string         `required:"" help:"Why, for people. No card number."`
	By     string         `required:"" help:"Who asks."`
	JSON   bool           `name:"json" help:"Print JSON."`
}

// Run orders.
func (c *CardEndRequestCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withLife(ctx, func(s *store.Store, l *cardlife.Service) error {
		r := cardlife.Request{Kind: c.Kind, Agent: c.Agent, Reason: c.Reason, By: c.By}
		if err := s.View(ctx, func(tx *store.Tx) error {
			card, err := c.find(ctx, tx)
			if err != nil || c.Target == "" {
				r.Card = card.Number
				return err
			}
			target, err := tx.CardByToken(ctx, c.Target)
			if errors.Is(err, store.ErrNotFound) {
				return errors.New("--target: no such card in this scheme")
			}
			r.Card, r.Target = card.Number, &target.Number
			return err
		}); err != nil {
			return err
		}
		o, err := l.Request(ctx, r)
		if err != nil {
			return err
		}
		return printEnds(k, c.JSON, o)
	})
}

// CardEndApproveCmd is `purselane card end approve`.
type CardEndApproveCmd struct {
	schemeFolder
	ID   string `arg:"" help:"The order."`
	By   string `required:"" help:"Who approves."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run approves.
func (c *CardEndApproveCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withLife(ctx, func(_ *store.Store, l *cardlife.Service) error {
		o, err := l.Approve(ctx, c.ID, c.By)
		if err != nil {
			return err
		}
		return printEnds(k, c.JSON, o)
	})
}

// CardEndCancelCmd is `purselane card end cancel`.
type CardEndCancelCmd struct {
	schemeFolder
	ID   string `arg:"" help:"The order."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run cancels.
func (c *CardEndCancelCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withLife(ctx, func(_ *store.Store, l *cardlife.Service) error {
		o, err := l.Cancel(ctx, c.ID)
		if err != nil {
			return err
		}
		return printEnds(k, c.JSON, o)
	})
}

// CardEndListCmd is `purselane card end list`.
type CardEndListCmd struct {
	schemeFolder
	State cardlife.State `help:"Only orders in this state."`
	Limit int            `default:"100" help:"At most so many."`
	JSON  bool           `name:"json" help:"Print JSON, one order a line."`
}

// Run lists.
func (c *CardEndListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withLife(ctx, func(_ *store.Store, l *cardlife.Service) error {
		all, err := l.Orders(ctx, c.State, c.Limit)
		if err != nil {
			return err
		}
		return printEnds(k, c.JSON, all...)
	})
}

// CardEndSweepCmd is `purselane card end sweep`.
type CardEndSweepCmd struct{ schemeFolder }

// Run sweeps.
func (c *CardEndSweepCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withLife(ctx, func(_ *store.Store, l *cardlife.Service) error {
		n, err := l.Sweep(ctx)
		_, told := fmt.Fprintf(k.Stdout, "%d orders moved\n", n)
		return errors.Join(err, told)
	})
}

// endedCard is the JSON form.
type endedCard struct {
	ID          string       `json:"id"`
	Kind        string       `json:"kind"`
	State       string       `json:"state"`
	Card        string       `json:"card_token"`
	Target      string       `json:"target_token,omitempty"`
	Agent       string       `json:"agent,omitempty"`
	Amount      money.Amount `json:"amount"`
	LoadOrder   string       `json:"load_order,omitempty"`
	Reason      string       `json:"reason"`
	RequestedBy string       `json:"requested_by"`
	ApprovedBy  string       `json:"approved_by,omitempty"`
	Due         time.Time    `json:"due"`
}

func printEnds(k *kong.Kong, asJSON bool, all ...cardlife.Order) error {
	for _, o := range all {
		if asJSON {
			if err := json.NewEncoder(k.Stdout).Encode(endedCard{o.ID, string(o.Kind), string(o.State), o.Token, o.Target, string(o.Agent), o.Amount, o.LoadOrder, o.Reason,
				o.RequestedBy, o.ApprovedBy, o.Due}); err != nil {
				return err
			}
			continue
		}
		p := &printer{out: k.Stdout}
		p.line("%s  %s of card %s: %s, by %s%s", o.ID, o.Kind, o.Token, o.State, o.RequestedBy, then(o.ApprovedBy, ", approved by "))
		if o.State.Open() {
			p.line("  the card is blocked; its value moves after %s", o.Due.Format(time.DateTime))
		}
		if !o.Amount.IsZero() {
			p.line("  %v left the card%s", o.Amount, then(o.LoadOrder, ", to load order "))
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// then is a text with what leads to it, or nothing.
func then(text, lead string) string {
	if text == "" {
		return ""
	}
	return lead + text
}
