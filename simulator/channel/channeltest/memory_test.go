package channeltest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

// memory is a channel and its simulator in one, without a wire: the smallest thing that passes the suite. A bug is planted in it by name.
type memory struct {
	bug      string
	key      []byte
	clock    *clock.Manual
	weather  *sim.Weather
	notifier *sim.Notifier
	orders   map[string]*order
	refunds  map[string]*refund
	reserved map[string]*reservation
}

type order struct {
	channel.PayRequest
	will    channeltest.Will
	outcome channel.Outcome
	at      time.Time
	charges int
	back    int64
}

type refund struct {
	of     string
	amount int64
	at     time.Time
}

type reservation struct {
	amount int64
	done   string // number of what ended it
}

func newMemory(bug string) *memory {
	m := &memory{bug: bug, key: []byte("key of the channel"), clock: clock.NewManual(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)), weather: sim.NewWeather(1),
		orders: map[string]*order{}, refunds: map[string]*refund{}, reserved: map[string]*reservation{}}
	m.notifier = sim.NewNotifier(m.clock, m.weather, []time.Duration{15 * time.Second, 15 * time.Second, time.Minute, time.Hour})
	return m
}

func (m *memory) has(bug string) bool { return m.bug == bug }

func (m *memory) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.QR}, Currencies: []string{"CNY"}, Close: true, Refund: true, Void: true, Authorise: true, Bill: true, DayZone: time.UTC}
}

// enter is the way of every request into the channel.
func (m *memory) enter(ctx context.Context, op sim.Op) (sim.Fate, error) {
	if err := ctx.Err(); err != nil {
		return sim.Fate{}, err
	}
	if !m.weather.Reachable() {
		return sim.Fate{}, channel.ErrNotSent
	}
	f := m.weather.Draw(op, "")
	if f.Cut == sim.CutBefore {
		return f, sim.ErrBroken
	}
	return f, nil
}

func leave(f sim.Fate, r channel.Result) (channel.Result, error) {
	if f.Cut == sim.CutAfter {
		return channel.Result{}, sim.ErrBroken
	}
	return r, nil
}

func failed(number, code string) channel.Result {
	return channel.Result{Outcome: channel.Failed, Number: number, Code: code, Class: channel.ByPayer}
}

func (m *memory) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	f, err := m.enter(ctx, sim.Pay)
	if err != nil {
		if m.has("lost is failed") {
			return failed(r.Number, "TIMEOUT"), nil
		}
		return channel.Result{}, err
	}
	o, known := m.orders[r.Number]
	switch {
	case known && o.Money != r.Money:
		return failed(r.Number, "OTHER_AMOUNT"), nil
	case known:
		if m.has("charges twice") && o.outcome == channel.Succeeded {
			o.charges++
		}
	case f.Error == "NOMONEY":
		return failed(r.Number, f.Error), nil
	case f.Error != "" && !f.AndDone:
		return channel.Result{Code: f.Error}, nil
	default:
		o = &order{PayRequest: r, outcome: channel.Pending}
		m.orders[r.Number] = o
	}
	if f.Early {
		_ = m.Act(r.Number)
		m.notifier.Run(ctx)
	}
	if f.Error != "" {
		if m.has("trouble is failure") {
			return failed(r.Number, f.Error), nil
		}
		return channel.Result{Code: f.Error}, nil
	}
	res, err := leave(f, m.result(r.Number))
	if err != nil && m.has("lost is failed") {
		return failed(r.Number, "TIMEOUT"), nil
	}
	return res, err
}

func (m *memory) result(number string) channel.Result {
	o, known := m.orders[number]
	if !known {
		if m.has("missing is failed") {
			return failed(number, "NOTHERE")
		}
		return channel.Result{Outcome: channel.Missing, Number: number}
	}
	r := channel.Result{Outcome: o.outcome, Number: number, ChannelID: "m" + number}
	if o.outcome == channel.Succeeded {
		r.Money, r.At = o.Money, o.at
	}
	return r
}

