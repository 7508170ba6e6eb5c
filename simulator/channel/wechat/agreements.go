package wechat

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	sim "github.com/purselane/purselane/simulator/channel"
)

// What the merchant was given for agreements, which are of API v2.
const (
	PlanID = "12535"
	v2Key  = "192006250b4c09247ec02edce69f6a2d"
)

// DebitTakes is how long an accepted debit waits.
const DebitTakes = 5 * time.Second

// contract is an agreement.
type contract struct {
	number string // contract_code
	id     string
	serial string
	shown  string
	notify string
	payer  Payer
	signed time.Time
	ended  time.Time // zero: in force
	how    string    // contract_termination_mode
}

// ErrNotSigned says that the page was not signed, or that no such agreement is in force.
var ErrNotSigned = errors.New("no such agreement")

// text is what is signed of a message of API v2.
func text(f map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "sign" && f[name] != "" {
			pairs = append(pairs, name+"="+f[name])
		}
	}
	return strings.Join(pairs, "&") + "&key=" + v2Key
}

func sign2(f map[string]string) string {
	sum := md5.Sum([]byte(text(f)))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

var (
	code2  = regexp.MustCompile(`^[0-9A-Za-z_|*@-]{1,32}$`)
	serial = regexp.MustCompile(`^[1-9][0-9]{8,18}$`)
)

// Sign lets a payer open the page that the adapter has made, inside WeChat, and sign. The error is what the payer's screen shows. Who has signed a template
// cannot sign it again before that agreement has ended.
func (s *Simulator) Sign(page string, p Payer) error {
	head, query, _ := strings.Cut(page, "?")
	v, err := url.ParseQuery(query)
	if err != nil || !strings.HasSuffix(head, "/papay/entrustweb") {
		return ErrNotSigned
	}
	f := map[string]string{}
	for name, values := range v {
		f[name] = values[0]
	}
	_, bad := strconv.ParseInt(f["request_serial"], 10, 64)
	seconds, err := strconv.ParseInt(f["timestamp"], 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	if gap := s.clock.Now().Unix() - seconds; err != nil || len(f["timestamp"]) != 10 || gap < -300 || gap > 24*60*60 {
		return fmt.Errorf("%w: timestamp", ErrNotSigned)
	}
	switch {
	case f["sign"] != sign2(f):
		return fmt.Errorf("%w: SIGN_ERROR", ErrNotSigned)
	case f["appid"] != AppID || f["mch_id"] != MerchantID || f["plan_id"] != PlanID || f["version"] != "1.0":
		return fmt.Errorf("%w: the merchant has no such template", ErrNotSigned)
	case !code2.MatchString(f["contract_code"]) || !serial.MatchString(f["request_serial"]) || bad != nil:
		return fmt.Errorf("%w: contract_code or request_serial", ErrNotSigned)
	case f["contract_display_account"] == "" || len(f["contract_display_account"]) > 32 || strings.ContainsFunc(f["contract_display_account"], func(r rune) bool { return r > 0xFFFF }):
		return fmt.Errorf("%w: contract_display_account", ErrNotSigned)
	case f["notify_url"] == "" || strings.Contains(f["notify_url"], "?"):
		return fmt.Errorf("%w: notify_url", ErrNotSigned)
	}
	if p.OpenID == "" {
		p.OpenID = fmt.Sprintf("oUpF8uMuAJO_M2pxb1Q9zNjW%04d", len(s.contracts))
	}
	for _, c := range s.contracts {
		if c.number == f["contract_code"] || c.serial == f["request_serial"] || c.payer.OpenID == p.OpenID && c.ended.IsZero() {
			return fmt.Errorf("%w: signed already", ErrNotSigned)
		}
	}
	s.seq++
	c := &contract{number: f["contract_code"], serial: f["request_serial"], shown: f["contract_display_account"], notify: f["notify_url"], payer: p, signed: s.clock.Now(),
		id: fmt.Sprintf("Wx%020d", s.seq)}
	s.contracts = append(s.contracts, c)
	s.tellContract(c, "ADD", c.signed)
	return nil
}

// EndInWeChat ends an agreement as its payer does, without the merchant, who is told at the address of the template: here the one that the signing gave.
func (s *Simulator) EndInWeChat(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.contracts {
		if c.number == number && c.ended.IsZero() {
			s.endContract(c, "2")
			return nil
		}
	}
	return ErrNotSigned
}

// endContract ends one and tells. The lock is held.
func (s *Simulator) endContract(c *contract, how string) {
	c.ended, c.how = s.clock.Now(), how
	s.tellContract(c, "DELETE", c.ended)
}

// tellContract tells the merchant. The lock is held.
func (s *Simulator) tellContract(c *contract, change string, at time.Time) {
	f := map[string]string{"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": MerchantID, "contract_code": c.number, "contract_id": c.id, "openid": c.payer.OpenID,
		"plan_id": PlanID, "change_type": change, "operate_time": at.In(zone).Format(time.DateTime), "request_serial": c.serial}
	if change == "DELETE" {
		f["contract_termination_mode"] = c.how
	}
	s.post2(c.notify, f)
}

// post2 sends a notification of API v2. The lock is held.
func (s *Simulator) post2(to string, f map[string]string) {
	s.seq++
	f["sign"] = sign2(f)
	body := xmlOf(f)
	s.Notices.Send(sim.Notice{ID: fmt.Sprintf("V2-%016d", s.seq), URL: to,
		Make: func(at time.Time) gateway.Notification {
			return gateway.Notification{Header: http.Header{"Content-Type": {"text/xml"}}, Body: body, At: at}
		},
		Accepted: func(r gateway.Reply) bool {
			said, err := wechat.ParseXML(r.Body)
			return r.Status == http.StatusOK && err == nil && said["return_code"] == "SUCCESS"
		},
	})
}

func xmlOf(f map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString("<xml>\n")
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(&b, "  <%s>", name)
		if err := xml.EscapeText(&b, []byte(f[name])); err != nil {
			panic(err) // a buffer takes all
		}
		fmt.Fprintf(&b, "</%s>\n", name)
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

func (s *Simulator) routes2(m *http.ServeMux) {
	m.HandleFunc("POST /papay/querycontract", s.verified2(sim.Query, s.queryContract))
	m.HandleFunc("POST /papay/deletecontract", s.verified2(sim.Unsign, s.deleteContract))
	m.HandleFunc("POST /pay/pappayapply", s.verified2(sim.Pay, s.applyDebit))
	m.HandleFunc("POST /pay/orderquery", s.verified2(sim.Query, s.queryDebit))
	m.HandleFunc("POST /pay/closeorder", s.verified2(sim.Close, s.closeDebit))
}

// verified2 wraps a request of API v2: who asks is verified, and its fate is obeyed.
func (s *Simulator) verified2(op sim.Op, do func(in map[string]string) (map[string]string, *fault)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			sim.Break()
		}
		w.Header().Set("Content-Type", "text/xml")
		in, err := wechat.ParseXML(body)
		if err != nil || in["appid"] != AppID || in["mch_id"] != MerchantID || in["sign"] != sign2(in) {
			_, _ = w.Write(xmlOf(map[string]string{"return_code": "FAIL", "return_msg": "签名错误"})) // it is not signed
			return
		}
		s.settle()
		s.settleDebits()
		fate := s.Weather.Draw(op, "")
		s.Weather.Begin(r.Context(), fate)
		var out map[string]string
		var refused *fault
		if fate.Error == "" || fate.AndDone {
			out, refused = do(in)
			if fate.Early && refused == nil && op == sim.Pay {
				s.early2(r.Context(), in["out_trade_no"])
			}
		}
		fate.End()
		if fate.Error != "" {
			refused = no(fate.Error, "simulated")
		}
		answer := map[string]string{"return_code": "SUCCESS", "return_msg": "OK", "appid": AppID, "mch_id": MerchantID, "nonce_str": "IITRi8Iabbblz1Jc", "result_code": "SUCCESS"}
		if refused != nil {
			answer["result_code"], answer["err_code"], answer["err_code_des"] = "FAIL", refused.Code, refused.Message
		} else {
			maps.Copy(answer, out)
		}
		answer["sign"] = sign2(answer)
		_, _ = w.Write(xmlOf(answer))
	}
}

// early2 takes the money of a debit, and tells, before the answer.
func (s *Simulator) early2(ctx context.Context, number string) {
	s.mu.Lock()
	if o := s.orders[number]; o != nil && o.state == accepted {
		s.takeDebit(o)
	}
	s.mu.Unlock()
	s.Notices.Run(ctx)
}

// contractOf is the agreement that a request names, ended or not. The lock is held.
func (s *Simulator) contractOf(in map[string]string) *contract {
	for _, c := range s.contracts {
		if id := in["contract_id"]; id == c.id || id == "" && in["plan_id"] == PlanID && in["contract_code"] == c.number {
			return c
		}
	}
	return nil
}

func (s *Simulator) queryContract(in map[string]string) (map[string]string, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contractOf(in)
	if c == nil || in["version"] != "1.0" {
		return nil, no("CONTRACT_NOT_EXIST", "there is no such agreement")
	}
	out := map[string]string{"contract_id": c.id, "plan_id": PlanID, "openid": c.payer.OpenID, "request_serial": c.serial, "contract_code": c.number,
		"contract_display_account": c.shown, "contract_state": "0", "contract_signed_time": c.signed.In(zone).Format(time.DateTime)}
	if !c.ended.IsZero() {
		out["contract_state"], out["contract_terminated_time"], out["contract_termination_mode"] = "1", c.ended.In(zone).Format(time.DateTime), c.how
	}
	return out, nil
}

func (s *Simulator) deleteContract(in map[string]string) (map[string]string, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contractOf(in)
	switch {
	case c == nil:
		return nil, no("CONTRACT_NOT_EXIST", "there is no such agreement")
	case in["contract_termination_remark"] == "" || in["version"] != "1.0":
		return nil, no("PARAM_ERROR", "contract_termination_remark or version is missing")
	case !c.ended.IsZero():
		return nil, no("CONTRACT_TERMINATED", "the agreement has ended")
	}
	s.endContract(c, "3")
	return map[string]string{"contract_id": c.id, "plan_id": PlanID, "contract_code": c.number}, nil
}

// debitProduct is what an order of a debit has in place of a path of API v3.
const debitProduct = "pap"

// accepted is the state of a debit whose money is not taken yet.
const accepted = "ACCEPT"

func (s *Simulator) applyDebit(in map[string]string) (map[string]string, *fault) {
	total, err := strconv.ParseInt(in["total_fee"], 10, 64)
	if err != nil || total <= 0 || in["fee_type"] != "CNY" || len(in["out_trade_no"]) < 6 || len(in["out_trade_no"]) > 32 || in["body"] == "" || len(in["body"]) > 128 ||
		in["spbill_create_ip"] == "" || in["notify_url"] == "" || in["trade_type"] != "PAP" || in["nonce_str"] == "" {
		return nil, no("PARAM_ERROR", "the request does not read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, known := s.orders[in["out_trade_no"]]; known {
		switch {
		case o.product != debitProduct || o.Amount.Total != total || o.agreement != in["contract_id"]:
			return nil, no("OUT_TRADE_NO_USED", "the number is of another order")
		case o.state == paid || o.state == refunded:
			return nil, no("ORDERPAID", "the order is paid")
		case o.state != accepted:
			return nil, no("ORDERCLOSED", "the order is closed")
		}
		return nil, nil
	}
	c := s.contractOf(map[string]string{"contract_id": in["contract_id"]})
	if in["contract_id"] == "" || c == nil || !c.ended.IsZero() {
		return nil, no("CONTRACT_NOT_EXIST", "there is no such agreement")
	}
	o := &order{product: debitProduct, state: accepted, made: s.clock.Now(), payer: c.payer, agreement: c.id}
	o.AppID, o.MchID, o.Number, o.Subject, o.Attach, o.Notify = AppID, MerchantID, in["out_trade_no"], in["body"], in["attach"], in["notify_url"]
	o.Amount.Total, o.Amount.Currency = total, "CNY"
	o.expires = o.made.Add(DebitTakes)
	s.orders[o.Number] = o
	return nil, nil
}

// settleDebits takes the money of debits that are due.
func (s *Simulator) settleDebits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, number := range slices.Sorted(maps.Keys(s.orders)) {
		if o := s.orders[number]; o.state == accepted && !now.Before(o.expires) {
			s.takeDebit(o)
		}
	}
}

// takeDebit takes the money or ends the order, and tells. The lock is held.
func (s *Simulator) takeDebit(o *order) {
	f := map[string]string{"return_code": "SUCCESS", "appid": AppID, "mch_id": MerchantID, "nonce_str": "5d2b6c2a8db53831f7eda20af46e531c", "out_trade_no": o.Number, "contract_id": o.agreement,
		"fee_type": "CNY", "attach": o.Attach}
	switch c := s.contractOf(map[string]string{"contract_id": o.agreement}); {
	case !c.ended.IsZero():
		o.state, f["result_code"], f["err_code"] = closed, "FAIL", "CONTRACT_NOT_EXIST"
	case c.payer.Short:
		o.state, f["result_code"], f["err_code"] = closed, "FAIL", "NOTENOUGH"
	default:
		s.charged2(o, c.payer)
		maps.Copy(f, o.paid2())
		f["result_code"] = "SUCCESS"
	}
	s.post2(o.Notify, f)
}

// charged2 books the money of a debit. The lock is held.
func (s *Simulator) charged2(o *order, p Payer) {
	if p.Bank == "" {
		p.Bank = "OTHERS"
	}
	s.seq++
	o.charges++
	o.state, o.paidAt, o.payer = paid, s.clock.Now(), p
	o.id = fmt.Sprintf("42000000%s%012d", o.paidAt.In(zone).Format("20060102"), s.seq)
}

// paid2 is what API v2 says of a payment that was made.
func (o *order) paid2() map[string]string {
	return map[string]string{"transaction_id": o.id, "total_fee": strconv.FormatInt(o.Amount.Total, 10), "cash_fee": strconv.FormatInt(o.Amount.Total, 10), "bank_type": o.payer.Bank,
		"openid": o.payer.OpenID, "time_end": o.paidAt.In(zone).Format("20060102150405")}
}

func (s *Simulator) queryDebit(in map[string]string) (map[string]string, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[in["out_trade_no"]]
	if !known {
		return nil, no("ORDERNOTEXIST", "there is no such order")
	}
	s.over(o)
	out := map[string]string{"out_trade_no": o.Number, "trade_type": tradeTypes[o.product], "trade_state": o.state, "trade_state_desc": "simulated " + o.state, "attach": o.Attach,
		"total_fee": strconv.FormatInt(o.Amount.Total, 10), "fee_type": o.Amount.Currency}
	if !o.paidAt.IsZero() {
		maps.Copy(out, o.paid2())
	}
	return out, nil
}

func (s *Simulator) closeDebit(in map[string]string) (map[string]string, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[in["out_trade_no"]]
	switch {
	case !known:
		return nil, no("ORDERNOTEXIST", "there is no such order")
	case o.state == paid || o.state == refunded:
		return nil, no("ORDERPAID", "the order is paid")
	case s.over(o):
		return nil, no("ORDERCLOSED", "the order is closed")
	}
	o.state = closed
	return nil, nil
}
