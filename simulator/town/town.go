package town

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

// Config of one town.
type Config struct {
	Seed uint64
	Taps int       // presentations to begin with; the repeats of torn ones come on top
	Dir  string    // for journals and database; empty and the town's own
	Log  io.Writer // gets every event as a line; nil: nobody reads along

	// Faults replaces the rates drawn from the seed.
	Faults *Faults

	sabotage *sabotage
}

// Result is what a town came to.
type Result struct {
	Digest string // SHA-256 of all events: the same for the same seed
	Tally
}

// Violation is something that must hold and does not.
type Violation struct {
	Seed   uint64
	Taps   int
	Check  string
	Detail string
	Events string // the last ones of the card concerned, or of no card
}

// Error says what is wrong and how to see it again.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s: %s\nreplay: go test -count=1 ./simulator/town -run Town -args -seed %d -taps %d\nthe last events:\n%s", v.Check, v.Detail, v.Seed, v.Taps, v.Events)
}

// opening is when every town begins: a Monday morning.
var opening = time.Date(2026, 11, 23, 5, 0, 0, 0, time.FixedZone("CST", 8*3600))

// town is a run under way.
type town struct {
	cfg     Config
	ctx     context.Context
	rng     *rand.Rand
	faults  *Faults
	clock   *clock.Manual
	log     *eventLog
	agenda  agenda
	link    *link
	profile *firmwareconfig.Profile
	zone    *time.Location

	group    int    // records in a posting group
	keep     uint64 // records that journals hold on to after their receipt
	embedded bool   // the broker is part of the backend and dies with it

	places    []place
	terminals []*terminal
	backend   *backend
	riders    []*rider

	begun, intents int
	gone           int // riders who left for good while everything was broken
	errands        int // things on the agenda that people and kiosks still want to do
	tally          Tally
}

// Run lives through one town: days with faults, then without, then the account. The error is a [*Violation], or what went wrong with
// the town itself.
func Run(ctx context.Context, cfg Config) (result Result, err error) {
	w := &town{cfg: cfg, ctx: ctx}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Violation:
			err = p
		case error:
			err = &Violation{Seed: cfg.Seed, Taps: cfg.Taps, Check: "town", Detail: p.Error(), Events: w.log.of(nobody)}
		default:
			panic(p)
		}
		result = w.result()
		err = errors.Join(err, w.close())
	}()
	w.build()
	w.live()
	w.heal()
	w.account()
	return Result{}, nil
}

func (w *town) build() {
	cfg := w.cfg
	w.rng = rand.New(rand.NewPCG(cfg.Seed, 0))
	w.clock = clock.NewManual(opening)
	w.log = newEventLog(w.clock, cfg.Log)
	faults := drawFaults(w.rng)
	if cfg.Faults != nil {
		faults = *cfg.Faults
	}
	w.faults = &faults
	w.log.add(nobody, "seed %d, faults %+v", cfg.Seed, faults)
	w.link = newLink(w.rng, w.faults)
	w.profile = firmwareconfig.Sample()
	logs := epcard.LogAfter
	if w.rng.IntN(3) == 0 { // cards in the field differ in this
		logs, w.profile.Card.LogCounter = epcard.LogBefore, "before"
	}
	w.profile.Card.Readback = []string{"full", "balance", "none"}[w.rng.IntN(3)]
	if w.rng.IntN(3) == 0 { // terminals that stop selling when they cannot send
		w.profile.Limits.MaxRecords = uint64(3 + w.rng.IntN(12))
	}
	cfg.sabotage.spoilProfile(w.profile)
	w.zone = w.profile.Location()
	w.group = 1 + w.rng.IntN(60)
	w.keep = 12 // few, so that pruning is part of the town
	if w.embedded = w.rng.IntN(2) == 0; w.embedded {
		w.keep = 10_000 // as many as a restored backend may want again
	}
	w.places = places()
	w.backend = newBackend(w)
	for i := range w.places {
		p := &w.places[i]
		for nth, n := range p.terminals {
			w.terminals = append(w.terminals, newTerminal(w, n, p, nth))
		}
	}
	for _, m := range w.terminals {
		m.boot()
	}
	for n := range riders {
		img, err := personalise.Card(masters, personalise.CardSpec{Number: cardNumber(n), Issuer: issuer, Log: logs})
		must(err)
		chip, err := epcard.New(img, rngReader{w.rng})
		must(err)
		w.riders = append(w.riders, &rider{index: n, poor: true, card: &card{Card: chip, now: w.clock.Now}})
	}
}

// live is the days on which everything breaks.
func (w *town) live() {
	for _, r := range w.riders {
		w.next(r)
	}
	w.every(10*time.Minute, w.breakLinks)
	w.every(5*time.Minute, func() { w.backend.post() })
	w.every(20*time.Minute, w.backend.age)
	w.every(3*time.Hour, func() {
		for _, m := range w.terminals {
			m.prune()
		}
	})
	w.atMidnight(w.clock.Now())
	for w.errands > 0 {
		w.step()
	}
}

// later puts an errand on the agenda.
func (w *town) later(d time.Duration, do func()) {
	w.errands++
	w.agenda.add(w.clock.Now().Add(d), func() { w.errands--; do() })
}

// every repeats something for as long as the town lives.
func (w *town) every(d time.Duration, do func()) {
	w.agenda.add(w.clock.Now().Add(d), func() { do(); w.every(d, do) })
}

// atMidnight closes the day some minutes after it has ended.
func (w *town) atMidnight(now time.Time) {
	local := now.In(w.zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, w.zone)
	w.agenda.add(midnight.Add(time.Duration(w.rng.IntN(60))*time.Minute), func() {
		w.backend.closeDay(local.Format(time.DateOnly))
		w.atMidnight(w.clock.Now())
	})
}

// breakLinks takes the modems of some terminals away, for hours.
func (w *town) breakLinks() {
	now := w.clock.Now()
	for _, m := range w.terminals {
		if w.link.connected(m.index, now) && chance(w.rng, w.faults.ModemDead) {
			up := now.Add(time.Duration(10+w.rng.IntN(600)) * time.Minute)
			w.link.down[m.index] = up
			w.log.add(nobody, "%s has no link until %s", m.id, up.Format("02 15:04:05"))
			// The terminal notices a while later, and what it sends until then is lost.
			w.agenda.add(now.Add(time.Duration(w.rng.IntN(90))*time.Second), func() { m.relink(w.clock.Now()) })
			w.agenda.add(up, func() { m.relink(w.clock.Now()) })
		}
	}
}

// reconnect lets every terminal notice, some time within so many seconds, that its connection broke.
func (w *town) reconnect(within int) {
	for _, m := range w.terminals {
		w.agenda.add(w.clock.Now().Add(time.Duration(w.rng.IntN(within*1000))*time.Millisecond), m.reconnect)
	}
}

// step moves the clock to the next thing that happens and lets it happen.
func (w *town) step() {
	now := w.agenda.next()
	earlier := func(t time.Time) {
		if !t.IsZero() && (now.IsZero() || t.Before(now)) {
			now = t
		}
	}
	for _, m := range w.link.queue {
		earlier(m.due)
	}
	for _, m := range w.terminals {
		earlier(m.ask)
	}
	if now.IsZero() {
		w.fail("town", nobody, "nothing will ever happen again")
	}
	if now.After(w.clock.Now()) {
		w.clock.Set(now)
	}
	now = w.clock.Now()
	for _, m := range w.link.arrived(now) {
		if m.up {
			w.backend.receive(m, now)
		} else if w.link.connected(m.terminal, now) {
			w.terminals[m.terminal].receive(m.raw, now)
		}
	}
	for _, m := range w.terminals {
		if m.journal != nil && !m.ask.IsZero() && !m.ask.After(now) {
			m.send(now)
		}
	}
	for {
		do, due := w.agenda.take(now)
		if !due {
			return
		}
		do()
	}
}

// fail ends the run with a violation.
func (w *town) fail(check string, rider int, format string, args ...any) {
	panic(&Violation{Seed: w.cfg.Seed, Taps: w.cfg.Taps, Check: check, Detail: fmt.Sprintf(format, args...), Events: w.log.of(rider)})
}

func (w *town) result() Result {
	t := w.tally
	t.Events, t.Lost, t.Doubled = w.log.events, w.link.lost, w.link.doubled
	t.Hours = int(w.clock.Now().Sub(opening) / time.Hour)
	for _, r := range w.riders {
		t.Debits += len(r.card.debits)
		t.Loads += len(r.card.credits)
	}
	return Result{w.log.digest(), t}
}

func (w *town) close() error {
	var all []error
	for _, m := range w.terminals {
		if m.journal != nil {
			all = append(all, m.journal.Close())
		}
	}
	if w.backend != nil && w.backend.store != nil {
		all = append(all, w.backend.store.Close())
	}
	return errors.Join(all...)
}
