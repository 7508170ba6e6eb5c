package risk_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/internal/money"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func example(t testing.TB) risk.Set {
	file, err := os.ReadFile("../../docs/examples/risk-rules.json")
	require.NoError(t, err)
	s, err := risk.Parse(file)
	require.NoError(t, err)
	return s
}

func engine(t testing.TB, s risk.Set) *risk.Engine {
	e := risk.New()
	require.NoError(t, e.Use(s))
	return e
}

func rules(all ...risk.Rule) risk.Set {
	for i := range all {
		if all[i].Name == "" {
			all[i].Name = fmt.Sprint("rule-", i+1)
		}
		all[i].Why = "because"
	}
	return risk.Set{Form: 1, Version: 1, Rules: all}
}

func decide(t testing.TB, e *risk.Engine, f risk.Facts) risk.Decision {
	d, err := e.Decide(&f)
	require.NoError(t, err)
	return d
}

// TestTheExampleRules: each outcome and each rule of the example, at its edges.
func TestTheExampleRules(t *testing.T) {
	e := engine(t, example(t))
	good := risk.Facts{Product: "quick", Currency: "CNY", Amount: 20000, Card: "debit", Device: true, Hour: 12, Attempts: 1, Complete: true}
	hit := map[string]bool{}
	for name, row := range map[string]struct {
		change func(*risk.Facts)
		want   risk.Outcome
		rule   string
	}{
		"at the limit no password":        {func(f *risk.Facts) {}, risk.Pass, ""},
		"one above it a password":         {func(f *risk.Facts) { f.Amount = 20001 }, risk.StepUp, "small-amount"},
		"which is not asked for twice":    {func(f *risk.Facts) { f.Amount, f.SteppedUp = 20001, true }, risk.Pass, ""},
		"nor for what is not quick":       {func(f *risk.Facts) { f.Amount, f.Product = 20001, "qr" }, risk.Pass, ""},
		"a day's limit":                   {func(f *risk.Facts) { f.ByPayer.Sum24h = 100000 }, risk.Pass, ""},
		"one above a day's limit":         {func(f *risk.Facts) { f.ByPayer.Sum24h = 100001 }, risk.StepUp, "small-day"},
		"a denied payer":                  {func(f *risk.Facts) { f.PayerList = risk.Denied }, risk.Block, "denied"},
		"a denied device":                 {func(f *risk.Facts) { f.DeviceList = risk.Denied }, risk.Block, "denied"},
		"a denied merchant":               {func(f *risk.Facts) { f.MerchantList = risk.Denied }, risk.Block, "denied"},
		"denied, whatever is proved":      {func(f *risk.Facts) { f.PayerList, f.SteppedUp = risk.Denied, true }, risk.Block, "denied"},
		"a storm":                         {func(f *risk.Facts) { f.ByDevice.Count10m = 11 }, risk.Block, "device-storm"},
		"ten are none":                    {func(f *risk.Facts) { f.ByDevice.Count10m = 10 }, risk.Pass, ""},
		"a till may":                      {func(f *risk.Facts) { f.ByDevice.Count10m, f.DeviceList = 11, risk.Allowed }, risk.Pass, ""},
		"block wins over step-up":         {func(f *risk.Facts) { f.ByDevice.Count10m, f.Amount = 11, 20001 }, risk.Block, "device-storm"},
		"young money":                     {func(f *risk.Facts) { f.Product, f.Young = "payout", 1 }, risk.Block, "young-money"},
		"old money, and the books agree":  {func(f *risk.Facts) { f.Product, f.ReconMinutes = "payout", 30 }, risk.Pass, ""},
		"reconciled too long ago":         {func(f *risk.Facts) { f.Product, f.ReconMinutes = "payout", 31 }, risk.Block, "books-differ"},
		"never reconciled":                {func(f *risk.Facts) { f.Product, f.ReconMinutes = "payout", -1 }, risk.Block, "books-differ"},
		"a difference":                    {func(f *risk.Facts) { f.Product, f.ReconDifferences = "payout", 1 }, risk.Block, "books-differ"},
		"another person's":                {func(f *risk.Facts) { f.Identity = "mismatch" }, risk.Block, "mismatch"},
		"not in the database":             {func(f *risk.Facts) { f.Identity, f.Product, f.Amount = "not-in-database", "qr", 100001 }, risk.StepUp, "not-in-database"},
		"not in the database, little":     {func(f *risk.Facts) { f.Identity = "not-in-database" }, risk.Pass, ""},
		"a binding that proves nothing":   {func(f *risk.Facts) { f.Unproven, f.Product, f.Amount = true, "qr", 50001 }, risk.Block, "unproven-binding"},
		"the same, little":                {func(f *risk.Facts) { f.Unproven, f.Product, f.Amount = true, "qr", 50000 }, risk.Pass, ""},
		"a card that is busy":             {func(f *risk.Facts) { f.ByCard.Count1h = 6 }, risk.StepUp, "card-many"},
		"after a start, nothing is known": {func(f *risk.Facts) { f.Complete, f.Product, f.Amount = false, "qr", 100001 }, risk.StepUp, "windows"},
		"a friend":                        {func(f *risk.Facts) { f.PayerList = risk.Allowed }, risk.Pass, "known"},
		"a friend who pays much":          {func(f *risk.Facts) { f.PayerList, f.Amount = risk.Allowed, 20001 }, risk.StepUp, "small-amount"},
	} {
		f := good
		row.change(&f)
		d := decide(t, e, f)
		require.Equal(t, row.want, d.Outcome, name)
		require.Equal(t, row.rule, d.Rule, name)
		require.Empty(t, d.Failed, name)
		require.Equal(t, 1, d.Version)
		hit[d.Rule] = true
	}
	for _, r := range example(t).Rules {
		require.True(t, hit[r.Name], "no case for rule %s", r.Name)
	}
}

