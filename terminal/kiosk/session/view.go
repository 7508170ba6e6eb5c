package session

import (
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/skip2/go-qrcode"

	"github.com/purselane/purselane/internal/money"
)

// View is what the page shows. It holds no card number.
type View struct {
	Seq      uint64         `json:"seq"`
	State    State          `json:"state"`
	Money    Money          `json:"money"`
	Choices  []Event        `json:"choices"`
	Card     string         `json:"card,omitempty"` // its last four digits
	Balance  *money.Amount  `json:"balance,omitempty"`
	Amount   *money.Amount  `json:"amount,omitempty"`
	Currency string         `json:"currency,omitempty"`
	Amounts  []money.Amount `json:"amounts,omitempty"` // to choose from
	Ways     []string       `json:"ways,omitempty"`    // likewise
	Way      string         `json:"way,omitempty"`
	QR       string         `json:"qr,omitempty"`      // a data URL of a picture
	Seconds  int            `json:"seconds,omitempty"` // until the state ends by itself
	Payment  string         `json:"payment,omitempty"` // the number that a rider writes down
	Reason   string         `json:"reason,omitempty"`  // a code
	Told     bool           `json:"told"`              // of [Done]: the backend knows
	At       time.Time      `json:"at"`                // when the state began
}

// hub hands the latest view to whoever looks. It is safe for concurrent use; the zero value is ready.
type hub struct {
	mu      sync.Mutex
	view    View
	changed chan struct{}
}

// show makes v the latest view.
func (h *hub) show(v View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.Seq = h.view.Seq + 1
	h.view = v
	if h.changed != nil {
		close(h.changed)
	}
	h.changed = make(chan struct{})
}

// Now is the latest view, and what is closed when there is another.
func (h *hub) Now() (View, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.view, h.changed
}

// picture draws a QR code as a data URL.
func picture(text string) (string, error) {
	png, err := qrcode.Encode(text, qrcode.Medium, 512)
	if err != nil {
		return "", fmt.Errorf("draw the QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(png), nil
}
