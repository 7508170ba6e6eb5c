// Command benchorders sells orders over the gateway, the adapter of WeChat Pay and its simulator on an accelerated clock, with notifications that are lost
// and doubled, and prints how many knew their state within five seconds of the channel, whether one was paid twice or lost, and how many orders a
// second that takes beside a bare insert of the same rows.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"

	_ "modernc.org/sqlite" // the driver that backend/store uses
)

const (
	perTick = 50 // orders that come in a tick
	tick    = 250 * time.Millisecond
	within  = 5 * time.Second
	amount  = 500
	sample  = 2000 // orders whose rows the floor writes

	sayEvery = 10 * time.Second
)

func main() {
	orders := flag.Int("orders", 100_000, "orders to sell")
	lost := flag.Float64("lost", 0.01, "part of the notifications that never come")
	doubled := flag.Float64("doubled", 0.01, "part of the notifications that come twice")
	flag.Parse()
	if err := run(context.Background(), *orders, *lost, *doubled); err != nil {
		fmt.Fprintln(os.Stderr, "benchorders:", err)
		os.Exit(1)
	}
}

// sold is an order on its way, as the payer knows it.
type sold struct {
	id, number string
	pays       time.Time // when the payer pays
	paid       time.Time // when the channel knew; zero: not yet
}

// shop is the whole run.
type shop struct {
	clock  *clock.Manual
	sim    *wechat.Simulator
	store  *store.Store
	svc    *gateway.Service
	path   string
	random *rand.Rand
	lost   float64
	drops  map[string]bool // numbers whose notification never comes

	mu   sync.Mutex
	all  []*sold
	open []*sold
}

func run(ctx context.Context, orders int, lost, doubled float64) (err error) {
	dir, err := os.MkdirTemp("", "purselane-bench-orders-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &shop{clock: clock.NewManual(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)), path: filepath.Join(dir, "scheme.db"), random: rand.New(rand.NewPCG(1, 2)), lost: lost, drops: map[string]bool{}}
	if err := s.begin(ctx, doubled); err != nil {
		return err
	}
	start := time.Now()
	said := start
	for len(s.all) < orders || len(s.open) > 0 {
		if err := s.tick(ctx, min(perTick, orders-len(s.all))); err != nil {
			return err
		}
		if time.Since(said) >= sayEvery {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d orders, %.0f a second\n", len(s.all), orders, float64(len(s.all))/time.Since(start).Seconds())
		}
	}
	for range 4 * 30 { // half a minute for the last ones
		if err := s.tick(ctx, 0); err != nil {
			return err
		}
	}
	took := time.Since(start)
	known, twice, unpaid, slowest, err := s.check(ctx)
	if err != nil {
		return err
	}
	floor, err := s.floor(ctx)
	if err != nil {
		return err
	}
	own := took.Seconds() / float64(orders)
	fmt.Printf("%d orders over WeChat Pay's adapter and simulator, %.1f %% of notifications lost, %.1f %% doubled, %v on the clock, %v in truth\n",
		orders, 100*lost, 100*doubled, s.clock.Now().Sub(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)).Round(time.Second), took.Round(time.Second))
	fmt.Printf("  known within %v   %d of %d, the slowest after %v\n  paid twice          %d\n  lost                %d\n  orders a second     %.0f, each with a signed request, a signed answer and a signed notification\n",
		within, known, orders, slowest, twice, unpaid, 1/own)
	fmt.Printf("BENCH orders-known-5s ratio=%.6f own=%d floor=%d\n", float64(known)/float64(orders), known, orders)
	fmt.Printf("BENCH orders ratio=%.4f own=%.1f floor=%.1f\n", floor/own, 1/own, 1/floor)
	if twice+unpaid > 0 {
		return fmt.Errorf("%d orders were paid twice and %d lost", twice, unpaid)
	}
	return s.store.Close()
}

func (s *shop) begin(ctx context.Context, doubled float64) error {
	var err error
	if s.store, err = store.Open(ctx, s.path, store.Options{}); err != nil {
		return err
	}
	s.sim = wechat.New(wechat.Options{Clock: s.clock, Seed: 1, Mode: wechat.ByPublicKey})
	s.sim.Weather.Set(sim.Faults{NotifyDoubled: doubled})
	ch, err := adapter.New(s.sim.Settings())
	if err != nil {
		return err
	}
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "wechat"})
	if err != nil {
		return err
	}
	s.svc, err = gateway.New(s.store, s.clock, gateway.Config{
		Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"wechat"}}}, Log: slog.New(slog.DiscardHandler),
		Accounts: []gateway.Account{{ID: "wechat", Company: 1, Number: 1, Channel: ch, NotifyURL: "https://gateway.example/wechat", FeePPM: 6000}}})
	if err != nil {
		return err
	}
	s.sim.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		events, err := ch.Notified(ctx, n)
		if err == nil && len(events) == 1 {
			s.mu.Lock()
			drop := s.drops[events[0].Result.Number]
			s.mu.Unlock()
			if drop {
				return channel.Reply{} // every try of it is lost
			}
		}
		reply, err := s.svc.Notified(ctx, "wechat", n)
		if err != nil {
			return channel.Reply{Status: 500}
		}
		return reply
	})
	return nil
}