// TestTheStrongestWinsInAnyOrder: where rules stand decides nothing but which of one strength is named.
func TestTheStrongestWinsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(rt, "rules")
		var all []risk.Rule
		want, name := risk.Pass, ""
		stepped := rapid.Bool().Draw(rt, "stepped up")
		for i := range n {
			fits := rapid.Bool().Draw(rt, "fits")
			then := rapid.SampledFrom(risk.Outcomes).Draw(rt, "then")
			all = append(all, risk.Rule{Name: fmt.Sprint("r", i), When: fmt.Sprintf("amount == 1 && %v", fits), Then: then})
			if fits && !(then == risk.StepUp && stepped) && (then > want || name == "") {
				want, name = then, fmt.Sprint("r", i)
			}
		}
		d := decide(t, engine(t, rules(all...)), risk.Facts{Amount: 1, SteppedUp: stepped})
		require.Equal(rt, want, d.Outcome)
		require.Equal(rt, name, d.Rule)
	})
}

func TestARuleThatCannotBeEvaluatedIsAStepUp(t *testing.T) {
	const bad = "amount % hour == 0" // at midnight
	for name, row := range map[string]struct {
		set  risk.Set
		f    risk.Facts
		want risk.Outcome
		rule string
	}{
		"to block":              {rules(risk.Rule{When: bad, Then: risk.Block}), risk.Facts{}, risk.StepUp, "rule-1"},
		"to step up":            {rules(risk.Rule{When: bad, Then: risk.StepUp}), risk.Facts{}, risk.StepUp, "rule-1"},
		"to pass":               {rules(risk.Rule{When: bad, Then: risk.Pass}), risk.Facts{}, risk.Pass, ""},
		"proved":                {rules(risk.Rule{When: bad, Then: risk.Block}), risk.Facts{SteppedUp: true}, risk.Pass, ""},
		"and another that does": {rules(risk.Rule{When: bad, Then: risk.Block}, risk.Rule{When: "true", Then: risk.Block}), risk.Facts{}, risk.Block, "rule-2"},
		"and a pass":            {rules(risk.Rule{When: bad, Then: risk.Block}, risk.Rule{When: "true", Then: risk.Pass}), risk.Facts{}, risk.StepUp, "rule-1"},
		"at one o'clock":        {rules(risk.Rule{When: bad, Then: risk.Block}), risk.Facts{Hour: 1}, risk.Block, "rule-1"},
	} {
		e := engine(t, row.set)
		d := decide(t, e, row.f)
		require.Equal(t, row.want, d.Outcome, name)
		require.Equal(t, row.rule, d.Rule, name)
		if row.f.Hour == 0 && !(row.f.SteppedUp && row.set.Rules[0].Then == risk.StepUp) {
			require.Equal(t, "rule-1", d.Failed, name)
			why, err := e.Explain(&row.f)
			require.NoError(t, err)
			require.Contains(t, why.String(), "rule-1 could not be evaluated", name)
		}
	}
}

