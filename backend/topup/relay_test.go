package topup_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/simulator/epcard"
)

// phone is a far card behind HTTP: a rider's phone, at whose back the card lies. Each message is one APDU. The relay cuts the line once, at
// one message, before it reaches the card or before its answer comes back; the card has left the field then.
type phone struct {
	server *httptest.Server
	cut    int  // the message that is cut, counted from 1; 0: none
	after  bool // its answer is lost
	n      int  // messages so far
	gone   bool
}

func newPhone(t *testing.T, card func() apdu.Transmitter) *phone {
	p := &phone{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		raw, err := hex.DecodeString(string(text))
		require.NoError(t, err)
		answer, err := card().Transmit(r.Context(), raw)
		if err != nil {
			http.Error(w, "no card", http.StatusGone)
			return
		}
		fmt.Fprintf(w, "%x", answer)
	}))
	t.Cleanup(p.server.Close)
	return p
}

// Transmit implements apdu.Transmitter. Who sends over a relay can never tell whether the card has heard it.
func (p *phone) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	lost := fmt.Errorf("%w: the relay is cut", apdu.ErrNoAnswer)
	p.n++
	if p.gone || p.n == p.cut && !p.after {
		p.gone = true
		return nil, lost
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.server.URL, bytes.NewReader(fmt.Appendf(nil, "%x", command)))
	if err != nil {
		return nil, err
	}
	a, err := p.server.Client().Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		return nil, lost
	}
	if p.n == p.cut {
		p.gone = true
		return nil, lost
	}
	return hex.DecodeString(string(text))
}

// farEC is one presentation of an electronic cash card over the relay, and what the loading side does then.
func (d *ecDesk) farEC(id string, p *phone) error {
	v, err := d.ask(p)
	if err != nil {
		return err
	}
	info, err := d.topup.LookupEC(d.ctx, bus, v.said)
	require.NoError(d.t, err)
	if info.Open != "" {
		log, err := v.card.LoadLog(d.ctx)
		if err != nil {
			return err
		}
		_, err = d.topup.ResolveEC(d.ctx, bus, info.Open, topup.ECEvidence{ECCard: v.said, Log: log})
		require.NoError(d.t, err)
	}
	if d.state(id) == topup.Loaded {
		return nil
	}
	result, err := v.online.Answer(d.ctx, d.authoriseEC(id, v))
	_, err2 := d.topup.ReportEC(d.ctx, bus, id, result)
	require.NoError(d.t, err2)
	return err
}

// farEP is one presentation of an EP purse over the relay.
func (d *desk) farEP(id string, p *phone) error {
	card, _, err := ep.Select(d.ctx, p, ep.AIDTUnion)
	if err != nil {
		return err
	}
	public, err := card.ReadPublic(d.ctx)
	if err != nil {
		return err
	}
	ask := func(minor int64, terminal ep.TerminalNumber) (topup.CardInit, error) {
		a, err := card.InitLoad(d.ctx, 1, amount(minor), terminal)
		return topup.CardInit{Card: public.CardNumber, Issuer: public.Issuer, Levels: 2, Version: a.Version, Algorithm: a.Algorithm,
			Balance: a.Balance, Counter: a.Counter, Random: a.Random, MAC1: a.MAC1, Amount: amount(minor), Terminal: terminal}, err
	}
	shown, err := ask(1, kiosk)
	if err != nil {
		return err
	}
	info, err := d.topup.Lookup(d.ctx, bus, shown)
	require.NoError(d.t, err)
	if open := info.Open; open != nil {
		if shown.Counter == open.Counter {
			if shown, err = ask(1, open.Challenge); err != nil {
				return err
			}
		}
		_, err = d.topup.Resolve(d.ctx, bus, open.Order, topup.Evidence{Init: &shown})
		require.NoError(d.t, err)
	}
	if d.state(id) == topup.Loaded {
		return nil
	}
	init, err := ask(50_00, kiosk)
	if err != nil {
		return err
	}
	a := d.authorise(bus, id, init)
	tac, err := card.CreditLoad(d.ctx, a.DateTime, a.MAC2)
	if err != nil {
		_, err2 := d.topup.Uncertain(d.ctx, bus, id)
		require.NoError(d.t, err2)
		return err
	}
	_, err = d.topup.Confirm(d.ctx, bus, id, tac)
	return err
}

