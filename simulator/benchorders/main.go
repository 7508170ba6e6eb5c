// Command benchorders sells orders over the gateway, the adapter of WeChat Pay and its simulator on an accelerated clock, with notifications that are lost
// and doubled, and prints how many knew their state within five seconds of the channel, whether one was paid twice or lost, and how many orders a
// second that takes beside a bare insert of the same rows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
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
)

const (
	perTick = 50 // orders that come in a tick
	tick    = 250 * time.Millisecond
	within  = 5 * time.Second
	amount  = 500

	floors = 10  // times in which the floor is measured, spread over the run
	sample = 200 // orders whose rows it writes each time, or fewer of a short run
	alone  = 500 // orders that the simulator and the signatures are measured with

	atOnce  = 32 // orders that are made at the same time
	senders = 16 // notifications that come at the same time

	sayEvery = 10 * time.Second
)

func main() {
	orders := flag.Int("orders", 100_000, "orders to sell")
	lost := flag.Float64("lost", 0.01, "part of the notifications that never come")
	doubled := flag.Float64("doubled", 0.01, "part of the notifications that come twice")
	profile := flag.String("cpuprofile", "", "file to write a processor profile of the run to")
	flag.Parse()
	stop, err := profiled(*profile)
	if err == nil {
		err = errors.Join(run(context.Background(), *orders, *lost, *doubled), stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchorders:", err)
		os.Exit(1)
	}
}

// profiled writes a profile into a file until it is stopped; of an empty name none.
func profiled(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
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
	bare, err := openFloor(ctx, s.path)
	if err != nil {
		return err
	}
	defer bare.Close()
	times := min(floors, orders)
	part := min(sample, orders/times)
	said := time.Now()
	var took, worked time.Duration
	step := func(n int) error {
		start, before := time.Now(), processorTime()
		err := s.tick(ctx, n)
		took, worked = took+time.Since(start), worked+processorTime()-before
		return err
	}
	for len(s.all) < orders || len(s.open) > 0 {
		if err := step(min(perTick, orders-len(s.all))); err != nil {
			return err
		}
		if bare.rounds < times && len(s.all) >= (bare.rounds+1)*orders/times {
			if err := bare.measure(ctx, s.all[bare.rounds*orders/times:][:part]); err != nil {
				return err
			}
		}
		if time.Since(said) >= sayEvery {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d orders, %.0f a second\n", len(s.all), orders, float64(len(s.all))/took.Seconds())
		}
	}
	for range 4 * 30 { // half a minute for the last ones
		if err := step(0); err != nil {
			return err
		}
	}
	known, twice, unpaid, slowest, err := s.check(ctx)
	if err != nil {
		return err
	}
	simulator, signatures, err := apart(ctx)
	if err != nil {
		return err
	}
	own, floor := took.Seconds()/float64(orders), bare.took.Seconds()/float64(bare.orders)
	fmt.Printf("%d orders over WeChat Pay's adapter and simulator, %.1f %% of notifications lost, %.1f %% doubled, %v on the clock, %v in truth\n",
		orders, 100*lost, 100*doubled, s.clock.Now().Sub(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)).Round(time.Second), took.Round(time.Second))
	fmt.Printf("  known within %v   %d of %d, the slowest after %v\n  paid twice          %d\n  lost                %d\n  orders a second     %.0f, each with a signed request, a signed answer and a signed notification\n",
		within, known, orders, slowest, twice, unpaid, 1/own)
	each := worked / time.Duration(orders)
	fmt.Printf("  processor time      %v an order: %v the simulator, %v signatures and seals of our side, %v gateway and store\n",
		each.Round(10*time.Microsecond), simulator.Round(10*time.Microsecond), signatures.Round(10*time.Microsecond), (each - simulator - signatures).Round(10*time.Microsecond))
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

// tick lets a quarter of a second pass: orders come and notifications arrive, doubts are asked about, all beside each other as in life, and payers pay,
// of which the channel tells in the next tick.
func (s *shop) tick(ctx context.Context, n int) error {
	s.clock.Advance(tick)
	now := s.clock.Now()
	var work, beside errgroup.Group
	work.SetLimit(atOnce)
	for range senders {
		beside.Go(func() error {
			s.sim.Run(ctx)
			return nil
		})
	}
	beside.Go(func() error {
		_, err := s.svc.Scan(ctx)
		return err
	})
	for range n {
		o := &sold{pays: now.Add(500*time.Millisecond + time.Duration(s.random.Int64N(int64(3*time.Second))))}
		s.all, s.open = append(s.all, o), append(s.open, o)
		key, drop := fmt.Sprint(len(s.all)), s.random.Float64() < s.lost
		work.Go(func() error { return s.order(ctx, o, key, drop) })
	}
	if err := errors.Join(work.Wait(), beside.Wait()); err != nil {
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
	return nil
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
