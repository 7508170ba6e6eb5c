package wechat

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

// fault is an error answer.
type fault struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

// statuses are the HTTP statuses of the codes; 400 for one that is not here.
var statuses = map[string]int{
	"SIGN_ERROR": 401, "NO_AUTH": 403, "OUT_TRADE_NO_USED": 403, "RULE_LIMIT": 403, "NOT_ENOUGH": 403, "NOTENOUGH": 403, "TRADE_ERROR": 403,
	"ACCOUNT_ERROR": 403, "ORDER_NOT_EXIST": 404, "RESOURCE_NOT_EXISTS": 404, "NOT_FOUND": 404, "FREQUENCY_LIMITED": 429, "SYSTEM_ERROR": 500, "BANK_ERROR": 500,
	"USERPAYING": 202,
}

func no(code, message string) *fault {
	status := statuses[code]
	if status == 0 {
		status = http.StatusBadRequest
	}
	return &fault{status, code, message}
}

func (s *Simulator) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /v3/pay/transactions/{product}", s.verified(sim.Pay, s.payRequest))
	m.HandleFunc("GET /v3/pay/transactions/out-trade-no/{number}", s.verified(sim.Query, s.queryRequest))
	m.HandleFunc("POST /v3/pay/transactions/out-trade-no/{number}/close", s.verified(sim.Close, s.closeRequest))
	m.HandleFunc("POST /v3/pay/transactions/out-trade-no/{number}/reverse", s.verified(sim.Close, s.reverseRequest))
	m.HandleFunc("POST /v3/refund/domestic/refunds", s.verified(sim.Refund, s.refundRequest))
	m.HandleFunc("GET /v3/refund/domestic/refunds/{number}", s.verified(sim.QueryRefund, s.queryRefundRequest))
	m.HandleFunc("POST /v3/fund-app/mch-transfer/transfer-bills", s.verified(sim.Payout, s.transferRequest))
	m.HandleFunc("GET /v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{number}", s.verified(sim.Query, s.queryTransferRequest))
	m.HandleFunc("GET /v3/bill/fundflowbill", s.verified(sim.Bill, s.fundBillRequest))
	m.HandleFunc("GET /v3/bill/tradebill", s.verified(sim.Bill, s.billRequest))
	m.HandleFunc("GET /v3/billdownload/file", s.downloadRequest)
	s.routes2(m)
	return m
}

func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// verified wraps a request that does something: who asks is verified, and its fate is obeyed.
func (s *Simulator) verified(op sim.Op, do func(r *http.Request, body []byte) (any, *fault)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			sim.Break()
		}
		if why := s.authentic(r, body); why != "" {
			s.answer(w, nil, no("SIGN_ERROR", why))
			return
		}
		s.settle()
		s.settleTransfers()
		fate := s.Weather.Draw(op, s.bankOf(body))
		s.Weather.Begin(r.Context(), fate)
		if fate.Error != "" && !fate.AndDone {
			s.answer(w, nil, no(fate.Error, "simulated"))
			return
		}
		out, refused := do(r, body)
		if fate.Early && refused == nil {
			s.early(r.Context(), body)
		}
		fate.End()
		if fate.Error != "" {
			out, refused = nil, no(fate.Error, "simulated")
		}
		s.answer(w, out, refused)
	}
}

// early lets the payer pay, and the notification arrive, before the answer.
func (s *Simulator) early(ctx context.Context, body []byte) {
	var in struct {
		Number string `json:"out_trade_no"`
	}
	if json.Unmarshal(body, &in) == nil && s.Pay(in.Number, Payer{}) == nil {
		s.Notices.Run(ctx)
	}
}

var authorization = regexp.MustCompile(`^WECHATPAY2-SHA256-RSA2048 mchid="([^"]*)",nonce_str="([^"]*)",timestamp="(\d+)",serial_no="([^"]*)",signature="([^"]*)"$`)