// Act is the payer.
func (m *memory) Act(number string) error {
	o := m.orders[number]
	switch {
	case o == nil:
		return errors.New("nothing to pay")
	case o.outcome == channel.Succeeded:
		return nil
	case m.willOf(number) == channeltest.Declines:
		return nil
	case o.outcome == channel.Closed && !m.weather.Faults().LateSuccess && !m.has("closed can be paid"):
		return errors.New("closed")
	}
	o.outcome, o.at, o.charges = channel.Succeeded, m.clock.Now(), o.charges+1
	m.notifier.Send(sim.Notice{ID: number, URL: o.NotifyURL, Make: func(at time.Time) channel.Notification {
		body, _ := json.Marshal(map[string]any{"number": number, "amount": o.Money.Amount.Minor(), "at": o.at})
		return channel.Notification{Header: http.Header{"Content-Type": {"application/json"}, "Mac": {m.mac(body)}}, Body: body, At: at}
	}})
	return nil
}

func (m *memory) mac(body []byte) string {
	h := hmac.New(sha256.New, m.key)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

var wills = map[string]channeltest.Will{}

func (m *memory) willOf(number string) channeltest.Will { return wills[number] }

func (m *memory) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	f, err := m.enter(ctx, sim.Query)
	if err != nil {
		if m.has("unreachable is missing") {
			return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
		}
		return channel.Result{}, err
	}
	res := m.result(r.Number)
	if m.has("wrong amount") && res.Outcome == channel.Succeeded {
		res.Money.Amount = money.Minor(1)
	}
	return leave(f, res)
}

func (m *memory) Close(ctx context.Context, r channel.Ref) (channel.Result, error) {
	f, err := m.enter(ctx, sim.Close)
	if err != nil {
		return channel.Result{}, err
	}
	if o, known := m.orders[r.Number]; known && o.outcome == channel.Pending {
		o.outcome = channel.Closed
	} else if known && m.has("closes what is paid") {
		return channel.Result{Outcome: channel.Closed, Number: r.Number}, nil
	}
	return leave(f, m.result(r.Number))
}

func (m *memory) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return m.giveBack(ctx, sim.Refund, r)
}

func (m *memory) Void(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return m.giveBack(ctx, sim.Void, r)
}

func (m *memory) giveBack(ctx context.Context, op sim.Op, r channel.RefundRequest) (channel.Result, error) {
	f, err := m.enter(ctx, op)
	if err != nil {
		return channel.Result{}, err
	}
	o, known := m.orders[r.Of.Number]
	amount := r.Money.Amount.Minor()
	done, again := m.refunds[r.Number]
	again = again && !m.has("refunds twice")
	switch {
	case !known:
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	case again && done.amount != amount:
		return failed(r.Number, "OTHER_AMOUNT"), nil
	case again:
	case o.outcome != channel.Succeeded, o.back+amount > o.Money.Amount.Minor() && !m.has("refunds too much"):
		return failed(r.Number, "NOT_ENOUGH"), nil
	default:
		o.back += amount
		m.refunds[r.Number] = &refund{of: r.Of.Number, amount: amount, at: m.clock.Now()}
	}
	return leave(f, channel.Result{Outcome: channel.Succeeded, Number: r.Number, ChannelID: "m" + r.Number, Money: r.Money, At: m.clock.Now()})
}

func (m *memory) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	if err := ctx.Err(); err != nil {
		return channel.Result{}, err
	}
	if _, known := m.refunds[r.Number]; !known {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money}, nil
}

func (m *memory) Authorise(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	if m.reserved[r.Number] == nil {
		m.reserved[r.Number] = &reservation{amount: r.Money.Amount.Minor()}
		m.orders[r.Number] = &order{PayRequest: r, outcome: channel.Pending}
	}
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money}, nil
}

func (m *memory) Increment(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	m.reserved[r.Of.Number].amount += r.Money.Amount.Minor()
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number}, nil
}

