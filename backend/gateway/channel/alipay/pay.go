package alipay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
)

type order struct {
	Number   string `json:"out_trade_no"`
	Amount   string `json:"total_amount"` // yuan
	Subject  string `json:"subject"`
	Product  string `json:"product_code,omitempty"`
	Expires  string `json:"time_expire,omitempty"`
	Passback string `json:"passback_params,omitempty"`
	Quit     string `json:"quit_url,omitempty"`
	Scene    string `json:"scene,omitempty"`
	Code     string `json:"auth_code,omitempty"`
	MiniApp  string `json:"op_app_id,omitempty"`
	Buyer    string `json:"buyer_id,omitempty"` // user number: 2088…
	OpenID   string `json:"buyer_open_id,omitempty"`

	Agreement *agreed `json:"agreement_params,omitempty"`
}

// agreed names the agreement that a debit is made under.
type agreed struct {
	Number string `json:"agreement_no"`
}

// products are the method and the product code that each of ours is sold as.
var products = map[channel.Product]struct{ method, code string }{
	channel.QR:      {methodQR, "FACE_TO_FACE_PAYMENT"},
	channel.Code:    {methodCode, "FACE_TO_FACE_PAYMENT"},
	channel.JSAPI:   {methodCreate, "JSAPI_PAY"},
	channel.App:     {methodApp, "QUICK_MSECURITY_PAY"},
	channel.H5:      {methodWap, "QUICK_WAP_WAY"},
	channel.NetBank: {methodPage, "FAST_INSTANT_TRADE_PAY"},
}

// product is the code that a product of ours is sold as; "" for none.
func (c *Channel) product(p channel.Product) string {
	if p == channel.Agreement {
		return c.set.Agreements.Product
	}
	return products[p].code
}

// Pay asks Alipay for a QR code or a trade for a mini program, or to charge a payment code or a payer who has signed for it. For an app and for pages it signs what the payer's device hands to Alipay:
// nothing is sent, and Alipay does not know the payment before the payer is there.
func (c *Channel) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	o, err := c.order(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	switch r.Product {
	case channel.QR, channel.JSAPI:
		return c.prepare(ctx, r, o)
	case channel.Code, channel.Agreement:
		return c.charge(ctx, r, o)
	}
	params, err := c.signed(products[r.Product].method, o, r.NotifyURL, r.ReturnURL)
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	action := channel.Action{URL: c.set.Gateway + "?" + params.Encode()}
	if r.Product == channel.App {
		action = channel.Action{Params: map[string]string{"orderStr": params.Encode()}}
	}
	return channel.Result{Outcome: channel.Pending, Number: r.Number, Action: action}, nil
}

var errQuery = errors.New("a query in the notify URL would come back among the signed parameters and break the signature: leave it out")

func hasQuery(url string) bool { return strings.ContainsAny(url, "?#") }

// order is a request as Alipay wants it. An error is about what can never be asked.
func (c *Channel) order(r channel.PayRequest) (order, error) {
	o := order{
		Number: r.Number, Amount: r.Money.Amount.String(), Subject: clean(r.Subject, 256), Product: c.product(r.Product),
		Passback: url.QueryEscape(r.Context),
	}
	if !r.Expires.IsZero() {
		o.Expires = r.Expires.In(Zone).Format(time.DateTime)
	}
	if err := errors.Join(checkNumber(r.Number), checkMoney(r.Money)); err != nil {
		return order{}, err
	}
	switch {
	case o.Product == "":
		return order{}, fmt.Errorf("%w: product %s", channel.ErrUnsupported, r.Product)
	case o.Subject == "":
		return order{}, errors.New("Alipay wants to know what is paid for: the subject is empty")
	case hasQuery(r.NotifyURL):
		return order{}, errQuery
	case r.Product == channel.Code && r.Payer.Code == "":
		return order{}, errors.New("the payment code is missing")
	case r.Product == channel.Code:
		o.Scene, o.Code = "bar_code", r.Payer.Code
	case r.Product == channel.Agreement && r.Payer.Agreement == "":
		return order{}, errors.New("Alipay's number of the agreement is missing")
	case r.Product == channel.Agreement:
		o.Agreement = &agreed{r.Payer.Agreement}
	case r.Product == channel.H5:
		o.Quit = r.ReturnURL
	case r.Product == channel.JSAPI && r.Payer.OpenID == "":
		return order{}, errors.New("a mini program needs the payer's open id")
	case r.Product == channel.JSAPI:
		o.MiniApp = c.set.MiniApp
		if strings.HasPrefix(r.Payer.OpenID, "2088") && len(r.Payer.OpenID) == 16 {
			o.Buyer = r.Payer.OpenID
		} else {
			o.OpenID = r.Payer.OpenID
		}
	}
	return o, nil
}

