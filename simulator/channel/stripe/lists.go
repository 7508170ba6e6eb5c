package stripe

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// movement is a balance transaction.
type movement struct {
	id, kind, currency string
	amount, fee        int64
	at                 time.Time
	of                 *intent
	refund             *refund
}

// move writes a balance transaction, in the account's currency. A charge costs 2.9 % and 30 of the smallest units.
func (m *Simulator) move(kind string, i *intent, f *refund, amount int64) {
	b := &movement{id: m.id("txn"), kind: kind, currency: i.currency, amount: amount, at: m.clock.Now(), of: i, refund: f}
	if m.set.Currency != "" && m.set.Currency != i.currency {
		b.currency = m.set.Currency
		if r, known := m.set.Rates[i.currency]; known {
			b.amount = ratio(amount, r.Num, r.Den)
		}
	}
	if f == nil {
		b.fee = ratio(b.amount, 29, 1000) + 30
	}
	m.movement = append(m.movement, b)
}

func ratio(n, num, den int64) int64 {
	a, err := money.Minor(n).MulRatio(num, den)
	if err != nil {
		panic(err) // the simulator's amounts have eight digits
	}
	return a.Minor()
}

func (b *movement) json() map[string]any {
	o := map[string]any{"id": b.id, "object": "balance_transaction", "amount": b.amount, "available_on": b.at.AddDate(0, 0, 7).Unix(), "created": b.at.Unix(), "currency": b.currency,
		"exchange_rate": nil, "fee": b.fee, "net": b.amount - b.fee, "reporting_category": b.kind, "status": "pending", "type": b.kind}
	o["source"] = b.of.chargeJSON()
	if b.refund != nil {
		o["source"] = b.refund.json()
	}
	return o
}

// page cuts a list, newest first, as limit and starting_after say.
func page[T any](all []T, form url.Values, id func(T) string, json func(T) map[string]any) answer {
	limit := 10
	if s := form.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 100 {
			return invalid("limit", "limit must be from 1 to 100")
		}
		limit = n
	}
	newest := slices.Clone(all)
	slices.Reverse(newest)
	if after := form.Get("starting_after"); after != "" {
		at := slices.IndexFunc(newest, func(x T) bool { return id(x) == after })
		if at < 0 {
			return missing("object", after)
		}
		newest = newest[at+1:]
	}
	data := []any{}
	for _, x := range newest[:min(limit, len(newest))] {
		data = append(data, json(x))
	}
	return answer{status: http.StatusOK, body: map[string]any{"object": "list", "data": data, "has_more": len(newest) > limit, "url": "/v1"}}
}

// within keeps what was made in created[gte] to created[lt].
func within(form url.Values, at time.Time) bool {
	from, to := form.Get("created[gte]"), form.Get("created[lt]")
	low, err1 := strconv.ParseInt(from, 10, 64)
	high, err2 := strconv.ParseInt(to, 10, 64)
	return (from == "" || err1 == nil && at.Unix() >= low) && (to == "" || err2 == nil && at.Unix() < high)
}

func (m *Simulator) listIntents(r request) answer {
	var all []*intent
	for _, i := range m.intents {
		if within(r.form, i.created) {
			all = append(all, i)
		}
	}
	return page(all, r.form, func(i *intent) string { return i.id }, func(i *intent) map[string]any { return i.json(false) })
}

func (m *Simulator) listRefunds(r request) answer {
	var all []*refund
	for _, f := range m.refunds {
		if f.of.id == r.form.Get("payment_intent") {
			all = append(all, f)
		}
	}
	return page(all, r.form, func(f *refund) string { return f.id }, (*refund).json)
}

func (m *Simulator) listMovements(r request) answer {
	var all []*movement
	for _, b := range m.movement {
		if within(r.form, b.at) {
			all = append(all, b)
		}
	}
	return page(all, r.form, func(b *movement) string { return b.id }, (*movement).json)
}

var byMetadata = regexp.MustCompile(`^metadata\['([a-z_]{1,40})'\]:'([0-9A-Za-z]{1,64})'$`)

// searchIntents finds by one key of the metadata, and only what has been there for a while.
func (m *Simulator) searchIntents(r request) answer {
	q := byMetadata.FindStringSubmatch(r.form.Get("query"))
	if q == nil {
		return invalid("query", "only one key of the metadata is searched for here")
	}
	data := []any{}
	for _, i := range m.intents {
		if i.metadata[q[1]] == q[2] && !m.clock.Now().Before(i.created.Add(m.set.SearchDelay)) {
			data = append(data, i.json(false))
		}
	}
	return answer{status: http.StatusOK, body: map[string]any{"object": "search_result", "data": data, "has_more": false, "next_page": nil, "url": "/v1/payment_intents/search"}}
}