func TestWithoutRulesNothingIsDecided(t *testing.T) {
	e := risk.New()
	_, err := e.Decide(&risk.Facts{})
	require.ErrorIs(t, err, risk.ErrNoRules)
	_, err = e.Explain(&risk.Facts{})
	require.ErrorIs(t, err, risk.ErrNoRules)
	_, ok := e.Set()
	require.False(t, ok)
	require.Equal(t, risk.Pass, decide(t, engine(t, rules()), risk.Facts{}).Outcome, "a version without rules is one")
}

func TestAnOlderVersionIsRefused(t *testing.T) {
	e := engine(t, risk.Set{Form: 1, Version: 5})
	require.ErrorIs(t, e.Use(risk.Set{Form: 1, Version: 4}), risk.ErrOld)
	require.ErrorIs(t, e.Use(risk.Set{Form: 2, Version: 6}), risk.ErrRules)
	s, ok := e.Set()
	require.True(t, ok)
	require.Equal(t, 5, s.Version)
}

func TestRulesThatAreWrongAreRefused(t *testing.T) {
	many := rules(make([]risk.Rule, 201)...)
	for i := range many.Rules {
		many.Rules[i].When, many.Rules[i].Then = "true", risk.Pass
	}
	silent := rules(risk.Rule{When: "true", Then: risk.Pass})
	silent.Rules[0].Why = " "
	for name, s := range map[string]risk.Set{
		"a fact that is none": rules(risk.Rule{When: "colour == 'red'", Then: risk.Block}),
		"not true or false":   rules(risk.Rule{When: "amount + 1", Then: risk.Block}),
		"types that differ":   rules(risk.Rule{When: "amount == 'much'", Then: risk.Block}),
		"nothing":             rules(risk.Rule{When: "", Then: risk.Block}),
		"half":                rules(risk.Rule{When: "amount >", Then: risk.Block}),
		"a function":          rules(risk.Rule{When: "len(bank) > 3", Then: risk.Block}),
		"a loop":              rules(risk.Rule{When: "any([1, 2], # == amount)", Then: risk.Block}),
		"a range":             rules(risk.Rule{When: "amount in 1..1000000000", Then: risk.Block}),
		"too long":            rules(risk.Rule{When: "amount > 0" + strings.Repeat(" && amount > 0", 70), Then: risk.Block}),
		"no outcome":          rules(risk.Rule{When: "true"}),
		"another outcome":     rules(risk.Rule{When: "true", Then: 4}),
		"one name":            rules(risk.Rule{Name: "a", When: "true", Then: risk.Pass}, risk.Rule{Name: "a", When: "true", Then: risk.Pass}),
		"no reason":           silent,
		"no version":          {Form: 1},
		"too many":            many,
	} {
		e := engine(t, rules())
		require.ErrorIs(t, e.Use(s), risk.ErrRules, name)
		s, _ := e.Set()
		require.Empty(t, s.Rules, name)
	}
}

func TestExplanationInWords(t *testing.T) {
	e := engine(t, example(t))
	why, err := e.Explain(&risk.Facts{Product: "quick", Amount: 20001, ByCard: risk.Counts{Count1h: 7}, Complete: true})
	require.NoError(t, err)
	require.Equal(t, `step-up by rule small-amount of version 1: above the amount that is paid without a password.
- small-amount asks for step-up: above the amount that is paid without a password (amount = 20001, product = "quick")
- card-many asks for step-up: more than 5 payments of one card in an hour (by_card.count_1h = 7)`, why.String())
	require.Len(t, why.Rules, len(example(t).Rules))

	why, err = e.Explain(&risk.Facts{Product: "quick", Amount: 1, Complete: true})
	require.NoError(t, err)
	require.Equal(t, "pass by rules version 1: nothing speaks against it.", why.String())
}

