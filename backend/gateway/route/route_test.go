package route_test

import (
	"crypto/ed25519"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/route"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func account(name string, change ...func(*route.Account)) route.Account {
	a := route.Account{Name: name, Channel: name, Products: []channel.Product{channel.Quick}, Currencies: []string{"CNY"}, Weight: 1, FeePPM: 6000}
	for _, f := range change {
		f(&a)
	}
	return a
}

func plan(strategy route.Strategy, accounts ...route.Account) route.Plan {
	p := route.Plan{Version: 1, Accounts: accounts, Rules: []route.Rule{{Name: "all", Strategy: strategy}}}
	for _, a := range accounts {
		p.Rules[0].Accounts = append(p.Rules[0].Accounts, a.Name)
	}
	return p
}

func router(t require.TestingT, h route.Health, p route.Plan) *route.Router {
	r := route.New(h)
	require.NoError(t, r.Use(p))
	return r
}

func question(change ...func(*route.Question)) *route.Question {
	q := &route.Question{Product: channel.Quick, Currency: "CNY", Amount: 5000, Bank: "icbc", Card: "debit", Key: 1, Now: noon}
	for _, f := range change {
		f(q)
	}
	return q
}

func decide(t require.TestingT, r *route.Router, q *route.Question) []string {
	names, _, err := r.Decide(nil, q)
	require.NoError(t, err)
	return names
}

// shares is a Health of fixed shares; what is not in it takes all.
type shares map[health.Cell]float64

func (s shares) Share(c health.Cell) float64 {
	share, ok := s[c]
	if !ok {
		share = 1
	}
	if whole, ok := s[c.Whole()]; ok {
		share = min(share, whole)
	}
	return share
}

func TestWhyAnAccountIsLeftOut(t *testing.T) {
	sick := shares{{Channel: "sick"}: 0, {Channel: "half", Bank: "icbc", Card: "debit"}: 0}
	r := router(t, sick, plan(route.InOrder,
		account("off", func(a *route.Account) { a.Disabled = true }),
		account("wallet", func(a *route.Account) { a.Products = []channel.Product{channel.QR} }),
		account("dollars", func(a *route.Account) { a.Currencies = []string{"USD"} }),
		account("abc", func(a *route.Account) { a.Serves = []route.Serves{{Bank: "abc"}} }),
		account("credit", func(a *route.Account) { a.Serves = []route.Serves{{Bank: "icbc", Card: "credit"}} }),
		account("credits", func(a *route.Account) { a.Cards = []string{"credit"} }), // its credential is for no other
		account("small", func(a *route.Account) { a.Max = 4999 }),
		account("large", func(a *route.Account) { a.Min = 5001 }),
		account("bank-limit", func(a *route.Account) { a.Serves = []route.Serves{{Bank: "icbc", Max: 100}} }),
		account("sick"), account("half"), account("was"), account("good")))
	why, err := r.Explain(question(func(q *route.Question) { q.Tried = []string{"was"} }))
	require.NoError(t, err)
	got := map[string]route.Verdict{}
	for _, w := range why {
		got[w.Account] = w.Verdict
	}
	require.Equal(t, map[string]route.Verdict{
		"off": route.Disabled, "wallet": route.NotSupported, "dollars": route.NotSupported, "abc": route.NotSupported, "credit": route.NotSupported, "credits": route.NotSupported,
		"small": route.OverLimit, "large": route.OverLimit, "bank-limit": route.OverLimit, "sick": route.Faulty, "half": route.Faulty, "was": route.Tried, "good": route.May,
	}, got)
	require.Equal(t, []string{"good"}, decide(t, r, question(func(q *route.Question) { q.Tried = []string{"was"} })))
	require.Equal(t, []string{"half", "was", "good"}, decide(t, r, question(func(q *route.Question) { q.Bank = "ccb" })))
}

