package city

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/tap"
)

// tally counts what happened, as the riders and their cards saw it.
type tally struct {
	taps, presentations, torn      int
	recovered, voided              int
	loads, loadsTorn               int
	kills                          int
	doubleCharged, passedUnpaid    int
	outcomes                       map[string]int
	modemDead                      ids.TerminalID
	modemBacklog, duplicatesSent   int
	duplicatesIgnored              int
	alreadyPaid, refusedForBalance int
	online, bankCards, forged      int          // loads paid by phone and by bank card, and notifications that did not verify
	paidOnline                     money.Amount // for them
}

// tornPerMille of the presentations are torn.
const tornPerMille = 60

// visited is what a visit needs to know of the moment.
type visited struct{ sale int }

// Day takes the riders through one compressed day: loads in the morning, cfg.Taps visits, a dead modem, a power cut between
// a debit and its record, a doubled upload, and in the evening everything that is owed arrives and the day is closed.
func (c *City) Day(ctx context.Context) (Story, error) {
	for _, r := range c.riders {
		if err := c.load(ctx, r, money.Minor(firstLoad)); err != nil {
			return Story{}, err
		}
	}
	n := c.cfg.Taps
	step := 15 * time.Hour / time.Duration(n)
	for i := range n {
		if err := c.events(ctx, i, n); err != nil {
			return Story{}, err
		}
		if err := c.someone(ctx, i+1, n); err != nil {
			return Story{}, err
		}
		c.clock.Advance(time.Duration(c.rng.Int64N(2*int64(step) + 1)))
	}
	if err := c.evening(ctx); err != nil {
		return Story{}, err
	}
	return c.close(ctx)
}

// events are the day's mishaps, at fixed parts of it.
func (c *City) events(ctx context.Context, i, n int) error {
	switch i {
	case n * 25 / 100:
		if err := c.drain(ctx); err != nil { // so that what waits later is what was tapped meanwhile
			return err
		}
		c.places[bus2].modem.set(false)
		c.tally.modemDead = c.places[bus2].id
		c.note(i, n, "the modem of bus-2 dies")
	case n * 45 / 100:
		c.tally.modemBacklog = int(c.places[bus2].backlog())
		c.places[bus2].modem.set(true)
		c.note(i, n, fmt.Sprintf("the modem of bus-2 is back, %d records wait", c.tally.modemBacklog))
	case n * 50 / 100:
		c.places[bus1].cut.Store(true)
		c.note(i, n, "the power of bus-1 will fail between the next debit and its record")
	case n * 70 / 100:
		return c.doubleUpload(ctx)
	}
	return nil
}

func (c *City) note(i, n int, text string) {
	c.cfg.Progress(Progress{Tap: i, Of: n, At: c.clock.Now(), Note: text})
}

// someone draws a rider and where he goes, and goes there with him.
func (c *City) someone(ctx context.Context, i, n int) error {
	r := c.riders[c.rng.IntN(len(c.riders))]
	trip, err := r.card.MetroTrip()
	if err != nil {
		return err
	}
	at, lane, amount := 0, 0, money.Amount{}
	stations := len(c.profile.Fares.Metro.Stations)
	switch k := c.rng.IntN(100); {
	case trip.Open() && k < 80:
		at, lane = firstStation+c.rng.IntN(stations), 1
	case k < 50:
		at, lane = bus1+c.rng.IntN(2), c.rng.IntN(2)
	case k < 85 && !trip.Open():
		at, lane = firstStation+c.rng.IntN(stations), 0
	default:
		at, amount = firstStation+stations, money.Minor(100+50*c.rng.Int64N(40))
	}
	c.tally.taps++
	out, err := c.visit(ctx, r, at, lane, amount, tornPerMille)
	if err != nil {
		return fmt.Errorf("visit %d at %s: %w", i, c.places[at].id, err)
	}
	var backlog uint64
	for _, s := range c.places {
		backlog += s.backlog()
	}
	c.cfg.Progress(Progress{Tap: i, Of: n, At: c.clock.Now(), Terminal: c.places[at].id, Outcome: out.String(), Backlog: backlog})
	return nil
}

// visit is one rider at one reader until the rider passes, is refused or gives up. perMille of the presentations are torn.
func (c *City) visit(ctx context.Context, r *rider, at, lane int, amount money.Amount, perMille int) (tap.Outcome, error) {
	s := c.places[at]
	r.visits++
	request := ""
	if s.lanes[lane].mode == tap.Sale {
		c.seen.sale++
		request = fmt.Sprintf("sale-%d", c.seen.sale)
	}
	trip, err := r.card.MetroTrip()
	if err != nil {
		return 0, err
	}
	loaded := false
	for {
		res, err := c.present(ctx, r, at, lane, amount, request, perMille)
		if errors.Is(err, errPower) {
			c.tally.kills++
			c.note(c.tally.taps, c.cfg.Taps, fmt.Sprintf("%s loses power after the card was debited, and starts again", s.id))
			if err := s.reboot(ctx); err != nil {
				return 0, err
			}
			c.clock.Advance(8 * time.Second)
			continue // the same rider, the same card
		}
		if err != nil {
			return 0, err
		}
		out := res.Outcome
		switch {
		case out == tap.PresentAgain && c.rng.IntN(100) < 85:
			c.clock.Advance(3 * time.Second)
			if s.lanes[lane].mode == tap.BusFlat && c.rng.IntN(3) == 0 {
				lane = 1 - lane // he tries the other door
			}
			continue
		case out == tap.RefusedBalance && !loaded:
			c.tally.refusedForBalance++
			if err := c.load(ctx, r, money.Minor(firstLoad)); err != nil {
				return 0, err
			}
			loaded = true
			continue
		}
		return out, c.judge(r, s.lanes[lane].mode, trip.Open(), out)
	}
}

