package desk_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/risk/desk"
	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var (
	noon    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	errAway = errors.New("away")
)

// phone is a payer's.
type phone struct {
	got  []stepup.Message
	away bool
}

func (p *phone) Send(_ context.Context, m stepup.Message) error {
	if p.away {
		return errAway
	}
	p.got = append(p.got, m)
	return nil
}

// town knows some people.
type town map[string]identity.Answer

func (t town) Verify(_ context.Context, p identity.Person) (identity.Answer, error) {
	if a, known := t[p.Name]; known {
		return a, nil
	}
	return 0, identity.Fault("DOWN")
}

// place is a desk with all that it has to do with.
type place struct {
	t     *testing.T
	store *store.Store
	clock *clock.Manual
	phone phone
	rules string
	lists string
	cfg   desk.Config
	log   strings.Builder
	*desk.Desk
}

const example = `{"form": 1, "version": %d, "rules": [
	{"name": "denied", "when": "payer_list == 'denied'", "then": "block", "why": "on the deny list"},
	{"name": "mismatch", "when": "identity == 'mismatch'", "then": "block", "why": "another person"},
	{"name": "many", "when": "by_payer.count_1h > 3", "then": "block", "why": "more than 3 in an hour"},
	{"name": "large", "when": "amount > %d", "then": "step-up", "why": "a large amount"}]}`

func open(t *testing.T) *place {
	x := &place{t: t, clock: clock.NewManual(noon), rules: fmt.Sprintf(example, 1, 1000), lists: `{"form": 1, "version": 1, "entries": []}`}
	var err error
	x.store, err = store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "risk.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.store.Close()) })
	hash, err := risk.NewHasher(make([]byte, 32))
	require.NoError(t, err)
	set := identity.Defaults()
	set.Budget = money.Minor(10000)
	who, err := identity.New(set, town{"ann": identity.Match, "bob": identity.Mismatch, "eve": identity.NotInDatabase}, make([]byte, 32))
	require.NoError(t, err)
	x.cfg = desk.Config{Rules: func() ([]byte, error) { return []byte(x.rules), nil }, Lists: func() ([]byte, error) { return []byte(x.lists), nil }, Hash: hash, Clock: x.clock, Zone: time.UTC,
		Sender: &x.phone, CodeKey: make([]byte, 32), Apps: []string{"bank"}, Identity: who, Log: slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{ReplaceAttr: timeless}))}
	x.again()
	return x
}

