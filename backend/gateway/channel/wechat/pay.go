package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
)

type amount struct {
	Total    int64  `json:"total"` // fen
	Currency string `json:"currency"`
}

type payer struct {
	OpenID string `json:"openid,omitempty"`
	Code   string `json:"auth_code,omitempty"`
}

type order struct {
	AppID     string         `json:"appid"`
	MchID     string         `json:"mchid"`
	Subject   string         `json:"description"`
	Number    string         `json:"out_trade_no"`
	Expires   string         `json:"time_expire,omitempty"`
	Attach    string         `json:"attach,omitempty"`
	NotifyURL string         `json:"notify_url,omitempty"`
	Amount    amount         `json:"amount"`
	Payer     *payer         `json:"payer,omitempty"`
	Scene     map[string]any `json:"scene_info,omitempty"`
}

// prepaid is the answer to an order that the payer is yet to pay: the field of its product is set.
type prepaid struct {
	QR     string `json:"code_url"`
	Prepay string `json:"prepay_id"`
	H5     string `json:"h5_url"`
}

// Pay makes the order at WeChat Pay; a payment code is charged at once, unless the payer must type a password. A debit under an agreement is taken later.
func (c *Channel) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	if r.Product == channel.Agreement {
		return c.debit(ctx, r)
	}
	o, err := c.order(r)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: payment %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	if r.Product == channel.Code {
		return c.charge(ctx, o)
	}
	var p prepaid
	no, err := c.call(ctx, http.MethodPost, "/v3/pay/transactions/"+paths[r.Product], o, &p)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return c.refusedPay(ctx, no, r.Number, r.Money)
	}
	action, err := c.action(ctx, r, p)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: payment %s: %w", r.Number, err)
	}
	return channel.Result{Outcome: channel.Pending, Number: r.Number, Action: action}, nil
}

var paths = map[channel.Product]string{channel.QR: "native", channel.JSAPI: "jsapi", channel.H5: "h5", channel.App: "app", channel.Code: "codepay"}

// order is a request as WeChat Pay wants it. An error is about what can never be asked.
func (c *Channel) order(r channel.PayRequest) (order, error) {
	o := order{
		AppID: c.set.AppID, MchID: c.set.MerchantID, Subject: short(r.Subject, 127), Number: r.Number, Attach: r.Context,
		NotifyURL: r.NotifyURL, Amount: amount{r.Money.Amount.Minor(), r.Money.Currency},
	}
	if !r.Expires.IsZero() {
		o.Expires = r.Expires.In(Zone).Format(time.RFC3339)
	}
	if err := checkNumber(r.Number); err != nil {
		return order{}, err
	}
	if err := checkMoney(r.Money); err != nil {
		return order{}, err
	}
	if strings.ContainsAny(r.NotifyURL, "?#") {
		return order{}, errors.New("WeChat Pay takes no notify URL with a query")
	}
	switch r.Product {
	case channel.QR, channel.App:
	case channel.JSAPI:
		if r.Payer.OpenID == "" {
			return order{}, errors.New("a page inside WeChat needs the payer's openid")
		}
		o.Payer = &payer{OpenID: r.Payer.OpenID}
	case channel.H5:
		if r.ClientIP == "" {
			return order{}, errors.New("H5 needs the payer's IP address")
		}
		o.Scene = map[string]any{"payer_client_ip": r.ClientIP, "h5_info": map[string]string{"type": "Wap"}}
	case channel.Code:
		if r.Payer.Code == "" {
			return order{}, errors.New("the payment code is missing")
		}
		// A payment code is answered at once or asked about: it has neither a notification nor an end of its own.
		o.Payer, o.NotifyURL, o.Expires = &payer{Code: r.Payer.Code}, "", ""
		o.Scene = map[string]any{"store_info": map[string]string{"id": c.set.Store}}
		if r.ClientIP != "" {
			o.Scene["device_ip"] = r.ClientIP
		}
	default:
		return order{}, fmt.Errorf("%w: product %s", channel.ErrUnsupported, r.Product)
	}
	return o, nil
}

func (c *Channel) action(ctx context.Context, r channel.PayRequest, p prepaid) (channel.Action, error) {
	var a channel.Action
	var err error
	switch {
	case r.Product == channel.QR && p.QR != "":
		a.QR = p.QR
	case r.Product == channel.H5 && p.H5 != "":
		a.URL = p.H5
		if r.ReturnURL != "" {
			a.URL += "&redirect_url=" + url.QueryEscape(r.ReturnURL)
		}
	case r.Product == channel.JSAPI && p.Prepay != "":
		a.Params, err = c.pageParams(ctx, p.Prepay)
	case r.Product == channel.App && p.Prepay != "":
		a.Params, err = c.appParams(ctx, p.Prepay)
	default:
		err = errors.New("the answer has nothing for the payer to pay with")
	}
	return a, err
}

