package topup_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/simulator/eccard"
)

// bank is an issuer of electronic cash cards and an empty card of it: its keys take a while to make.
var bank = sync.OnceValue(func() (w struct {
	issuer *eccard.Issuer
	blank  *eccard.Card
	pan    ec.PAN
}) {
	var err error
	if w.issuer, err = eccard.NewIssuer(rand.Reader, "621094"); err != nil {
		panic(err)
	}
	if w.pan, err = ec.NewPAN("6210947315926483"); err != nil {
		panic(err)
	}
	if w.blank, err = w.issuer.Card(w.pan, 1, money.Amount{}); err != nil {
		panic(err)
	}
	return w
})

// ecDesk is a desk that loads an electronic cash card too.
type ecDesk struct {
	*desk
	chip *eccard.Card
	n    ids.CardNumber
}

func startEC(t *testing.T) *ecDesk {
	d := &ecDesk{desk: start(t), chip: bank().blank.Clone(), n: ids.CardNumber(bank().pan)}
	d.ec = bank().issuer.Door()
	d.restart()
	d.update(func(tx *store.Tx) error {
		return tx.IssueCard(d.ctx, store.Card{Number: d.n, Token: store.Token([]byte("a key for tokens"), d.n), Family: "ec"})
	})
	return d
}

// kioskSays is what the kiosk says to the card of a load.
var kioskSays = ec.Terminal{TTQ: ec.FullPBOC, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20261124, Time: [3]byte{0x12}, UN: [4]byte{1, 2, 3, 4}}

// session is a card that has asked to go online.
type session struct {
	card   *ec.Card
	online *ec.Online
	said   topup.ECCard
}

func (d *ecDesk) ask(t apdu.Transmitter) (session, error) {
	c, err := ec.Select(d.ctx, t, []ec.Accepted{{AID: ec.AIDDebit}})
	if err != nil {
		return session{}, err
	}
	o, err := c.BeginOnline(d.ctx, kioskSays)
	if err != nil {
		return session{}, err
	}
	raw, err := o.Field55(nil)
	require.NoError(d.t, err)
	return session{c, o, topup.ECCard{PAN: o.Track2.PAN, Sequence: o.PSN, ChipData: raw}}, nil
}

// insert is a session of the card with nothing in its way.
func (d *ecDesk) insert() session {
	d.chip.Insert()
	v, err := d.ask(d.chip)
	require.NoError(d.t, err)
	return v
}

func (d *ecDesk) log(v session) []byte {
	raw, err := v.card.LoadLog(d.ctx)
	require.NoError(d.t, err)
	return raw
}

func (d *ecDesk) authoriseEC(id string, v session) ec.Answer {
	a, err := d.topup.AuthoriseEC(d.ctx, bus, id, v.said)
	require.NoError(d.t, err)
	return a
}

func (d *ecDesk) shadowEC() int64 {
	var c store.Card
	d.view(func(tx *store.Tx) (err error) {
		c, err = tx.CardByNumber(d.ctx, d.n)
		return err
	})
	return c.Shadow.Minor()
}

func TestAnElectronicCashCardIsLoadedByScript(t *testing.T) {
	d := startEC(t)
	id := d.order(bus, "sale-1", 50_00)
	v := d.insert()
	a := d.authoriseEC(id, v)
	require.Equal(t, topup.InProgress, d.state(id))
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
	require.Equal(t, a, d.authoriseEC(id, v), "the same request gets the same answer")
	result, err := v.online.Answer(d.ctx, a)
	require.NoError(t, err)
	for range 2 {
		o, err := d.topup.ReportEC(d.ctx, bus, id, result)
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, o.State)
	}
	require.Equal(t, topup.ByScript, d.proof(id))
	require.Equal(t, money.Minor(50_00), d.chip.Balance())
	require.EqualValues(t, 50_00, d.shadowEC())
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
	require.Empty(t, d.codes())

	// One session, one load: a second script would set the balance from what it was before the first.
	again := d.order(bus, "sale-2", 10_00)
	_, err = d.topup.AuthoriseEC(d.ctx, bus, again, v.said)
	require.ErrorIs(t, err, topup.ErrStale)
	v = d.insert()
	result, err = v.online.Answer(d.ctx, d.authoriseEC(again, v))
	require.NoError(t, err)
	_, err = d.topup.ReportEC(d.ctx, bus, again, result)
	require.NoError(t, err)
	require.Equal(t, money.Minor(60_00), d.chip.Balance())
	require.EqualValues(t, 60_00, d.shadowEC())
}

