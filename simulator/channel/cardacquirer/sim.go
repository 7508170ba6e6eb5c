package cardacquirer

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Numbers of fields (docs/channel-card.md).
const (
	fPAN      = 2
	fProc     = 3
	fAmount   = 4
	fSentAt   = 7
	fSTAN     = 11
	fTime     = 12
	fDate     = 13
	fExpiry   = 14
	fFunction = 24
	fReason   = 25
	fRRN      = 37
	fAuth     = 38
	fCode     = 39
	fTerminal = 41
	fMerchant = 42
	fState    = 44
	fCurrency = 49
	fOriginal = 61
	fNumber   = 63
	fNetwork  = 70
)

// Reversal is what the weather calls the reversal of a request that got no answer.
const Reversal sim.Op = "reversal"

// Config of a simulator.
type Config struct {
	Terminal string
	Merchant string
	Currency string // as CNY
	Number   string // as 156
	Zone     *time.Location
	MAC      adapter.MAC
	Framing  adapter.Framing
	Clock    clock.Clock
	Weather  *sim.Weather
}

// Card is a bank card. Amounts are minor units.
type Card struct {
	Number  string
	Expires string // YYMM
	Bank    string
	Balance int64
	Held    int64 // reserved of Balance
	Stopped bool
}

// Sim is the acquirer. It is safe for concurrent use.
type Sim struct {
	c Config

	mu       sync.Mutex
	cards    map[string]*Card
	txns     map[string]*txn // by retrieval reference
	order    []*txn
	auths    int
	withhold int
	held     []func()
	repeats  int
}

// txn is one transaction as the acquirer books it.
type txn struct {
	kind     string // purchase, authorisation, increment, refund, capture, reversal
	ask      adapter.Message
	answer   adapter.Message
	card     *Card
	orig     *txn
	amount   int64
	reserved int64
	paid     int64
	back     int64
	paidAt   time.Time
	state    string // response code, or RV or VD
}

// New starts an acquirer without cards.
func New(c Config) *Sim {
	return &Sim{c: c, cards: map[string]*Card{}, txns: map[string]*txn{}}
}

// AddCard has a bank issue a card.
func (s *Sim) AddCard(c Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cards[c.Number] = &c
}

// Card is a card as it stands.
func (s *Sim) Card(number string) Card {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.cards[number]
}

// Dial connects without a network.
func (s *Sim) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.c.Weather.Reachable() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	go s.talk(server)
	return client, nil
}

// Serve takes connections until the listener is closed.
func (s *Sim) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go s.talk(conn)
	}
}

// Withhold keeps back the next n answers, until LetGo.
func (s *Sim) Withhold(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withhold = n
}

// Withheld counts the answers that wait for LetGo.
func (s *Sim) Withheld() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// LetGo sends what was withheld, on the connections on which it was asked for.
func (s *Sim) LetGo() {
	s.mu.Lock()
	held := s.held
	s.held, s.withhold = nil, 0
	s.mu.Unlock()
	for _, send := range held {
		send()
	}
}

// Repeats counts the messages that said they were sent before.
func (s *Sim) Repeats() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repeats
}

// talk serves one connection.
func (s *Sim) talk(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // done with it
	var writing sync.Mutex
	signedOn := false
	for {
		packed, err := s.c.Framing.Read(conn)
		if !s.c.Weather.Reachable() {
			return // what is in the way now cuts lines that were open, too
		}
		if err != nil {
			return
		}
		m, err := adapter.Unpack(packed, s.c.MAC)
		if m.MTI == "" {
			return
		}
		answer, cut := adapter.Message{}, sim.NoCut
		switch {
		case err != nil:
			answer = reply(m, "A0")
		case m.MTI == "0800":
			signedOn = m.Fields[fNetwork] != "002" && (signedOn || m.Fields[fNetwork] == "001")
			answer = reply(m, "00")
		case !signedOn:
			answer = reply(m, "58")
		default:
			answer, cut = s.serve(m)
		}
		if cut != sim.NoCut {
			return
		}
		send := func() {
			if out, err := adapter.Pack(answer, s.c.MAC); err == nil {
				writing.Lock()
				defer writing.Unlock()
				_ = s.c.Framing.Write(conn, out)
			}
		}
		if !s.keepBack(m, send) {
			send()
		}
	}
}

func (s *Sim) keepBack(m adapter.Message, send func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.withhold == 0 || m.MTI == "0800" {
		return false
	}
	s.withhold--
	s.held = append(s.held, send)
	return true
}

// serve does one message, as the weather lets it.
func (s *Sim) serve(m adapter.Message) (adapter.Message, sim.Cut) {
	s.mu.Lock()
	op, bank := s.op(m), ""
	if c := s.cards[m.Fields[fPAN]]; c != nil {
		bank = c.Bank
	}
	if m.MTI[3] == '1' {
		s.repeats++
	}
	s.mu.Unlock()
	fate := s.c.Weather.Draw(op, bank)
	if s.c.Weather.Wait != nil && fate.Delay > 0 && s.c.Weather.Wait(context.Background(), fate.Delay) != nil || fate.Cut == sim.CutBefore {
		return adapter.Message{}, sim.CutBefore
	}
	var out adapter.Message
	if fate.Error == "" || fate.AndDone {
		out = s.do(m)
	}
	if fate.Error != "" {
		out = reply(m, fate.Error)
	}
	return out, fate.Cut
}

// op is what the weather calls a message.
func (s *Sim) op(m adapter.Message) sim.Op {
	switch m.MTI[:3] + m.Fields[fFunction] {
	case "010100":
		return sim.Authorise
	case "010107":
		return sim.Increment
	case "020200":
		if m.Fields[fProc] == "200000" {
			return sim.Refund
		}
		return sim.Pay
	case "022202":
		return sim.Capture
	case "040400":
		o := s.txns[m.Fields[fOriginal]]
		switch {
		case m.Fields[fReason] == "4021":
			return Reversal
		case o != nil && o.kind == "authorisation":
			return sim.Release
		}
		return sim.Void
	}
	return sim.Query
}

// reply answers a message: its fields come back, but what is the card's.
func reply(m adapter.Message, code string) adapter.Message {
	out := adapter.Message{MTI: adapter.Answers(m.MTI), Fields: map[int]string{fCode: code}}
	for _, n := range []int{fProc, fAmount, fSentAt, fSTAN, fTime, fDate, fFunction, fRRN, fTerminal, fMerchant, fCurrency, fOriginal, fNumber, fNetwork} {
		if v, ok := m.Fields[n]; ok {
			out.Fields[n] = v
		}
	}
	return out
}

func amountOf(m adapter.Message) int64 {
	n, err := strconv.ParseInt(m.Fields[fAmount], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
