package wechat

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Agreements are what WeChat Pay has given the merchant for debits without the payer (委托代扣). They are of API v2, whatever else is of v3.
type Agreements struct {
	Plan  string // plan_id: the template that payers sign; "": no agreements
	V2Key string // the API v2 key, 32 bytes
	IP    string // spbill_create_ip of debits, where no payer is there; "" becomes 127.0.0.1
}

func (a *Agreements) complete() error {
	if a.Plan == "" {
		if *a != (Agreements{}) {
			return errors.New("agreements: the template (plan_id) is missing")
		}
		return nil
	}
	if !channel.Digits(a.Plan) {
		return fmt.Errorf("agreements: plan %q: want the digits of a template's plan_id", a.Plan)
	}
	if len(a.V2Key) != 32 {
		return fmt.Errorf("agreements: the API v2 key has %d bytes, not 32", len(a.V2Key))
	}
	if a.IP == "" {
		a.IP = "127.0.0.1"
	}
	return nil
}

// checkAgreement is about what can never be asked.
func (c *Channel) checkAgreement(number string) error {
	if c.set.Agreements.Plan == "" {
		return fmt.Errorf("%w: agreements are not set for merchant %s", channel.ErrUnsupported, c.set.MerchantID)
	}
	return checkNumber(number)
}

