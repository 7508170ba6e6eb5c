package kiosk

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

// HTTPHost is the backend behind its HTTP API (version 1; docs/api.md). Every call is made again when it is not known
// whether it had its effect, as the API allows.
type HTTPHost struct {
	base  *url.URL
	token string

	// Client carries the calls. Default: a client of its own with a time-out of 10 s a try.
	Client *http.Client
	// Tries bounds how often one call is made. Default 4.
	Tries int
	// Wait is the pause before try n (2, 3 …). Default 250 ms, doubling.
	Wait func(n int) time.Duration
}

var _ CashHost = (*HTTPHost)(nil)

// maxAnswer bounds an answer of the backend; real ones are below 1 KiB.
const maxAnswer = 1 << 16

// NewHTTPHost makes a host of the API at baseURL, with an agent's bearer token. Plain http is for this machine only: the token
// would be readable on the way.
func NewHTTPHost(baseURL, token string) (*HTTPHost, error) {
	u, err := ParseAddress("backend address", baseURL)
	if err != nil {
		return nil, err
	}
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return nil, errors.New("backend token: want one word")
	}
	return &HTTPHost{base: u, token: token, Client: &http.Client{Timeout: 10 * time.Second}, Tries: 4,
		Wait: func(n int) time.Duration { return 125 * time.Millisecond << min(n, 8) / 2 }}, nil
}

