package alipay

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/alipay"
	sim "github.com/purselane/purselane/simulator/channel"
)

var zone = alipay.Zone

// fault is an answer that is no success.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"msg"`
	Sub     string `json:"sub_code,omitempty"`
	SubText string `json:"sub_msg,omitempty"`
	bare    bool   // without a signature
}

// no is the answer with a code. Codes of the gateway itself stand alone.
func no(sub, text string) *fault {
	f := &fault{Code: "40004", Message: "Business Failed", Sub: sub, SubText: text}
	switch {
	case sub == "10003":
		f.Code, f.Message, f.Sub = sub, "order success pay inprocess", ""
	case strings.Contains(sub, "unknow-error"):
		f.Code, f.Message = "20000", "Service Currently Unavailable"
	case strings.HasPrefix(sub, "isv."):
		f.Code, f.Message = "40002", "Invalid Arguments"
	}
	return f
}

// method is what the gateway does of one name.
type method struct {
	op sim.Op
	do func(s *Simulator, p url.Values, content []byte) (map[string]any, *fault)
}

var methods = map[string]method{
	"alipay.trade.precreate":                         {sim.Pay, (*Simulator).precreate},
	"alipay.trade.create":                            {sim.Pay, (*Simulator).create},
	"alipay.trade.pay":                               {sim.Pay, (*Simulator).pay},
	"alipay.trade.query":                             {sim.Query, (*Simulator).query},
	"alipay.trade.close":                             {sim.Close, (*Simulator).close},
	"alipay.trade.refund":                            {sim.Refund, (*Simulator).refund},
	"alipay.trade.fastpay.refund.query":              {sim.QueryRefund, (*Simulator).queryRefund},
	"alipay.fund.trans.uni.transfer":                 {sim.Payout, (*Simulator).transfer},
	"alipay.fund.trans.common.query":                 {sim.Query, (*Simulator).queryTransfer},
	"alipay.user.agreement.query":                    {sim.Query, (*Simulator).queryAgreement},
	"alipay.user.agreement.unsign":                   {sim.Unsign, (*Simulator).unsign},
	"alipay.data.dataservice.bill.downloadurl.query": {sim.Bill, (*Simulator).billURL},
}

func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/downloadBillFile.resource" {
		s.download(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		sim.Break()
	}
	params, err := url.ParseQuery(string(body))
	name := params.Get("method")
	m, known := methods[name]
	switch {
	case err != nil || !known:
		s.answer(w, "error", nil, &fault{Code: "40001", Message: "Missing Required Arguments", Sub: "isv.missing-method", bare: true})
		return
	case params.Get("app_id") != AppID:
		s.answer(w, "error", nil, &fault{Code: "40002", Message: "Invalid Arguments", Sub: "isv.invalid-app-id", bare: true})
		return
	}
	if refused := s.authentic(params); refused != nil {
		s.answer(w, name, nil, refused)
		return
	}
	content := []byte(params.Get("biz_content"))
	fate := s.Weather.Draw(m.op, s.bankOf(content))
	s.Weather.Begin(r.Context(), fate)
	if fate.Error != "" && !fate.AndDone {
		s.answer(w, name, nil, no(fate.Error, "simulated"))
		return
	}
	out, refused := m.do(s, params, content)
	if fate.Early && refused == nil {
		s.early(r.Context(), content)
	}
	fate.End()
	if fate.Error != "" {
		out, refused = nil, no(fate.Error, "simulated")
	}
	s.answer(w, name, out, refused)
}

// early lets the payer pay, and the notification arrive, before the answer.
func (s *Simulator) early(ctx context.Context, content []byte) {
	var in struct {
		Number string `json:"out_trade_no"`
	}
	if json.Unmarshal(content, &in) == nil {
		_ = s.Pay(in.Number, Payer{}) // a payment code may have paid it already
		s.Notices.Run(ctx)
	}
}

// text is what is signed of parameters: sorted by name and joined. Alipay leaves out sign, and sign_type too where it signs itself.
func text(v url.Values, without ...string) []byte {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains(without, name) {
			pairs = append(pairs, name+"="+v.Get(name))
		}
	}
	return []byte(strings.Join(pairs, "&"))
}

