package page

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

// readChoice reads what the page sent, strictly.
func readChoice(in io.Reader) (session.Choice, error) {
	var c struct {
		Seq    uint64        `json:"seq"`
		Choice session.Event `json:"choice"`
		Amount *money.Amount `json:"amount"`
		Way    string        `json:"way"`
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Choice == "" {
		return session.Choice{}, errChoice
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return session.Choice{}, errChoice
	}
	out := session.Choice{Seq: c.Seq, Choice: c.Choice, Way: c.Way}
	if c.Amount != nil {
		out.Amount = *c.Amount
	}
	return out, nil
}