// ParseAddress reads the address of a service that gets tokens and card numbers: https, or http on this machine. what names it in errors.
func ParseAddress(what, baseURL string) (*url.URL, error) {
	u, err := url.Parse(baseURL)
	// The address is not quoted in errors: someone may have put a password into it.
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s: want https://host[:port], and nothing of a user, query or fragment", what)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%s %s: plain http is for this machine only: use https", what, u)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// HostError is what the backend decided against a call.
type HostError struct {
	Status int
	Code   string // the problem's code
	Detail string // what is wrong
	Remedy string // what to do
}

// Error says what is wrong and what to do.
func (e *HostError) Error() string {
	return fmt.Sprintf("backend: %s (%s): %s", e.Detail, e.Code, e.Remedy)
}

// problems maps the API's codes.
var problems = map[string]error{
	"idempotency-conflict": ErrConflict,
	"amount":               ErrAmount,
	"max-balance":          ErrMaxBalance,
	"max-paid-out":         ErrMaxPaidOut,
	"unknown-order":        ErrUnknownOrder,
	"unknown-card":         ErrUnknownCard,
	"card-blocked":         ErrCardBlocked,
	"card-data":            ErrCardData,
	"mac1":                 ErrMAC1,
	"arqc":                 ErrARQC,
	"chip-data":            ErrChipData,
	"tac":                  ErrTAC,
	"other-card":           ErrOtherCard,
	"open-load":            ErrOpenLoad,
	"open-order":           ErrOpenEnd,
	"stale":                ErrStale,
	"challenge":            ErrChallenge,
	"state":                ErrState,
	"evidence":             ErrEvidence,
	"online-off":           ErrOnlineOff,
	"no-channel":           ErrNoChannel,
	"no-refund":            ErrNoRefund,
	"unauthorised":         ErrAccess,
	"forbidden":            ErrAccess,
	"unknown-agent":        ErrAccess,
	"paid-online":          ErrAccess, // only the gateway sells and refunds these
	"unknown-key":          ErrUnknownKey,
	"request":              ErrRequest,
	"media-type":           ErrRequest,
	"too-large":            ErrRequest,
	"not-found":            ErrRequest,
	"method":               ErrRequest,
}

// Unwrap lets errors.Is see the kind through the code. A code that is not known is a request the backend does not
// understand: it will not by being repeated.
func (e *HostError) Unwrap() error {
	if kind, ok := problems[e.Code]; ok {
		return kind
	}
	return ErrRequest
}

// Decided reports that the backend has answered an error of [Host]: repeating the call will not change the answer. Any other error says nothing of what was done.
func Decided(err error) bool { return decided(err) }

// decided reports that the backend has answered: repeating the call will not change the answer.
func decided(err error) bool {
	for _, kind := range []error{ErrConflict, ErrAmount, ErrMaxBalance, ErrMaxPaidOut, ErrUnknownOrder, ErrUnknownCard, ErrCardBlocked, ErrCardData, ErrUnknownKey,
		ErrMAC1, ErrARQC, ErrChipData, ErrTAC, ErrOtherCard, ErrOpenLoad, ErrOpenEnd, ErrStale, ErrChallenge, ErrState, ErrEvidence, ErrOnlineOff, ErrNoChannel, ErrNoRefund, ErrAccess, ErrRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// The API's JSON. Hexadecimal fields are upper case.
type (
	orderJSON struct {
		ID     string       `json:"id"`
		Amount money.Amount `json:"amount"`
		State  State        `json:"state"`
	}
	initJSON struct {
		CardNumber    string       `json:"card_number"`
		Issuer        string       `json:"issuer"`
		KeyLevels     int          `json:"key_levels"`
		KeyVersion    int          `json:"key_version"`
		Algorithm     int          `json:"algorithm"`
		Balance       money.Amount `json:"balance"`
		OnlineCounter uint16       `json:"online_counter"`
		Random        string       `json:"random"`
		MAC1          string       `json:"mac1"`
		Amount        money.Amount `json:"amount"`
		Terminal      string       `json:"terminal"`
	}
	openJSON struct {
		Order         string       `json:"order"`
		Amount        money.Amount `json:"amount"`
		OnlineCounter uint16       `json:"online_counter"`
		Challenge     hex6         `json:"challenge"`
	}
	infoJSON struct {
		Token   string       `json:"token"`
		Blocked bool         `json:"blocked"`
		Open    *openJSON    `json:"open_load"`
		Waiting *WaitingLoad `json:"waiting"`
	}
	authJSON struct {
		DateTime  hex7 `json:"date_time"`
		MAC2      hex4 `json:"mac2"`
		Challenge hex6 `json:"challenge"`
	}
	tacJSON struct {
		TAC string `json:"tac"`
	}
	evidenceJSON struct {
		TAC  string    `json:"tac,omitempty"`
		Init *initJSON `json:"init,omitempty"`
	}
	amountJSON struct {
		Amount money.Amount `json:"amount"`
	}
	problemJSON struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Remedy string `json:"remedy"`
	}
)

type (
	hex4 [4]byte
	hex6 [6]byte
	hex7 [7]byte
)

func (h *hex4) UnmarshalText(text []byte) error { return unhex(h[:], text) }
func (h *hex6) UnmarshalText(text []byte) error { return unhex(h[:], text) }
func (h *hex7) UnmarshalText(text []byte) error { return unhex(h[:], text) }

func unhex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("%d hexadecimal digits, want %d", len(text), 2*len(dst))
	}
	_, err := hex.Decode(dst, text)
	return err
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

func codeInit(c CardInit) *initJSON {
	a := c.Answer
	return &initJSON{CardNumber: c.Card.Reveal(), Issuer: upper(c.Issuer[:]), KeyLevels: c.Levels, KeyVersion: int(a.Version), Algorithm: int(a.Algorithm),
		Balance: a.Balance, OnlineCounter: a.Counter, Random: upper(a.Random[:]), MAC1: a.MAC1.String(), Amount: c.Amount, Terminal: c.Terminal.String()}
}

func (o orderJSON) order() Order { return Order(o) }

// An answer that decodes may still say nothing: "{}" would be an order without a state, or a MAC2 of zeros. Each answer
// knows what it must hold.

func (o *orderJSON) whole() bool {
	switch o.State {
	case Paid, InProgress, Uncertain, Loaded, Refunded:
		return o.ID != ""
	}
	return false
}

func (a *authJSON) whole() bool {
	return a.DateTime != hex7{} && a.Challenge != hex6{} // MAC2 may be anything, zeros too
}

func (i *infoJSON) whole() bool {
	o := i.Open
	return i.Token != "" && (o == nil || o.Order != "" && o.Amount.Sign() > 0 && o.Challenge != hex6{}) && i.Waiting.whole()
}

func (w *WaitingLoad) whole() bool {
	return w == nil || isOrderID(w.Order) && w.Order != "" && w.Amount.Sign() > 0
}

// orderOf is an order that belongs to the caller, so that its amount is told.
func orderOf(o orderJSON, err error) (Order, error) {
	if err == nil && o.Amount.Sign() <= 0 {
		err = fmt.Errorf("%w: order %s is over %v", ErrUnavailable, o.ID, o.Amount)
	}
	return o.order(), err
}

// CreateOrder implements Host.
func (h *HTTPHost) CreateOrder(ctx context.Context, key string, amount money.Amount) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads"}, key, amountJSON{amount}, &out)
	return orderOf(out, err)
}