func TestWhatARequestForAnElectronicCashLoadIsRefusedFor(t *testing.T) {
	d := startEC(t)
	id := d.order(bus, "sale-1", 50_00)
	v := d.insert()
	for name, c := range map[string]struct {
		change func(c *topup.ECCard)
		is     error
	}{
		"another card":           {func(c *topup.ECCard) { c.PAN, _ = ec.NewPAN("6210947315926484") }, topup.ErrUnknownCard},
		"a card of an EP purse":  {func(c *topup.ECCard) { c.PAN = ec.PAN(number(1)) }, topup.ErrCardData},
		"another sequence":       {func(c *topup.ECCard) { c.Sequence++ }, topup.ErrARQC},
		"no chip data":           {func(c *topup.ECCard) { c.ChipData = nil }, topup.ErrChipData},
		"half of the chip data":  {func(c *topup.ECCard) { c.ChipData = c.ChipData[:30] }, topup.ErrChipData},
		"a forged cryptogram":    {func(c *topup.ECCard) { c.ChipData[3] ^= 1 }, topup.ErrARQC},
		"another agent's order":  {nil, topup.ErrUnknownOrder},
		"a card that is blocked": {nil, topup.ErrCardBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			said := v.said
			said.ChipData = append([]byte{}, said.ChipData...)
			agent := bus
			switch {
			case c.change != nil:
				c.change(&said)
			case c.is == topup.ErrUnknownOrder:
				agent = metro
			default:
				d := startEC(t)
				id := d.order(bus, "sale-1", 50_00)
				d.update(func(tx *store.Tx) error { return tx.BlockCard(d.ctx, d.n, noon) })
				_, err := d.topup.AuthoriseEC(d.ctx, bus, id, d.insert().said)
				require.ErrorIs(t, err, c.is)
				return
			}
			_, err := d.topup.AuthoriseEC(d.ctx, agent, id, said)
			require.ErrorIs(t, err, c.is)
			require.NotContains(t, err.Error(), "621094731592")
		})
	}
	require.Equal(t, topup.Paid, d.state(id))
	require.Contains(t, d.codes(), topup.FindECAuthFailed)
	big := d.order(bus, "sale-2", maxAmount)
	full := startEC(t)
	full.ec = nil
	full.restart()
	_, err := full.topup.AuthoriseEC(full.ctx, bus, big, v.said)
	require.ErrorIs(t, err, topup.ErrUnknownKey)
}

// TestALostAnswerIsSettledByTheCard: by its load log or balance in a later session, for each way in which it can be lost.
func TestALostAnswerIsSettledByTheCard(t *testing.T) {
	for _, ran := range []bool{true, false} {
		for _, withLog := range []bool{true, false} {
			t.Run(fmt.Sprintf("ran %v, log %v", ran, withLog), func(t *testing.T) {
				d := startEC(t)
				id := d.order(bus, "sale-1", 50_00)
				v := d.insert()
				a := d.authoriseEC(id, v)
				if ran {
					_, err := v.online.Answer(d.ctx, a)
					require.NoError(t, err)
				}
				o, err := d.topup.ReportEC(d.ctx, bus, id, ec.ScriptResult{}) // "it did not run" is not taken
				require.NoError(t, err)
				require.Equal(t, topup.Uncertain, o.State)
				_, err = d.topup.Refund(d.ctx, bus, id)
				require.ErrorIs(t, err, topup.ErrState, "unknown is not failed")

				early := topup.ECEvidence{ECCard: v.said}
				_, err = d.topup.ResolveEC(d.ctx, metro, id, early)
				require.ErrorIs(t, err, topup.ErrEvidence, "the load's own session says nothing of its end")

				v = d.insert()
				info, err := d.topup.LookupEC(d.ctx, metro, v.said)
				require.NoError(t, err)
				require.Equal(t, id, info.Open)
				_, err = d.topup.AuthoriseEC(d.ctx, bus, d.order(bus, "sale-2", 10_00), v.said)
				require.ErrorIs(t, err, topup.ErrOpenLoad)
				e := topup.ECEvidence{ECCard: v.said}
				if withLog {
					e.Log = d.log(v)
				}
				o, err = d.topup.ResolveEC(d.ctx, metro, id, e)
				require.NoError(t, err)
				if ran {
					require.Equal(t, topup.Loaded, o.State)
					require.Equal(t, topup.ByCard, d.proof(id))
					require.EqualValues(t, 50_00, d.shadowEC())
					return
				}
				require.Equal(t, topup.Paid, o.State, "the load is reversed")
				require.Zero(t, d.shadowEC())
				// The very session that disproved it may load now.
				result, err := v.online.Answer(d.ctx, d.authoriseEC(id, v))
				require.NoError(t, err)
				o, err = d.topup.ReportEC(d.ctx, bus, id, result)
				require.NoError(t, err)
				require.Equal(t, topup.Loaded, o.State)
				require.Equal(t, money.Minor(50_00), d.chip.Balance())
				require.Empty(t, d.codes())
			})
		}
	}
}

