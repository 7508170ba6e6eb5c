package alipay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// Agreements are what Alipay has given the merchant for debits without the payer. Names and values are of its contract with the merchant.
type Agreements struct {
	Product  string // product_code of signing and of debits: GENERAL_WITHHOLDING or CYCLE_PAY_AUTH; "": no agreements
	Personal string // personal_product_code; "" becomes Product with _P
	Scene    string // sign_scene, as INDUSTRY|CARRENTAL; not DEFAULT|DEFAULT, with which our numbers could not be given
	Open     Open   // where the payer signs; "" becomes OpenPage
	Period   Period // of personal product CYCLE_PAY_AUTH_P, and of no other
}

// Open is how the payer gets to the page that is signed.
type Open string

// Ways to it.
const (
	OpenPage Open = "page" // a page to open, inside Alipay's app
	OpenApp  Open = "app"  // a link that opens Alipay's app
	OpenQR   Open = "qr"   // a text to show as a QR code, on a computer
)

// Period is what Alipay holds every debit to, whoever signs: it cannot be changed for an agreement that is signed.
type Period struct {
	Type  string       // DAY or MONTH
	Every int          // so many; at least 7 days
	Most  money.Amount // of one debit
}

const (
	withholding = "GENERAL_WITHHOLDING"
	cycle       = "CYCLE_PAY_AUTH"
	cycleOf     = "CYCLE_PAY_AUTH_P"
)

// complete says what cannot be, and fills what may be left out.
func (a *Agreements) complete() error {
	if a.Product == "" {
		if *a != (Agreements{}) {
			return errors.New("agreements: the product (GENERAL_WITHHOLDING or CYCLE_PAY_AUTH) is missing")
		}
		return nil
	}
	if a.Personal == "" {
		a.Personal = a.Product + "_P"
	}
	if a.Open == "" {
		a.Open = OpenPage
	}
	p := a.Period
	switch {
	case a.Product != withholding && a.Product != cycle:
		return fmt.Errorf("agreements: product %q: want %s or %s", a.Product, withholding, cycle)
	case a.Scene == "" || a.Scene == "DEFAULT|DEFAULT":
		return fmt.Errorf("agreements: scene %q: want the one of the contract with Alipay, which takes our numbers with no other", a.Scene)
	case a.Open != OpenPage && a.Open != OpenApp && a.Open != OpenQR:
		return fmt.Errorf("agreements: open %q: want %s, %s or %s", a.Open, OpenPage, OpenApp, OpenQR)
	case a.Personal != cycleOf && p != (Period{}):
		return fmt.Errorf("agreements: a period is set, and %s has none: leave it out", a.Personal)
	case a.Personal == cycleOf && (p.Type != "DAY" && p.Type != "MONTH" || p.Every < 1 || p.Type == "DAY" && p.Every < 7):
		return fmt.Errorf("agreements: period %d %s: %s wants DAY from 7 on, or MONTH", p.Every, p.Type, cycleOf)
	case a.Personal == cycleOf && (p.Most.Sign() <= 0 || p.Most.Minor() > most):
		return fmt.Errorf("agreements: period: most %s: %s wants the highest amount of one debit", p.Most, cycleOf)
	}
	return nil
}

// periodRule is a Period as Alipay wants it.
type periodRule struct {
	Type  string `json:"period_type"`
	Every int    `json:"period"`
	First string `json:"execute_time"` // day of the first debit
	Most  string `json:"single_amount"`
}

// rule starts today; a month's rule on no day after the 28th, which Alipay does not take.
func (p Period) rule(now time.Time) *periodRule {
	if p == (Period{}) {
		return nil
	}
	first := now.In(Zone)
	if p.Type == "MONTH" && first.Day() > 28 {
		first = time.Date(first.Year(), first.Month()+1, 1, 0, 0, 0, 0, Zone)
	}
	return &periodRule{Type: p.Type, Every: p.Every, First: first.Format(time.DateOnly), Most: p.Most.String()}
}

// naming is what Alipay finds an agreement by: its own number, or ours with product and scene.
type naming struct {
	ID       string `json:"agreement_no,omitempty"`
	Number   string `json:"external_agreement_no,omitempty"`
	Personal string `json:"personal_product_code,omitempty"`
	Scene    string `json:"sign_scene,omitempty"`
}

func (c *Channel) naming(number, agreement string) naming {
	if agreement != "" {
		return naming{ID: agreement}
	}
	return naming{Number: number, Personal: c.set.Agreements.Personal, Scene: c.set.Agreements.Scene}
}

// checkAgreement is about what can never be asked.
func (c *Channel) checkAgreement(number string) error {
	if c.set.Agreements.Product == "" {
		return fmt.Errorf("%w: agreements are not set for app %s", channel.ErrUnsupported, c.set.AppID)
	}
	if len(number) > 32 || !alphanumeric(number) {
		return fmt.Errorf("number %.40q: Alipay takes 1 to 32 letters and digits for an agreement", number)
	}
	return nil
}

func alphanumeric(s string) bool {
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return false
		}
	}
	return s != ""
}