// charge debits by payment code.
func (c *Channel) charge(ctx context.Context, o order) (channel.Result, error) {
	var t transaction
	no, err := c.call(ctx, http.MethodPost, "/v3/pay/transactions/"+paths[channel.Code], o, &t)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return c.refusedPay(ctx, no, o.Number, fen(o.Amount.Total, o.Amount.Currency))
	}
	r, err := c.result(t, o.Number)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w", err)
	}
	return r, nil
}

// refusedPay says what a refusal of Pay means. Where the number may stand from an earlier request, WeChat Pay is asked; a number that it
// has refused and does not know has failed. A number that stands there with another amount is an error: two payments share it.
func (c *Channel) refusedPay(ctx context.Context, no *refusal, number string, asked channel.Money) (channel.Result, error) {
	if no.verdict() != ask {
		return no.result(number), nil
	}
	now, err := c.Query(ctx, channel.Ref{Number: number})
	return no.settled(now, err, number, asked)
}

// settled joins a refusal with what WeChat Pay has then said of the number.
func (r *refusal) settled(now channel.Result, err error, number string, asked channel.Money) (channel.Result, error) {
	switch {
	case err != nil:
		return channel.Result{}, err
	case now.Outcome == channel.Missing:
		now = r.result(number)
		now.Outcome = channel.Failed
	case !now.Money.Amount.IsZero() && now.Money != asked:
		return channel.Result{}, fmt.Errorf("WeChat Pay: %s stands there with %s %s, and %s %s was asked for: one number was used for two things",
			number, now.Money.Amount, now.Money.Currency, asked.Amount, asked.Currency)
	}
	return now, nil
}

// Query asks for the state of a payment.
func (c *Channel) Query(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	r, _, err := c.query(ctx, ref.Number)
	return r, err
}

// query also says the type of the trade.
func (c *Channel) query(ctx context.Context, number string) (channel.Result, string, error) {
	if err := checkNumber(number); err != nil {
		return channel.Result{}, "", fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	var t transaction
	no, err := c.call(ctx, http.MethodGet, "/v3/pay/transactions/out-trade-no/"+number+"?mchid="+url.QueryEscape(c.set.MerchantID), nil, &t)
	if err != nil {
		return channel.Result{}, "", err
	}
	if no != nil {
		r := no.asked(number)
		if r.Outcome == channel.Missing && c.set.Agreements.Plan != "" {
			r, err = c.queryDebit(ctx, number) // debits are of API v2
			return r, debitType, err
		}
		return r, "", nil
	}
	r, err := c.result(t, number)
	if err != nil {
		return channel.Result{}, "", fmt.Errorf("WeChat Pay: %w", err)
	}
	return r, t.Type, nil
}

// asked is the result of a refused question: it says that the number is missing, or nothing. Never that the payment failed.
func (r *refusal) asked(number string) channel.Result {
	out := r.result(number)
	if out.Outcome != channel.Missing {
		out.Outcome = channel.Unknown
	}
	return out
}

// Close closes an order that nobody has paid. A payment by payment code is reversed instead, which gives money back that was taken
// meanwhile; WeChat Pay wants 15 seconds between the payment and that.
func (c *Channel) Close(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	now, kind, err := c.query(ctx, ref.Number)
	if err != nil || now.Outcome != channel.Pending {
		return now, err
	}
	if kind == debitType && c.set.Agreements.Plan != "" {
		return c.closeDebit(ctx, now)
	}
	target := "/v3/pay/transactions/out-trade-no/" + ref.Number + "/close"
	in := map[string]string{"mchid": c.set.MerchantID}
	if kind == micropay {
		target = "/v3/pay/transactions/out-trade-no/" + ref.Number + "/reverse"
		in["appid"] = c.set.AppID
	}
	no, err := c.call(ctx, http.MethodPost, target, in, nil)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil && no.verdict() == ask { // somebody was faster: paid, or closed
		return c.Query(ctx, ref)
	}
	if no != nil {
		return no.asked(ref.Number), nil
	}
	now.Outcome, now.Code, now.Message = channel.Closed, "", ""
	return now, nil
}

func checkNumber(n string) error {
	if len(n) < 6 || len(n) > 32 {
		return fmt.Errorf("number %q has %d characters: WeChat Pay takes 6 to 32", n, len(n))
	}
	for _, r := range n {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return fmt.Errorf("number %q has a character that is no digit and no letter", n)
		}
	}
	return nil
}

func checkMoney(m channel.Money) error {
	if m.Currency != "CNY" {
		return fmt.Errorf("%w: currency %q", channel.ErrUnsupported, m.Currency)
	}
	if m.Amount.Sign() <= 0 {
		return fmt.Errorf("%s is no amount to pay", m.Amount)
	}
	return nil
}

// short cuts a text to at most n bytes, between characters.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// OwnCode knows payment codes of WeChat Pay: 18 digits, of which the first two are 10 to 15 (WeChat Pay, payment code API, auth_code).
func (c *Channel) OwnCode(code string) bool {
	return len(code) == 18 && channel.Digits(code) && code >= "10" && code < "16"
}
