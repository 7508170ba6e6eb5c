package vault

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
)

// maxBody bounds a request, in bytes: chip data have 255 at most.
const maxBody = 8 << 10

// asked is a request to keep or to hold a card. An unknown field refuses it, so that a CVV cannot come in by mistake.
type asked struct {
	Number   string `json:"number"`
	Expires  string `json:"expires"`            // YYMM
	Entry    string `json:"entry,omitempty"`    // entry mode of field 22, three digits: the card is held for one payment
	Sequence string `json:"sequence,omitempty"` // of a chip card, three digits
	Chip     []byte `json:"chip,omitempty"`     // field 55
}

// told is the answer.
type told struct {
	Token  string     `json:"token"`
	Last   string     `json:"last4"`
	Bank   string     `json:"bank"`
	Type   bin.Type   `json:"type"`
	Scheme bin.Scheme `json:"scheme"`
}

// Handler is the vault's door: POST /v1/cards takes a card and answers with its token, DELETE /v1/cards/TOKEN forgets one, and
// POST /v1/typed takes what a payer has typed to bind a card, which is held for [HoldFor] in memory and kept nowhere. Who comes must show the
// bearer token. Nothing of a request is logged.
func (v *Vault) Handler(bearer string, log *slog.Logger) (http.Handler, error) {
	if len(bearer) < 32 {
		return nil, errors.New("vault: a bearer token has 32 characters or more")
	}
	want := sha256.Sum256([]byte(bearer))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/cards", func(w http.ResponseWriter, r *http.Request) {
		q, err := readAsked(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			app.WriteProblem(w, http.StatusBadRequest, "request", err.Error())
			return
		}
		c := cardacquirer.Card{Number: q.Number, Expires: q.Expires, Entry: q.Entry, Sequence: q.Sequence, Chip: q.Chip}
		var b Bound
		if q.Entry == "" {
			b, err = v.Keep(r.Context(), c)
		} else {
			b, err = v.Hold(c)
		}
		switch {
		case errors.Is(err, bin.ErrNumber) || errors.Is(err, ErrExpires):
			app.WriteProblem(w, http.StatusUnprocessableEntity, "card", err.Error())
		case errors.Is(err, ErrFull):
			app.WriteProblem(w, http.StatusServiceUnavailable, "full", err.Error())
		case err != nil:
			log.ErrorContext(r.Context(), "vault: a card is not kept", "error", err)
			app.WriteProblem(w, http.StatusInternalServerError, "internal", "The card is not kept: try again.")
		default:
			writeTold(w, b)
		}
	})
	mux.HandleFunc("POST /v1/typed", func(w http.ResponseWriter, r *http.Request) { v.takeTyped(w, r) })
	mux.HandleFunc("DELETE /v1/cards/{token}", func(w http.ResponseWriter, r *http.Request) {
		if err := v.Forget(r.Context(), r.PathValue("token")); err != nil {
			log.ErrorContext(r.Context(), "vault: a card is not forgotten", "error", err)
			app.WriteProblem(w, http.StatusInternalServerError, "internal", "The card is not forgotten: try again.")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if got := sha256.Sum256([]byte(shown)); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			app.WriteProblem(w, http.StatusUnauthorized, "unauthorized", "Show the vault's bearer token.")
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

func writeTold(w http.ResponseWriter, b Bound) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(told(b)) // who has gone does not hear it, and asks again
}

// readAsked reads a request strictly. Its error repeats nothing of it.
func readAsked(r io.Reader) (asked, error) {
	var q asked
	raw, err := io.ReadAll(r)
	if err != nil {
		return q, errors.New("the body is too long, or broke off")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&q) != nil || len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		return asked{}, errors.New("want one JSON object with number, expires and, of a card that was read, entry, sequence and chip, and nothing else: a CVV is taken nowhere")
	}
	digits := func(s string, n int) bool { return s == "" || len(s) == n && strings.Trim(s, "0123456789") == "" }
	switch {
	case !digits(q.Entry, 3) || !digits(q.Sequence, 3):
		return asked{}, errors.New("entry and sequence have three digits")
	case q.Entry == "" && (q.Sequence != "" || len(q.Chip) > 0):
		return asked{}, errors.New("sequence and chip are of a card that was read: say how in entry")
	case len(q.Chip) > 255:
		return asked{}, errors.New("chip has 255 bytes at most")
	}
	return q, nil
}