// timeless leaves the time out of the log: its digits may be those of somebody's number.
func timeless(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// again is a start of the process.
func (x *place) again() {
	x.t.Helper()
	d, err := desk.Open(x.t.Context(), x.store, x.cfg)
	require.NoError(x.t, err)
	x.Desk = d
}

func attempt(n int, amount int64) gateway.Assessed {
	return gateway.Assessed{Order: gateway.Order{ID: fmt.Sprint("O", n), App: "app", Merchant: "shop"}, Payer: channel.Payer{OpenID: "payer-7"},
		Payment: gateway.Payment{Number: fmt.Sprint("P", n), Order: fmt.Sprint("O", n), Product: channel.JSAPI, Money: channel.Money{Amount: money.Minor(amount), Currency: "CNY"}, Created: noon}}
}

// ask asks as the gateway does.
func (x *place) ask(in gateway.Assessed, want gateway.Verdict) string {
	x.t.Helper()
	said, err := x.Assess(x.t.Context(), in)
	require.NoError(x.t, err)
	require.Equal(x.t, want, said.Verdict, said.Why)
	require.NoError(x.t, x.store.Update(x.t.Context(), func(tx *store.Tx) error { return said.Keep(x.t.Context(), tx) }))
	return said.Why
}

func (x *place) decisions(order string) []store.RiskDecision {
	x.t.Helper()
	var all []store.RiskDecision
	require.NoError(x.t, x.store.View(x.t.Context(), func(tx *store.Tx) (err error) { all, err = tx.RiskDecisionsOf(x.t.Context(), order); return err }))
	return all
}

func TestACodeProves(t *testing.T) {
	x := open(t)
	in := attempt(1, 1001)
	require.Equal(t, "rules 1, large: a large amount", x.ask(in, gateway.Challenge))
	require.Len(t, x.phone.got, 1)
	m := x.phone.got[0]
	require.Equal(t, stepup.Message{App: "app", Order: "O1", Payment: "P1", Payer: "payer-7", Amount: money.Minor(1001), Currency: "CNY", Code: m.Code, Until: noon.Add(stepup.Life).Unix()}, m)
	require.Len(t, m.Code, 6)

	x.ask(in, gateway.Challenge)
	require.Len(t, x.phone.got, 1, "another one comes after a minute only")
	wrong, other := in, attempt(2, 1001)
	wrong.Proof, other.Proof = "code:x"+m.Code, "code:"+m.Code
	x.ask(wrong, gateway.Challenge)
	x.ask(other, gateway.Challenge)
	in.Proof = "code:" + m.Code
	require.Equal(t, "rules 1", x.ask(in, gateway.Pass))

	all := x.decisions("O1")
	require.Len(t, all, 2)
	require.Equal(t, []int{int(risk.StepUp), int(risk.Pass)}, []int{all[0].Outcome, all[1].Outcome})
	require.Equal(t, []bool{false, true}, []bool{all[0].Proved, all[1].Proved})
	require.Equal(t, "large", all[0].Rule)
	var f risk.Facts
	require.NoError(t, json.Unmarshal(all[1].Facts, &f))
	require.True(t, f.SteppedUp)
	require.Equal(t, int64(1001), f.Amount)
	require.NotContains(t, string(all[1].Facts), "payer-7")
	require.NotContains(t, x.log.String(), m.Code)
}

func TestACodeEnds(t *testing.T) {
	x := open(t)
	in := attempt(1, 1001)
	x.ask(in, gateway.Challenge)
	first := x.phone.got[0].Code
	x.clock.Advance(stepup.Life)
	late := in
	late.Proof = "code:" + first
	x.ask(late, gateway.Challenge)

	x.ask(in, gateway.Challenge)
	second := x.phone.got[1].Code
	for i := range stepup.MaxWrong {
		guess := in
		guess.Proof = fmt.Sprintf("code:guess%d", i)
		x.ask(guess, gateway.Challenge)
	}
	late.Proof = "code:" + second
	x.ask(late, gateway.Challenge)

	for range 2 * stepup.MaxSent {
		x.clock.Advance(stepup.Pause)
		x.ask(in, gateway.Challenge)
	}
	require.Len(t, x.phone.got, stepup.MaxSent)
	late.Proof = "code:" + x.phone.got[stepup.MaxSent-1].Code
	x.clock.Advance(-(2*stepup.MaxSent - 3) * stepup.Pause)
	x.ask(late, gateway.Pass)
}

func TestACodeThatWasNotSentIsSentAtOnce(t *testing.T) {
	x := open(t)
	x.phone.away = true
	in := attempt(1, 1001)
	x.ask(in, gateway.Challenge)
	require.Contains(t, x.log.String(), "a payer's code was not sent")
	x.phone.away = false
	x.ask(in, gateway.Challenge)
	require.Len(t, x.phone.got, 1)
}

func TestTheWordOfAnAppThatIsTrusted(t *testing.T) {
	x := open(t)
	in := attempt(1, 1001)
	in.Proof = "app:password"
	x.ask(in, gateway.Challenge)
	in.Order.App = "bank"
	x.ask(in, gateway.Pass)
}

func TestWhoSomebodyIs(t *testing.T) {
	for _, c := range []struct {
		proof string
		want  gateway.Verdict
		fact  string
	}{
		{`identity:{"name": "ann", "number": "310"}`, gateway.Pass, "match"},
		{`identity:{"name": "bob", "number": "310", "card": "6222", "phone": "139"}`, gateway.Block, "mismatch"},
		{`identity:{"name": "eve", "number": "310"}`, gateway.Challenge, "not-in-database"},
		{`identity:{"name": "dan", "number": "310"}`, gateway.Challenge, ""}, // no answer
		{`identity:{"name": "ann", "nummer": "310"}`, gateway.Challenge, ""},
		{`identity:{"name": "ann"}`, gateway.Challenge, ""},
		{`identity:`, gateway.Challenge, ""},
		{`ann`, gateway.Challenge, ""},
	} {
		x := open(t)
		in := attempt(1, 1001)
		in.Proof = c.proof
		x.ask(in, c.want)
		all := x.decisions("O1")
		var f risk.Facts
		require.NoError(t, json.Unmarshal(all[0].Facts, &f))
		require.Equal(t, c.fact, f.Identity, c.proof)
		require.NotContains(t, string(all[0].Facts)+x.log.String(), "310")
	}
}

func TestWindowsAndRulesComeBack(t *testing.T) {
	x := open(t)
	for n := range 3 {
		x.ask(attempt(n, 500), gateway.Pass)
	}
	x.again()
	x.ask(attempt(2, 500), gateway.Pass)
	require.Equal(t, "rules 1, many: more than 3 in an hour", x.ask(attempt(3, 500), gateway.Block))

	// Another process decides beside this one.
	other := *x
	other.again()
	other.ask(attempt(4, 500), gateway.Block)
	require.NoError(t, x.Look(t.Context()))
	x.ask(attempt(5, 500), gateway.Block)
	var f risk.Facts
	require.NoError(t, json.Unmarshal(x.decisions("O5")[0].Facts, &f))
	require.Equal(t, 6, f.ByPayer.Count1h)
	require.True(t, f.Complete, "nothing was paid that risk was not asked about")
}

func TestAPaymentThatRiskDidNotSeeIsMissing(t *testing.T) {
	x := open(t)
	require.NoError(t, x.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddGatewayPayment(t.Context(), store.GatewayPayment{Number: "P9", Order: "O9", N: 1, Created: noon.Add(-time.Hour), Changed: noon, Expires: noon, Sent: noon.Add(-time.Hour)})
	}))
	x.again()
	x.ask(attempt(1, 500), gateway.Pass)
	var f risk.Facts
	require.NoError(t, json.Unmarshal(x.decisions("O1")[0].Facts, &f))
	require.False(t, f.Complete)
	x.clock.Advance(23*time.Hour + time.Minute)
	in := attempt(2, 500)
	in.Payment.Created = x.clock.Now()
	x.ask(in, gateway.Pass)
	f = risk.Facts{}
	require.NoError(t, json.Unmarshal(x.decisions("O2")[0].Facts, &f))
	require.True(t, f.Complete)
}

