package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Split says how a red packet's shares are drawn. The text is stored and is part of the API.
type Split string

// Splits.
const (
	Even  Split = "even"  // [order.Even]
	Lucky Split = "lucky" // [order.Lucky]
)

// NewPacket is what a red packet has beside its order.
type NewPacket struct {
	Shares int // 1 to [order.MaxShares], each of one minor unit or more
	Split  Split
}

// Packet is a red packet as its app sees it. What is not claimed tells nobody how much it is.
type Packet struct {
	Shares  int
	Split   Split
	Until   time.Time    // when what nobody has claimed goes back; zero while it is not paid
	Claimed money.Amount // of all claims
	Claims  []Claim      // in their order
}

// NewClaim asks for a share of a red packet.
type NewClaim struct {
	Key    string // names the claim within the order, for ever; 1 to 64 characters
	Holder string // whose balance gets it, as APP.NAME; the app is the order's
}

// Claim is a share that somebody has claimed.
type Claim struct {
	Key    string // of the request that got it
	Holder string
	Share  int // 1, 2, 3 …
	Money  channel.Money
	At     time.Time
}

// errLater says that what nobody claimed cannot go back now.
var errLater = errors.New("what nobody claimed stays held")

// packet reports a red packet.
func (c *change) packet() bool { return c.typeOf() == code.RedPacket }

// seed is the chance that the shares of a red packet are drawn from. Nothing is drawn for other orders.
func (s *Service) seed(n NewOrder) (seed [32]byte, err error) {
	if n.Packet != nil && n.Packet.Split == Lucky {
		if _, err = io.ReadFull(s.cfg.Rand, seed[:]); err != nil {
			err = fmt.Errorf("draw shares: %w", err)
		}
	}
	return seed, err
}

// draw makes the shares of an order, none for one that is no red packet.
func (n NewOrder) draw(seed [32]byte) (shares []money.Amount, err error) {
	p := n.Packet
	switch {
	case p == nil && n.Type != code.RedPacket:
		return nil, nil
	case p == nil || n.Type != code.RedPacket:
		return nil, fmt.Errorf("a red packet has shares, and nothing else does: %w", ErrRequest)
	case p.Split == Even:
		shares, err = order.Even(n.Money.Amount, p.Shares)
	case p.Split == Lucky:
		shares, err = order.Lucky(n.Money.Amount, p.Shares, rand.New(rand.NewChaCha8(seed)))
	default:
		err = fmt.Errorf("split %q: want even or lucky", p.Split)
	}
	if err != nil {
		return nil, fmt.Errorf("red packet: %w: %w", ErrRequest, err)
	}
	return shares, nil
}

// claimable: the red packet is paid, and may be claimed from now on.
func (c *change) claimable(ctx context.Context) error {
	p, _, err := c.tx.GatewayPacket(ctx, c.o.ID)
	if err != nil {
		return err
	}
	p.Until = c.at.Add(c.s.cfg.ClaimFor)
	c.o.Due = p.Until
	return c.tx.SetGatewayPacket(ctx, p)
}

// Claim gives a holder a share of a red packet: the next one, in the order in which they were drawn. Each holder has one share of a packet: one who asks again, by whatever key, is told of the share that he has. The same
// key for another holder is [ErrConflict] and a finding.
//
// Errors: [ErrUnknownOrder], [ErrRequest], [ErrConflict], [ErrExpired], [ErrFrozen], [ErrFunds]: it came while the account was frozen, [order.ErrState]: it is not paid, or all of it is claimed.
func (s *Service) Claim(ctx context.Context, app, id string, n NewClaim) (Claim, error) {
	out, err := s.claim(ctx, app, id, n)
	if err != nil {
		return Claim{}, fmt.Errorf("claim of order %s: %w", id, frozen(err))
	}
	return out, nil
}

func (s *Service) claim(ctx context.Context, app, id string, n NewClaim) (out Claim, err error) {
	if n.Key == "" || len(n.Key) > 64 {
		return out, fmt.Errorf("key: want 1 to 64 characters, have %d: %w", len(n.Key), ErrRequest)
	}
	if err := s.store.View(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, app, id)
		if err == nil && !strings.HasPrefix(n.Holder, o.App+".") {
			err = fmt.Errorf("holder %q: want one of the order's app: %w", n.Holder, ErrRequest)
		}
		return err
	}); err != nil {
		return out, err
	}
	if _, err := balance.Account(n.Holder); err != nil {
		return out, fmt.Errorf("holder %q: %w: %w", n.Holder, ErrRequest, err)
	}
	conflict := false
	err = s.change(ctx, id, func(c *change) error {
		conflict = false
		if !c.packet() {
			return fmt.Errorf("it is no red packet: %w", order.ErrState)
		}
		p, shares, err := c.tx.GatewayPacket(ctx, id)
		if err != nil {
			return err
		}
		var has, next *store.GatewayShare
		left := 0
		for i := range shares {
			switch x := &shares[i]; {
			case x.IdempotencyKey == n.Key && x.Holder != n.Holder:
				conflict = true
				return s.find(ctx, c.tx, id, FindConflict, fmt.Sprintf("claim key %q came again for another holder", n.Key))
			case x.Holder == n.Holder:
				has = x
			case x.Holder == "":
				if left++; next == nil {
					next = x
				}
			}
		}
		if has != nil {
			out = claimOf(*has, c.o.Currency)
			return nil
		}
		if c.o.State == string(order.Held) && (!c.at.Before(p.Until) || !c.o.Refunding.IsZero()) {
			return fmt.Errorf("what was left at %v goes back: %w", p.Until.UTC().Format(time.DateTime), ErrExpired)
		}
		e := order.Claimed
		if next == nil && c.o.State == string(order.Held) {
			return fmt.Errorf("all shares are claimed: %w", order.ErrState) // the last claim has moved it on, so this is a fault
		}
		if left <= 1 {
			e = order.ClaimedAll
		}
		if err := c.give(ctx, e, p, next, n); err != nil {
			return err
		}
		out = claimOf(*next, c.o.Currency)
		return nil
	})
	if err == nil && conflict {
		err = fmt.Errorf("key %q: %w", n.Key, ErrConflict)
	}
	return out, err
}

