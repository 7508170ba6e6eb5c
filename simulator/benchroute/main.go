// Command benchroute measures routing decisions in memory against a bare loop over the same candidates, and how much learned routing gains over fixed rules
// where channels change.
package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/simulator/channellife"
)

const (
	candidates = 8
	rounds     = 9
	decisions  = 20000 // of a round
)

func main() {
	seeds := flag.Int("seeds", 40, "worlds in which learned routing is held against fixed rules")
	flag.Parse()
	if err := run(*seeds); err != nil {
		fmt.Fprintln(os.Stderr, "benchroute:", err)
		os.Exit(1)
	}
}

// steady lets every cell take all but one, as a board of many channels mostly does.
type steady struct{ reads atomic.Int64 }

func (s *steady) Share(c health.Cell) float64 {
	if c.Channel == "c7" {
		return 0
	}
	return 1
}

func plan() route.Plan {
	p := route.Plan{Version: 1}
	var names []string
	for i := range candidates {
		name := fmt.Sprintf("c%d", i)
		p.Accounts = append(p.Accounts, route.Account{Name: name, Channel: name, Products: []channel.Product{channel.QR, channel.Quick}, Currencies: []string{"CNY"},
			Max: 5_000_000, PerDay: 1 << 50, FeePPM: int64(3000 + 500*i), Zone: "Asia/Shanghai"})
		names = append(names, name)
	}
	p.Rules = []route.Rule{
		{Name: "dear", When: `amount > 1000000 && product == "quick"`, Accounts: names[:2], Strategy: route.InOrder},
		{Name: "rest", Accounts: names, Strategy: route.Best},
	}
	return p
}

func run(seeds int) error {
	r := route.New(&steady{})
	if err := r.Use(plan()); err != nil {
		return err
	}
	for i := range candidates {
		for range 100 {
			r.Learn(fmt.Sprintf("c%d", i), "", true)
		}
	}
	q := route.Question{Product: channel.Quick, Currency: "CNY", Amount: 5000, Bank: "icbc", Card: "debit", Now: time.Now()}
	var own, floor []float64
	var each []time.Duration
	into := make([]string, 0, candidates)
	for n := range rounds {
		start := time.Now()
		for i := range decisions {
			q.Key = uint64(n*decisions + i)
			var err error
			if into, _, err = r.Decide(into[:0], &q); err != nil || len(into) == 0 {
				return fmt.Errorf("no decision: %w", err)
			}
		}
		own = append(own, float64(time.Since(start))/decisions)
		start = time.Now()
		for i := range decisions {
			sink += bare(uint64(n*decisions+i), q.Amount)
		}
		floor = append(floor, float64(time.Since(start))/decisions)
		for i := range decisions {
			q.Key = uint64(i)
			start := time.Now()
			into, _, _ = r.Decide(into[:0], &q) // as above
			each = append(each, time.Since(start))
		}
	}
	slices.Sort(each)
	perSecond := together(r)
	gain, half := gained(seeds, false)
	beside, wide := gained(seeds, true)
	fmt.Printf("decisions over %d accounts, two rules, one channel out; %d cores; no database is opened\n", candidates, runtime.GOMAXPROCS(0))
	fmt.Printf("  one decision        %8.0f ns (bare loop %.0f ns)\n", middle(own), middle(floor))
	fmt.Printf("  p50 / p99           %v / %v\n", each[len(each)/2], each[len(each)*99/100])
	fmt.Printf("  on all cores        %8.0f a second\n", perSecond)
	fmt.Printf("learned routing against fixed rules, %d worlds of %d payments whose channels change:\n", seeds, payments)
	fmt.Printf("  rules alone                     success %+.2f points, 95 %% from %+.2f to %+.2f\n", 100*gain, 100*(gain-half), 100*(gain+half))
	fmt.Printf("  channel health beside both      success %+.2f points, 95 %% from %+.2f to %+.2f\n", 100*beside, 100*(beside-wide), 100*(beside+wide))
	places, err := channellife.LearnKinds(channellife.Kinds, 1_000_001, 4000)
	if err != nil {
		return err
	}
	fmt.Println("kinds of channels with their published success, learned from 4000 payments; share of the last quarter:")
	for _, x := range places {
		fmt.Printf("  %-16s published %2.0f %%, learned %4.1f %%, share %5.1f %%\n", x.Name, 100*x.Success, 100*x.Learned, 100*x.Share)
	}
	fmt.Printf("BENCH route-gain ratio=%.4f own=%.4f floor=%.4f\n", 1+gain, gain, half)
	fmt.Printf("BENCH route-gain-health ratio=%.4f own=%.4f floor=%.4f\n", 1+beside, beside, wide)
	fmt.Printf("BENCH route-p99 ratio=%.3f own=%d floor=%d\n", float64(each[len(each)*99/100])/50e3, each[len(each)*99/100].Nanoseconds(), 50000)
	fmt.Printf("BENCH route ratio=%.2f own=%.1f floor=%.1f\n", middle(own)/middle(floor), middle(own), middle(floor))
	return nil
}

var sink int64

// bare is the least that choosing among the same candidates takes: one pass that compares a number for each.
func bare(key uint64, amount int64) int64 {
	best, at := int64(math.MinInt64), int64(0)
	for i := range int64(candidates) {
		if i == 7 || amount > 5_000_000 {
			continue
		}
		if score := (amount-amount*(3000+500*i)/1_000_000)*900 + int64(key>>i&7); score > best {
			best, at = score, i
		}
	}
	return at
}

func together(r *route.Router) float64 {
	start := time.Now()
	var all sync.WaitGroup
	const each = 200000
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		all.Go(func() {
			q := route.Question{Product: channel.Quick, Currency: "CNY", Amount: 5000, Bank: "icbc", Card: "debit", Now: start}
			into := make([]string, 0, candidates)
			for i := range each {
				q.Key = uint64(w)<<32 + uint64(i)
				into, _, _ = r.Decide(into[:0], &q) // measured; run has seen that it answers
			}
		})
	}
	all.Wait()
	return float64(workers*each) / time.Since(start).Seconds()
}

func middle(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

const payments = 20000

// gained plays worlds of four channels whose success drifts and jumps, once by learned success and once in the order that was best on the first day, on the same
// luck; with health, channels are taken out and brought back beside both. It returns the mean gain in success and the half width of its 95 % interval over worlds.
func gained(seeds int, healthy bool) (gain, half float64) {
	var gains []float64
	for seed := range seeds {
		gains = append(gains, world(uint64(seed)+1_000_001, route.Best, healthy)-world(uint64(seed)+1_000_001, route.InOrder, healthy))
	}
	for _, g := range gains {
		gain += g / float64(len(gains))
	}
	for _, g := range gains {
		half += (g - gain) * (g - gain)
	}
	n := float64(len(gains))
	return gain, 1.96 * math.Sqrt(half/(n-1)/n)
}

func world(seed uint64, s route.Strategy, healthy bool) float64 {
	random, probed := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2)) // probes take no luck from payments
	rates := []float64{0.96, 0.95, 0.94, 0.93}
	p := route.Plan{Version: 1, Rules: []route.Rule{{Name: "all", Strategy: s}}}
	for i := range rates {
		name := fmt.Sprintf("c%d", i)
		p.Accounts = append(p.Accounts, route.Account{Name: name, Channel: name, Products: []channel.Product{channel.Quick}, Currencies: []string{"CNY"}, FeePPM: 6000})
		p.Rules[0].Accounts = append(p.Rules[0].Accounts, name)
	}
	var board *health.Board
	var beside route.Health
	if healthy {
		board = health.NewBoard(func(health.Cell) health.Settings { return health.Defaults() })
		for _, a := range p.Accounts {
			board.Watch(health.Cell{Channel: a.Channel})
		}
		beside = board
	}
	r := route.New(beside)
	if err := r.Use(p); err != nil {
		panic(err) // the plan above is right
	}
	see := func(at time.Time, channel string, failed, probe bool) {
		if board == nil {
			return
		}
		if m, _ := board.Observe(health.Observation{At: at, Cell: health.Cell{Channel: channel}, Failed: failed, Probe: probe}); m != nil {
			board.Adopt(m.Status, at)
		}
	}
	good := 0
	for i := range payments {
		for c := range rates {
			switch {
			case random.Float64() < 1e-4: // a jump: a bank changes something
				rates[c] = 0.6 + 0.38*random.Float64()
			case i%100 == 0:
				rates[c] = min(max(rates[c]+0.01*random.NormFloat64(), 0.5), 0.99)
			}
		}
		now := time.Unix(int64(i), 0) // a payment a second
		if board != nil {
			moves, probes := board.Tick(now)
			for _, m := range moves {
				board.Adopt(m.Status, now)
			}
			for _, cell := range probes {
				see(now, cell.Channel, probed.Float64() >= rates[slices.Index(p.Rules[0].Accounts, cell.Channel)], true)
			}
		}
		luck, key := random.Float64(), random.Uint64()
		names, _, _ := r.Decide(nil, &route.Question{Product: channel.Quick, Currency: "CNY", Amount: 5000, Key: key, Now: now}) // one rule without a condition cannot fail
		if len(names) == 0 {
			continue // all are out: nobody takes it
		}
		c := slices.Index(p.Rules[0].Accounts, names[0])
		ok := luck < rates[c]
		r.Learn(names[0], "", ok)
		see(now, names[0], !ok, false)
		if ok {
			good++
		}
	}
	return float64(good) / payments
}