func TestDryRun(t *testing.T) {
	old := example(t)
	next := example(t)
	next.Version = 2
	for i := range next.Rules {
		switch next.Rules[i].Name {
		case "small-amount":
			next.Rules[i].When = "product == 'quick' && amount > 10000"
		case "device-storm":
			next.Rules[i].When = "by_device.count_10m % attempts > 10"
		}
	}
	yesterday := func(yield func(string, risk.Facts) bool) {
		for i := range 30 {
			f := risk.Facts{Product: "quick", Amount: int64(i+1) * 1000, Complete: true, Attempts: 1}
			if i == 29 {
				f.Attempts = 0
			}
			if !yield(fmt.Sprint("P", i), f) {
				return
			}
		}
	}
	r, err := risk.Compare(old, next, yesterday)
	require.NoError(t, err)
	require.Equal(t, 30, r.Cases)
	require.Equal(t, 10, r.Changed, "above 100.00 to 200.00")
	require.Equal(t, [4][4]int{risk.Pass: {risk.Pass: 10, risk.StepUp: 10}, risk.StepUp: {risk.StepUp: 10}}, r.Table)
	require.Equal(t, 19, r.Rules["small-amount"])
	require.Equal(t, 10, r.Rules[""])
	require.Equal(t, 0, r.Rules["denied"], "a rule that never decides is shown")
	require.Equal(t, map[string]int{"device-storm": 1}, r.Failed)
	require.Len(t, r.Examples, 5)
	require.Equal(t, "P10", r.Examples[0].Case)
	require.Equal(t, risk.Pass, r.Examples[0].Old.Outcome)
	require.Equal(t, "small-amount", r.Examples[0].New.Rule)

	same, err := risk.Compare(old, old, yesterday)
	require.NoError(t, err)
	require.Zero(t, same.Changed)
	_, err = risk.Compare(old, risk.Set{}, yesterday)
	require.ErrorIs(t, err, risk.ErrRules)
}

// TestFactsSurviveStorage: what a dry run reads is what was decided of.
func TestFactsSurviveStorage(t *testing.T) {
	f := risk.Facts{Product: "payout", Amount: 7, ByCard: risk.Counts{Count1h: 6, Sum24h: 9}, ReconMinutes: -1, Identity: "mismatch", Complete: true}
	raw, err := json.Marshal(f)
	require.NoError(t, err)
	var back risk.Facts
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, f, back)
}

func TestAFileIsVerifiedBeforeItIsRead(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	file, err := risk.Seal(example(t), private)
	require.NoError(t, err)
	s, err := risk.Open(file, public)
	require.NoError(t, err)
	require.Equal(t, example(t), s)
	for i := range file {
		bent := append([]byte(nil), file...)
		bent[i] ^= 1
		_, err := risk.Open(bent, public)
		require.ErrorIs(t, err, risk.ErrSigned)
	}
	_, err = risk.Open(file, other)
	require.ErrorIs(t, err, risk.ErrSigned)
	_, err = risk.Open(file[:10], public)
	require.ErrorIs(t, err, risk.ErrSigned)
	_, err = risk.Seal(risk.Set{}, private)
	require.ErrorIs(t, err, risk.ErrRules)
}

func TestAMistypedFieldIsNotIgnored(t *testing.T) {
	for name, file := range map[string]string{
		"a field":   `{"form":1,"version":1,"rules":[{"name":"a","when":"true","then":"block","why":"b","enabled":false}]}`,
		"an end":    `{"form":1,"version":1,"rules":[]} {}`,
		"a word":    `{"form":1,"version":1,"rules":[{"name":"a","when":"true","then":"stop","why":"b"}]}`,
		"no object": `[]`,
		"nothing":   ``,
	} {
		_, err := risk.Parse([]byte(file))
		require.ErrorIs(t, err, risk.ErrRules, name)
	}
}