// prepare asks for a QR code, from which a trade comes into being when a payer scans it, or for a trade for a payer who is known.
func (c *Channel) prepare(ctx context.Context, r channel.PayRequest, o order) (channel.Result, error) {
	var out struct {
		Number string `json:"out_trade_no"`
		QR     string `json:"qr_code"`
		ID     string `json:"trade_no"`
	}
	no, err := c.call(ctx, products[r.Product].method, o, r.NotifyURL, &out)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w", r.Number, err)
	case no != nil:
		return c.refusedPay(ctx, no, r)
	case out.Number == r.Number && r.Product == channel.QR && out.QR != "":
		return channel.Result{Outcome: channel.Pending, Number: r.Number, Action: channel.Action{QR: out.QR}}, nil
	case out.Number == r.Number && r.Product == channel.JSAPI && out.ID != "":
		return channel.Result{Outcome: channel.Pending, Number: r.Number, ChannelID: out.ID, Action: channel.Action{Params: map[string]string{"tradeNO": out.ID}}}, nil
	}
	return channel.Result{}, fmt.Errorf("Alipay: payment %s: the answer is about %q, or has nothing for the payer to pay with", r.Number, out.Number)
}

// charge debits by payment code, or under an agreement.
func (c *Channel) charge(ctx context.Context, r channel.PayRequest, o order) (channel.Result, error) {
	t := trade{Status: success} // what it answers with a success is paid, and it says no state
	no, err := c.call(ctx, methodCode, o, r.NotifyURL, &t)
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w", r.Number, err)
	}
	if no != nil {
		return c.refusedPay(ctx, no, r)
	}
	return t.result(r.Number)
}

// refusedPay says what a refusal of Pay means. Where the number may stand from an earlier request, Alipay is asked; a number that it has
// refused and does not know has failed. A number that stands there with another amount is an error: two payments share it.
func (c *Channel) refusedPay(ctx context.Context, no *refusal, r channel.PayRequest) (channel.Result, error) {
	if v := no.verdict(); v != ask && v != clash {
		return no.result(r.Number), nil
	}
	now, err := c.Query(ctx, channel.Ref{Number: r.Number})
	return no.settled(now, err, r.Number, r.Money)
}

// settled joins a refusal with what Alipay has then said of the number.
func (r *refusal) settled(now channel.Result, err error, number string, asked channel.Money) (channel.Result, error) {
	switch {
	case err != nil:
		return channel.Result{}, err
	case now.Outcome == channel.Missing:
		now = r.result(number)
		if r.verdict() != clash {
			now.Outcome = channel.Failed
		}
	case !now.Money.Amount.IsZero() && now.Money != asked:
		return channel.Result{}, fmt.Errorf("Alipay: %s stands there with %s %s, and %s %s was asked for: one number was used for two things",
			number, now.Money.Amount, now.Money.Currency, asked.Amount, asked.Currency)
	}
	return now, nil
}

// Query asks for the state of a payment. Missing is also the answer for a QR code that nobody has scanned and a page that nobody has opened:
// they can be paid until they expire.
func (c *Channel) Query(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	if err := checkNumber(ref.Number); err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: %w: %w", channel.ErrNotSent, err)
	}
	var t trade
	no, err := c.call(ctx, methodQuery, map[string]any{"out_trade_no": ref.Number, "query_options": []string{"fund_bill_list"}}, "", &t)
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w", ref.Number, err)
	}
	if no != nil {
		return no.asked(ref.Number), nil
	}
	return t.result(ref.Number)
}

// Close closes a payment that waits for its payer. Where Alipay does not know it yet (see [Channel.Query]) there is nothing to close, and
// the result is Missing: only the end that was set in the request keeps it from being paid.
func (c *Channel) Close(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	now, err := c.Query(ctx, ref)
	if err != nil || now.Outcome != channel.Pending {
		return now, err
	}
	var out struct{}
	no, err := c.call(ctx, methodClose, map[string]string{"out_trade_no": ref.Number}, "", &out)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: payment %s: %w", ref.Number, err)
	case no != nil && no.verdict() == ask: // somebody was faster: paid, or closed
		return c.Query(ctx, ref)
	case no != nil:
		return no.asked(ref.Number), nil
	}
	now.Outcome, now.Code = channel.Closed, ""
	return now, nil
}

func checkNumber(n string) error {
	if n == "" || len(n) > 64 {
		return fmt.Errorf("number %.70q has %d characters: Alipay takes 1 to 64", n, len(n))
	}
	for _, r := range n {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_') {
			return fmt.Errorf("number %q has a character that Alipay does not take", n)
		}
	}
	return nil
}

// most is the highest amount that Alipay takes, in fen.
const most = 100_000_000_00

func checkMoney(m channel.Money) error {
	if m.Currency != currency {
		return fmt.Errorf("%w: currency %q", channel.ErrUnsupported, m.Currency)
	}
	if m.Amount.Sign() <= 0 || m.Amount.Minor() > most {
		return fmt.Errorf("%s is no amount to pay: Alipay takes 0.01 to 100000000", m.Amount)
	}
	return nil
}

// clean is a text without what Alipay does not take in one (/ = &) and what would break a row of its bill, cut to at most n bytes.
func clean(s string, n int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/=&,"'`, r) || unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s))
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// OwnCode knows payment codes of Alipay: 16 to 24 digits, of which the first two are 25 to 30 (Alipay, alipay.trade.pay, auth_code).
func (c *Channel) OwnCode(code string) bool {
	return len(code) >= 16 && len(code) <= 24 && channel.Digits(code) && code >= "25" && code < "31"
}