// present is one presentation of a card, and what the card says of it afterwards.
func (c *City) present(ctx context.Context, r *rider, at, lane int, amount money.Amount, request string, perMille int) (tap.Result, error) {
	s := c.places[at]
	c.tally.presentations++
	field := epcard.Present(r.card, pull(c.rng, perMille))
	var res tap.Result
	var err error
	if s.lanes[lane].mode == tap.Sale {
		res, err = s.term.Sell(ctx, lane, field, amount, request)
	} else {
		res, err = s.term.Present(ctx, lane, field)
	}
	if field.Gone() {
		c.tally.torn++
	}
	field.Leave()
	if lookErr := r.look(); lookErr != nil {
		return res, lookErr
	}
	if err != nil {
		return res, err
	}
	if c.tally.outcomes == nil {
		c.tally.outcomes = map[string]int{}
	}
	c.tally.outcomes[res.Outcome.String()]++
	if res.Recovered != nil {
		if res.Recovered.Completed {
			c.tally.recovered++
		} else {
			c.tally.voided++
		}
	}
	if res.Outcome == tap.AlreadyPaid {
		c.tally.alreadyPaid++
	}
	// Only a tap that was begun can be open; a card that tells of it closes it.
	if res.Outcome == tap.PresentAgain {
		r.openAt[at] = r.openAt[at] || res.Tap.Tap != 0
	} else {
		delete(r.openAt, at)
	}
	return res, nil
}

// judge holds a visit against what the card says was taken in it.
func (c *City) judge(r *rider, mode tap.Mode, wasInside bool, out tap.Outcome) error {
	paid := 0
	for _, d := range r.inVisit(r.visits) {
		if d.amount.Sign() > 0 {
			paid++
		}
	}
	// An entry takes nothing, unless the last trip was never left: then its marked fare, once.
	most := 1
	if mode == tap.MetroEntry && !wasInside {
		most = 0
	}
	if paid > most {
		c.tally.doubleCharged++
	}
	// What lets a rider pass is a debit of this visit, or one that the terminal says it found on the card.
	if (out == tap.Granted || out == tap.GrantedLow) && len(r.inVisit(r.visits)) == 0 {
		c.tally.passedUnpaid++
	}
	return nil
}

// evening brings home what is owed: riders whose last tap has no known outcome come by once more, queues drain, records are
// posted.
func (c *City) evening(ctx context.Context) error {
	if late := morning.Add(16 * time.Hour); c.clock.Now().Before(late) {
		c.clock.Set(late)
	}
	for _, r := range c.riders {
		var open []int
		for at := range r.openAt {
			open = append(open, at)
		}
		slices.Sort(open)
		for _, at := range open {
			trip, err := r.card.MetroTrip()
			if err != nil {
				return err
			}
			lane := 0
			if c.places[at].lanes[0].mode == tap.MetroEntry && trip.Open() {
				lane = 1
			}
			c.clock.Advance(time.Minute)
			if _, err := c.visit(ctx, r, at, lane, money.Minor(200), 0); err != nil {
				return fmt.Errorf("evening at %s: %w", c.places[at].id, err)
			}
		}
	}
	return c.drain(ctx)
}

// drain waits until every terminal has a receipt for all it holds and all is posted.
func (c *City) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for _, s := range c.places {
		for s.backlog() > 0 {
			select {
			case <-look.C:
			case <-ctx.Done():
				return fmt.Errorf("%s still holds %d records without a receipt: %w", s.id, s.backlog(), ctx.Err())
			}
		}
	}
	return c.node.Post(ctx)
}

// Keep keeps the city tapping until ctx ends, a tap every so often, and closes each day as it passes.
func (c *City) Keep(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		day := c.today()
		if err := c.someone(ctx, i, 0); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		c.clock.Advance(time.Duration(30+c.rng.IntN(60)) * time.Second)
		if c.today() != day {
			if err := c.drain(ctx); err != nil {
				return err
			}
			if _, err := c.node.Settle(ctx, day); err != nil {
				return err
			}
		}
	}
}

func (c *City) today() string { return c.clock.Now().In(c.profile.Location()).Format(time.DateOnly) }
