package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/identity"
)

// split is a proof's kind and the rest, which a colon separates.
func split(proof string) (kind, what string) {
	kind, what, _ = strings.Cut(proof, ":")
	return kind, what
}

// person is the form of who somebody says he is.
type person struct {
	Name   string `json:"name"`
	Number string `json:"number"`
	Card   string `json:"card"`
	Phone  string `json:"phone"`
}

// readPerson reads it, strictly.
func readPerson(s string) (identity.Person, bool) {
	var p person
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || d.More() {
		return identity.Person{}, false
	}
	return identity.Person{Name: p.Name, Number: p.Number, Card: p.Card, Phone: p.Phone}, true
}

// more adds the device, who the payer is, and what others know.
func (d *Desk) more(ctx context.Context, in gateway.Assessed, e *risk.Event, f *risk.Facts) error {
	kind, what := split(in.Proof)
	if kind == wordOfTruth && d.cfg.Identity != nil {
		d.ask(ctx, in.Payment.Number, what, f)
	}
	if d.cfg.Facts == nil {
		return nil
	}
	return d.cfg.Facts(ctx, in, f)
}

// ask asks who the payer is. Without an answer nothing is known, and nothing is proved.
func (d *Desk) ask(ctx context.Context, payment, what string, f *risk.Facts) {
	p, ok := readPerson(what)
	if !ok {
		return
	}
	r, err := d.cfg.Identity.Verify(ctx, p)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "nobody says who a payer is", "payment", payment, "error", err)
		return
	}
	f.Identity = r.Answer.String()
	if r.Answer == identity.Match {
		f.Elements, f.SteppedUp = r.Elements, true
	}
}