// TestACredentialCoversKindsOfCards: most banks have one interface for debit and another for credit, some have one for both.
func TestACredentialCoversKindsOfCards(t *testing.T) {
	cards := func(kinds ...string) func(*route.Account) {
		return func(a *route.Account) { a.Cards = kinds }
	}
	p := plan(route.InOrder, account("abc debit", cards("debit")), account("abc credit", cards("credit")), account("icbc", cards("debit", "credit")), account("all"))
	r := router(t, shares{{Channel: "icbc"}: 0}, p)
	for kind, want := range map[string][]string{"debit": {"abc debit", "all"}, "credit": {"abc credit", "all"}, "prepaid": {"all"}, "": {"abc debit", "abc credit", "all"}} {
		require.Equal(t, want, decide(t, r, question(func(q *route.Question) { q.Card = kind })), kind)
	}
	why, err := r.Explain(question(func(q *route.Question) { q.Card = "credit" }))
	require.NoError(t, err)
	require.Equal(t, route.NotSupported, why[0].Verdict, "nobody's fault")
	require.Equal(t, route.Faulty, why[2].Verdict, "it supports the card, and is out")
	p.Accounts[0].Cards = []string{"visa"}
	require.ErrorContains(t, r.May(p), "visa")
}

func TestARuleWithNobodyLeftGivesWayToTheNext(t *testing.T) {
	p := plan(route.InOrder, account("a"), account("b"), account("c"))
	p.Rules = []route.Rule{
		{Name: "dear", When: `amount > 100000 && bank == "icbc"`, Accounts: []string{"a"}, Strategy: route.InOrder},
		{Name: "cheap", When: `amount <= 10000`, Accounts: []string{"b"}, Strategy: route.InOrder},
		{Name: "rest", Accounts: []string{"c"}, Strategy: route.InOrder},
	}
	r := router(t, shares{{Channel: "b"}: 0}, p)
	for amount, want := range map[int64]string{100001: "dear", 5000: "rest", 50000: "rest"} {
		_, rule, err := r.Decide(nil, question(func(q *route.Question) { q.Amount = amount }))
		require.NoError(t, err)
		require.Equal(t, want, rule, amount)
	}
	r = router(t, nil, route.Plan{Version: 1, Accounts: p.Accounts, Rules: p.Rules[:1]})
	require.Empty(t, decide(t, r, question()), "no rule fits: there is no hidden fallback")
}

func TestTheDayOfALimitIsTheChannels(t *testing.T) {
	r := router(t, nil, plan(route.InOrder, account("a", func(a *route.Account) {
		a.PerDay, a.Zone, a.DayStart = 50000, "Asia/Shanghai", 23*60
		a.Serves = []route.Serves{{Bank: "icbc", PerDay: 20000}, {Bank: "ccb"}}
	})))
	at := time.Date(2026, 11, 25, 14, 59, 0, 0, time.UTC) // 22:59 in Shanghai: a minute before its day ends
	icbc := func(q *route.Question) { q.Now, q.Amount = at, 15000 }
	ccb := func(q *route.Question) { q.Now, q.Amount, q.Bank = at, 35000, "ccb" }
	require.NotEmpty(t, decide(t, r, question(icbc)))
	r.Spend("a", "icbc", 15000, at)
	require.Empty(t, decide(t, r, question(icbc)), "the bank's limit")
	require.NotEmpty(t, decide(t, r, question(ccb)), "to the last cent")
	r.Spend("a", "ccb", 35000, at)
	require.Empty(t, decide(t, r, question(ccb)), "the account's limit")
	r.Spend("a", "ccb", -35000, at) // it failed
	require.NotEmpty(t, decide(t, r, question(ccb)))
	r.Spend("a", "ccb", 35000, at)
	at = at.Add(time.Minute)
	require.NotEmpty(t, decide(t, r, question(ccb)), "a new day there")
}

// TestARatioIsKept is a chi-squared test over 10,000 payments, at one in a thousand for three degrees of freedom.
func TestARatioIsKept(t *testing.T) {
	weights := []int{50, 30, 15, 5}
	var accounts []route.Account
	for i, w := range weights {
		accounts = append(accounts, account(string(rune('a'+i)), func(a *route.Account) { a.Weight = w }))
	}
	r := router(t, nil, plan(route.Ratio, accounts...))
	seen := map[string]int{}
	random := rand.New(rand.NewPCG(3, 4))
	const n = 10000
	for range n {
		names := decide(t, r, question(func(q *route.Question) { q.Key = random.Uint64() }))
		require.Len(t, names, 4, "the others are second choices")
		seen[names[0]]++
	}
	chi := 0.0
	for i, w := range weights {
		want := float64(n*w) / 100
		d := float64(seen[string(rune('a'+i))]) - want
		chi += d * d / want
	}
	require.Less(t, chi, 16.27, "%v", seen)
}

