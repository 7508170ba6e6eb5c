package api

import (
	"errors"
	"net/http"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
)

// errMerchant says that the app's terms do not name a merchant.
var errMerchant = errors.New("the app may not order for this merchant: its terms do not name it")

// kind is one kind of problem. Words are an outside contract, listed in docs/gateway-api.md: they are never given a new meaning.
type kind struct {
	word   string
	status int
	is     error
}

// kinds is every kind that the gateway's errors have, the first that fits. An error of none is unavailable: it says nothing about the money.
var kinds = []kind{
	{"merchant", http.StatusForbidden, errMerchant},
	{"unknown-order", http.StatusNotFound, gateway.ErrUnknownOrder},
	{"unknown-agreement", http.StatusNotFound, gateway.ErrUnknownAgreement},
	{"unknown-binding", http.StatusNotFound, gateway.ErrUnknownBinding},
	{"not-typed", http.StatusGone, gateway.ErrNotTyped},
	{"code", http.StatusUnprocessableEntity, gateway.ErrCode},
	{"too-many-cards", http.StatusUnprocessableEntity, gateway.ErrCards},
	{"card-number", http.StatusBadRequest, gateway.ErrCardNumber},
	{"card-expired", http.StatusUnprocessableEntity, gateway.ErrCardExpired},
	{"key-reused", http.StatusConflict, gateway.ErrConflict},
	{"order-expired", http.StatusConflict, gateway.ErrExpired},
	{"order-state", http.StatusConflict, order.ErrState},
	{"no-channel", http.StatusUnprocessableEntity, gateway.ErrNoChannel},
	{"unsupported", http.StatusUnprocessableEntity, gateway.ErrUnsupported},
	{"too-much", http.StatusUnprocessableEntity, gateway.ErrTooMuch},
	{"payee-funds", http.StatusUnprocessableEntity, gateway.ErrFunds},
	{"payee-frozen", http.StatusUnprocessableEntity, gateway.ErrFrozen},
	{"refund-window", http.StatusUnprocessableEntity, gateway.ErrWindow},
	{"load-amount", http.StatusUnprocessableEntity, gateway.ErrLoadAmount},
	{"load-state", http.StatusConflict, gateway.ErrLoadState},
	{"blocked", http.StatusForbidden, gateway.ErrBlocked},
	{"request", http.StatusBadRequest, gateway.ErrRequest},
	{"request", http.StatusBadRequest, code.ErrUnknown},
}

// refusal is a problem that the API finds by itself. Its detail quotes nothing of the request's values.
type refusal struct {
	word   string
	status int
	detail string
}

// Error names word and detail.
func (r refusal) Error() string { return r.word + ": " + r.detail }

// fail answers with an error's problem, and tells the log what the answer does not.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if own, is := errors.AsType[refusal](err); is {
		app.WriteProblem(w, own.status, own.word, own.detail)
		return
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			app.WriteProblem(w, k.status, k.word, err.Error())
			return
		}
	}
	if r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "gateway api: request failed", "error", err)
	}
	app.WriteProblem(w, http.StatusServiceUnavailable, "unavailable", "The service could not do its work, which says nothing about the money. Sign the same request anew and send it again.")
}
