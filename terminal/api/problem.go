package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/purselane/purselane/terminal/edge"
)

// problem is an answer that says what is wrong (RFC 9457). Codes are an outside contract: docs/terminal-api.md lists them.
type problem struct {
	Code   string `json:"code"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy"`
}

var (
	probRequest = problem{Code: "request", Status: http.StatusBadRequest, Title: "the request does not follow the document",
		Remedy: "Make it as /v1/openapi.yaml says."}
	probMedia = problem{Code: "media-type", Status: http.StatusUnsupportedMediaType, Title: "the body is not JSON",
		Remedy: "Send Content-Type: application/json."}
	probNotFound = problem{Code: "not-found", Status: http.StatusNotFound, Title: "no such resource",
		Remedy: "Look the path up in /v1/openapi.yaml."}
	probToken = problem{Code: "token", Status: http.StatusUnauthorized, Title: "no token, or a wrong one",
		Remedy: "Send Authorization: Bearer and the token of api.token_file."}
	probOrigin = problem{Code: "origin", Status: http.StatusForbidden, Title: "a page of another site may not use this API",
		Remedy: "Call it from a program, or from the terminal's own pages."}
	probReused = problem{Code: "request-reused", Status: http.StatusUnprocessableEntity, Title: "the request id was used before for another amount",
		Remedy: "Use a new id for a new sale. A till must never do this."}
	probBusy = problem{Code: "request-busy", Status: http.StatusConflict, Title: "the same request is being served",
		Remedy: "Wait for its answer, or ask what became of it."}
	probLane = problem{Code: "lane", Status: http.StatusUnprocessableEntity, Title: "the lane does not sell amounts, or there is none of that number",
		Remedy: "Name a lane of mode sale; /v1/status lists them."}
	probUnknownSale = problem{Code: "unknown-request", Status: http.StatusNotFound, Title: "nothing is known of that request: nothing was taken for it",
		Remedy: "Sell it, if it is still wanted."}
	probVoid = problem{Code: "void-impossible", Status: http.StatusConflict, Title: "this sale cannot be taken back here",
		Remedy: "Refund it at a kiosk or through the operator."}
	probUnavailable = problem{Code: "unavailable", Status: http.StatusServiceUnavailable, Title: "the terminal cannot do it now",
		Remedy: "Look at /v1/status."}
)

func (p problem) with(detail string) problem { p.Detail = detail; return p }

// problemOf is the problem an error of the terminal is.
func problemOf(err error) problem {
	p := probUnavailable
	switch {
	case errors.Is(err, edge.ErrRequestID):
		p = probRequest
	case errors.Is(err, edge.ErrRequestReused):
		p = probReused
	case errors.Is(err, edge.ErrRequestBusy):
		p = probBusy
	case errors.Is(err, edge.ErrNotATill), errors.Is(err, edge.ErrNoLane):
		p = probLane
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p = probUnavailable
	}
	return p.with(err.Error())
}

func (p problem) write(w http.ResponseWriter) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone if this fails
}
