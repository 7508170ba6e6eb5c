package monitor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Hours is how far back is looked: the last day, and before it the hour that is a day before the last one.
const Hours = 25

const (
	keepFor      = 5 * time.Second // what was read serves all who ask
	lateRefunds  = 24 * time.Hour  // a refund that is not known to be done for longer
	lateLoads    = time.Hour
	maxMerchants = 100
	maxAccounts  = 200
)

// Count is what orders and attempts came to.
type Count struct {
	Orders   int64
	Paid     int64 // of the orders
	Amount   money.Amount
	Received money.Amount
	Returned money.Amount // given back, or on its way back
	Fees     money.Amount // that channels keep

	Tried   int64 // attempts that were paid
	Refused int64 // attempts that were refused
}

// Success is the share of attempts that were paid, 0 to 1. Attempts that nobody paid in time are in neither number; known is false where there are none at all.
func (c Count) Success() (rate float64, known bool) {
	if c.Tried+c.Refused == 0 {
		return 0, false
	}
	return float64(c.Tried) / float64(c.Tried+c.Refused), true
}

// add adds d to c. Sums that do not fit are left at what they were: they are for people's eyes, and the books have refused long before.
func (c *Count) add(d Count) {
	c.Orders, c.Paid, c.Tried, c.Refused = c.Orders+d.Orders, c.Paid+d.Paid, c.Tried+d.Tried, c.Refused+d.Refused
	for _, x := range []struct {
		to *money.Amount
		by money.Amount
	}{{&c.Amount, d.Amount}, {&c.Received, d.Received}, {&c.Returned, d.Returned}, {&c.Fees, d.Fees}} {
		if sum, err := x.to.Add(x.by); err == nil {
			*x.to = sum
		}
	}
}

// Kind is what orders of one kind came to in the last day.
type Kind struct {
	Action   code.Action
	Currency string
	Count
}

// Hour is one hour of the business.
type Hour struct {
	From time.Time
	Count
	Loads  int64 // orders to load a card
	Loaded int64 // of them
}

// Business is the whole, over the last day.
type Business struct {
	At       time.Time
	Hours    []Hour // [Hours] of them, the oldest first; the last ends at At
	Kinds    []Kind
	Payments store.Overdue // attempts whose time is over, and channels have not said how they ended
	Refunds  store.Overdue // refunds and pay-outs of more than a day
	Loads    store.Overdue // on their way to a card for more than an hour
	History  *history.Lag  // nil: none is kept
}

// Seller is one app's orders for one merchant.
type Seller struct {
	App      string
	Merchant ids.MerchantID
	Day      Count // the last 24 hours
	Before   Count // all but the last hour
	Last     Count // the last hour
	Blocked  int64 // attempts that risk blocked in the last day

	Pending   money.Amount // earned, not settled yet; of the merchant, whatever the app
	Available money.Amount // settled, not paid out
}

// Sales are the sellers of the last day, those with most orders first, at most a hundred.
type Sales struct {
	At      time.Time
	Sellers []Seller
	More    int // that are not listed
}

// Accounts are what money lies on.
type Accounts struct {
	At        time.Time
	Channels  []books.Balance // what channels owe us
	Own       []settlement.Level
	Clearing  []books.Balance // of acquirers, and what banks were ordered and have not booked
	Suspense  []books.Balance // should be nothing
	Unmatched int64           // lines of bank statements that nothing of ours explains
	Unknown   money.Amount    // what they are about
}

// Watcher reads. It is safe for concurrent use.
type Watcher struct {
	store *store.Store
	clock clock.Clock
	lag   func(context.Context) (history.Lag, error)

	sales    kept[sold]
	accounts kept[Accounts]
}

// New makes a watcher; it starts nothing. lag says how far the gateway's history is behind; nil: none is kept.
func New(s *store.Store, c clock.Clock, lag func(context.Context) (history.Lag, error)) *Watcher {
	return &Watcher{store: s, clock: c, lag: lag}
}

