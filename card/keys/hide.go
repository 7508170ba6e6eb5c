package keys

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// hidden is what a key prints as.
const hidden = "[key]"

// errNoText is returned where an encoder would write a key out as text.
var errNoText = errors.New("keys: a key is not written as text; use a sealed file")

func hide(w io.Writer) { io.WriteString(w, hidden) }

// String hides the key.
func (Key) String() string { return hidden }

// GoString hides the key.
func (Key) GoString() string { return hidden }

// Format hides the key under every verb. String is not enough: %d passes it by and prints the bytes.
func (Key) Format(f fmt.State, _ rune) { hide(f) }

// LogValue hides the key from structured logs, whatever their format.
func (Key) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText fails, so that a key inside some larger value does not reach a log or a file by way of an encoder.
func (Key) MarshalText() ([]byte, error) { return nil, errNoText }

// Format prints what Soft is. fmt reaches into unexported fields without asking their methods, so a key held in one is
// hidden only by its holder.
func (s *Soft) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[software HSM of %d master keys]", len(s.masters))
}

// Format prints which key a card has, and no factor: the last one is most of the card number.
func (c Card) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[%v key of a card, %d levels]", c.ID, len(c.Factors))
}

// LogValue is Format for structured logs.
func (c Card) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Format prints nothing that names the card.
func (r PurchaseRequest) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[purchase of %v, key %02X/%02X]", r.Amount, r.Version, r.Algorithm)
}

// LogValue is Format for structured logs.
func (r PurchaseRequest) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }
