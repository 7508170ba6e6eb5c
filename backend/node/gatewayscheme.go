package node

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/internal/ids"
)

// Gateway is what an operator writes of the online gateway; docs/gateway-serve.md is its page.
type Gateway struct {
	Listen `yaml:",inline"` // notifications of channels, and the API for merchants' apps

	// NotifyURL is where channels reach that address from outside: what comes to NotifyURL/notify/ACCOUNT must arrive there at /notify/ACCOUNT, unchanged.
	NotifyURL string `yaml:"notify_url"`

	Products  map[code.Product]string `yaml:"products"`  // the numbers in context codes, and what they are called
	Companies map[code.Company]string `yaml:"companies"` // payment companies, likewise

	Accounts []GatewayAccount `yaml:"accounts"`
	Rules    []GatewayRule    `yaml:"rules"`
	Plan     string           `yaml:"plan"` // file with a routing plan, beside this one, in place of Rules

	Rates []GatewayRate `yaml:"rates"` // that apps' terms may name
	Times GatewayTimes  `yaml:"times"`

	Risk *GatewayRisk `yaml:"risk"` // nil: every payment passes

	History string `yaml:"history"` // database file in the data folder with what became of orders, for statistics; empty: none

	Traces string `yaml:"traces"` // file in the data folder that gets a line for each step of a payment; empty: none

	Combined   *GatewayCombined   `yaml:"combined"`   // payments with several instruments at once; nil: none
	Experiment *GatewayExperiment `yaml:"experiment"` // with a second routing plan; nil: none
	Health     *GatewayHealth     `yaml:"health"`     // what channels do by themselves; nil: as usual
	Tell       []GatewaySink      `yaml:"tell"`       // who is told of channels beside the log

	Cards *GatewayCards `yaml:"cards"` // where bank cards lie; nil: none are kept
}

// GatewayAccount is one of our accounts at a payment channel.
type GatewayAccount struct {
	ID       string       `yaml:"id"`
	Kind     string       `yaml:"kind"`
	Company  code.Company `yaml:"company"`
	Number   code.Number  `yaml:"number"`   // its part of context codes
	FeePPM   int64        `yaml:"fee_ppm"`  // what the channel keeps, in millionths
	Settings string       `yaml:"settings"` // file, beside this one; a balance has none
}

// GatewayRule says which accounts take payments of a product and a currency; the first that fits counts. Empty fields fit everything.
type GatewayRule struct {
	Product  channel.Product `yaml:"product"`
	Currency string          `yaml:"currency"`
	Accounts []string        `yaml:"accounts"` // best first
}