// kept is what was read last. However many look, it is read once in [keepFor].
type kept[T any] struct {
	mu   sync.Mutex
	at   time.Time
	have T
}

func (k *kept[T]) get(now time.Time, read func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && now.Sub(k.at) < keepFor && !now.Before(k.at) {
		return k.have, nil
	}
	v, err := read()
	if err == nil {
		k.have, k.at = v, now
	}
	return v, err
}

// sold is the business with its sellers: one reading serves both pages.
type sold struct {
	business Business
	sales    Sales
}

// Business reads the whole.
func (w *Watcher) Business(ctx context.Context) (Business, error) {
	s, err := w.sold(ctx)
	return s.business, err
}

// Sales reads the sellers.
func (w *Watcher) Sales(ctx context.Context) (Sales, error) {
	s, err := w.sold(ctx)
	return s.sales, err
}

func (w *Watcher) sold(ctx context.Context) (sold, error) {
	now := w.clock.Now()
	return w.sales.get(now, func() (s sold, err error) {
		err = w.store.View(ctx, func(tx *store.Tx) error {
			s, err = readSold(ctx, tx, now)
			return err
		})
		if err != nil || w.lag == nil {
			return s, err
		}
		lag, err := w.lag(ctx)
		s.business.History = &lag
		return s, err
	})
}

