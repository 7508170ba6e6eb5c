package kiosk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// SaleState is how a payment of a rider stands, as the backend's API has it.
type SaleState string

// States of a payment.
const (
	SaleWaiting   SaleState = "waiting"   // the rider has not paid
	SaleUnknown   SaleState = "unknown"   // nobody knows yet
	SalePaid      SaleState = "paid"      // the money has come, and there is a load order
	SaleRefused   SaleState = "refused"   // nothing was taken
	SaleClosed    SaleState = "closed"    // nobody paid, and nobody can
	SaleRefunding SaleState = "refunding" // the money is on its way back
	SaleRefunded  SaleState = "refunded"  // it is back
)

// WantsProof is the reason of a refused payment for which the payer must prove more than a kiosk can ask for.
const WantsProof = "proof"

// Sale is a payment for a load.
type Sale struct {
	Payment string // names it
	Amount  money.Amount
	Way     string
	State   SaleState
	QR      string // while waiting: what the rider scans
	Load    string // once paid: the load order
	Reason  string // of a refusal: payer, issuer, channel, setting, risk, not supported or [WantsProof]; "": not told
	Expires time.Time
}

// Offer is what can be bought online.
type Offer struct {
	Currency   string
	MaxAmount  money.Amount
	MaxBalance money.Amount // of a card after it
	Ways       []string     // to pay
}

// OnlineHost is a backend whose riders pay online. Its calls and errors are as those of [Host].
type OnlineHost interface {
	CashHost
	// Offer says what can be bought.
	Offer(ctx context.Context) (Offer, error)
	// Buy asks for a payment under a key that names the sale.
	Buy(ctx context.Context, key string, amount money.Amount, way string) (Sale, error)
	// Sale says how a payment stands.
	Sale(ctx context.Context, payment string) (Sale, error)
	// CancelSale says that nobody is to pay it any more.
	CancelSale(ctx context.Context, payment string) (Sale, error)
	// RefundSale gives the whole back. ErrState: it was not paid, or is on a card or on its way to one.
	RefundSale(ctx context.Context, payment string) (Sale, error)
}

var _ OnlineHost = (*HTTPHost)(nil)

type (
	saleJSON struct {
		Payment string       `json:"payment"`
		Amount  money.Amount `json:"amount"`
		Way     string       `json:"way"`
		State   SaleState    `json:"state"`
		QR      string       `json:"qr"`
		Load    string       `json:"load"`
		Reason  string       `json:"reason"`
		Expires time.Time    `json:"expires_at"`
	}
	offerJSON struct {
		Currency   string       `json:"currency"`
		MaxAmount  money.Amount `json:"max_amount"`
		MaxBalance money.Amount `json:"max_balance"`
		Ways       []string     `json:"ways"`
	}
	newSaleJSON struct {
		Amount money.Amount `json:"amount"`
		Way    string       `json:"way"`
	}
)

func (s *saleJSON) whole() bool {
	if !isOrderID(s.Payment) || s.Payment == "" || s.Amount.Sign() <= 0 {
		return false
	}
	switch s.State {
	case SaleWaiting:
		return s.QR != ""
	case SalePaid:
		return s.Load != "" && isOrderID(s.Load)
	case SaleUnknown, SaleRefused, SaleClosed, SaleRefunding, SaleRefunded:
		return true
	}
	return false
}

func (o *offerJSON) whole() bool {
	return o.Currency != "" && o.MaxAmount.Sign() > 0 && o.MaxBalance.Sign() > 0 && len(o.Ways) > 0
}

// Offer implements OnlineHost.
func (h *HTTPHost) Offer(ctx context.Context) (Offer, error) {
	var out offerJSON
	err := h.call(ctx, http.MethodGet, []string{"v1", "online", "offer"}, "", nil, &out)
	return Offer(out), err
}

// Buy implements OnlineHost.
func (h *HTTPHost) Buy(ctx context.Context, key string, amount money.Amount, way string) (Sale, error) {
	return h.sale(ctx, http.MethodPost, []string{"v1", "online", "loads"}, key, newSaleJSON{amount, way})
}

// Sale implements OnlineHost.
func (h *HTTPHost) Sale(ctx context.Context, payment string) (Sale, error) {
	return h.sale(ctx, http.MethodGet, []string{"v1", "online", "loads", payment}, "", nil)
}

// CancelSale implements OnlineHost.
func (h *HTTPHost) CancelSale(ctx context.Context, payment string) (Sale, error) {
	return h.sale(ctx, http.MethodPost, []string{"v1", "online", "loads", payment, "cancel"}, "", nil)
}

// RefundSale implements OnlineHost.
func (h *HTTPHost) RefundSale(ctx context.Context, payment string) (Sale, error) {
	return h.sale(ctx, http.MethodPost, []string{"v1", "online", "loads", payment, "refund"}, "", nil)
}

func (h *HTTPHost) sale(ctx context.Context, method string, path []string, key string, in any) (Sale, error) {
	var out saleJSON
	if err := h.call(ctx, method, path, key, in, &out); err != nil {
		return Sale{}, fmt.Errorf("online load: %w", err)
	}
	return Sale(out), nil
}
