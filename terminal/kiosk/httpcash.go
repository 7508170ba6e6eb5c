package kiosk

import (
	"context"
	"net/http"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// The API's JSON of electronic cash.
type (
	cashJSON struct {
		CardNumber string `json:"card_number"`
		Sequence   int    `json:"sequence"`
		ChipData   string `json:"chip_data"`
	}
	cashInfoJSON struct {
		Token   string        `json:"token"`
		Balance *money.Amount `json:"balance"`
		Blocked bool          `json:"blocked"`
		Open    string        `json:"open_load"`
		Waiting *WaitingLoad  `json:"waiting"`
	}
	cashAnswerJSON struct {
		Auth   hex10    `json:"issuer_authentication"`
		Script hexBytes `json:"script"`
	}
	reportJSON struct {
		Result string `json:"result"`
	}
	cashEvidenceJSON struct {
		Request cashJSON `json:"request"`
		Log     string   `json:"load_log,omitempty"`
	}
)

type (
	hex10    [10]byte
	hexBytes []byte
)

func (h *hex10) UnmarshalText(text []byte) error { return unhex(h[:], text) }

func (h *hexBytes) UnmarshalText(text []byte) error {
	*h = make([]byte, len(text)/2)
	return unhex(*h, text)
}

func codeCash(c CashRequest) cashJSON {
	return cashJSON{CardNumber: ids.CardNumber(c.Card).Reveal(), Sequence: int(c.Sequence), ChipData: upper(c.ChipData)}
}

func (i *cashInfoJSON) whole() bool { return i.Token != "" && i.Balance != nil && i.Waiting.whole() }

// whole wants a script that can be carried out: one that cannot would leave the money on its way to no purpose.
func (a *cashAnswerJSON) whole() bool {
	_, _, err := ec.ParseScript(a.Script)
	return a.Auth != hex10{} && err == nil
}

// LookupCash implements CashHost.
func (h *HTTPHost) LookupCash(ctx context.Context, c CashRequest) (CashInfo, error) {
	var out cashInfoJSON
	if err := h.call(ctx, http.MethodPost, []string{"v1", "cards", "lookup-ec"}, "", codeCash(c), &out); err != nil {
		return CashInfo{}, err
	}
	return CashInfo{Token: out.Token, Balance: *out.Balance, Blocked: out.Blocked, Open: out.Open, Waiting: out.Waiting}, nil
}

// AuthoriseCash implements CashHost.
func (h *HTTPHost) AuthoriseCash(ctx context.Context, id string, c CashRequest) (ec.Answer, error) {
	var out cashAnswerJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "authorise-ec"}, "", codeCash(c), &out)
	return ec.Answer{Auth: out.Auth, Script: out.Script}, err
}

// ReportScript implements CashHost.
func (h *HTTPHost) ReportScript(ctx context.Context, id string, r ec.ScriptResult) (Order, error) {
	var out orderJSON
	raw := r.Bytes()
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "script-result"}, "", reportJSON{upper(raw[:])}, &out)
	return out.order(), err
}

// ResolveCash implements CashHost.
func (h *HTTPHost) ResolveCash(ctx context.Context, id string, e CashEvidence) (Order, error) {
	var out orderJSON
	err := h.call(ctx, http.MethodPost, []string{"v1", "loads", id, "resolve-ec"}, "", cashEvidenceJSON{codeCash(e.CashRequest), upper(e.Log)}, &out)
	return out.order(), err
}