func readSold(ctx context.Context, tx *store.Tx, now time.Time) (s sold, err error) {
	from := now.Add(-Hours * time.Hour)
	orders, err := tx.SalesHours(ctx, from, now)
	if err != nil {
		return s, err
	}
	attempts, err := tx.AttemptHours(ctx, from, now)
	if err != nil {
		return s, err
	}
	blocked, err := tx.RiskBlocked(ctx, from.Add(time.Hour), now)
	if err != nil {
		return s, err
	}
	loads, err := tx.LoadsHours(ctx, from, now)
	if err != nil {
		return s, err
	}
	s = sum(now, orders, attempts, blocked, loads)
	b := &s.business
	if b.Payments, err = tx.LatePayments(ctx, now); err != nil {
		return s, err
	}
	if b.Refunds, err = tx.LateOperations(ctx, now.Add(-lateRefunds)); err != nil {
		return s, err
	}
	if b.Loads, err = tx.LateLoads(ctx, now.Add(-lateLoads)); err != nil {
		return s, err
	}
	for i := range s.sales.Sellers {
		x := &s.sales.Sellers[i]
		if x.Pending, err = owed(ctx, tx, books.MerchantPending(x.Merchant)); err != nil {
			return s, err
		}
		if x.Available, err = owed(ctx, tx, books.MerchantAvailable(x.Merchant)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// owed is an account of what we owe, as its owner sees it.
func owed(ctx context.Context, tx *store.Tx, a books.Account) (money.Amount, error) {
	b, err := tx.Balance(ctx, a)
	if err != nil {
		return b, err
	}
	return b.Neg()
}

// sum adds up what was read, in hours, in kinds and in sellers.
func sum(now time.Time, orders []store.SalesHour, attempts []store.AttemptHour, blocked []store.Blocked, loads []store.LoadsHour) sold {
	b := Business{At: now, Hours: make([]Hour, Hours)}
	for i := range b.Hours {
		b.Hours[i].From = now.Add(time.Duration(i-Hours) * time.Hour)
	}
	type of struct {
		app      string
		merchant ids.MerchantID
	}
	sellers, kinds := map[of]*Seller{}, map[Kind]*Count{}
	seller := func(app string, m ids.MerchantID) *Seller {
		x := sellers[of{app, m}]
		if x == nil {
			x = &Seller{App: app, Merchant: m}
			sellers[of{app, m}] = x
		}
		return x
	}
	add := func(app string, m ids.MerchantID, hour int, c Count) {
		b.Hours[hour].add(c)
		x := seller(app, m)
		if hour > 0 {
			x.Day.add(c)
		}
		if hour == Hours-1 {
			x.Last.add(c)
		} else {
			x.Before.add(c)
		}
	}
	for _, o := range orders {
		if o.Hour < 0 || o.Hour >= Hours {
			continue
		}
		c := Count{Orders: o.Orders, Paid: o.Paid, Amount: o.Amount, Received: o.Received, Returned: o.Returned, Fees: o.Fee}
		add(o.App, o.Merchant, o.Hour, c)
		if o.Hour > 0 {
			k := Kind{Action: actionOf(o.Context), Currency: o.Currency}
			if kinds[k] == nil {
				kinds[k] = &Count{}
			}
			kinds[k].add(c)
		}
	}
	for _, a := range attempts {
		if a.Hour >= 0 && a.Hour < Hours {
			add(a.App, a.Merchant, a.Hour, Count{Tried: a.Paid, Refused: a.Refused})
		}
	}
	for _, x := range blocked {
		seller(x.App, x.Merchant).Blocked += x.Attempts
	}
	for _, l := range loads {
		if l.Hour >= 0 && l.Hour < Hours {
			b.Hours[l.Hour].Loads, b.Hours[l.Hour].Loaded = l.Orders, l.Loaded
		}
	}
	for k, c := range kinds {
		k.Count = *c
		b.Kinds = append(b.Kinds, k)
	}
	slices.SortFunc(b.Kinds, func(x, y Kind) int {
		if x.Action != y.Action {
			return int(x.Action) - int(y.Action)
		}
		return compare(x.Currency, y.Currency)
	})
	s := Sales{At: now}
	for _, x := range sellers {
		s.Sellers = append(s.Sellers, *x)
	}
	slices.SortFunc(s.Sellers, func(x, y Seller) int {
		if x.Day.Orders != y.Day.Orders {
			return compare(y.Day.Orders, x.Day.Orders)
		}
		if x.App != y.App {
			return compare(x.App, y.App)
		}
		return compare(x.Merchant, y.Merchant)
	})
	if s.More = max(len(s.Sellers)-maxMerchants, 0); s.More > 0 {
		s.Sellers = s.Sellers[:maxMerchants]
	}
	return sold{b, s}
}

func compare[T int64 | string | ids.MerchantID](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// actionOf is what an order of a context code does; 0 for what is no code.
func actionOf(context string) code.Action {
	c, err := code.Parse(context)
	if err != nil {
		return 0
	}
	return c.Action
}

// Accounts reads what money lies on.
func (w *Watcher) Accounts(ctx context.Context) (Accounts, error) {
	now := w.clock.Now()
	return w.accounts.get(now, func() (Accounts, error) {
		a := Accounts{At: now}
		var err error
		if a.Own, err = settlement.Levels(ctx, w.store); err != nil {
			return a, err
		}
		err = w.store.View(ctx, func(tx *store.Tx) error {
			if a.Channels, err = tx.BalancesOf(ctx, "channel", maxAccounts); err != nil {
				return err
			}
			parties, err := tx.BalancesOf(ctx, "acquirer", maxAccounts)
			if err != nil {
				return err
			}
			for _, p := range parties {
				if p.Class == books.Clearing {
					a.Clearing = append(a.Clearing, p)
				}
			}
			transit, err := tx.Balance(ctx, books.BankTransit)
			if err != nil {
				return err
			}
			if !transit.IsZero() {
				a.Clearing = append(a.Clearing, books.Balance{Account: books.BankTransit, Class: books.Clearing, Amount: transit})
			}
			if a.Suspense, err = tx.BalancesOf(ctx, "suspense", maxAccounts); err != nil {
				return err
			}
			a.Suspense = slices.DeleteFunc(a.Suspense, func(b books.Balance) bool { return b.Amount.IsZero() })
			a.Unmatched, a.Unknown, err = tx.UnmatchedBankSum(ctx)
			return err
		})
		return a, err
	})
}