// Sign makes the page that the payer signs inside WeChat. Nothing is sent: WeChat Pay knows the agreement when it is signed.
func (c *Channel) Sign(ctx context.Context, r channel.SignRequest) (channel.Signed, error) {
	err := errors.Join(ctx.Err(), c.checkAgreement(r.Number))
	if r.NotifyURL == "" || strings.ContainsAny(r.NotifyURL, "?#") {
		err = errors.Join(err, errors.New("WeChat Pay wants a notify URL without a query"))
	}
	if err != nil {
		return channel.Signed{}, fmt.Errorf("WeChat Pay: agreement %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	now, shown := c.set.Now().Unix(), plain(r.Plan, 32)
	if shown == "" {
		shown = r.Number
	}
	f := fields{"appid": c.set.AppID, "mch_id": c.set.MerchantID, "plan_id": c.set.Agreements.Plan, "contract_code": r.Number, "contract_display_account": shown,
		"request_serial": serialOf(now, r.Number), "notify_url": r.NotifyURL, "version": "1.0", "timestamp": strconv.FormatInt(now, 10)}
	f["sign"] = f.signature(c.set.Agreements.V2Key) // over the values as they are, and not as the URL has them
	v := url.Values{}
	for name, value := range f {
		v.Set(name, value)
	}
	return channel.Signed{Outcome: channel.Pending, Number: r.Number, Action: channel.Action{URL: c.set.Hosts[0] + "/papay/entrustweb?" + v.Encode()}}, nil
}

// serialOf is a request_serial: by time, and another one for each number. It has no leading zero and fits an int64 until the year 2262.
func serialOf(seconds int64, number string) string {
	digest := sha256.Sum256([]byte(number))
	return fmt.Sprintf("%d%09d", seconds, binary.BigEndian.Uint32(digest[:])%1_000_000_000)
}

// naming adds what WeChat Pay finds an agreement by: its own number, or ours with the template.
func (c *Channel) naming(number, agreement string) fields {
	if agreement != "" {
		return fields{"contract_id": agreement, "version": "1.0"}
	}
	return fields{"plan_id": c.set.Agreements.Plan, "contract_code": number, "version": "1.0"}
}

// QueryAgreement asks whether an agreement is in force.
func (c *Channel) QueryAgreement(ctx context.Context, number, agreement string) (channel.Signed, error) {
	if err := c.checkAgreement(number); err != nil {
		return channel.Signed{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	f, no, err := c.call2(ctx, "/papay/querycontract", c.naming(number, agreement))
	switch {
	case err != nil:
		return channel.Signed{}, err
	case no != nil:
		return no.agreement(number, agreement), nil
	case f["contract_code"] != number || agreement != "" && f["contract_id"] != agreement:
		return channel.Signed{}, fmt.Errorf("WeChat Pay: asked about agreement %s (%s), and the answer is about %q (%q)", number, agreement, f["contract_code"], f["contract_id"])
	}
	return standing(f, number), nil
}

// standing is what contract_state says. 1 is "not signed": it has ended if it ever was.
func standing(f fields, number string) channel.Signed {
	s := channel.Signed{Number: number, Agreement: f["contract_id"]}
	switch state := f["contract_state"]; {
	case state == "0" && s.Agreement != "":
		s.Outcome = channel.Succeeded
		return s
	case state == "1" && s.Agreement == "":
		s.Outcome = channel.Missing
	case state == "1":
		s.Outcome = channel.Closed
	case state == "9":
		s.Outcome = channel.Pending
	}
	s.Code, s.Message = "CONTRACT_STATE_"+f["contract_state"], f["contract_termination_remark"]
	return s
}

// agreement is what a refusal says of an agreement: that it is not there, or nothing.
func (r *refusal) agreement(number, agreement string) channel.Signed {
	out := channel.Signed{Number: number, Code: r.Code, Message: r.Message}
	if r.Code == noContract {
		if out.Outcome = channel.Missing; agreement != "" {
			out.Outcome, out.Agreement = channel.Closed, agreement
		}
	}
	return out
}

const noContract = "CONTRACT_NOT_EXIST"

// Unsign ends an agreement. One that has ended already is a success.
func (c *Channel) Unsign(ctx context.Context, number, agreement string) (channel.Signed, error) {
	if err := c.checkAgreement(number); err != nil {
		return channel.Signed{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	in := c.naming(number, agreement)
	in["contract_termination_remark"] = "ended by the merchant"
	_, no, err := c.call2(ctx, "/papay/deletecontract", in)
	switch {
	case err != nil:
		return channel.Signed{}, err
	case no != nil: // which code says that it has ended already is not known: it is asked
		if s := no.agreement(number, agreement); s.Outcome != channel.Unknown {
			return s, nil
		}
		now, err := c.QueryAgreement(ctx, number, agreement)
		if err == nil && now.Outcome != channel.Closed {
			now = no.agreement(number, agreement)
		}
		return now, err
	}
	return channel.Signed{Outcome: channel.Closed, Number: number, Agreement: agreement}, nil
}

// told2 reads a notification of API v2: a signing, an end, or the end of a debit.
func (c *Channel) told2(ctx context.Context, body []byte) ([]channel.Event, error) {
	got, err := ParseXML(body)
	if err != nil {
		return nil, &channel.ForgedError{Why: err.Error()}
	}
	f := fields(got)
	if err := f.authentic(c.set.Agreements.V2Key); err != nil {
		return nil, err
	}
	if f["mch_id"] != c.set.MerchantID || f["appid"] != "" && f["appid"] != c.set.AppID {
		return nil, fmt.Errorf("WeChat Pay: the notification is about app %q of merchant %q, and ours is %s of %s", f["appid"], f["mch_id"], c.set.AppID, c.set.MerchantID)
	}
	switch {
	case f["change_type"] != "":
		return c.agreementTold(ctx, f)
	case f["out_trade_no"] != "":
		return c.debitTold(ctx, f)
	}
	return nil, nil
}

// agreementTold: a message has no time of its own, and an old one may be sent again. So a signing counts when WeChat Pay, asked, says the same.
func (c *Channel) agreementTold(ctx context.Context, f fields) ([]channel.Event, error) {
	number, agreement := f["contract_code"], f["contract_id"]
	if f["plan_id"] != c.set.Agreements.Plan || f["result_code"] != "SUCCESS" {
		return nil, nil // of another template, or nothing has changed
	}
	if number == "" || agreement == "" {
		return nil, errors.New("WeChat Pay: the notification names no agreement")
	}
	s := channel.Signed{Outcome: channel.Closed, Code: "CONTRACT_TERMINATED_" + f["contract_termination_mode"]}
	switch f["change_type"] {
	case "DELETE":
	case "ADD":
		var err error
		if s, err = c.QueryAgreement(ctx, number, agreement); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	return []channel.Event{{About: channel.OfAgreement, Agreement: agreement, Result: channel.Result{Outcome: s.Outcome, Number: number, Code: s.Code, Message: s.Message}}}, nil
}