func FuzzParse(f *testing.F) {
	file, err := os.ReadFile("../../docs/examples/risk-rules.json")
	require.NoError(f, err)
	f.Add(file)
	f.Add([]byte(`{"form":1,"version":1,"rules":[{"name":"a","when":"let x = amount; x > 1 ? device : by_card == by_payer","then":"pass","why":"b"}]}`))
	f.Add([]byte(`{"form":1,"version":1,"rules":[{"name":"a","when":"bank matches '^a' || [amount][hour] in {\"a\": 1}","then":"pass","why":"b"}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := risk.Parse(file)
		if err != nil {
			require.ErrorIs(t, err, risk.ErrRules)
			return
		}
		e := engine(t, s)
		facts := risk.Facts{Product: "quick", Amount: 5}
		d := decide(t, e, facts)
		why, err := e.Explain(&facts)
		require.NoError(t, err)
		require.Equal(t, d, why.Decision)
		require.NotEmpty(t, why.String())
	})
}

func FuzzOpen(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	file, err := risk.Seal(risk.Set{Form: 1, Version: 1}, private)
	require.NoError(f, err)
	f.Add(file)
	f.Add(file[:64])
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := risk.Open(in, private.Public().(ed25519.PublicKey)); err == nil {
			require.Equal(t, risk.Set{Form: 1, Version: 1}, s)
		}
	})
}

func hasher(t testing.TB) risk.Hasher {
	h, err := risk.NewHasher([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, err)
	return h
}

func TestLists(t *testing.T) {
	h := hasher(t)
	bad, friend := h.Of(risk.Device, "phone-1"), h.Of(risk.Payer, "ann")
	l, err := risk.ParseLists(fmt.Appendf(nil, `{"form":1,"version":3,"entries":[
		{"kind":"device","id":"%v","is":"denied","until":%d,"why":"stolen"},
		{"kind":"payer","id":"%v","is":"allowed","why":"tested"}]}`, bad, noon.Unix(), friend))
	require.NoError(t, err)
	require.Equal(t, 3, l.Version())
	require.Equal(t, risk.Denied, l.Ask(risk.Device, bad, noon.Add(-1)))
	require.Empty(t, l.Ask(risk.Device, bad, noon), "it is over")
	require.Empty(t, l.Ask(risk.Payer, bad, noon.Add(-1)), "of another kind")
	require.Equal(t, risk.Allowed, l.Ask(risk.Payer, friend, noon))
	require.Empty(t, (&risk.Lists{}).Ask(risk.Payer, friend, noon))

	var f risk.Facts
	l.Fill(&f, risk.Event{Payer: friend, Device: bad}, noon.Add(-time.Hour))
	require.Equal(t, risk.Facts{PayerList: risk.Allowed, DeviceList: risk.Denied}, f)

	good := risk.Entry{Kind: risk.Payer, ID: friend, Is: risk.Denied, Why: "w"}
	for name, change := range map[string]func(*risk.ListFile){
		"form":    func(f *risk.ListFile) { f.Form = 2 },
		"version": func(f *risk.ListFile) { f.Version = 0 },
		"twice":   func(f *risk.ListFile) { f.Entries = append(f.Entries, good) },
		"kind":    func(f *risk.ListFile) { f.Entries[0].Kind = "town" },
		"nobody":  func(f *risk.ListFile) { f.Entries[0].ID = risk.ID{} },
		"neither": func(f *risk.ListFile) { f.Entries[0].Is = "maybe" },
		"why":     func(f *risk.ListFile) { f.Entries[0].Why = "" },
		"until":   func(f *risk.ListFile) { f.Entries[0].Until = -1 },
	} {
		file := risk.ListFile{Form: 1, Version: 1, Entries: []risk.Entry{good}}
		change(&file)
		_, err := risk.NewLists(file)
		require.ErrorIs(t, err, risk.ErrLists, name)
	}
	_, err = risk.ParseLists([]byte(`{"form":1,"version":1,"entries":[{"kind":"card","id":"6222020000000000000","is":"denied","why":"w"}]}`))
	require.ErrorIs(t, err, risk.ErrLists)
	require.NotContains(t, err.Error(), "622202", "a number put there by mistake is not repeated")
}

func TestIDsAreKeyed(t *testing.T) {
	h := hasher(t)
	other, err := risk.NewHasher([]byte("another key of thirty-two bytes.")[:32])
	require.NoError(t, err)
	require.Equal(t, h.Of(risk.CardOf, "1"), h.Of(risk.CardOf, "1"))
	require.NotEqual(t, h.Of(risk.CardOf, "1"), other.Of(risk.CardOf, "1"))
	require.NotEqual(t, h.Of(risk.CardOf, "1"), h.Of(risk.Payer, "1"))
	require.Zero(t, h.Of(risk.CardOf, ""))
	_, err = risk.NewHasher(nil)
	require.Error(t, err)
}

func FuzzParseLists(f *testing.F) {
	f.Add([]byte(`{"form":1,"version":3,"entries":[{"kind":"device","id":"0123456789abcdef0123456789abcdef","is":"denied","until":5,"why":"stolen"}]}`))
	f.Add([]byte(`{"form":1,"version":3}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := risk.ParseLists(file); err != nil {
			require.ErrorIs(t, err, risk.ErrLists)
		}
	})
}

