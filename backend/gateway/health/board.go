package health

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Cell is what has a state: a channel as a whole, or the cards of one bank on it. The parts are codes of ours.
type Cell struct {
	Channel string
	Bank    string // "" is the channel as a whole
	Card    string // debit, credit or ""
}

func (c Cell) String() string {
	if c.Bank == "" {
		return c.Channel
	}
	return strings.TrimSuffix(c.Channel+"/"+c.Bank+"/"+c.Card, "/")
}

// Whole is the cell of the channel that c is a part of.
func (c Cell) Whole() Cell { return Cell{Channel: c.Channel} }

// Compare orders cells by name.
func (c Cell) Compare(o Cell) int {
	return cmp.Or(cmp.Compare(c.Channel, o.Channel), cmp.Compare(c.Bank, o.Bank), cmp.Compare(c.Card, o.Card))
}

// Status is the state of a cell with what led to it. It is what processes share: [Board] proposes the next one, and adopts what was kept.
type Status struct {
	Cell     Cell
	State    State
	Share    float64 // of its traffic that it may take: 1 available, 0 unavailable, between them ramping
	Step     int     // of the ramp, from 1
	Tries    int     // ramps begun since the fault
	Since    time.Time
	Due      time.Time // Unavailable: no ramp begins before
	Version  uint64    // one more with each move
	Incident uint64    // Version of the move that began it; 0: none
	Traffic  float64   // payments a second before the fault
}

// Move is a change of a cell's state: proposed by a board, kept by its caller.
type Move struct {
	Arrow
	Status          // after the move
	Before   uint64 // Version before it: it may only be kept while that stands
	At       time.Time
	By       string   // a person, or "" for the cell itself
	Reason   string   // a person's
	Evidence Evidence // of a fault found
}

// Alarm is a fault of a cell that does not move by itself.
type Alarm struct {
	Cell     Cell
	At       time.Time
	Evidence Evidence
}

// Observation is what became of one call of a channel.
type Observation struct {
	At     time.Time
	Cell   Cell // with bank and card where they are known
	Failed bool // the channel's or the bank's fault; what is the payer's is no observation
	Probe  bool // not a payment of a payer
}

// Board holds the health of all cells as one process sees it. It is not safe for concurrent use.
type Board struct {
	set   func(Cell) Settings
	cells map[Cell]*cell
	parts map[string]int // of banks and cards, for detectors
}

type cell struct {
	Status
	set      Settings
	part     int
	detector *Detector
	trial    Trial
	spells   spells
	probed   time.Time
	alarmed  time.Time // when the fault of the last alarm was seen last; zero: none stands
	asked    bool      // a move is proposed and neither adopted nor refused
}

// NewBoard has every cell available. set gives the settings of a cell.
func NewBoard(set func(Cell) Settings) *Board {
	return &Board{set: set, cells: map[Cell]*cell{}, parts: map[string]int{}}
}

func (b *Board) cell(c Cell) *cell {
	x := b.cells[c]
	if x == nil {
		s := b.set(c)
		x = &cell{Status: Status{Cell: c, Share: 1}, set: s, detector: NewDetector(s)}
		if c.Bank != "" {
			name := c.Bank + "/" + c.Card
			if b.parts[name] == 0 {
				b.parts[name] = len(b.parts) + 1
			}
			x.part = b.parts[name]
		}
		b.cells[c] = x
	}
	return x
}

// Watch makes a cell known, so that it is probed before its first payment.
func (b *Board) Watch(c Cell) { b.cell(c) }

// Status of a cell; one that nothing was seen of is available.
func (b *Board) Status(c Cell) Status {
	if x := b.cells[c]; x != nil {
		return x.Status
	}
	return Status{Cell: c, Share: 1}
}

// All lists the status of every cell known, by name.
func (b *Board) All() []Status {
	out := make([]Status, 0, len(b.cells))
	for _, x := range b.cells {
		out = append(out, x.Status)
	}
	slices.SortFunc(out, func(a, c Status) int { return a.Cell.Compare(c.Cell) })
	return out
}

// Share is how much of a payment's traffic its channel may take: the smallest of the channel's as a whole, of its bank's and of its kind of card.
func (b *Board) Share(c Cell) float64 {
	share := b.Status(c.Whole()).Share
	if c.Bank != "" {
		share = min(share, b.Status(Cell{Channel: c.Channel, Bank: c.Bank}).Share, b.Status(c).Share)
	}
	return share
}

// Observe takes an observation in. It returns at most one move to keep, or an alarm where the cell does not move by itself. A
// payment counts for its bank and, while the bank is not out, for the channel as a whole: a bank's fault is no channel's.
func (b *Board) Observe(o Observation) (*Move, *Alarm) {
	whole := b.cell(o.Cell.Whole())
	if o.Cell.Bank == "" {
		return b.observe(whole, o, 0)
	}
	bank := b.cell(o.Cell)
	wholeWell := whole.State == Available
	if !wholeWell && bank.State == Available {
		return b.observe(whole, o, bank.part) // what the whole channel does says nothing of one bank
	}
	if m, a := b.observe(bank, o, bank.part); m != nil && m.On == FaultFound && bank.State == Available || a != nil {
		return b.whose(whole, bank, o, m, a)
	} else if m != nil || a != nil {
		return m, a
	}
	if wholeWell && (bank.State != Available || bank.standing(o.At)) {
		return nil, nil // a channel's rate leaves out a bank that is out, or should be
	}
	return b.observe(whole, o, bank.part)
}