func (m *memory) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	f, err := m.enter(ctx, sim.Capture)
	if err != nil {
		return channel.Result{}, err
	}
	a, o := m.reserved[r.Of.Number], m.orders[r.Of.Number]
	switch {
	case a.done == r.Number:
	case a.done != "" || r.Money.Amount.Minor() > a.amount && !m.has("captures too much"):
		return failed(r.Number, "NOT_RESERVED"), nil
	default:
		a.done, o.Money, o.outcome, o.at, o.charges = r.Number, r.Money, channel.Succeeded, m.clock.Now(), 1
	}
	return leave(f, channel.Result{Outcome: channel.Succeeded, Number: r.Number})
}

func (m *memory) Release(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	a := m.reserved[r.Of.Number]
	if !m.has("releases nothing") {
		a.done = r.Number
	}
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number}, nil
}

func (m *memory) Notified(_ context.Context, n channel.Notification) ([]channel.Event, error) {
	if n.Header.Get("Mac") != m.mac(n.Body) && !m.has("believes anybody") {
		return nil, &channel.ForgedError{Why: "the MAC is not by the channel's key"}
	}
	var said struct {
		Number string
		Amount int64
		At     time.Time
	}
	if err := json.Unmarshal(n.Body, &said); err != nil {
		return nil, &channel.ForgedError{Why: "no JSON"}
	}
	return []channel.Event{{ID: said.Number, About: channel.OfPayment, Result: channel.Result{Outcome: channel.Succeeded, Number: said.Number, ChannelID: "m" + said.Number, At: said.At,
		Money: channel.Money{Amount: money.Minor(said.Amount), Currency: "CNY"}}}}, nil
}

func (m *memory) Answer(err error) channel.Reply {
	if err != nil && !m.has("accepts what is not kept") {
		return channel.Reply{Status: http.StatusInternalServerError}
	}
	return channel.Reply{Status: http.StatusNoContent}
}

func (m *memory) Bill(_ context.Context, day string, each func(channel.BillRow) error) error {
	if m.clock.Now().Format(time.DateOnly) <= day {
		return channel.ErrNoBillYet
	}
	for n, o := range m.orders {
		if o.outcome != channel.Succeeded || o.at.Format(time.DateOnly) != day {
			continue
		}
		if err := each(channel.BillRow{Kind: channel.OfPayment, Number: n, ChannelID: "m" + n, Money: o.Money, At: o.at}); err != nil {
			return err
		}
	}
	for n, r := range m.refunds {
		if m.has("bill leaves out refunds") || r.at.Format(time.DateOnly) != day {
			continue
		}
		if err := each(channel.BillRow{Kind: channel.OfRefund, Number: n, Of: r.of, ChannelID: "m" + n, Money: channel.Money{Amount: money.Minor(r.amount), Currency: "CNY"}, At: r.at}); err != nil {
			return err
		}
	}
	return nil
}

// bench is memory as the suite wants it.
func bench(bug string) channeltest.Maker {
	return func(*testing.T) *channeltest.Bench {
		m := newMemory(bug)
		other := newMemory("")
		other.key = []byte("another key")
		return &channeltest.Bench{
			Channel: m, Clock: m.clock, Weather: m.weather, Notifier: m.notifier, Act: m.Act,
			Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
				wills[number] = will
				return channel.PayRequest{Number: number, Product: channel.QR, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, NotifyURL: "http://here/"}
			},
			Truth: func(number string) channeltest.Truth {
				o := m.orders[number]
				if o == nil || o.charges == 0 {
					return channeltest.Truth{}
				}
				return channeltest.Truth{Charges: o.charges, Paid: o.Money.Amount.Minor() * int64(o.charges), Refunded: o.back}
			},
			WrongKeys: []channeltest.WrongKey{{Name: "another key", Channel: other, Says: "the channel's key", Notify: true}},
			Codes:     []channeltest.Code{{Code: "NOMONEY", Outcome: channel.Failed, Class: channel.ByPayer}, {Code: "SYSTEMERROR"}},
		}
	}
}
