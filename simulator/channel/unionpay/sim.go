package unionpay

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

// DebitAfter is how long after it has accepted a transaction UnionPay carries it out.
const DebitAfter = 2 * time.Second

// Gaps are UnionPay's from one notification to the next: five tries in all.
var Gaps = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute}

// Config of a simulator.
type Config struct {
	PKI      *PKI
	Merchant string
	TokenID  string
	Clock    clock.Clock
	Weather  *sim.Weather

	Unchecked bool // the merchant's contract opens a card by its number alone, and sends no code
}

// Sim is the gateway and its file server: an http.Handler. It is safe for concurrent use.
type Sim struct {
	c        Config
	notifier *sim.Notifier

	mu      sync.Mutex
	cards   map[string]*Card
	tokens  map[string]*token
	binds   map[string]*bind
	codes   map[string]string // texts to cardholders, by the opening's number
	txns    map[string]*txn   // by order number and time
	order   []*txn            // as they came
	flaws   []flaw
	serial  int
	balance int64 // of the merchant at UnionPay, fen
}

// Card is a bank card. Balances are in fen.
type Card struct {
	Number  string
	Bank    string // its code
	Phone   string
	CVN2    string // "" of a debit card: then none is asked for
	Expires string // YYMM
	Balance int64
	Stopped bool
	Holds   bool // the bank waits for its holder: see [Sim.Act]
}

type token struct {
	text  string
	order string
	card  *Card
	ended bool
}

type bind struct {
	card  *Card
	ended bool
}

// txn is one transaction as UnionPay books it.
type txn struct {
	form    adapter.Form // as it was asked for
	kind    string
	order   string
	amount  int64
	card    *Card
	orig    *txn
	due     time.Time // when it is carried out
	held    bool      // waits for the holder
	code    string    // 05 until it is carried out
	queryID string
	trace   int
	done    time.Time
	back    int64 // of a payment: given back or being given back
}

// New starts a simulator without cards.
func New(c Config) *Sim {
	return &Sim{c: c, notifier: sim.NewNotifier(c.Clock, c.Weather, Gaps), cards: map[string]*Card{}, tokens: map[string]*token{}, binds: map[string]*bind{}, codes: map[string]string{}, txns: map[string]*txn{}}
}

// Notifier sends the notifications.
func (s *Sim) Notifier() *sim.Notifier { return s.notifier }

// AddCard has a bank issue a card.
func (s *Sim) AddCard(c Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cards[c.Number] = &c
}

// Balance of a card, in fen.
func (s *Sim) Balance(number string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cards[number].Balance
}

func key(f adapter.Form) string { return f["orderId"] + " " + f["txnTime"] }

// ServeHTTP answers a merchant: backTransReq.do, queryTrans.do, and any other path as the file server. The page, frontTransReq.do, is
// [Sim.Visit].
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		sim.Break()
	}
	f, err := adapter.ParseForm(string(body))
	if err != nil {
		http.Error(w, "Invalid request.", http.StatusBadRequest)
		return
	}
	answer := s.serve(r, f)
	_, _ = io.WriteString(w, raw(s.c.PKI.sign(answer)))
}

// raw is an answer as UnionPay writes it: nothing escaped.
func raw(f adapter.Form) string {
	var b bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(f)) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + f[name])
	}
	return b.String()
}

func (s *Sim) serve(r *http.Request, f adapter.Form) adapter.Form {
	if code, text := s.refuse(f); code != "" {
		return answer(f, code, text)
	}
	s.mu.Lock()
	op, bank := s.op(f), ""
	if c := s.cardOf(f); c != nil {
		bank = c.Bank
	}
	s.mu.Unlock()
	fate := s.c.Weather.Draw(op, bank)
	s.c.Weather.Begin(r.Context(), fate)
	var out adapter.Form
	if fate.Error == "" || fate.AndDone {
		out = s.do(f)
		if fate.Early {
			s.hurry(key(f))
			s.notifier.Run(r.Context())
		}
	}
	if fate.Error != "" {
		out = answer(f, fate.Error, "as it was set up")
	}
	fate.End()
	return out
}