// give gives a share to a holder. There is none, and no move, where all are claimed.
func (c *change) give(ctx context.Context, e order.Event, p store.GatewayPacket, x *store.GatewayShare, n NewClaim) error {
	detail := ""
	if x != nil {
		detail = fmt.Sprintf("share %d, %v, %s", x.N, x.Amount, n.Holder)
	}
	if err := c.move(ctx, e, ByRequest, detail); err != nil {
		return err
	}
	if e == order.Claimed {
		c.o.Due = p.Until
	}
	x.Holder, x.IdempotencyKey, x.At = n.Holder, n.Key, c.at
	minus, err1 := x.Amount.Neg()
	clearing, err2 := c.tx.ClearingDay(ctx, c.at.In(c.s.cfg.Location))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := c.holds(ctx, Held(c.o.Merchant), x.Amount); err != nil { // what came while the account was frozen lies aside
		return err
	}
	if err := c.tx.ClaimGatewayShare(ctx, *x); err != nil {
		return err
	}
	return c.tx.Post(ctx, books.Entry{ID: store.GatewayClaimEntry(c.o.ID, x.N), Kind: "gateway-claimed", Day: clearing, Ref: c.o.ID + " " + c.o.Context, Lines: []books.Line{
		{Account: Held(c.o.Merchant), Amount: x.Amount}, {Account: books.HolderBalance(x.Holder), Amount: minus}}})
}

// unclaimed gives back to the payer what nobody has claimed in time.
func (c *change) unclaimed(ctx context.Context) error {
	c.o.Due = time.Time{}
	if !c.o.Refunding.IsZero() { // it is on its way
		return nil
	}
	_, shares, err := c.tx.GatewayPacket(ctx, c.o.ID)
	if err != nil {
		return err
	}
	var left money.Amount
	for _, x := range shares {
		if x.Holder == "" {
			if left, err = left.Add(x.Amount); err != nil {
				return err
			}
		}
	}
	if err := c.holds(ctx, Held(c.o.Merchant), left); err != nil {
		return fmt.Errorf("%w: %w", errLater, err)
	}
	p, err := c.tx.GatewayPayment(ctx, c.o.Payment)
	if err != nil {
		return err
	}
	all, err := c.tx.GatewayOperations(ctx, c.o.ID)
	if err != nil {
		return err
	}
	_, err = c.giveBack(ctx, &p, back{key: fmt.Sprintf("unclaimed:%d", len(all)), amount: left, reason: "not claimed in time", source: Held(c.o.Merchant), others: all})
	switch {
	case errors.Is(err, books.ErrSwitched):
		return fmt.Errorf("%w: %w", errLater, err)
	case errors.Is(err, ErrUnsupported) || errors.Is(err, ErrWindow): // nothing is written yet
		c.o.Due = c.at.Add(day)
		return c.s.find(ctx, c.tx, c.o.ID, FindStuck, fmt.Sprintf("%v that nobody claimed: %v", left, err))
	}
	return err
}

// unclaimedLater looks again later at what could not go back; of that nothing is written.
func (s *Service) unclaimedLater(ctx context.Context, id string) error {
	return s.change(ctx, id, func(c *change) error {
		c.o.Due = c.at.Add(time.Hour)
		return nil
	})
}

func claimOf(x store.GatewayShare, currency string) Claim {
	return Claim{Key: x.IdempotencyKey, Holder: x.Holder, Share: x.N, Money: channel.Money{Amount: x.Amount, Currency: currency}, At: x.At}
}

// packetOf finds an order's red packet.
func packetOf(ctx context.Context, tx *store.Tx, o store.GatewayOrder) (*Packet, error) {
	p, shares, err := tx.GatewayPacket(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	out := Packet{Shares: len(shares), Split: Split(p.Split), Until: p.Until}
	for _, x := range shares {
		if x.Holder == "" {
			continue
		}
		out.Claims = append(out.Claims, claimOf(x, o.Currency))
		if out.Claimed, err = out.Claimed.Add(x.Amount); err != nil {
			return nil, err
		}
	}
	return &out, nil
}
