package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
)

// askedTyped is a request to hold what a payer has typed.
type askedTyped struct {
	Number   string `json:"number"`
	Expires  string `json:"expires,omitempty"` // YYMM, of a credit card
	CVN2     string `json:"cvn2,omitempty"`    // of a credit card; in memory only
	Phone    string `json:"phone"`
	Name     string `json:"name,omitempty"`
	IDType   string `json:"id_type,omitempty"`
	IDNumber string `json:"id_number,omitempty"`
}

// takeTyped holds what a payer has typed.
func (v *Vault) takeTyped(w http.ResponseWriter, r *http.Request) {
	q, err := readTyped(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		app.WriteProblem(w, http.StatusBadRequest, "request", err.Error())
		return
	}
	b, err := v.HoldTyped(channel.Typed{Number: q.Number, Expires: q.Expires, CVN2: q.CVN2, Phone: q.Phone, Name: q.Name, IDType: q.IDType, IDNumber: q.IDNumber})
	switch {
	case errors.Is(err, ErrFull):
		app.WriteProblem(w, http.StatusServiceUnavailable, "full", err.Error())
	case errors.Is(err, bin.ErrNumber) || errors.Is(err, ErrExpires):
		app.WriteProblem(w, http.StatusUnprocessableEntity, "card", err.Error())
	case err != nil:
		app.WriteProblem(w, http.StatusInternalServerError, "internal", "What was typed is not held: try again.")
	default:
		writeTold(w, b)
	}
}

// readTyped reads a request strictly. Its error repeats nothing of it.
func readTyped(r io.Reader) (q askedTyped, err error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return q, errors.New("the body is too long, or broke off")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&q) != nil || len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		return askedTyped{}, errors.New("want one JSON object with number, phone and, where the bank asks for it, expires, cvn2, name, id_type and id_number, and nothing else")
	}
	if len(q.CVN2) != 0 && len(q.CVN2) != 3 || strings.Trim(q.CVN2, "0123456789") != "" {
		return askedTyped{}, errors.New("cvn2 has three digits")
	}
	for _, s := range []string{q.Phone, q.Name, q.IDType, q.IDNumber} {
		if len(s) > 64 || strings.ContainsAny(s, "{}&=|") { // they go to a channel between such signs
			return askedTyped{}, errors.New("phone, name, id_type and id_number have 64 bytes at most, and none of { } & = |")
		}
	}
	return q, nil
}