func TestRoundRobinTakesTurns(t *testing.T) {
	r := router(t, nil, plan(route.RoundRobin, account("a"), account("b"), account("c")))
	var first []string
	for range 6 {
		first = append(first, decide(t, r, question())[0])
	}
	require.Equal(t, []string{"a", "b", "c", "a", "b", "c"}, first)
}

func TestTheCheaperOfEqualsIsChosen(t *testing.T) {
	r := router(t, nil, plan(route.Best, account("dear", func(a *route.Account) { a.FeePPM = 60000 }), account("cheap", func(a *route.Account) { a.FeePPM = 3000 })))
	for range 2000 {
		r.Learn("dear", "", true)
		r.Learn("cheap", "", true)
	}
	cheap := 0
	for k := range uint64(1000) {
		if decide(t, r, question(func(q *route.Question) { q.Key = k }))[0] == "cheap" {
			cheap++
		}
	}
	require.Greater(t, cheap, 990)
}

// TestTheCheaperOfEqualsAtPublishedFees: 0.3 % against 0.6 %. Where nothing is known to fail the cheaper is first, almost always: now and then the other is tried. Success weighs more than such
// a difference, so where some payments fail and both are alike, the cheaper is only first more often.
func TestTheCheaperOfEqualsAtPublishedFees(t *testing.T) {
	for _, c := range []struct {
		fail, least int // one of so many fails; how often of 4,000 the cheaper is first
	}{{0, 3800}, {20, 2150}} {
		r := router(t, nil, plan(route.Best, account("small", func(a *route.Account) { a.FeePPM = 6000 }), account("large", func(a *route.Account) { a.FeePPM = 3000 })))
		for i := range 3000 {
			good := c.fail == 0 || i%c.fail != 0
			r.Learn("small", "", good)
			r.Learn("large", "", good)
		}
		cheap := 0
		for k := range uint64(4000) {
			if decide(t, r, question(func(q *route.Question) { q.Key, q.Amount = k, 100_000 }))[0] == "large" {
				cheap++
			}
		}
		require.Greater(t, cheap, c.least, c.fail)
	}
}

// TestSuccessIsLearnedAndTheOtherIsStillTried: the better account gets most, an account that became better is found out.
func TestSuccessIsLearnedAndTheOtherIsStillTried(t *testing.T) {
	r := router(t, nil, plan(route.Best, account("a"), account("b")))
	random := rand.New(rand.NewPCG(5, 6))
	play := func(n int, a, b float64) (toA int) {
		for range n {
			name := decide(t, r, question(func(q *route.Question) { q.Key = random.Uint64() }))[0]
			p := b
			if name == "a" {
				p, toA = a, toA+1
			}
			r.Learn(name, "icbc", random.Float64() < p)
		}
		return toA
	}
	play(1000, 0.95, 0.7)
	require.Greater(t, play(1000, 0.95, 0.7), 900)
	play(2000, 0.6, 0.95)
	require.Less(t, play(1000, 0.6, 0.95), 150)
}

func TestAPaymentIsAnsweredAlikeWhileNothingChanges(t *testing.T) {
	r := router(t, nil, plan(route.Best, account("a"), account("b"), account("c")))
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.Uint64().Draw(t, "key")
		ask := func() []string { return decide(t, r, question(func(q *route.Question) { q.Key = k })) }
		require.Equal(t, ask(), ask())
	})
}

func TestAShareOfARampIsKept(t *testing.T) {
	r := router(t, shares{{Channel: "back"}: 0.2}, plan(route.InOrder, account("back"), account("other")))
	in := 0
	for k := range uint64(10000) {
		if decide(t, r, question(func(q *route.Question) { q.Key = k }))[0] == "back" {
			in++
		}
	}
	require.InDelta(t, 2000, in, 150)
}

// TestTolerantPayersComeFirst: a channel that comes back is tried on those who take a failure well. How many they are is measured, and the share is kept all the same; where nobody
// says who they are, it is everybody.
func TestTolerantPayersComeFirst(t *testing.T) {
	for _, c := range []struct{ share, tolerant, least float64 }{{0.05, 0.2, 0.97}, {0.2, 0.25, 0.97}, {0.5, 0.2, 0.38}, {0.1, 0, 0}} {
		r := router(t, shares{{Channel: "back"}: c.share}, plan(route.InOrder, account("back"), account("other")))
		rng := rand.New(rand.NewPCG(3, 4))
		in, tolerant := 0, 0
		const n = 20000
		for k := range uint64(n + 1000) {
			is := rng.Float64() < c.tolerant
			first := decide(t, r, question(func(q *route.Question) { q.Key, q.Tolerant = k, is }))[0]
			if k < 1000 || first != "back" {
				continue // it is measured first
			}
			in++
			if is {
				tolerant++
			}
		}
		require.InDelta(t, c.share, float64(in)/n, 0.02, c)
		require.GreaterOrEqual(t, float64(tolerant)/float64(in), c.least, c)
	}
}