// authentic verifies a request of the merchant as WeChat Pay does. It says what is wrong, or "".
func (s *Simulator) authentic(r *http.Request, body []byte) string {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "the Authorization header does not read"
	}
	mchid, nonce, timestamp, serial, signature := m[1], m[2], m[3], m[4], m[5]
	if mchid != MerchantID || serial != s.keys.Serial {
		return "the merchant has no such certificate"
	}
	if len(nonce) == 0 || len(nonce) > 32 {
		return "the nonce is of a wrong length"
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if gap := s.clock.Now().Unix() - seconds; err != nil || gap > 300 || gap < -300 {
		return "the timestamp has expired"
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return "the signature is not base64"
	}
	text := r.Method + "\n" + r.RequestURI + "\n" + timestamp + "\n" + nonce + "\n" + string(body) + "\n"
	digest := sha256.Sum256([]byte(text))
	if rsa.VerifyPKCS1v15(&s.keys.Merchant.PublicKey, crypto.SHA256, digest[:], raw) != nil {
		return "the signature does not verify"
	}
	return ""
}

// answer writes and signs.
func (s *Simulator) answer(w http.ResponseWriter, out any, refused *fault) {
	status, body := http.StatusOK, []byte(nil)
	switch {
	case refused != nil:
		status, body = refused.status, mustJSON(refused)
	case out == nil:
		status = http.StatusNoContent
	default:
		body = mustJSON(out)
	}
	s.mu.Lock()
	signed := s.sign(s.clock.Now(), body)
	if s.probes > 0 {
		s.probes--
		signed.Set(consts.WechatPaySignature, "WECHATPAY/SIGNTEST/"+signed.Get(consts.WechatPaySignature))
	}
	s.mu.Unlock()
	for k, v := range signed {
		w.Header()[k] = v
	}
	if len(body) > 0 {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// sign is the headers that prove a body. The lock is held.
func (s *Simulator) sign(at time.Time, body []byte) http.Header {
	timestamp, nonce := strconv.FormatInt(at.Add(s.skew).Unix(), 10), fmt.Sprintf("%016x%016x", s.chance.Uint64(), s.chance.Uint64())
	signature, err := utils.SignSHA256WithRSA(timestamp+"\n"+nonce+"\n"+string(body)+"\n", s.platform)
	if err != nil {
		panic(err) // only a key that is none
	}
	h := http.Header{}
	h.Set(consts.WechatPaySerial, s.serial())
	h.Set(consts.WechatPayTimestamp, timestamp)
	h.Set(consts.WechatPayNonce, nonce)
	h.Set(consts.WechatPaySignature, signature)
	return h
}

// notify tells the merchant of what has happened. The lock is held.
func (s *Simulator) notify(url, event, kind string, what any) {
	s.seq++
	id, created, plain := fmt.Sprintf("EV-%016d", s.seq), s.clock.Now(), mustJSON(what)
	s.Notices.Send(sim.Notice{ID: id, URL: url, Make: func(at time.Time) gateway.Notification {
		s.mu.Lock()
		defer s.mu.Unlock()
		body := mustJSON(map[string]any{
			"id": id, "create_time": created.In(zone).Format(time.RFC3339), "resource_type": "encrypt-resource", "event_type": event,
			"summary": "simulated", "resource": s.seal(kind, plain),
		})
		h := s.sign(at, body)
		h.Set("Content-Type", "application/json")
		h.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
		return gateway.Notification{Header: h, Body: body, At: at}
	}})
}

// seal puts a resource under the API v3 key. The lock is held.
func (s *Simulator) seal(kind string, plain []byte) map[string]string {
	block, err := aes.NewCipher([]byte(v3Key))
	if err != nil {
		panic(err) // the key is a constant of 32 bytes
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, s.nonceLen)
	if err != nil {
		panic(err) // BadNonce was given 0
	}
	nonce := make([]byte, s.nonceLen)
	for i := range nonce {
		nonce[i] = "0123456789abcdefghijklmnopqrstuv"[s.chance.IntN(32)]
	}
	return map[string]string{
		"original_type": kind, "algorithm": "AEAD_AES_256_GCM", "associated_data": kind, "nonce": string(nonce),
		"ciphertext": base64.StdEncoding.EncodeToString(gcm.Seal(nil, nonce, plain, []byte(kind))),
	}
}

func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only of types that have no JSON
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
