package tcc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Settings of a coordinator. Store and Participants are required.
type Settings struct {
	Store        *store.Store
	Participants map[string]Participant

	// OnEnd is called inside the transaction that ends a payment; its error undoes that, and it is called again later.
	//
	// Default: nobody is told.
	OnEnd func(context.Context, *store.Tx, Status) error

	// Clock is the time, Log is told what a participant could not do.
	//
	// Defaults: the machine's; slog's.
	Clock clock.Clock
	Log   *slog.Logger
}

// Coordinator pays with several instruments at once. It keeps nothing in memory: any number of them may work on one store, and one that died
// is carried on by the next that calls [Coordinator.Sweep].
type Coordinator struct{ set Settings }

// New checks the settings.
func New(s Settings) (*Coordinator, error) {
	if s.Store == nil || len(s.Participants) == 0 {
		return nil, errors.New("combined payment: a store and participants are needed")
	}
	if s.Clock == nil {
		s.Clock = clock.System{}
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	return &Coordinator{s}, nil
}

// Payment is what is asked for.
type Payment struct {
	XID   string // 18 to 29 digits and letters, unique for ever
	Legs  []Leg  // XID, N, Until, Tell and Direct are filled in
	Until time.Time
	Tell  Tell
}

// Status is how far a payment is.
type Status struct {
	XID     string
	State   State
	Why     string // it comes to nothing
	Since   time.Time
	Legs    []Leg
	Actions map[int]channel.Action // by leg: what the payer must do; only in the answer to the call that asked the channel
}

// ownTime is how long a step that has just begun is left to the call that began it. A sweep in its midst would do the same, and the call would find what it was to
// say at once still under way.
const ownTime = 12 * time.Second

// Pay begins a payment and does what can be done at once. Asked again it goes on with it. Errors: [books.ErrConflict] for other content under the same XID.
func (c *Coordinator) Pay(ctx context.Context, p Payment) (Status, error) {
	if err := c.begin(ctx, p); err != nil {
		return Status{}, err
	}
	return c.Advance(ctx, p.XID)
}

func (c *Coordinator) begin(ctx context.Context, p Payment) error {
	if err := c.check(p); err != nil {
		return err
	}
	legs := make([]store.TCCLeg, len(p.Legs))
	all := sha256.New()
	for i, l := range p.Legs {
		l.XID, l.N, l.Direct = p.XID, i+1, len(p.Legs) == 1
		fmt.Fprintln(all, l.digest())
		legs[i] = store.TCCLeg{XID: p.XID, Leg: l.N, Participant: l.Participant, Account: l.Account, Currency: l.Money.Currency, Amount: l.Money.Amount, Worth: l.worth(),
			Payee: l.Payee, Context: l.Context, Direct: l.Direct}
	}
	digest := hex.EncodeToString(all.Sum(nil)[:16])
	return c.set.Store.Update(ctx, func(tx *store.Tx) error {
		have, _, err := tx.TCC(ctx, p.XID)
		if err == nil && have.Digest != digest {
			return fmt.Errorf("combined payment %s: %w", p.XID, books.ErrConflict)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		now := c.set.Clock.Now()
		if !p.Until.After(now) {
			return fmt.Errorf("combined payment %s: its time is up already", p.XID)
		}
		next := now.Add(ownTime)
		if next.After(p.Until) {
			next = p.Until
		}
		return tx.AddTCC(ctx, store.TCC{XID: p.XID, Digest: digest, State: string(Reserving), Until: p.Until, Next: next, Made: now, Changed: now,
			Subject: p.Tell.Subject, ReturnURL: p.Tell.ReturnURL, ClientIP: p.Tell.ClientIP}, legs)
	})
}

func (c *Coordinator) check(p Payment) error {
	if len(p.XID) < 18 || len(p.XID) > 29 || strings.Trim(p.XID, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return fmt.Errorf("combined payment %q: its number has 18 to 29 digits and letters", p.XID)
	}
	if len(p.Legs) == 0 || len(p.Legs) > 9 {
		return fmt.Errorf("combined payment %s: it has 1 to 9 legs, not %d", p.XID, len(p.Legs))
	}
	for i, l := range p.Legs {
		if _, known := c.set.Participants[l.Participant]; !known {
			return fmt.Errorf("combined payment %s: leg %d: there is no participant %q", p.XID, i+1, l.Participant)
		}
		if l.Money.Amount.Sign() <= 0 || l.worth().Sign() <= 0 || l.Money.Currency == "" || l.Payee == "" {
			return fmt.Errorf("combined payment %s: leg %d: an amount, a currency and a payee are needed", p.XID, i+1)
		}
	}
	return nil
}

// read is a payment as it stands.
func (c *Coordinator) read(ctx context.Context, xid string) (p store.TCC, legs []Leg, done []bool, err error) {
	var rows []store.TCCLeg
	err = c.set.Store.View(ctx, func(tx *store.Tx) (err error) {
		p, rows, err = tx.TCC(ctx, xid)
		return err
	})
	for _, r := range rows {
		legs, done = append(legs, leg(p, r)), append(done, r.Done)
	}
	return p, legs, done, err
}

func leg(p store.TCC, r store.TCCLeg) Leg {
	return Leg{XID: r.XID, N: r.Leg, Participant: r.Participant, Account: r.Account, Money: channel.Money{Amount: r.Amount, Currency: r.Currency}, Worth: r.Worth, Payee: r.Payee,
		Context: r.Context, Direct: r.Direct, Until: p.Until, Tell: Tell{Subject: p.Subject, ReturnURL: p.ReturnURL, ClientIP: p.ClientIP}}
}

// Status reads how far a payment is. Error: [store.ErrNotFound].
func (c *Coordinator) Status(ctx context.Context, xid string) (Status, error) {
	p, legs, _, err := c.read(ctx, xid)
	return Status{XID: xid, State: State(p.State), Why: p.Why, Since: p.Changed, Legs: legs}, err
}

// Advance does what can be done for a payment now. What a participant could not do is logged and comes again.
func (c *Coordinator) Advance(ctx context.Context, xid string) (Status, error) {
	actions := map[int]channel.Action{}
	for {
		p, legs, done, err := c.read(ctx, xid)
		if err != nil {
			return Status{}, err
		}
		state := State(p.State)
		out := Status{XID: xid, State: state, Why: p.Why, Since: p.Changed, Legs: legs, Actions: actions}
		op, more := state.Op()
		if !more {
			return out, nil
		}
		news, why, ready := AllDone, "", true
		if state == Reserving && !c.set.Clock.Now().Before(p.Until) {
			news, why = TimeIsUp, "its time was up"
		} else {
			news, why, ready, err = c.tell(ctx, state, op, legs, done, actions)
		}
		if err != nil {
			return out, err
		}
		if !ready {
			if still, err := c.later(ctx, p); still || err != nil {
				return out, err
			}
			continue // somebody has moved it on
		}
		if err := c.move(ctx, out, news, why); err != nil {
			return out, err
		}
	}
}

// tell tells each leg that has not done its step yet to do it. A reservation stops at the first one that is not done, because the next ones may not be needed; taking
// and giving up go to all.
func (c *Coordinator) tell(ctx context.Context, state State, op Op, legs []Leg, done []bool, actions map[int]channel.Action) (news News, why string, ready bool, err error) {
	ready = true
	for i, l := range legs {
		if done[i] {
			continue
		}
		a, err := c.call(ctx, l, op)
		if err := ctx.Err(); err != nil {
			return 0, "", false, err
		}
		if err != nil {
			c.set.Log.Warn("combined payment: a participant could not do it", "payment", l.XID, "leg", l.N, "participant", l.Participant, "context", l.Context, "what", op.String(), "error", err)
			a = Answer{}
		}
		switch {
		case a.Word == No && op == Try:
			return OneRefused, refusedBy(l.N, a.Why, a.Class), true, nil
		case a.Word == Done:
			if err := c.set.Store.Update(ctx, func(tx *store.Tx) error { return tx.DoneTCCLeg(ctx, l.XID, l.N, string(state)) }); err != nil {
				return 0, "", false, err
			}
			continue
		}
		actions[l.N] = a.Action
		ready = false
		if op == Try {
			return 0, "", false, nil
		}
	}
	return AllDone, "", ready, nil
}

func (c *Coordinator) call(ctx context.Context, l Leg, op Op) (Answer, error) {
	p, known := c.set.Participants[l.Participant]
	if !known {
		return Answer{}, fmt.Errorf("there is no participant %q any more", l.Participant)
	}
	switch op {
	case Try:
		return p.Try(ctx, l)
	case Confirm:
		return p.Confirm(ctx, l)
	}
	return p.Cancel(ctx, l)
}

// move writes the next state, if nobody else has. Legs that another one found undone keep the payment where it is.
func (c *Coordinator) move(ctx context.Context, s Status, n News, why string) error {
	to, moves := s.State.Next(n)
	if !moves {
		return nil
	}
	if why == "" {
		why = s.Why
	}
	return c.set.Store.Update(ctx, func(tx *store.Tx) error {
		if n == AllDone {
			_, rows, err := tx.TCC(ctx, s.XID)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if !r.Done {
					return nil // somebody has moved it on, and its next step is not done
				}
			}
		}
		now := c.set.Clock.Now()
		moved, err := tx.MoveTCC(ctx, s.XID, string(s.State), string(to), why, now, now.Add(ownTime))
		if err != nil || !moved || !to.Final() || c.set.OnEnd == nil {
			return err
		}
		s.State, s.Why = to, why
		return c.set.OnEnd(ctx, tx, s)
	})
}

// later looks at a payment again in 1, 2, 4 … 64 s, if it is still where it was.
func (c *Coordinator) later(ctx context.Context, p store.TCC) (still bool, err error) {
	next := c.set.Clock.Now().Add(time.Second << min(p.Tries, 6))
	if State(p.State) == Reserving && next.After(p.Until) {
		next = p.Until
	}
	err = c.set.Store.Update(ctx, func(tx *store.Tx) (err error) {
		still, err = tx.LaterTCC(ctx, p.XID, p.State, next)
		return err
	})
	return still, err
}

// Sweep carries on at most limit payments that are due, and as many refunds. It is called every second or so, and first after a start.
func (c *Coordinator) Sweep(ctx context.Context, limit int) error {
	var due []string
	var late []store.TCCBranch
	var open []store.TCCRefund
	err := c.set.Store.View(ctx, func(tx *store.Tx) (err error) {
		if due, err = tx.DueTCC(ctx, c.set.Clock.Now(), limit); err != nil {
			return err
		}
		if late, err = tx.LateTCCBranches(ctx, limit); err != nil {
			return err
		}
		open, err = tx.OpenTCCRefunds(ctx, c.set.Clock.Now(), limit)
		return err
	})
	if err != nil {
		return err
	}
	for _, xid := range due {
		if _, err := c.Advance(ctx, xid); err != nil {
			return err
		}
	}
	for _, b := range late {
		_, legs, _, err := c.read(ctx, b.XID)
		if err != nil {
			return err
		}
		if err := c.undo(ctx, legs[b.Branch-1]); err != nil {
			return err
		}
	}
	for _, r := range open {
		if err := c.giveBack(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// undo cancels a leg of a payment that has ended.
func (c *Coordinator) undo(ctx context.Context, l Leg) error {
	_, err := c.call(ctx, l, Cancel)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.set.Log.Warn("combined payment: what came too late could not be undone", "payment", l.XID, "leg", l.N, "participant", l.Participant, "context", l.Context, "error", err)
	}
	return nil
}

// Late is called with the number of a payment at a channel that a notification says has been made. If it is of a leg that was given up, it is undone by
// one of the next sweeps; of any other it is no news. Error: [store.ErrNotFound] for a number that is no leg's.
func (c *Coordinator) Late(ctx context.Context, number string) error {
	if len(number) < 4 {
		return fmt.Errorf("number %q is no leg's: %w", number, store.ErrNotFound)
	}
	xid, rest := number[:len(number)-3], number[len(number)-3:]
	_, legs, _, err := c.read(ctx, xid)
	if err != nil {
		return err
	}
	for _, l := range legs {
		if l.number("P") != xid+rest {
			continue
		}
		if h, hears := c.set.Participants[l.Participant].(LateHearer); hears {
			return h.Late(ctx, l)
		}
		return nil
	}
	return fmt.Errorf("number %q is no leg's: %w", number, store.ErrNotFound)
}

// CallOff gives up a payment that is not reserved everywhere yet. The status says whether it was in time.
func (c *Coordinator) CallOff(ctx context.Context, xid, why string) (Status, error) {
	s, err := c.Status(ctx, xid)
	if err != nil {
		return s, err
	}
	if s.State == Reserving {
		if err := c.move(ctx, s, OneRefused, why); err != nil {
			return s, err
		}
	}
	return c.Advance(ctx, xid)
}

// look carries a payment on that waits for its last leg alone, which was asked: the payer may have paid it, and nobody has told. A leg that nobody has
// asked yet is not asked for this.
func (c *Coordinator) look(ctx context.Context, xid string) error {
	p, legs, done, err := c.read(ctx, xid)
	if err != nil || State(p.State) != Reserving {
		return err
	}
	last := len(legs) - 1
	for _, d := range done[:last] {
		if !d {
			return nil
		}
	}
	var b store.TCCBranch
	err = c.set.Store.View(ctx, func(tx *store.Tx) (err error) {
		b, err = tx.TCCBranch(ctx, xid, legs[last].N)
		return err
	})
	if err != nil || Branch(b.State) != Trying {
		return err
	}
	_, err = c.Advance(ctx, xid)
	return err
}