// whose decides whether the fault found at a bank is the whole channel's: then the other banks would not fail as they do.
func (b *Board) whose(whole, bank *cell, o Observation, m *Move, a *Alarm) (*Move, *Alarm) {
	var e Evidence
	if m != nil {
		e = m.Evidence
	} else {
		e = a.Evidence
	}
	n, failed := whole.detector.without(bank.part, e.From)
	if !alike(n, failed, whole.detector.Usual(), float64(e.Failed)/float64(e.Payments)) {
		return m, a
	}
	bank.asked = false // the bank's own move is not made
	e.Payments, e.Failed = e.Payments+n, e.Failed+failed
	if whole.set.Mode == Manual {
		return nil, whole.alarm(o.At, e)
	}
	return whole.propose(FaultFound, o.At, "", "", e), nil
}

// alike reports that payments of other banks speak rather for the fault of one bank, at which a rate failed, than for what is usual. That bank was found first because
// it had bad luck on top, so the fault is taken for a good half of its rate.
func alike(n, failed int, usual, rate float64) bool {
	usual = min(max(usual, 0.01), 0.5)
	fault := min(max(0.6*rate, 1.5*usual), 0.99)
	return float64(failed)*math.Log(fault/usual)+float64(n-failed)*math.Log((1-fault)/(1-usual)) > 0
}

func (b *Board) observe(x *cell, o Observation, part int) (*Move, *Alarm) {
	switch x.State {
	case Available:
		e, faulty := x.detector.observe(seen{o.At, o.Failed, o.Probe, part})
		switch {
		case !faulty:
			return nil, nil
		case x.set.Mode == Manual && b.cells[x.Cell.Whole()].standing(o.At):
			b.cells[x.Cell.Whole()].alarmed = o.At // it is the whole channel's fault that is seen here
			return nil, nil
		case x.set.Mode == Manual:
			return nil, x.alarm(o.At, e)
		default:
			return x.propose(FaultFound, o.At, "", "", e), nil
		}
	case Unavailable:
		if o.Probe {
			x.spells.observe(o.At, o.Failed)
		}
		return nil, nil // payments that were on their way when it went out tell nothing new
	default:
		if o.Probe {
			x.spells.observe(o.At, o.Failed)
		}
		if o.Probe && x.Traffic*x.set.Interval.Seconds() >= x.set.Seen {
			return nil, nil // payers are a better proof, and there are enough
		}
		if !o.Probe && o.At.Before(x.Since) {
			return nil, nil
		}
		x.trial.Observe(o.Failed)
		return x.step(o.At), nil
	}
}

// alarmStands is how long after a fault was seen last its alarm still speaks for it.
const alarmStands = 10 * time.Minute

func (x *cell) standing(at time.Time) bool {
	return !x.alarmed.IsZero() && at.Sub(x.alarmed) < alarmStands
}

// alarm speaks once a fault.
func (x *cell) alarm(at time.Time, e Evidence) *Alarm {
	stood := x.standing(at)
	x.alarmed = at
	if stood {
		return nil
	}
	return &Alarm{Cell: x.Cell, At: at, Evidence: e}
}

// step is what the trial of the running step has come to.
func (x *cell) step(now time.Time) *Move {
	good, bad := x.trial.Judge(now, x.set.Interval)
	switch {
	case bad:
		return x.propose(StepBad, now, "", "", Evidence{})
	case good && x.Share >= 1:
		return x.propose(Full, now, "", "", Evidence{})
	case good:
		return x.propose(StepGood, now, "", "", Evidence{})
	}
	return nil
}

// Tick lets time pass: it returns moves that are due, and the cells to probe now.
func (b *Board) Tick(now time.Time) (moves []*Move, probes []Cell) {
	for _, s := range b.All() {
		x := b.cells[s.Cell]
		switch x.State {
		case Unavailable:
			if x.set.Mode == Automatic && !now.Before(x.Due) && x.mayTry(now) {
				if m := x.propose(TrialDue, now, "", "", Evidence{}); m != nil {
					moves = append(moves, m)
				}
			}
		case Ramping:
			if m := x.step(now); m != nil {
				moves = append(moves, m)
			}
		}
		if x.Cell.Bank == "" && now.Sub(x.probed) >= x.probeEvery(now) {
			x.probed = now
			probes = append(probes, x.Cell)
		}
	}
	return moves, probes
}

// mayTry reports that nothing speaks against a ramp. A single bank cannot be probed.
func (x *cell) mayTry(now time.Time) bool {
	return x.Cell.Bank != "" || x.spells.long(now, x.set.MaxOff)
}