func TestPlansThatAreWrong(t *testing.T) {
	good := plan(route.InOrder, account("a"))
	r := router(t, nil, good)
	for name, change := range map[string]func(*route.Plan){
		"taken":            func(p *route.Plan) { p.Accounts = append(p.Accounts, account("a")) },
		"zone":             func(p *route.Plan) { p.Accounts[0].Zone = "Moon/Base" },
		"wants a channel":  func(p *route.Plan) { p.Accounts[0].Products = nil },
		"out of range":     func(p *route.Plan) { p.Accounts[0].FeePPM = -1 },
		"at most":          func(p *route.Plan) { p.Accounts[0].Min, p.Accounts[0].Max = 5, 4 },
		"there is no":      func(p *route.Plan) { p.Rules[0].Accounts = []string{"b"} },
		"names 0 accounts": func(p *route.Plan) { p.Rules[0].Accounts = nil },
		"strategy":         func(p *route.Plan) { p.Rules[0].Strategy = "luck" },
		"wants weights":    func(p *route.Plan) { p.Rules[0].Strategy, p.Accounts[0].Weight = route.Ratio, 0 },
		"unknown name":     func(p *route.Plan) { p.Rules[0].When = "nothing == 1" },
		"bool":             func(p *route.Plan) { p.Rules[0].When = "amount" },
	} {
		p := plan(route.InOrder, account("a"))
		p.Version = 2
		change(&p)
		require.ErrorContains(t, r.Use(p), name)
		have, _ := r.Plan()
		require.Equal(t, 1, have.Version, "what is wrong changes nothing")
	}
	good.Version = 0
	require.ErrorIs(t, r.Use(good), route.ErrOld)
	_, _, err := route.New(nil).Decide(nil, question())
	require.ErrorIs(t, err, route.ErrNoPlan)
}

func TestManyDecideAtOnce(t *testing.T) {
	r := router(t, shares{}, plan(route.Best, account("a", func(a *route.Account) { a.PerDay = 1 << 40 }), account("b")))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for k := range uint64(2000) {
				names, _, err := r.Decide(nil, question(func(q *route.Question) { q.Key = k + uint64(w)<<32 }))
				if err != nil || len(names) != 2 {
					t.Errorf("%v %v", names, err)
					return
				}
				r.Spend(names[0], "icbc", 1, noon)
				r.Learn(names[0], "icbc", k%10 != 0)
			}
		})
	}
	all.Go(func() {
		for v := range 100 {
			p := plan(route.Best, account("a"), account("b"))
			p.Version = v + 2
			if err := r.Use(p); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
}

func TestTheFallbackFile(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	f := route.Fallback{Plan: plan(route.Best, account("a"), account("b")), Out: []route.FallbackChannel{{Channel: "b", Share: 0.2}}, At: noon}
	file, err := route.Seal(f, key)
	require.NoError(t, err)
	have, err := route.Open(file, pub, noon.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, f.Plan, have.Plan)
	require.Equal(t, f.Out, have.Out)
	require.True(t, f.At.Equal(have.At))
	for i := range file {
		bad := append([]byte(nil), file...)
		bad[i] ^= 1
		_, err := route.Open(bad, pub, noon.Add(time.Hour))
		require.ErrorIs(t, err, route.ErrFallback, "byte %d", i)
	}
	_, err = route.Open(file, pub, noon.Add(-time.Hour))
	require.ErrorContains(t, err, "yet to come")
}

// TestWhatMakesNoSenseIsNotRecalled, and what was learned meanwhile stands.
func TestWhatMakesNoSenseIsNotRecalled(t *testing.T) {
	r := router(t, nil, plan(route.Best, account("a"), account("b")))
	r.Learn("b", "", true)
	r.Recall([]route.Learned{
		{Account: "a", Bank: "icbc", Success: 0.25, Weight: 40}, {Account: "a", Success: 1.5, Weight: 10}, {Account: "a", Bank: "ccb", Success: 0.5, Weight: 301},
		{Account: "a", Bank: "abc", Success: 0.5}, {Account: "a", Bank: "bad", Success: math.NaN(), Weight: 9}, {Account: "b", Success: 0.125, Weight: 100},
	})
	all := r.Learned()
	require.Len(t, all, 2)
	require.Equal(t, route.Learned{Account: "a", Bank: "icbc", Success: 0.25, Weight: 40}, all[0])
	require.Equal(t, "b", all[1].Account)
	require.Greater(t, all[1].Success, 0.9)
}

func FuzzOpen(f *testing.F) {
	pub, key, _ := ed25519.GenerateKey(nil)
	file, err := route.Seal(route.Fallback{Plan: plan(route.Best, account("a")), At: noon}, key)
	require.NoError(f, err)
	f.Add(file)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := route.Open(b, pub, noon)
		if err == nil {
			require.NoError(t, route.New(nil).Use(got.Plan))
		}
	})
}