// TestVelocityIsExact compares with a plain list of all payments: told out of order, again, and beside a clock that goes on.
func TestVelocityIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		v, err := risk.NewVelocity(4096, noon.Add(-48*time.Hour))
		require.NoError(t, err)
		var all []risk.Event
		id := func(kind byte) risk.ID { return risk.ID{kind, byte(rapid.IntRange(0, 2).Draw(t, "id"))} }
		for n := range rapid.IntRange(1, 80).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "pause")))
			e := risk.Event{Number: fmt.Sprint(n), At: now.Add(-time.Duration(rapid.SampledFrom([]int64{0, 1, 600, 3600, 86400, 90000}).Draw(t, "late")) * time.Second), Amount: rapid.Int64Range(0, 1000).Draw(t, "amount"),
				Payer: risk.ID{1, 1}, Card: id(2), Merchant: id(0)} // a merchant may be nobody
			if len(all) > 0 && rapid.IntRange(0, 3).Draw(t, "again") == 0 {
				e = all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
				v.Add(e, now)
			} else if v.Add(e, now) {
				require.True(t, e.At.After(now.Add(-24*time.Hour)))
				all = append(all, e)
			} else {
				require.False(t, e.At.After(now.Add(-24*time.Hour)))
			}
			ask := id(2)
			var want risk.Counts
			for _, p := range all {
				age := now.UnixMilli() - p.At.UnixMilli()
				if p.Card != ask || age < 0 {
					continue
				}
				for _, w := range []struct {
					long  time.Duration
					count *int
					sum   *int64
				}{{10 * time.Minute, &want.Count10m, &want.Sum10m}, {time.Hour, &want.Count1h, &want.Sum1h}, {24 * time.Hour, &want.Count24h, &want.Sum24h}} {
					if age < w.long.Milliseconds() {
						*w.count++
						*w.sum += p.Amount
					}
				}
			}
			require.Equal(t, want, v.Ask(risk.CardOf, ask, now))
			var f risk.Facts
			v.Fill(&f, risk.Event{Card: ask}, now)
			require.True(t, f.Complete)
			require.Equal(t, want, f.ByCard)
		}
	})
}

// TestVelocityInLittleRoom compares with a short list that forgets what came first: what was forgotten, in whatever order it had come, is gone from
// counts and sums alike.
func TestVelocityInLittleRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(4, 8).Draw(t, "most")
		v, err := risk.NewVelocity(most, noon)
		require.NoError(t, err)
		now := noon
		var kept []risk.Event
		for n := range 40 {
			now = now.Add(time.Duration(rapid.Int64Range(0, 3*3600).Draw(t, "pause")) * time.Second)
			late := time.Duration(rapid.Int64Range(0, 6*3600).Draw(t, "late")) * time.Second
			e := risk.Event{Number: fmt.Sprint(n), At: now.Add(-late), Amount: rapid.Int64Range(1, 1000).Draw(t, "amount"), Card: risk.ID{byte(rapid.IntRange(1, 2).Draw(t, "card"))}}
			require.True(t, v.Add(e, now))
			for len(kept) > 0 && !kept[0].At.After(now.Add(-24*time.Hour)) {
				kept = kept[1:]
			}
			if len(kept) == most {
				kept = kept[1:]
			}
			kept = append(kept, e)
			require.Equal(t, len(kept), v.Len())
			for card := range byte(3) {
				count, sum := 0, int64(0)
				for _, p := range kept {
					if p.Card == (risk.ID{card}) && p.At.After(now.Add(-24*time.Hour)) {
						count, sum = count+1, sum+p.Amount
					}
				}
				got := v.Ask(risk.CardOf, risk.ID{card}, now)
				require.Equal(t, count, got.Count24h)
				require.Equal(t, sum, got.Sum24h)
			}
		}
	})
}