// Sign makes the page that the payer signs. Nothing is sent: Alipay knows the agreement when it is signed.
func (c *Channel) Sign(ctx context.Context, r channel.SignRequest) (channel.Signed, error) {
	err := errors.Join(ctx.Err(), c.checkAgreement(r.Number))
	if hasQuery(r.NotifyURL) {
		err = errors.Join(err, errQuery)
	}
	if err != nil {
		return channel.Signed{}, fmt.Errorf("Alipay: agreement %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	a := c.set.Agreements
	in := struct {
		naming
		Product string            `json:"product_code"`
		Access  map[string]string `json:"access_params"`
		Rule    *periodRule       `json:"period_rule_params,omitempty"`
	}{c.naming(r.Number, ""), a.Product, map[string]string{"channel": "ALIPAYAPP"}, a.Period.rule(c.set.Now())}
	if a.Open == OpenQR {
		in.Access["channel"] = "QRCODE"
	}
	params, err := c.signed(methodSign, in, r.NotifyURL, r.ReturnURL)
	if err != nil {
		return channel.Signed{}, fmt.Errorf("Alipay: agreement %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	page := c.set.Gateway + "?" + params.Encode()
	action := channel.Action{URL: page}
	switch a.Open {
	case OpenApp:
		action = channel.Action{URL: "alipays://platformapi/startapp?appId=60000157&appClearTop=false&startMultApp=YES&sign_params=" + url.QueryEscape(params.Encode())}
	case OpenQR:
		action = channel.Action{QR: page}
	}
	return channel.Signed{Outcome: channel.Pending, Number: r.Number, Action: action}, nil
}

// QueryAgreement asks whether an agreement is in force. Alipay knows none that has ended, so its own number tells the end of one from one that was never signed.
func (c *Channel) QueryAgreement(ctx context.Context, number, agreement string) (channel.Signed, error) {
	if err := c.checkAgreement(number); err != nil {
		return channel.Signed{}, fmt.Errorf("Alipay: %w: %w", channel.ErrNotSent, err)
	}
	var out struct {
		ID     string `json:"agreement_no"`
		Number string `json:"external_agreement_no"`
		Status string `json:"status"`
	}
	no, err := c.call(ctx, methodQueryAgreed, c.naming(number, agreement), "", &out)
	switch {
	case err != nil:
		return channel.Signed{}, fmt.Errorf("Alipay: agreement %s: %w", number, err)
	case no != nil:
		return no.agreement(number, agreement), nil
	case out.ID == "" || agreement != "" && out.ID != agreement || agreement == "" && out.Number != number || out.Number != "" && out.Number != number:
		return channel.Signed{}, fmt.Errorf("Alipay: asked about agreement %s (%s), and the answer is about %q (%q)", number, agreement, out.Number, out.ID)
	}
	return standing(out.Status, number, out.ID), nil
}

// standing is what a status says. STOP is a pause: nothing is debited, and nothing has ended.
func standing(status, number, agreement string) channel.Signed {
	s := channel.Signed{Number: number, Agreement: agreement}
	switch status {
	case "NORMAL":
		s.Outcome = channel.Succeeded
		return s
	case "TEMP":
		s.Outcome = channel.Pending
	case "UNSIGN":
		s.Outcome = channel.Closed
	}
	s.Code = status
	return s
}

// agreement is what a refusal says of an agreement: that it is not there, or nothing.
func (r *refusal) agreement(number, agreement string) channel.Signed {
	said := r.asked(number)
	out := channel.Signed{Outcome: said.Outcome, Number: number, Code: said.Code, Message: said.Message}
	if said.Outcome == channel.Missing && agreement != "" {
		out.Outcome, out.Agreement = channel.Closed, agreement
	}
	return out
}

// Unsign ends an agreement. One that has ended already is a success.
func (c *Channel) Unsign(ctx context.Context, number, agreement string) (channel.Signed, error) {
	if err := c.checkAgreement(number); err != nil {
		return channel.Signed{}, fmt.Errorf("Alipay: %w: %w", channel.ErrNotSent, err)
	}
	var out struct{}
	no, err := c.call(ctx, methodUnsign, c.naming(number, agreement), "", &out)
	switch {
	case err != nil:
		return channel.Signed{}, fmt.Errorf("Alipay: agreement %s: %w", number, err)
	case no != nil:
		return no.agreement(number, agreement), nil
	}
	return channel.Signed{Outcome: channel.Closed, Number: number, Agreement: agreement}, nil
}

// The kinds of notifications about agreements.
const (
	noticeSigned   = "dut_user_sign"
	noticeUnsigned = "dut_user_unsign"
)

// agreementTold is what a verified notification says of an agreement. That of a signing may come late, after the payer has ended it again: Alipay is asked.
func (c *Channel) agreementTold(ctx context.Context, v url.Values) ([]channel.Event, error) {
	number, agreement := v.Get("external_agreement_no"), v.Get("agreement_no")
	if number == "" || c.set.Agreements.Product == "" {
		return nil, nil // signed somewhere else, without us
	}
	if agreement == "" {
		return nil, fmt.Errorf("Alipay: notification %s: agreement_no is missing", v.Get("notify_id"))
	}
	var s channel.Signed
	switch kind, status := v.Get("notify_type"), v.Get("status"); {
	case kind == noticeUnsigned && status == "UNSIGN":
		s = standing(status, number, agreement)
	case kind == noticeSigned && status == "NORMAL":
		var err error
		if s, err = c.QueryAgreement(ctx, number, agreement); err != nil {
			return nil, err
		}
	default:
		return nil, nil // nothing that changes anything
	}
	return []channel.Event{{ID: v.Get("notify_id"), About: channel.OfAgreement, Agreement: agreement,
		Result: channel.Result{Outcome: s.Outcome, Number: number, Code: s.Code, Class: s.Class, Message: s.Message}}}, nil
}