func TestAnExperiment(t *testing.T) {
	e := route.Experiment{Part: 0.2, MinSample: 1000, Guardrail: 0.03}
	in := 0
	for k := range uint64(10000) {
		if e.Variant(k) {
			in++
		}
		require.Equal(t, e.Variant(k), e.Variant(k))
	}
	require.InDelta(t, 2000, in, 150)
	require.False(t, e.Judge(route.Arm{}, route.Arm{}).Stop)
	bad := e.Judge(route.Arm{Payments: 4000, Succeeded: 3800}, route.Arm{Payments: 400, Succeeded: 300})
	require.True(t, bad.Stop)
	require.False(t, bad.Enough)
	luck := e.Judge(route.Arm{Payments: 160, Succeeded: 152}, route.Arm{Payments: 40, Succeeded: 20})
	require.False(t, luck.Stop, "too few")
	better := e.Judge(route.Arm{Payments: 8000, Succeeded: 7200}, route.Arm{Payments: 2000, Succeeded: 1860})
	require.True(t, better.Enough)
	require.InDelta(t, 0.03, better.Gain, 1e-9)
	require.Greater(t, better.Lo, 0.0)
}

// TestAPriorityComesFirst: whatever the strategy, second choices are those of a larger number, and they take over where the first may not.
func TestAPriorityComesFirst(t *testing.T) {
	later := func(n int) func(*route.Account) { return func(a *route.Account) { a.Priority = n } }
	dear := func(a *route.Account) { a.FeePPM = 50_000 }
	for _, s := range []route.Strategy{route.Best, route.Ratio, route.RoundRobin} {
		r := router(t, nil, plan(s, account("bank", later(2)), account("union", later(1)), account("wallet", dear), account("wallet2", dear)))
		first := map[string]int{}
		for key := range uint64(400) {
			names := decide(t, r, question(func(q *route.Question) { q.Key = key }))
			require.ElementsMatch(t, []string{"wallet", "wallet2"}, names[:2])
			require.Equal(t, []string{"union", "bank"}, names[2:])
			first[names[0]]++
		}
		require.InDelta(t, 200, first["wallet"], 60, "%s chooses among equals", s)
		names := decide(t, r, question(func(q *route.Question) { q.Tried = []string{"wallet", "wallet2"} }))
		require.Equal(t, []string{"union", "bank"}, names)
	}
	r := router(t, nil, plan(route.InOrder, account("bank", later(2)), account("wallet")))
	require.Equal(t, []string{"bank", "wallet"}, decide(t, r, question()), "a rule's own order stands")
	require.ErrorContains(t, route.New(nil).Use(plan(route.Best, account("a", later(100)))), "priority 100")
}

// TestTheOrderIsLearnedFromData: of a bank's page, a card network and a bank's own interface, at the success that is known of them, nobody says which is the best.
func TestTheOrderIsLearnedFromData(t *testing.T) {
	rates := map[string]float64{"netbank": 0.2, "union": 0.5, "bank": 0.7}
	r := router(t, nil, plan(route.Best, account("netbank"), account("union"), account("bank")))
	random := rand.New(rand.NewPCG(20, 70))
	took := map[string]int{}
	for i := range 4000 {
		name := decide(t, r, question(func(q *route.Question) { q.Key = random.Uint64() }))[0]
		r.Learn(name, "icbc", random.Float64() < rates[name])
		if i >= 1000 {
			took[name]++
		}
	}
	require.Greater(t, took["bank"], 2700)
	require.Greater(t, took["union"], took["netbank"])
}