func TestVelocityTellsWhenItIsNotWhole(t *testing.T) {
	complete := func(v *risk.Velocity, at time.Time) bool {
		var f risk.Facts
		v.Fill(&f, risk.Event{}, at)
		return f.Complete
	}
	v, err := risk.NewVelocity(8, noon)
	require.NoError(t, err)
	require.False(t, complete(v, noon.Add(24*time.Hour-1)), "it began at noon")
	require.True(t, complete(v, noon.Add(24*time.Hour)))
	v.Complete(noon.Add(-24 * time.Hour))
	require.True(t, complete(v, noon), "filled from what is stored")

	e := risk.Event{Payer: risk.ID{1}, Device: risk.ID{2}, Card: risk.ID{3}, Merchant: risk.ID{4}, Amount: 1}
	for i := range 3 { // the third of four notes each makes the first give way
		e.Number, e.At = fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute)
		require.True(t, v.Add(e, e.At))
		require.Equal(t, i < 2, complete(v, e.At), i)
		require.LessOrEqual(t, v.Len(), 8)
	}
	require.Equal(t, 2, v.Ask(risk.Payer, e.Payer, e.At).Count24h)
	v.Complete(noon.Add(-30 * time.Hour))
	require.False(t, complete(v, e.At), "what has made room is not brought back by a word")
	require.True(t, complete(v, noon.Add(24*time.Hour+time.Millisecond)), "what made room has left by itself")
	require.Zero(t, v.Ask(risk.Payer, e.Payer, noon.Add(25*time.Hour)).Count24h)

	require.False(t, v.Add(risk.Event{Number: "x", At: noon.Add(time.Hour), Payer: risk.ID{1}}, noon), "of a time to come")
	_, err = risk.NewVelocity(3, noon)
	require.Error(t, err)
}

func TestVelocityFromManyAtOnce(t *testing.T) {
	v, err := risk.NewVelocity(10000, noon)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				v.Add(risk.Event{Number: fmt.Sprint(i), At: noon.Add(time.Duration(i) * time.Millisecond), Amount: 2, Payer: risk.ID{1}, Device: risk.ID{byte(w + 1)}}, noon)
				v.Ask(risk.Payer, risk.ID{1}, noon)
			}
		})
	}
	wg.Wait()
	got := v.Ask(risk.Payer, risk.ID{1}, noon.Add(time.Second))
	require.Equal(t, 200, got.Count10m, "each once, though eight told it")
	require.Equal(t, int64(400), got.Sum10m)
}

func TestYoungMoneyIsHeldBack(t *testing.T) {
	m := money.Minor
	day := 24 * time.Hour
	in := []risk.Lot{{noon.Add(-25 * time.Hour), m(1000)}, {noon.Add(-10 * time.Hour), m(300)}, {noon.Add(-time.Hour), m(200)}, {noon, m(-50)}}
	for _, row := range []struct{ balance, free int64 }{{1500, 1000}, {600, 100}, {500, 0}, {100, 0}, {0, 0}} {
		free, err := risk.Free(m(row.balance), in, day, noon)
		require.NoError(t, err)
		require.Equal(t, m(row.free), free, row.balance)
	}
	for _, row := range []struct{ amount, young int64 }{{1000, 0}, {1001, 1}, {1300, 300}, {1301, 301}, {1500, 500}, {1501, 501}} {
		young, err := risk.Young(m(row.amount), m(1500), in, day, noon)
		require.NoError(t, err)
		require.Equal(t, row.young, young, row.amount)
	}
	_, err := risk.Free(m(0), []risk.Lot{{noon, m(1 << 62)}, {noon, m(1 << 62)}}, day, noon)
	require.ErrorIs(t, err, money.ErrOverflow)
}

// BenchmarkRule is one rule of the usual size.
func BenchmarkRule(b *testing.B) {
	e := engine(b, rules(risk.Rule{When: "product == 'quick' && device && by_device.count_10m > 10 && device_list != 'allowed'", Then: risk.Block}))
	f := risk.Facts{Product: "quick", Device: true, Amount: 100}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Decide(&f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExample is a decision by all rules of the example, none of which fits.
func BenchmarkExample(b *testing.B) {
	e := engine(b, example(b))
	f := risk.Facts{Product: "quick", Device: true, Amount: 100, Complete: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Decide(&f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVelocity is one payment added and its windows asked.
func BenchmarkVelocity(b *testing.B) {
	v, err := risk.NewVelocity(1<<16, noon)
	require.NoError(b, err)
	var f risk.Facts
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := noon.Add(time.Duration(i) * 10 * time.Millisecond)
		e := risk.Event{Number: fmt.Sprint(i), At: at, Amount: 1, Payer: risk.ID{1, byte(i), byte(i >> 8)}, Device: risk.ID{2, byte(i)}, Card: risk.ID{3, byte(i), byte(i >> 8)}, Merchant: risk.ID{4, byte(i % 7)}}
		v.Add(e, at)
		v.Fill(&f, e, at)
	}
}