// TestAReportOnALoadThatWasReversedIsAnAlarm: the card has said that its script did not run.
func TestAReportOnALoadThatWasReversedIsAnAlarm(t *testing.T) {
	d := startEC(t)
	id := d.order(bus, "sale-1", 50_00)
	v := d.insert()
	_, commands, err := ec.ParseScript(d.authoriseEC(id, v).Script)
	require.NoError(t, err)
	require.Len(t, commands, 1)
	script, _, err := ec.ParseScript(d.authoriseEC(id, v).Script)
	require.NoError(t, err)
	v = d.insert()
	_, err = d.topup.ResolveEC(d.ctx, metro, id, topup.ECEvidence{ECCard: v.said})
	require.NoError(t, err)
	o, err := d.topup.ReportEC(d.ctx, bus, id, ec.ScriptResult{ID: script, Outcome: ec.ScriptDone})
	require.NoError(t, err)
	require.Equal(t, topup.Paid, o.State)
	require.Equal(t, []string{topup.FindAfterReturn}, d.codes())
	_, err = d.topup.ReportEC(d.ctx, bus, id, ec.ScriptResult{ID: [4]byte{1}, Outcome: ec.ScriptDone})
	require.NoError(t, err)
	require.Len(t, d.codes(), 1)
	require.Zero(t, d.shadowEC())
	d.accounts()
}

func TestALogThatIsForgedDecidesNothing(t *testing.T) {
	d := startEC(t)
	id := d.order(bus, "sale-1", 50_00)
	d.authoriseEC(id, d.insert())
	v := d.insert()
	raw := d.log(v)
	raw[len(raw)-1] ^= 1
	_, err := d.topup.ResolveEC(d.ctx, metro, id, topup.ECEvidence{ECCard: v.said, Log: raw})
	require.ErrorIs(t, err, topup.ErrARQC)
	_, err = d.topup.ResolveEC(d.ctx, metro, id, topup.ECEvidence{ECCard: v.said, Log: raw[:3]})
	require.ErrorIs(t, err, topup.ErrChipData)
	require.Equal(t, topup.InProgress, d.state(id))
}

