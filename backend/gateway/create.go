package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// NewOrder is what an app orders.
type NewOrder struct {
	Key      string // names the order at the app, for ever; 1 to 64 characters
	Type     code.Action
	Mode     code.Mode // zero: instant, of a red packet deferred; or reserved, for [Service.Capture]
	Product  code.Product
	Merchant ids.MerchantID // who is paid; of a transfer the sender
	Payee    ids.MerchantID // of a transfer a merchant, or a holder as APP.NAME; of a top-up the holder whose balance it fills, "" where it loads a card
	Packet   *NewPacket     `json:",omitempty"` // of a red packet; as it was before there was such a field, for digests
	Money    channel.Money
	Subject  string        // for the payer's eyes, 1 to 127 bytes
	Attach   string        // the app's own, at most 1,024 bytes; comes back in messages
	Expires  time.Duration // zero: the default
}

// Create makes an order. The same key with the same content is the same order, as it is by now; with other content it is [ErrConflict] and a
// finding. Errors: [ErrRequest], [ErrUnsupported], [ErrConflict], [code.ErrUnknown].
func (s *Service) Create(ctx context.Context, app string, n NewOrder) (Order, error) {
	if n.Mode == 0 {
		if n.Mode = code.Instant; n.Type == code.RedPacket {
			n.Mode = code.Deferred
		}
	}
	digest, err := digestOf(n)
	if err != nil {
		return Order{}, err
	}
	id, err := s.number(order.OfOrder)
	if err != nil {
		return Order{}, err
	}
	seed, err := s.seed(n)
	if err != nil {
		return Order{}, err
	}
	var out Order
	conflict := false
	err = s.store.Together(ctx, func(tx *store.Tx) error {
		conflict = false
		have, err := tx.GatewayOrderByKey(ctx, app, n.Key)
		if err == nil {
			if conflict = have.Digest != digest; conflict {
				out = orderOf(have)
				return s.find(ctx, tx, have.ID, FindConflict, fmt.Sprintf("order key %q came again with other content", n.Key))
			}
			out, err = whole(ctx, tx, have)
			return err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		// Only a new order is checked: one made before a limit was lowered is still the same order.
		if err := s.checkOrder(app, n); err != nil {
			return err
		}
		shares, err := n.draw(seed)
		if err != nil {
			return err
		}
		at := s.now()
		expires := n.Expires
		if expires == 0 {
			expires = s.cfg.Expires
		}
		c := code.Context{Product: n.Product, Mode: n.Mode, Action: n.Type}
		row := store.GatewayOrder{ID: id, App: app, IdempotencyKey: n.Key, Digest: digest, Context: c.String(), Merchant: n.Merchant, Payee: n.Payee, Amount: n.Money.Amount,
			Currency: n.Money.Currency, Subject: n.Subject, Attach: n.Attach, State: string(order.Open), Created: at, Changed: at, Expires: at.Add(expires), Due: at.Add(expires)}
		if n.Packet != nil {
			if err := tx.AddGatewayPacket(ctx, store.GatewayPacket{Order: row.ID, Split: string(n.Packet.Split)}, shares); err != nil {
				return err
			}
		}
		ch := change{s: s, tx: tx, at: at, o: row}
		if err := ch.tell(ctx, row.ID, "created", "", row.State, ByRequest, row.Context, ""); err != nil {
			return err
		}
		if err := tx.AddGatewayOrder(ctx, ch.o); err != nil {
			return err
		}
		if out = orderOf(ch.o); n.Packet != nil {
			out.Packet, err = packetOf(ctx, tx, ch.o)
		}
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("create order: %w", err)
	}
	if conflict {
		return Order{}, fmt.Errorf("create order: key %q is order %s: %w", n.Key, out.ID, ErrConflict)
	}
	return out, nil
}

// checkOrder is the first of the five checks: fields, and what is taken.
func (s *Service) checkOrder(app string, n NewOrder) error {
	if err := s.checkFields(app, n); err != nil {
		return err
	}
	switch {
	case n.Type == code.TopUp && n.Payee != "": // its holder is checked with the fields
	case n.Type == code.TopUp && s.cfg.OnPaid == nil:
		return fmt.Errorf("top-up: nobody here loads cards: %w", ErrUnsupported)
	case n.Type == code.TopUp && s.cfg.OnTopUp != nil && s.cfg.OnTopUp(n.Money) != nil:
		return s.cfg.OnTopUp(n.Money)
	case n.Type == code.RedPacket && n.Mode == code.Deferred: // its shares are checked when they are drawn
	case n.Type != code.Pay && n.Type != code.Transfer && n.Type != code.TopUp && n.Type != code.RedPacket:
		return fmt.Errorf("%v: want pay, transfer, top-up or red-packet: %w", n.Type, ErrUnsupported)
	case n.Type == code.RedPacket || n.Mode != code.Instant && (n.Mode != code.Reserved && n.Mode != code.Escrow || n.Type != code.Pay):
		return fmt.Errorf("%v of a %v: want instant, of a payment also reserved or escrow, and of a red packet deferred: %w", n.Mode, n.Type, ErrUnsupported)
	}
	return nil
}

// checkFields is what any order's fields must be.
func (s *Service) checkFields(app string, n NewOrder) error {
	switch {
	case ids.Check(app) != nil:
		return fmt.Errorf("app %q: %w: %w", app, ErrRequest, ids.Check(app))
	case n.Key == "" || len(n.Key) > 64:
		return fmt.Errorf("key: want 1 to 64 characters, have %d: %w", len(n.Key), ErrRequest)
	case n.Money.Currency != s.cfg.Currency:
		return fmt.Errorf("currency %q: the books are kept in %s: %w", n.Money.Currency, s.cfg.Currency, ErrRequest)
	case n.Money.Amount.Sign() <= 0 || n.Money.Amount.Cmp(s.cfg.MaxAmount) > 0:
		return fmt.Errorf("amount %v: want more than zero and at most %v: %w", n.Money.Amount, s.cfg.MaxAmount, ErrRequest)
	case n.Subject == "" || len(n.Subject) > 127 || !utf8.ValidString(n.Subject):
		return fmt.Errorf("subject: want 1 to 127 bytes of UTF-8: %w", ErrRequest)
	case len(n.Attach) > 1024 || !utf8.ValidString(n.Attach):
		return fmt.Errorf("attach: want at most 1024 bytes of UTF-8: %w", ErrRequest)
	case n.Expires < 0 || n.Expires > s.cfg.MaxExpires:
		return fmt.Errorf("expires in %v: want at most %v: %w", n.Expires, s.cfg.MaxExpires, ErrRequest)
	case ids.Check(string(n.Merchant)) != nil:
		return fmt.Errorf("merchant %q: %w: %w", n.Merchant, ErrRequest, ids.Check(string(n.Merchant)))
	case n.Type == code.Transfer && n.Payee == "":
		return fmt.Errorf("a transfer has a payee: %w", ErrRequest)
	case n.Payee != "" && n.Type != code.Transfer && n.Type != code.TopUp:
		return fmt.Errorf("only transfers, and top-ups of a balance, have a payee: %w", ErrRequest)
	case n.Type == code.TopUp && n.Payee != "" || isHolder(n.Payee):
		if _, err := balance.Account(string(n.Payee)); err != nil {
			return fmt.Errorf("payee %q: %w: %w", n.Payee, ErrRequest, err)
		}
	case n.Payee != "" && ids.Check(string(n.Payee)) != nil:
		return fmt.Errorf("payee %q: %w: %w", n.Payee, ErrRequest, ids.Check(string(n.Payee)))
	}
	_, err := s.cfg.Registry.Product(n.Product)
	return err
}

// digestOf is a SHA-256 over the content of a request, in hexadecimal: by it the same request is known when it comes again.
func digestOf(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("digest of a request: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// find notes a finding and tells the operator.
func (s *Service) find(ctx context.Context, tx *store.Tx, id, code, detail string) error {
	s.cfg.Log.WarnContext(ctx, "payment finding", "order", id, "code", code, "detail", detail)
	return tx.AddGatewayFinding(ctx, store.GatewayFinding{Order: id, Code: code, Detail: detail, At: s.now()})
}
