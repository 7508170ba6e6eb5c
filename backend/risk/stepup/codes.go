package stepup

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

// Message is what the operator's service sends to a payer. The names of the fields are an outside contract.
type Message struct {
	App      string       `json:"app"`
	Order    string       `json:"order"`
	Payment  string       `json:"payment"`
	Payer    string       `json:"payer"` // as the channel will be told: open ID, token, agreement or account; may be ""
	Amount   money.Amount `json:"amount"`
	Currency string       `json:"currency"`
	Code     string       `json:"code"`
	Until    int64        `json:"until"` // Unix s
}

// Sender hands a message to who can reach the payer. Its error holds nothing of it.
type Sender interface {
	Send(context.Context, Message) error
}

// Bounds of a code.
const (
	Life     = 5 * time.Minute
	Pause    = time.Minute // between two codes for one payment
	MaxSent  = 5           // for one payment
	MaxWrong = 5           // for one code
	digits   = 6
)

// Codes sends and checks codes. It is safe for concurrent use, and several processes may have one each.
type Codes struct {
	store  *store.Store
	key    []byte
	sender Sender
	clock  clock.Clock
	random io.Reader
}

// New makes one. key are 32 bytes, used for nothing else; random is crypto/rand.Reader where it is nil.
func New(s *store.Store, key []byte, sender Sender, c clock.Clock, random io.Reader) (*Codes, error) {
	if s == nil || len(key) != 32 || sender == nil || c == nil {
		return nil, errors.New("risk: codes want a store, a key of 32 bytes, a sender and a clock")
	}
	if random == nil {
		random = rand.Reader
	}
	return &Codes{store: s, key: key, sender: sender, clock: c, random: random}, nil
}

// Send sends a code for an attempt, unless one was sent a moment ago, or too many were.
func (c *Codes) Send(ctx context.Context, in gateway.Assessed) error {
	n, err := rand.Int(c.random, big.NewInt(1_000_000))
	if err != nil {
		return fmt.Errorf("make a code: %w", err)
	}
	code := fmt.Sprintf("%0*d", digits, n)
	now, number := c.clock.Now(), in.Payment.Number
	send := false
	if err := c.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.RiskCode(ctx, number)
		send = err == nil && have.Count < MaxSent && (have.Sent.IsZero() || !now.Before(have.Sent.Add(Pause)))
		if !send {
			return err
		}
		return tx.PutRiskCode(ctx, store.RiskCode{Payment: number, Code: c.hash(number, code), Sent: now, Count: have.Count + 1})
	}); err != nil || !send {
		return err
	}
	p := in.Payer
	err = c.sender.Send(ctx, Message{App: in.Order.App, Order: in.Order.ID, Payment: number, Payer: cmp.Or(p.OpenID, p.Token, p.Agreement, p.Account), Amount: in.Payment.Money.Amount,
		Currency: in.Payment.Money.Currency, Code: code, Until: now.Add(Life).Unix()})
	if err == nil {
		return nil
	}
	// The next request may send at once.
	return errors.Join(fmt.Errorf("send a code: %w", err), c.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		have, err := tx.RiskCode(ctx, number)
		if err != nil || !have.Sent.Equal(now.Truncate(time.Millisecond)) {
			return err
		}
		have.Sent, have.Count = time.Time{}, have.Count-1
		return tx.PutRiskCode(ctx, have)
	}))
}

// Check reports whether a code is the one that was sent for a payment, and lives. A wrong one counts.
func (c *Codes) Check(ctx context.Context, payment, code string) (bool, error) {
	ok := false
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		ok = false
		have, err := tx.RiskCode(ctx, payment)
		if err != nil || have.Sent.IsZero() || have.Tries >= MaxWrong || !c.clock.Now().Before(have.Sent.Add(Life)) {
			return err
		}
		if ok = subtle.ConstantTimeCompare(have.Code, c.hash(payment, code)) == 1; ok {
			return nil
		}
		have.Tries++
		return tx.PutRiskCode(ctx, have)
	})
	return ok && err == nil, err
}

func (c *Codes) hash(payment, code string) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte("purselane-step-up-1\n" + payment + "\n" + code))
	return h.Sum(nil)
}