// TestALostAnswerIsSettledByTheNextDebit: the balance before it, under the card's own MAC, tells.
func TestALostAnswerIsSettledByTheNextDebit(t *testing.T) {
	for name, c := range map[string]struct {
		counter uint32
		before  int64
		want    topup.State
	}{
		"risen":                   {9, 50_00, topup.Loaded},
		"risen, and spent since":  {9, 20_00, topup.Loaded},
		"as before, the next one": {2, 0, topup.Paid},
		"as before, a later one":  {3, 0, topup.Uncertain},
	} {
		t.Run(name, func(t *testing.T) {
			d := startEC(t)
			id := d.order(bus, "sale-1", 50_00)
			d.authoriseEC(id, d.insert())
			d.clock.Advance(time.Hour)
			require.NoError(t, d.topup.Sweep(d.ctx))
			require.Equal(t, topup.Uncertain, d.state(id))
			d.update(func(tx *store.Tx) error {
				return tx.PostGroup(d.ctx, store.Group{Day: "2026-11-24", AtMS: 1, Token: func(ids.CardNumber) string { return "x" }}, []store.Verified{{
					Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: 1, Day: "2026-11-24", ReceivedMS: 1}, Card: d.n, Family: "ec", Counter: c.counter, Kind: 1,
					Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 1}, Seq: 1, At: 1, Merchant: "line1", Before: money.Minor(c.before),
						After: money.Minor(c.before), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood},
				}})
			})
			require.NoError(t, d.topup.Sweep(d.ctx))
			require.Equal(t, c.want, d.state(id))
			d.accounts()
		})
	}
}

// lifeEC is two loads of the card: one whose script ran and whose report was lost, one that never ran, is reversed and made again. Each call
// that dies is made again, as its caller would.
func lifeEC(d *ecDesk, call func(func() error)) map[string]string {
	order := func(key string, minor int64) (id string) {
		call(func() error {
			o, err := d.topup.CreateOrder(d.ctx, bus, topup.CreateOrder{IdempotencyKey: key, Amount: amount(minor)})
			id = o.ID
			return err
		})
		return id
	}
	authorise := func(id string, v session) (a ec.Answer) {
		call(func() (err error) { a, err = d.topup.AuthoriseEC(d.ctx, bus, id, v.said); return err })
		return a
	}
	report := func(id string, r ec.ScriptResult) {
		call(func() error { _, err := d.topup.ReportEC(d.ctx, bus, id, r); return err })
	}
	resolve := func(id string, v session) {
		log := d.log(v)
		call(func() error {
			_, err := d.topup.ResolveEC(d.ctx, metro, id, topup.ECEvidence{ECCard: v.said, Log: log})
			return err
		})
	}
	one := order("sale-1", 50_00)
	v := d.insert()
	_, err := v.online.Answer(d.ctx, authorise(one, v))
	require.NoError(d.t, err)
	report(one, ec.ScriptResult{})
	v = d.insert()
	call(func() error { _, err := d.topup.LookupEC(d.ctx, metro, v.said); return err })
	resolve(one, v)

	two := order("sale-2", 20_00)
	authorise(two, v)
	v = d.insert()
	resolve(two, v)
	result, err := v.online.Answer(d.ctx, authorise(two, v))
	require.NoError(d.t, err)
	report(two, result)

	out := d.accounts()
	for name, id := range map[string]string{"one": one, "two": two} {
		out[name] = fmt.Sprint(d.state(id), " ", d.proof(id))
	}
	out["findings"] = fmt.Sprint(d.codes())
	out["card"] = fmt.Sprint(d.chip.Balance().Minor(), " ", d.shadowEC())
	return out
}

// TestAnElectronicCashLoadSurvivesACrashAtEveryCommit lets the backend die before and after each commit there is.
func TestAnElectronicCashLoadSurvivesACrashAtEveryCommit(t *testing.T) {
	calm := startEC(t)
	var points []string
	calm.fault = func(point string) error { points = append(points, point); return nil }
	want := lifeEC(calm, func(f func() error) { require.NoError(t, f()) })
	require.Equal(t, []string{"loaded card", "loaded script"}, []string{want["one"], want["two"]})
	require.Equal(t, "7000 7000", want["card"])
	require.Equal(t, "-70.00", want["float"])
	require.Equal(t, "[]", want["findings"])
	require.Greater(t, len(points), 16)
	for die := range points {
		t.Run(fmt.Sprint(die, points[die]), func(t *testing.T) {
			d := startEC(t)
			n := 0
			d.fault = func(string) error {
				n++
				if n == die+1 {
					return errDied
				}
				return nil
			}
			deaths := 0
			got := lifeEC(d, func(f func() error) {
				err := f()
				if errors.Is(err, errDied) {
					deaths++
					d.restart()
					err = f()
				}
				require.NoError(t, err)
			})
			require.Equal(t, 1, deaths)
			require.Equal(t, want, got)
		})
	}
}
