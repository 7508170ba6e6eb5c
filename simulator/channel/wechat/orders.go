package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel/wechat"
)

var zone = wechat.Zone

// The states of an order.
const (
	notPaid  = "NOTPAY"
	paying   = "USERPAYING"
	paid     = "SUCCESS"
	refunded = "REFUND"
	closed   = "CLOSED"
	revoked  = "REVOKED"
	payError = "PAYERROR"
)

// orderRequest is what the merchant sends. Two requests of a number are the same when all of it is.
type orderRequest struct {
	AppID   string `json:"appid"`
	MchID   string `json:"mchid"`
	Subject string `json:"description"`
	Number  string `json:"out_trade_no"`
	Expires string `json:"time_expire"`
	Attach  string `json:"attach"`
	Notify  string `json:"notify_url"`
	Amount  struct {
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
	Payer struct {
		OpenID string `json:"openid"`
		Code   string `json:"auth_code"`
	} `json:"payer"`
	Scene struct {
		IP string `json:"payer_client_ip"`
		H5 *struct {
			Type string `json:"type"`
		} `json:"h5_info"`
		Store *struct {
			ID string `json:"id"`
		} `json:"store_info"`
	} `json:"scene_info"`
}

type order struct {
	orderRequest
	product string // as in the path: native, jsapi, h5, app, codepay
	state   string
	id      string // transaction_id
	made    time.Time
	expires time.Time
	paidAt  time.Time
	charges int
	ended   time.Time // of a payment code that was reversed
	payer   Payer
	handle  string // code_url, prepay_id or h5_url

	agreement string // of a debit: its contract_id
}

var tradeTypes = map[string]string{"native": "NATIVE", "jsapi": "JSAPI", "h5": "MWEB", "app": "APP", "codepay": "MICROPAY", debitProduct: "PAP"}

// lifetime is how long an order waits that says no end.
const lifetime = 2 * time.Hour

func (s *Simulator) payRequest(r *http.Request, body []byte) (any, *fault) {
	var in orderRequest
	product := r.PathValue("product")
	if err := json.Unmarshal(body, &in); err != nil || tradeTypes[product] == "" || product == debitProduct {
		return nil, no("PARAM_ERROR", "the request does not read")
	}
	if refused := s.checkOrder(product, in); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[in.Number]
	switch {
	case known && (o.orderRequest.content() != in.content() || o.product != product):
		return nil, no("OUT_TRADE_NO_USED", "the number is of another order")
	case known && product == "codepay":
		return s.charged(o)
	case known && (o.state == paid || o.state == refunded):
		return nil, no("ORDERPAID", "the order is paid")
	case known && s.over(o):
		return nil, no("ORDER_CLOSED", "the order is closed")
	case known:
		return o.prepaid(), nil
	}
	o = &order{orderRequest: in, product: product, state: notPaid, made: s.clock.Now()}
	if o.expires = o.made.Add(lifetime); in.Expires != "" {
		at, err := time.Parse(time.RFC3339, in.Expires)
		if err != nil || !at.After(o.made) {
			return nil, no("PARAM_ERROR", "time_expire is no time to come")
		}
		o.expires = at
	}
	s.seq++
	o.handle = fmt.Sprintf("%06d%s", s.seq, in.Number)
	if product == "codepay" {
		return s.charge(o)
	}
	s.orders[in.Number] = o
	return o.prepaid(), nil
}

// content is what makes two requests the same.
func (r orderRequest) content() string { return string(mustJSON(r)) }

func (s *Simulator) checkOrder(product string, in orderRequest) *fault {
	switch {
	case in.AppID != AppID || in.MchID != MerchantID:
		return no("APPID_MCHID_NOT_MATCH", "appid and mchid do not belong together")
	case len(in.Number) < 6 || len(in.Number) > 32:
		return no("PARAM_ERROR", "out_trade_no has 6 to 32 characters")
	case in.Amount.Total <= 0 || in.Amount.Currency != "CNY":
		return no("PARAM_ERROR", "amount.total is at least a fen, in CNY")
	case in.Subject == "" || len(in.Subject) > 127:
		return no("PARAM_ERROR", "description has 1 to 127 characters")
	case product != "codepay" && in.Notify == "":
		return no("PARAM_ERROR", "notify_url is missing")
	case product == "jsapi" && in.Payer.OpenID == "":
		return no("PARAM_ERROR", "payer.openid is missing")
	case product == "h5" && (in.Scene.IP == "" || in.Scene.H5 == nil):
		return no("PARAM_ERROR", "scene_info has no payer_client_ip or no h5_info")
	case product == "codepay" && (in.Payer.Code == "" || in.Scene.Store == nil):
		return no("PARAM_ERROR", "payer.auth_code or scene_info.store_info is missing")
	}
	return nil
}

func (o *order) prepaid() any {
	switch o.product {
	case "native":
		return map[string]string{"code_url": "weixin://wxpay/bizpayurl?pr=" + o.handle}
	case "h5":
		return map[string]string{"h5_url": "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx" + o.handle}
	}
	return map[string]string{"prepay_id": "wx" + o.handle}
}

// charge debits a payer by payment code. The lock is held.
func (s *Simulator) charge(o *order) (any, *fault) {
	payer, valid := s.codes[o.Payer.Code]
	if !valid || s.clock.Now().Sub(payer.shown) > time.Minute {
		return nil, no("AUTH_CODE_EXPIRED", "the payment code is not valid, or not any more")
	}
	delete(s.codes, o.Payer.Code)
	if payer.Short {
		return nil, no("NOTENOUGH", "the payer has not that much")
	}
	s.orders[o.Number] = o
	o.payer = payer
	if payer.Password || o.Amount.Total > 100_000 {
		o.state = paying
		return nil, no("USERPAYING", "the payer is typing the password")
	}
	s.take(o, payer)
	return o.transaction(), nil
}

// charged answers a payment code that comes again. The lock is held.
func (s *Simulator) charged(o *order) (any, *fault) {
	s.over(o)
	switch o.state {
	case paying:
		return nil, no("USERPAYING", "the payer is typing the password")
	case revoked, closed:
		return nil, no("ORDER_REVERSED", "the order was reversed")
	}
	return o.transaction(), nil
}

// over reports that nobody can pay an order any more, and closes one whose time is up. The lock is held.
func (s *Simulator) over(o *order) bool {
	if o.state == notPaid && o.product != "codepay" && !s.clock.Now().Before(o.expires) {
		o.state = closed
	}
	return o.state == closed || o.state == revoked || o.state == payError
}

// transaction is an order as WeChat Pay tells of it.
func (o *order) transaction() map[string]any {
	t := map[string]any{
		"appid": o.AppID, "mchid": o.MchID, "out_trade_no": o.Number, "trade_type": tradeTypes[o.product],
		"trade_state": o.state, "trade_state_desc": "simulated " + o.state, "attach": o.Attach,
		"amount": map[string]any{"total": o.Amount.Total, "currency": o.Amount.Currency, "payer_total": o.Amount.Total, "payer_currency": "CNY"},
	}
	if !o.paidAt.IsZero() {
		t["transaction_id"], t["bank_type"] = o.id, o.payer.Bank
		t["success_time"] = o.paidAt.In(zone).Format(time.RFC3339)
		t["payer"] = map[string]string{"openid": o.payer.OpenID}
	}
	return t
}

func (s *Simulator) queryRequest(r *http.Request, _ []byte) (any, *fault) {
	if r.URL.Query().Get("mchid") != MerchantID {
		return nil, no("PARAM_ERROR", "mchid is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[r.PathValue("number")]
	if !known || o.product == debitProduct { // which API v2 is asked about
		return nil, no("ORDER_NOT_EXIST", "there is no such order")
	}
	s.over(o)
	return o.transaction(), nil
}

func (s *Simulator) closeRequest(r *http.Request, body []byte) (any, *fault) {
	return s.end(r.PathValue("number"), body, false)
}

func (s *Simulator) reverseRequest(r *http.Request, body []byte) (any, *fault) {
	return s.end(r.PathValue("number"), body, true)
}

// end closes an order, or reverses a payment by payment code.
func (s *Simulator) end(number string, body []byte, reverse bool) (any, *fault) {
	var in struct {
		MchID string `json:"mchid"`
		AppID string `json:"appid"`
	}
	if json.Unmarshal(body, &in) != nil || in.MchID != MerchantID || reverse && in.AppID != AppID {
		return nil, no("PARAM_ERROR", "mchid or appid is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[number]
	switch {
	case !known:
		return nil, no("ORDER_NOT_EXIST", "there is no such order")
	case reverse != (o.product == "codepay"):
		return nil, no("INVALID_REQUEST", "a payment code is reversed, all else is closed")
	case reverse:
		o.state, o.ended = revoked, s.clock.Now()
	case o.state == paid || o.state == refunded:
		return nil, no("ORDERPAID", "the order is paid")
	default:
		o.state = closed
	}
	return nil, nil
}

// ErrNoSuchOrder says that nobody has asked for such a payment.
var ErrNoSuchOrder = errors.New("there is no such order")

// State is the state of an order, or "".
func (s *Simulator) State(number string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[number]
	if !known {
		return ""
	}
	s.over(o)
	return o.state
}