// check tells every fault of the section. A scheme without one has no gateway.
func (g *Gateway) check(bad func(string, ...any)) {
	if g == nil {
		return
	}
	if g.Address == "" {
		bad("gateway.address: want host:port for the notifications of channels; a scheme without a gateway leaves the section out")
	}
	g.Listen.check("gateway", bad)
	if err := checkNotifyURL(g.NotifyURL); err != nil {
		bad("gateway.notify_url: %w", err)
	}
	if len(g.Products) == 0 {
		bad("gateway.products: want at least one, such as {1: kiosk}")
	}
	if _, err := code.NewRegistry(g.Products, g.Companies); err != nil {
		bad("gateway: %w", err)
	}
	if len(g.Accounts) == 0 {
		bad("gateway.accounts: want at least one")
	}
	known, numbers := map[string]bool{}, map[code.Number]bool{}
	for i, a := range g.Accounts {
		g.checkAccount(fmt.Sprintf("gateway.accounts[%d]", i), a, bad)
		if known[a.ID] {
			bad("gateway.accounts[%d].id: %s stands twice", i, a.ID)
		}
		if numbers[a.Number] {
			bad("gateway.accounts[%d].number: %d stands twice", i, a.Number)
		}
		known[a.ID], numbers[a.Number] = true, true
	}
	g.Cards.check(g.Accounts, bad)
	g.checkCombined(bad)
	g.Experiment.check(bad)
	g.checkHealth(bad)
	if (len(g.Rules) == 0) == (g.Plan == "") {
		bad("gateway: want rules or a plan, one of the two: without one no account takes a payment")
	}
	g.checkRates(bad)
	g.Times.check(bad)
	g.Risk.check(bad)
	if g.History != "" && !filepath.IsLocal(g.History) {
		bad("gateway.history: %q: want a file in the data folder, such as history.db", g.History)
	}
	if g.Traces != "" && !filepath.IsLocal(g.Traces) {
		bad("gateway.traces: %q: want a file in the data folder, such as traces/gateway.jsonl", g.Traces)
	}
	for i, r := range g.Rules {
		if len(r.Accounts) == 0 {
			bad("gateway.rules[%d].accounts: want at least one", i)
		}
		for _, a := range r.Accounts {
			if !known[a] {
				bad("gateway.rules[%d].accounts: %q is not among the accounts", i, a)
			}
		}
		if _, err := code.WayOf(string(r.Product)); r.Product != "" && err != nil {
			bad("gateway.rules[%d].product: %w", i, err)
		}
		if r.Currency != "" && (len(r.Currency) != 3 || strings.Trim(r.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
			bad("gateway.rules[%d].currency: %q: want three letters such as CNY", i, r.Currency)
		}
	}
}

func (g *Gateway) checkAccount(field string, a GatewayAccount, bad func(string, ...any)) {
	if err := ids.Check(a.ID); err != nil {
		bad("%s.id: %w", field, err)
	}
	a.checkKind(field, bad)
	if _, there := g.Companies[a.Company]; !there {
		bad("%s.company: %d is not among the companies", field, a.Company)
	}
	if a.Number < 1 || a.Number > 999999 {
		bad("%s.number: %d: want 1 to 999999", field, a.Number)
	}
	if a.FeePPM < 0 || a.FeePPM >= 1_000_000 {
		bad("%s.fee_ppm: %d: want 0 to 999999 millionths", field, a.FeePPM)
	}
}

// checkNotifyURL wants what channels take: https, and nothing behind the path. On this machine alone it may be http.
func checkNotifyURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "" || err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("want an address such as https://pay.example.org, without user, query and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return fmt.Errorf("%s: channels tell their news by https only", s)
	}
	return nil
}

// notifyURL is where a channel sends what it has to tell of an account.
func (g *Gateway) notifyURL(account string) string {
	return strings.TrimRight(g.NotifyURL, "/") + "/notify/" + account
}

// plan is the routing plan that the rules come to: each account is a channel of its own whose health counts, and a rule's accounts are taken in the order that it names.
func (g *Gateway) plan(channels map[string]channel.Channel) route.Plan {
	p := route.Plan{Version: 1}
	for _, a := range g.Accounts {
		can := channels[a.ID].Capabilities()
		p.Accounts = append(p.Accounts, route.Account{Name: a.ID, Channel: a.ID, Products: can.Products, Currencies: can.Currencies, Cards: can.Cards, FeePPM: a.FeePPM})
	}
	for i, r := range g.Rules {
		var when []string
		if r.Product != "" {
			when = append(when, fmt.Sprintf("product == %q", r.Product))
		}
		if r.Currency != "" {
			when = append(when, fmt.Sprintf("currency == %q", r.Currency))
		}
		p.Rules = append(p.Rules, route.Rule{Name: fmt.Sprintf("rule %d", i+1), When: strings.Join(when, " && "), Accounts: r.Accounts, Strategy: route.InOrder})
	}
	return p
}

// covered is a plan in which each account takes the cards that its credential is for, also where the plan names none. An error names an account that would take others.
func covered(p route.Plan, channels map[string]channel.Channel) (route.Plan, error) {
	p.Accounts = slices.Clone(p.Accounts)
	for i := range p.Accounts {
		a := &p.Accounts[i]
		ch := channels[a.Name]
		if ch == nil {
			continue // checkPlan says so
		}
		can := ch.Capabilities().Cards
		if len(can) == 0 {
			continue
		}
		for _, kind := range a.Cards {
			if !slices.Contains(can, kind) {
				return p, fmt.Errorf("account %s of the plan takes %s cards, and its credential is for %s", a.Name, kind, strings.Join(can, ", "))
			}
		}
		if len(a.Cards) == 0 {
			a.Cards = can
		}
	}
	return p, nil
}

// checkPlan refuses a plan that names accounts which there are not: it would be found out by a payer.
func (g *Gateway) checkPlan(p route.Plan) error {
	for _, a := range p.Accounts {
		if !slices.ContainsFunc(g.Accounts, func(have GatewayAccount) bool { return have.ID == a.Name }) {
			return fmt.Errorf("account %q of the plan is not among gateway.accounts", a.Name)
		}
	}
	return nil
}