func (x *cell) probeEvery(now time.Time) time.Duration {
	if x.State != Available || x.detector.Doubtful(now) && x.detector.traffic(now)*x.set.Probe.Seconds() < 1 {
		return x.set.Probe
	}
	if last := x.detector.Last(); !last.IsZero() && now.Sub(last) < x.set.Idle {
		return 1 << 62 // payments tell enough
	}
	return x.set.Idle
}

// Errors of a person's switch.
var (
	ErrStale  = errors.New("the channel has moved since: look again before you switch it")
	ErrReason = errors.New("a switch needs who and why")
)

// Switch proposes what a person wants: SwitchedOff or SwitchedOn, at the version that was looked at. Errors: [ErrStale], [ErrReason],
// [ErrMove].
func (b *Board) Switch(c Cell, e Event, version uint64, at time.Time, by, reason string) (*Move, error) {
	x := b.cell(c)
	switch {
	case e != SwitchedOff && e != SwitchedOn:
		return nil, fmt.Errorf("%v: %s is no switch: %w", c, e, ErrMove)
	case strings.TrimSpace(by) == "" || strings.TrimSpace(reason) == "":
		return nil, fmt.Errorf("%v: %w", c, ErrReason)
	case version != x.Version:
		return nil, fmt.Errorf("%v: version %d was looked at, is %d: %w", c, version, x.Version, ErrStale)
	}
	m, err := x.move(e, at)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", c, err)
	}
	m.By, m.Reason = by, reason
	return m, nil
}

// propose makes a move that no other proposal of this board stands in the way of.
func (x *cell) propose(e Event, at time.Time, by, reason string, why Evidence) *Move {
	if x.asked {
		return nil
	}
	m, err := x.move(e, at)
	if err != nil {
		return nil
	}
	m.By, m.Reason, m.Evidence = by, reason, why
	x.asked = true
	return m
}

// byHand is when a cell is due that a person switched off: it waits for a person, because probes of a channel that is well say nothing of why it is off.
var byHand = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// move is pure: the status after an event.
func (x *cell) move(e Event, at time.Time) (*Move, error) {
	a, err := Next(x.State, e)
	if err != nil {
		return nil, err
	}
	s := x.Status
	s.State, s.Since, s.Version = a.To, at, x.Version+1
	switch a.Does {
	case SetFault:
		s.Share, s.Step, s.Tries, s.Incident, s.Traffic = 0, 0, 0, s.Version, math.Round(x.detector.traffic(at)*1000)/1000
		s.Due = at.Add(x.set.BackOff)
		if e == SwitchedOff {
			s.Due = byHand
		}
	case StartRamp:
		s.Step, s.Tries = 1, s.Tries+1
		s.Share = x.first()
	case ContinueRamp:
		s.Step++
		s.Share = min(s.Share*x.set.Growth, 1)
	case BackToFault:
		s.Share, s.Step = 0, 0
		s.Due = at.Add(min(x.set.BackOff<<min(s.Tries, 16), x.set.MaxOff))
		if e == SwitchedOff {
			s.Due = byHand
		}
	case SetNormal:
		s.Share, s.Step, s.Tries, s.Incident = 1, 0, 0, 0
	}
	return &Move{Arrow: a, Status: s, Before: x.Version, At: at}, nil
}

// first is the share that brings as many payments as a judgement needs within a step, and no more.
func (x *cell) first() float64 {
	if x.Traffic <= 0 {
		return x.set.First
	}
	return min(max(x.set.First, math.Round(1e6*x.set.Seen/(x.Traffic*x.set.Interval.Seconds()))/1e6), 1) // to a millionth, as it is kept
}

// Adopt takes over a status that was kept, by this process or another. An older one than is known changes nothing.
func (b *Board) Adopt(s Status, now time.Time) {
	x := b.cell(s.Cell)
	x.asked = false
	if s.Version <= x.Version {
		return
	}
	b.take(x, s, now)
}

// Overrule takes over a status that was kept, whatever this process has made up on its own meanwhile.
func (b *Board) Overrule(s Status, now time.Time) {
	x := b.cell(s.Cell)
	x.asked = false
	b.take(x, s, now)
}

func (b *Board) take(x *cell, s Status, now time.Time) {
	was := x.State
	x.Status, x.alarmed = s, time.Time{}
	switch {
	case s.State == Ramping:
		x.trial = NewTrial(now, x.set, x.detector.Usual(), s.Step)
	case s.State == Unavailable && was == Available:
		x.spells = spells{}
		x.detector.Forget()
		if x.part != 0 {
			b.cell(s.Cell.Whole()).detector.drop(x.part)
		}
	case s.State == Unavailable:
		x.spells.broke(now)
	case s.State == Available:
		x.detector.Forget()
	}
}

// Refused says that a proposed move was not kept, as another came first; its status is adopted when it is known.
func (b *Board) Refused(c Cell) { b.cell(c).asked = false }

// Window counts what was seen of a cell since a time, among its newest observations.
func (b *Board) Window(c Cell, since time.Time) (n, failed int) {
	if x := b.cells[c]; x != nil {
		return x.detector.Window(since)
	}
	return 0, 0
}
