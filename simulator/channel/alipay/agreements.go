package alipay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// What the merchant was given for agreements.
const (
	SignScene   = "INDUSTRY|TRANSIT"
	signProduct = "GENERAL_WITHHOLDING"
	signCycle   = "CYCLE_PAY_AUTH"
)

// signRequest is a page that a payer is asked to sign.
type signRequest struct {
	Number   string `json:"external_agreement_no"`
	Personal string `json:"personal_product_code"`
	Scene    string `json:"sign_scene"`
	Product  string `json:"product_code"`
	Access   struct {
		Channel string `json:"channel"`
	} `json:"access_params"`
	Rule *struct {
		Type  string `json:"period_type"`
		Every int    `json:"period"`
		First string `json:"execute_time"`
		Most  string `json:"single_amount"`
	} `json:"period_rule_params"`
}

// covenant is an agreement that a payer has signed. Alipay forgets it when it ends.
type covenant struct {
	signRequest
	id     string
	notify string
	payer  Payer
	signed time.Time
	most   int64 // fen of one debit; 0: any
	ended  bool
	paused bool
}

// ErrNotSigned says that the page was not signed, or that no such agreement is in force.
var ErrNotSigned = errors.New("no such agreement")

// Sign lets a payer open the page that the adapter has made, or the link to Alipay's app, and sign. The error is what the payer's screen shows.
func (s *Simulator) Sign(what string, p Payer) error {
	_, query, _ := strings.Cut(what, "?")
	if v, err := url.ParseQuery(query); err == nil && strings.HasPrefix(what, "alipays://platformapi/startapp?") {
		query = v.Get("sign_params")
	}
	v, err := url.ParseQuery(query)
	if err != nil || v.Get("app_id") != AppID || v.Get("method") != "alipay.user.agreement.page.sign" {
		return ErrNotSigned
	}
	if refused := s.authentic(v); refused != nil {
		return fmt.Errorf("%w: %s: %s", ErrNotSigned, refused.Sub, refused.SubText)
	}
	c := &covenant{notify: v.Get("notify_url"), payer: p, signed: s.clock.Now()}
	if json.Unmarshal([]byte(v.Get("biz_content")), &c.signRequest) != nil {
		return fmt.Errorf("%w: biz_content does not read", ErrNotSigned)
	}
	if err := c.check(s.product()); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.covenants {
		if old.Number == c.Number {
			return fmt.Errorf("%w: number %s was signed before", ErrNotSigned, c.Number)
		}
	}
	s.seq++
	c.id = fmt.Sprintf("%s%012d", c.signed.In(zone).Format("20060102"), s.seq)
	s.covenants = append(s.covenants, c)
	s.tellAgreement(c, "dut_user_sign", "NORMAL", map[string]string{"sign_time": stamp(c.signed), "valid_time": stamp(c.signed), "invalid_time": "2115-02-01 00:00:00"})
	return nil
}

// product is the product code of the merchant's agreements.
func (s *Simulator) product() string {
	if s.set.Cycle {
		return signCycle
	}
	return signProduct
}

// check is what Alipay's page refuses.
func (c *covenant) check(product string) error {
	r := c.signRequest
	switch {
	case r.Number == "" || len(r.Number) > 32 || r.Scene != SignScene:
		return errors.New("external_agreement_no or sign_scene is wrong")
	case r.Product != product || r.Personal != product+"_P":
		return errors.New("the merchant has not signed up for this product")
	case r.Access.Channel != "ALIPAYAPP" && r.Access.Channel != "QRCODE":
		return errors.New("access_params is wrong")
	case (product == signCycle) != (r.Rule != nil):
		return errors.New("period_rule_params is missing, or not wanted")
	case r.Rule == nil:
		return nil
	}
	first, err := time.ParseInLocation(time.DateOnly, r.Rule.First, zone)
	most, bad := money.Parse(r.Rule.Most)
	if err != nil || bad != nil || most.Sign() <= 0 || r.Rule.Every < 1 || r.Rule.Type != "DAY" && r.Rule.Type != "MONTH" ||
		r.Rule.Type == "DAY" && r.Rule.Every < 7 || r.Rule.Type == "MONTH" && first.Day() > 28 {
		return errors.New("period_rule_params is wrong")
	}
	c.most = most.Minor()
	return nil
}