// tick lets a quarter of a second pass: orders come and notifications arrive, payers pay (the channel tells of it in the next tick), doubts are asked about.
func (s *shop) tick(ctx context.Context, n int) error {
	s.clock.Advance(tick)
	now := s.clock.Now()
	var work errgroup.Group
	work.SetLimit(8)
	work.Go(func() error { // beside the orders, as in life: a notification's signature is a third of what an order costs
		s.sim.Run(ctx)
		return nil
	})
	for range n {
		o := &sold{pays: now.Add(500*time.Millisecond + time.Duration(s.random.Int64N(int64(3*time.Second))))}
		s.all, s.open = append(s.all, o), append(s.open, o)
		key, drop := fmt.Sprint(len(s.all)), s.random.Float64() < s.lost
		work.Go(func() error { return s.order(ctx, o, key, drop) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	still := s.open[:0]
	for _, o := range s.open {
		if now.Before(o.pays) {
			still = append(still, o)
			continue
		}
		if err := s.sim.Pay(o.number, wechat.Payer{Bank: "CMB_DEBIT"}); err != nil {
			return fmt.Errorf("pay %s: %w", o.number, err)
		}
		o.paid = now
	}
	s.open = still
	_, err := s.svc.Scan(ctx)
	return err
}

func (s *shop) order(ctx context.Context, o *sold, key string, drop bool) error {
	made, err := s.svc.Create(ctx, "app", gateway.NewOrder{Key: key, Type: code.Pay, Product: 1, Merchant: "shop", Money: channel.Money{Amount: money.Minor(amount), Currency: "CNY"}, Subject: "a ride"})
	if err != nil {
		return err
	}
	p, err := s.svc.Pay(ctx, "app", made.ID, gateway.NewPayment{Key: "p", Product: channel.QR})
	if err != nil {
		return err
	}
	if p.Action.QR == "" {
		return fmt.Errorf("order %s has no code to scan: %s", made.ID, p.Code)
	}
	o.id, o.number = made.ID, p.Number
	if drop {
		s.mu.Lock()
		s.drops[p.Number] = true
		s.mu.Unlock()
	}
	return nil
}

// check looks at every order: what the gateway knows against what the channel booked.
func (s *shop) check(ctx context.Context) (known, twice, unpaid int, slowest time.Duration, err error) {
	for _, o := range s.all {
		have, err := s.svc.Order(ctx, "app", o.id)
		if err != nil {
			return 0, 0, 0, 0, err
		}
		charges, taken, _ := s.sim.Booked(o.number)
		if charges != 1 || taken != amount || len(have.Payments) != 1 {
			twice++
		}
		if have.State != order.Paid || have.Received != money.Minor(amount) {
			unpaid++
			continue
		}
		after := have.Payments[0].Changed.Sub(o.paid)
		slowest = max(slowest, after)
		if after <= within {
			known++
		}
	}
	return known, twice, unpaid, slowest, nil
}

// floor writes the rows that some of the orders left into tables of the same columns and keys and nothing else, one commit an order, and says how many seconds one
// took.
func (s *shop) floor(ctx context.Context) (float64, error) {
	db, err := sql.Open("sqlite", "file:"+s.path+".bare?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(20000)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `ATTACH DATABASE ? AS own`, s.path); err != nil {
		return 0, err
	}
	tables := map[string]string{"gateway_order": "id", "gateway_payment": "order_id", "gateway_timeline": "order_id"}
	type row struct {
		insert string
		values []any
	}
	ids := make([]string, 0, sample)
	for _, o := range s.all[:min(sample, len(s.all))] {
		ids = append(ids, o.id)
	}
	byOrder := map[string][]row{}
	if _, err := db.ExecContext(ctx, `CREATE TEMP TABLE wanted (id TEXT PRIMARY KEY)`); err != nil { // the rows of all orders are too many to hold
		return 0, err
	}
	for _, id := range ids {
		if _, err := db.ExecContext(ctx, `INSERT INTO wanted VALUES (?)`, id); err != nil {
			return 0, err
		}
	}
	for _, table := range slices.Sorted(func(yield func(string) bool) {
		for t := range tables {
			if !yield(t) {
				return
			}
		}
	}) {
		var ddl string
		if err := db.QueryRowContext(ctx, `SELECT sql FROM own.sqlite_master WHERE type = 'table' AND name = ?`, table).Scan(&ddl); err != nil {
			return 0, err
		}
		if _, err := db.ExecContext(ctx, ddl); err != nil {
			return 0, err
		}
		rows, err := db.QueryContext(ctx, `SELECT * FROM own.`+table+` WHERE `+tables[table]+` IN (SELECT id FROM wanted)`)
		if err != nil {
			return 0, err
		}
		columns, err := rows.Columns()
		if err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		of := slices.Index(columns, tables[table])
		insert := `INSERT INTO main.` + table + ` VALUES (` + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + `)`
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return 0, errors.Join(err, rows.Close())
			}
			id := fmt.Sprint(values[of])
			byOrder[id] = append(byOrder[id], row{insert, values})
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for _, id := range ids {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		for _, r := range byOrder[id] {
			if _, err := tx.ExecContext(ctx, r.insert, r.values...); err != nil {
				return 0, errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds() / float64(len(ids)), nil
}