// authentic verifies a request of the app as Alipay does.
func (s *Simulator) authentic(p url.Values) *fault {
	if s.set.Mode == ByCertificate && p.Get("app_cert_sn") == "" {
		return no("isv.missing-app-cert-sn", "app_cert_sn is missing: the app is in certificate mode")
	}
	if s.set.Mode == ByCertificate && (p.Get("app_cert_sn") != alipay.SerialOf(s.keys.AppCertificate) || p.Get("alipay_root_cert_sn") != alipay.SerialOf(s.keys.Certificate)) {
		return no("isv.invalid-cert-info", "the app has no such certificate")
	}
	raw, err := base64.StdEncoding.DecodeString(p.Get("sign"))
	digest := sha256.Sum256(text(p, "sign"))
	if err != nil || p.Get("sign_type") != "RSA2" || rsa.VerifyPKCS1v15(&s.keys.App.PublicKey, crypto.SHA256, digest[:], raw) != nil {
		return no("isv.invalid-signature", "check the signature: is the app's public key on the open platform the one of this private key?")
	}
	if _, err := time.ParseInLocation(time.DateTime, p.Get("timestamp"), zone); err != nil || p.Get("charset") != "utf-8" || p.Get("version") != "1.0" {
		return no("isv.invalid-parameter", "timestamp, charset or version is wrong")
	}
	return nil
}

func (s *Simulator) sign(what []byte) string {
	digest := sha256.Sum256(what)
	raw, err := rsa.SignPKCS1v15(rand.Reader, s.signer, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // only a key that is none
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// answer writes and signs. Slashes are escaped as Alipay escapes them, so who writes the JSON anew has another text.
func (s *Simulator) answer(w http.ResponseWriter, name string, out map[string]any, refused *fault) {
	var said []byte
	if refused != nil {
		said = mustJSON(refused)
	} else {
		out["code"], out["msg"] = "10000", "Success"
		said = mustJSON(out)
	}
	said = bytes.ReplaceAll(said, []byte("/"), []byte(`\/`))
	s.mu.Lock()
	body := fmt.Sprintf(`{"%s_response":%s`, strings.ReplaceAll(name, ".", "_"), said)
	if refused == nil || !refused.bare {
		if s.set.Mode == ByCertificate {
			body += fmt.Sprintf(`,"alipay_cert_sn":%q`, alipay.SerialOf(s.keys.Certificate))
		}
		body += fmt.Sprintf(`,"sign":%q`, s.sign(said))
	}
	answer, proxy := []byte(body+"}"), s.proxy
	s.mu.Unlock()
	if proxy != nil {
		answer = proxy(answer)
	}
	w.Header().Set("Content-Type", "text/html;charset=utf-8")
	_, _ = w.Write(answer)
}

// notify tells the merchant of a trade. The lock is held.
func (s *Simulator) notify(t *trade, more map[string]string) {
	said := map[string]string{
		"out_trade_no": t.Number, "trade_no": t.id, "trade_status": t.state, "seller_id": SellerID, "total_amount": t.Amount, "subject": t.Subject,
		"gmt_create": stamp(t.made), "buyer_id": "2088102122524333",
	}
	if t.Passback != "" {
		said["passback_params"] = t.Passback
	}
	maps.Copy(said, more)
	s.post(t.notify, "trade_status_sync", said)
}

// post sends the merchant a notification of a kind. The lock is held.
func (s *Simulator) post(to, kind string, said map[string]string) {
	s.seq++
	v := url.Values{}
	for name, value := range map[string]string{
		"notify_id": fmt.Sprintf("%s%024d", s.clock.Now().In(zone).Format("20060102"), s.seq), "notify_type": kind,
		"notify_time": stamp(s.clock.Now()), "app_id": AppID, "auth_app_id": AppID, "charset": "utf-8", "version": "1.0", "sign_type": "RSA2",
	} {
		v.Set(name, value)
	}
	for name, value := range said {
		v.Set(name, value)
	}
	s.Notices.Send(sim.Notice{ID: v.Get("notify_id"), URL: to,
		Make: func(at time.Time) gateway.Notification {
			s.mu.Lock()
			defer s.mu.Unlock()
			v.Set("sign", s.sign(text(v, "sign", "sign_type")))
			return gateway.Notification{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, Body: []byte(v.Encode()), At: at}
		},
		Accepted: func(r gateway.Reply) bool { return r.Status == http.StatusOK && string(r.Body) == "success" },
	})
}

func stamp(t time.Time) string { return t.In(zone).Format(time.DateTime) }

func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only of types that have no JSON
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