// do carries out what is due and then what is asked.
func (s *Sim) do(f adapter.Form) adapter.Form {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carryOut(s.c.Clock.Now())
	switch f["txnType"] {
	case "00":
		return s.query(f)
	case "76":
		return s.file(f)
	case "01", "11", "04", "31", "12":
		return s.take(f)
	case "72", "74", "75", "77", "78", "79":
		return s.binding(f)
	}
	return answer(f, "32", "no right to this transaction")
}

// op is what weather calls a request.
func (s *Sim) op(f adapter.Form) sim.Op {
	switch f["txnType"] {
	case "01", "11":
		return sim.Pay
	case "04":
		return sim.Refund
	case "31":
		return sim.Void
	case "12":
		return sim.Payout
	case "76":
		return sim.Bill
	case "72", "79":
		return sim.Sign
	case "74":
		return sim.Unsign
	}
	return sim.Query
}

// refuse says what is wrong with the form or its signature; "" where nothing is.
func (s *Sim) refuse(f adapter.Form) (code, text string) {
	for _, name := range []string{"version", "encoding", "certId", "signature", "signMethod", "txnType", "txnSubType", "bizType", "accessType", "merId", "txnTime"} {
		if f[name] == "" {
			return "13", name + " is missing"
		}
	}
	for name, value := range f {
		if value == "" {
			return "10", name + " is blank"
		}
	}
	pub := s.c.PKI.Merchant.Cert.PublicKey.(*rsa.PublicKey)
	switch _, err := time.Parse("20060102150405", f["txnTime"]); {
	case f["version"] != adapter.Version || f["encoding"] != "UTF-8" || f["signMethod"] != "01" || err != nil:
		return "10", "version, encoding, signMethod or txnTime"
	case f["merId"] != s.c.Merchant:
		return "31", "no such merchant"
	case f["certId"] != adapter.CertID(s.c.PKI.Merchant.Cert):
		return "11", "Verify signature fail: no certificate of that number"
	case !adapter.VerifyWith(pub, f):
		return "11", "Verify signature fail"
	}
	if n := len(f["orderId"]); f["txnType"] != "76" && (n < 8 || n > 40 || strings.ContainsAny(f["orderId"], "-_ ")) {
		return "10", "orderId"
	}
	return "", ""
}

// answer repeats what names a request, with a code.
func answer(f adapter.Form, code, text string) adapter.Form {
	out := adapter.Form{"respCode": code, "respMsg": fmt.Sprintf("%s[%s]", text, code)}
	for _, name := range []string{"version", "encoding", "signMethod", "txnType", "txnSubType", "bizType", "accessType", "merId", "orderId", "txnTime", "txnAmt", "currencyCode", "reqReserved", "bindId"} {
		if f[name] != "" {
			out[name] = f[name]
		}
	}
	return out
}

// open decrypts a sensitive field; "" where it does not.
func (s *Sim) open(f adapter.Form, name string) string {
	sealed, err := base64.StdEncoding.DecodeString(f[name])
	if err != nil || f["encryptCertId"] != adapter.CertID(s.c.PKI.Encrypt) {
		return ""
	}
	plain, err := rsa.DecryptPKCS1v15(nil, s.c.PKI.decrypts, sealed) //nolint:staticcheck // as UnionPay does
	if err != nil {
		return ""
	}
	return string(plain)
}

// composite reads {k=v&k=v}.
func composite(text string) adapter.Form {
	f, err := adapter.ParseAnswer(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}"))
	if err != nil {
		return adapter.Form{}
	}
	return f
}

func amountOf(f adapter.Form) int64 {
	n, err := strconv.ParseInt(f["txnAmt"], 10, 64)
	if err != nil || f["currencyCode"] != "156" {
		return 0
	}
	return n
}

// tell sends a notification of a transaction or a binding.
func (s *Sim) tell(f adapter.Form, to string) {
	if _, err := url.Parse(to); err != nil {
		return
	}
	s.notifier.Send(sim.Notice{ID: key(f), URL: to, Make: func(time.Time) gateway.Notification {
		return gateway.Notification{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"}}, Body: []byte(s.c.PKI.sign(maps.Clone(f)).Encode())}
	}, Accepted: func(r gateway.Reply) bool { return r.Status == http.StatusOK }})
}