// EndAtAlipay ends an agreement as its payer does in Alipay's app, without the merchant, who is told.
func (s *Simulator) EndAtAlipay(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.covenants {
		if c.Number == number && !c.ended {
			s.endAgreement(c)
			return nil
		}
	}
	return ErrNotSigned
}

// Pause stops an agreement for a while, or lets it go on.
func (s *Simulator) Pause(number string, stop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.covenants {
		if c.Number == number {
			c.paused = stop
		}
	}
}

// endAgreement ends one and tells. The lock is held.
func (s *Simulator) endAgreement(c *covenant) {
	c.ended = true
	s.tellAgreement(c, "dut_user_unsign", "UNSIGN", map[string]string{"unsign_time": stamp(s.clock.Now())})
}

// tellAgreement tells the merchant. The lock is held.
func (s *Simulator) tellAgreement(c *covenant, kind, status string, more map[string]string) {
	more["external_agreement_no"], more["agreement_no"], more["status"], more["personal_product_code"], more["sign_scene"] = c.Number, c.id, status, c.Personal, c.Scene
	more["alipay_user_id"], more["alipay_logon_id"] = "2088102122524333", "188****8888"
	s.post(c.notify, kind, more)
}

// agreedOn is the agreement in force that a request names, by Alipay's number alone or by the merchant's with product and scene. The lock is held.
func (s *Simulator) agreedOn(content []byte) (*covenant, *fault) {
	var in struct {
		ID string `json:"agreement_no"`
		signRequest
	}
	if json.Unmarshal(content, &in) != nil || in.ID == "" && (in.Number == "" || in.Personal == "" || in.Scene == "") {
		return nil, no("INVALID_PARAMETER", "the agreement is not named")
	}
	for _, c := range s.covenants {
		if !c.ended && (c.id == in.ID || in.ID == "" && c.Number == in.Number && c.Personal == in.Personal && c.Scene == in.Scene) {
			return c, nil
		}
	}
	return nil, no("USER_AGREEMENT_NOT_EXIST", "there is no such agreement")
}

func (s *Simulator) queryAgreement(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.agreedOn(content)
	if refused != nil {
		return nil, refused
	}
	status := "NORMAL"
	if c.paused {
		status = "STOP"
	}
	return map[string]any{"agreement_no": c.id, "external_agreement_no": c.Number, "status": status, "personal_product_code": c.Personal, "sign_scene": c.Scene,
		"sign_time": stamp(c.signed), "valid_time": stamp(c.signed), "invalid_time": "2115-02-01 00:00:00", "principal_id": "2088102122524333"}, nil
}

func (s *Simulator) unsign(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.agreedOn(content)
	if refused != nil {
		return nil, refused
	}
	s.endAgreement(c)
	return map[string]any{}, nil
}

// debit takes money under an agreement, its payer not being there.
func (s *Simulator) debit(p url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, refused := s.read(p, content, s.product())
	if refused != nil {
		return nil, refused
	}
	if old, known := s.trades[t.Number]; known {
		if refused := s.again(old, t); refused != nil {
			return nil, refused
		}
		return nil, no("10003", "the debit is under way")
	}
	var c *covenant
	for _, one := range s.covenants {
		if one.id == t.Agreement.Number && !one.ended {
			c = one
		}
	}
	switch {
	case c == nil:
		return nil, no("ACQ.AGREEMENT_NOT_EXIST", "there is no such agreement, or not any more")
	case c.paused:
		return nil, no("ACQ.AGREEMENT_STATUS_NOT_NORMAL", "the agreement is stopped")
	case c.most > 0 && t.minor > c.most:
		return nil, no("ACQ.CYCLE_PAY_SINGLE_FEE_EXCEED", "more than the payer has agreed to")
	case c.payer.Short:
		return nil, no("ACQ.BUYER_BALANCE_NOT_ENOUGH", "the payer has not that much")
	}
	s.trades[t.Number] = t
	s.scan(t)
	s.take(t, c.payer)
	return t.charged(), nil
}