func TestRulesAreTakenWhileItRuns(t *testing.T) {
	x := open(t)
	x.ask(attempt(1, 500), gateway.Pass)
	for _, bad := range []struct{ rules, says string }{
		{"{", "bad risk rules"},
		{fmt.Sprintf(example, 1, 400), "what it says has changed"},
	} {
		x.rules = bad.rules
		require.ErrorContains(t, x.Look(t.Context()), bad.says)
		require.Equal(t, 1, x.Version())
	}
	x.rules = "{{"
	require.Error(t, x.Look(t.Context()))
	require.NoError(t, x.Look(t.Context()), "the same fault is told once")
	x.rules = fmt.Sprintf(example, 3, 400)
	require.NoError(t, x.Look(t.Context()))
	require.Equal(t, "rules 3, large: a large amount", x.ask(attempt(2, 500), gateway.Challenge))
	x.rules = fmt.Sprintf(example, 2, 400)
	require.ErrorIs(t, x.Look(t.Context()), store.ErrRiskRules)
	_, err := desk.Open(t.Context(), x.store, x.cfg)
	require.ErrorIs(t, err, store.ErrRiskRules, "a process with older rules does not start beside the others")

	x.rules = fmt.Sprintf(example, 3, 400)
	x.lists = fmt.Sprintf(`{"form": 1, "version": 2, "entries": [{"kind": "payer", "id": "%v", "is": "denied", "why": "theft"}]}`, x.cfg.Hash.Of(risk.Payer, "payer-7"))
	require.NoError(t, x.Look(t.Context()))
	x.ask(attempt(3, 500), gateway.Block)
}

func TestSignedRules(t *testing.T) {
	x := open(t)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	x.cfg.Key = public
	_, err = desk.Open(t.Context(), x.store, x.cfg)
	require.ErrorIs(t, err, risk.ErrSigned)
	set, err := risk.Parse([]byte(fmt.Sprintf(example, 2, 400)))
	require.NoError(t, err)
	sealed, err := risk.Seal(set, private)
	require.NoError(t, err)
	x.rules = string(sealed)
	x.again()
	require.Equal(t, 2, x.Version())
}

// TestARestartGivesNoNewBudget: what was spent on identity questions today is kept by process, and counts on.
func TestARestartGivesNoNewBudget(t *testing.T) {
	x := open(t)
	who := func() *identity.Service {
		set := identity.Defaults()
		set.Two, set.Budget = money.Minor(50), money.Minor(100)
		s, err := identity.New(set, town{"ann": identity.Match, "bob": identity.Mismatch}, make([]byte, 32))
		require.NoError(t, err)
		return s
	}
	ask := func(n int, name string, want gateway.Verdict) {
		in := attempt(n, 1001)
		in.Proof = fmt.Sprintf(`identity:{"name": "%s", "number": "1%d"}`, name, n)
		x.ask(in, want)
	}
	x.cfg.Identity, x.cfg.Process = who(), "host"
	x.again()
	ask(1, "ann", gateway.Pass)
	require.NoError(t, x.Look(t.Context()))
	require.NoError(t, x.Look(t.Context()))
	x.cfg.Identity = who()
	x.again()
	ask(2, "bob", gateway.Block)
	require.NoError(t, x.Look(t.Context()))
	x.cfg.Identity = who()
	x.again()
	ask(3, "ann", gateway.Challenge) // there is nothing left to ask with
	require.NoError(t, x.Look(t.Context()))
	x.cfg.Identity, x.cfg.Process = who(), "other"
	x.again()
	ask(3, "ann", gateway.Pass)

	day := x.cfg.Identity.Spending().Day
	var all []store.IdentitySpending
	require.NoError(t, x.store.View(t.Context(), func(tx *store.Tx) (err error) { all, err = tx.IdentitySpendings(t.Context(), day); return err }))
	require.Equal(t, []store.IdentitySpending{{Day: day, Process: "host", Calls: 2, Refused: 1, Matched: 1, Wrong: 1, Spent: money.Minor(100), Budget: money.Minor(100)}}, all)
}