// TestALoadOverTheAir loads a far card through a relay that is cut once, at each message there is, before and after it. The card is presented again,
// and ends with the value once, as the books do.
func TestALoadOverTheAir(t *testing.T) {
	ecLoad := func(t *testing.T, cut int, after bool) (messages int) {
		d := startEC(t)
		id := d.order(bus, "sale-1", 50_00)
		d.chip.Insert()
		p := newPhone(t, func() apdu.Transmitter { return d.chip })
		p.cut, p.after = cut, after
		err := d.farEC(id, p)
		messages = p.n
		for range 3 {
			if err == nil && d.state(id) == topup.Loaded {
				break
			}
			require.Condition(t, func() bool { return err == nil || errors.Is(err, apdu.ErrNoAnswer) }, "%v", err)
			d.chip.Insert()
			p.gone, p.cut = false, 0
			err = d.farEC(id, p)
		}
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, d.state(id))
		require.Equal(t, amount(50_00), d.chip.Balance())
		require.EqualValues(t, 50_00, d.shadowEC())
		require.Equal(t, booked(50, 0, 0, 50), d.accounts())
		require.Empty(t, d.codes())
		return messages
	}
	epLoad := func(t *testing.T, cut int, after bool) (messages int) {
		d := start(t)
		id := d.order(bus, "sale-1", 50_00)
		field := epcard.Present(d.cards[1], epcard.Tear{})
		p := newPhone(t, func() apdu.Transmitter { return field })
		p.cut, p.after = cut, after
		err := d.farEP(id, p)
		messages = p.n
		for range 3 {
			if err == nil {
				break
			}
			require.ErrorIs(t, err, apdu.ErrNoAnswer)
			field = epcard.Present(d.cards[1], epcard.Tear{})
			p.gone, p.cut = false, 0
			err = d.farEP(id, p)
		}
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, d.state(id))
		require.EqualValues(t, 50_00, d.balance(1))
		require.EqualValues(t, 50_00, d.shadow(1))
		require.Equal(t, booked(50, 0, 0, 50), d.accounts())
		require.Empty(t, d.codes())
		return messages
	}
	for name, c := range map[string]struct {
		load  func(t *testing.T, cut int, after bool) int
		least int
	}{"electronic cash": {ecLoad, 8}, "EP purse": {epLoad, 5}} {
		t.Run(name, func(t *testing.T) {
			messages := c.load(t, 0, false)
			require.GreaterOrEqual(t, messages, c.least)
			for cut := 1; cut <= messages; cut++ {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("message %d, answer lost %v", cut, after), func(t *testing.T) { c.load(t, cut, after) })
				}
			}
		})
	}
}

// TestLoadsOverAnyRelay presents a far electronic cash card again and again, each time cut somewhere, to load orders in any turn. At the end each order is on the
// card once, or paid.
func TestLoadsOverAnyRelay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := startEC(t)
		d.t = rt
		var orders []string
		for i := range rapid.IntRange(1, 3).Draw(rt, "orders") {
			orders = append(orders, d.order(bus, fmt.Sprint("sale-", i), int64(i+1)*10_00))
		}
		p := newPhone(t, func() apdu.Transmitter { return d.chip })
		visit := func(id string, cut int, after bool) error {
			d.chip.Insert()
			p.n, p.gone, p.cut, p.after = 0, false, cut, after
			return d.farEC(id, p)
		}
		for range rapid.IntRange(0, 8).Draw(rt, "visits") {
			id := orders[rapid.IntRange(0, len(orders)-1).Draw(rt, "order")]
			_ = visit(id, rapid.IntRange(1, 14).Draw(rt, "cut"), rapid.Bool().Draw(rt, "answer lost")) // what came of it the card knows
			d.accounts()
		}
		want := int64(0)
		for i, id := range orders {
			require.NoError(rt, visit(id, 0, false))
			require.Equal(rt, topup.Loaded, d.state(id))
			want += int64(i+1) * 10_00
		}
		require.Equal(rt, amount(want), d.chip.Balance())
		require.Equal(rt, want, d.shadowEC())
		require.Equal(rt, booked(want/100, 0, 0, want/100), d.accounts())
		require.Empty(rt, d.codes())
	})
}