// Order implements Host.
func (h *HTTPHost) Order(ctx context.Context, id string) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodGet, []string{"v1", "loads", id}, "", nil, &out)
	return orderOf(out, err)
}

// Lookup implements Host.
func (h *HTTPHost) Lookup(ctx context.Context, c CardInit) (CardInfo, error) {
	var out infoJSON
	if err := h.call(ctx, http.MethodPost, []string{"v1", "cards", "lookup"}, "", codeInit(c), &out); err != nil {
		return CardInfo{}, err
	}
	info := CardInfo{Token: out.Token, Blocked: out.Blocked, Waiting: out.Waiting}
	if o := out.Open; o != nil {
		info.Open = &OpenLoad{Order: o.Order, Amount: o.Amount, Counter: o.OnlineCounter, Challenge: ep.TerminalNumber(o.Challenge)}
	}
	return info, nil
}

// Authorise implements Host.
func (h *HTTPHost) Authorise(ctx context.Context, id string, c CardInit) (Authorisation, error) {
	var out authJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "authorise"}, "", codeInit(c), &out)
	return Authorisation{DateTime: ep.DateTime(out.DateTime), MAC2: ep.MAC(out.MAC2), Challenge: ep.TerminalNumber(out.Challenge)}, err
}

// Confirm implements Host.
func (h *HTTPHost) Confirm(ctx context.Context, id string, tac ep.MAC) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "confirm"}, "", tacJSON{tac.String()}, &out)
	return out.order(), err
}

// Uncertain implements Host.
func (h *HTTPHost) Uncertain(ctx context.Context, id string) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "uncertain"}, "", nil, &out)
	return out.order(), err
}

// Resolve implements Host.
func (h *HTTPHost) Resolve(ctx context.Context, id string, e Evidence) (Order, error) {
	var in evidenceJSON
	if e.TAC != nil {
		in.TAC = e.TAC.String()
	}
	if e.Init != nil {
		in.Init = codeInit(*e.Init)
	}
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "resolve"}, "", in, &out)
	return out.order(), err
}

// answer is what a call is answered with.
type answer interface{ whole() bool }

// call makes one call as often as it takes.
func (h *HTTPHost) call(ctx context.Context, method string, path []string, key string, in any, out answer) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("backend: code the request: %w", err)
		}
	}
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	target := h.base.JoinPath(path...).String()
	var last error
	for try := 1; try <= max(h.Tries, 1); try++ {
		if try > 1 {
			timer := time.NewTimer(h.Wait(try))
			select {
			case <-ctx.Done():
				timer.Stop()
				return fmt.Errorf("%w: %w (%v)", ErrUnavailable, ctx.Err(), last)
			case <-timer.C:
			}
		}
		again, err := h.try(ctx, method, target, key, body, out)
		if err == nil || !again {
			return err
		}
		last = err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, last)
}

// try makes one call once. again says that its effect is not known, or that the backend asks to be asked again.
func (h *HTTPHost) try(ctx context.Context, method, target, key string, body []byte, out answer) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("backend: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	client := *h.Client
	// The API redirects nowhere, and a body with a card number in it goes to no other address than the one configured.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return true, fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		if err := json.Unmarshal(raw, out); err != nil || !out.whole() {
			// The error's text could quote the answer, and this is the backend's doing: it has no place in a kiosk's log.
			return true, errors.New("the answer is not the API's")
		}
		return false, nil
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout:
		return true, fmt.Errorf("status %d", resp.StatusCode)
	}
	var p problemJSON
	if err := json.Unmarshal(raw, &p); err != nil || p.Code == "" {
		return false, &HostError{Status: resp.StatusCode, Code: "none", Detail: fmt.Sprintf("status %d without a problem document", resp.StatusCode),
			Remedy: "check the backend's address"}
	}
	return false, &HostError{Status: resp.StatusCode, Code: p.Code, Detail: p.Detail, Remedy: p.Remedy}
}
