package channellife

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
)

// Banks are the banks whose cards a channel takes, with their part of its traffic.
var Banks = []struct {
	Code string
	Part float64
}{{"icbc", 0.30}, {"ccb", 0.25}, {"abc", 0.20}, {"boc", 0.15}, {"cmb", 0.10}}

const (
	warmUp = 4 * time.Minute
	tick   = 250 * time.Millisecond
	cool   = 12 * time.Minute // after a fault, and hours where people bring the channel back
)

// Plan is what a run plays.
type Plan struct {
	Seed  uint64
	Shape Shape // "" is a healthy channel, for Healthy
	Quiet bool  // a payment every ten seconds instead of ten a second
	Mode  health.Mode

	Healthy  time.Duration     // length of a run without a fault
	Settings *health.Settings  // nil: the defaults
	Trace    func(Sample)      // every five seconds, may be nil
	Moves    func(health.Move) // every move; may be nil
}

// Sample is how a channel stands at a time of a run.
type Sample struct {
	At      time.Duration
	State   health.State
	Share   float64
	Success float64 // of the calls since the sample before; -1: none
	Asked   int     // payments that came since
	Taken   int     // of these on the channel
	Faulty  bool
}

// Outcome is what a run came to.
type Outcome struct {
	Fault    Fault
	Found    bool          // the fault
	Response time.Duration // from its onset until the cell was out
	Returned bool
	Recovery time.Duration // from its true end until the cell took all again
	Wrong    int           // faults found where none was: before the onset of any, after its end, or of another cell
	Again    int           // steps of ramps that failed, and full returns that were too early
	Lost     int           // payments that failed on the channel by the fault
	Actions  int           // of people
	Alarms   int
	MaxSeen  int // most payments that one failed ramp cost
}

type ended struct {
	at     time.Duration
	number uint64
	cell   health.Cell
	failed bool
	probe  bool
}

type queue []ended

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(ended)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

const channelCode = "channel"

func cellOf(bank int) health.Cell {
	if bank < 0 {
		return health.Cell{Channel: channelCode}
	}
	return health.Cell{Channel: channelCode, Bank: Banks[bank].Code, Card: "debit"}
}

var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // time means nothing here

// life is one run.
type life struct {
	Plan
	set      health.Settings
	usual    float64
	fault    Fault
	board    *health.Board
	r        *rand.Rand
	calls    health.Calls
	open     queue
	operator Operator
	now      time.Duration
	out      Outcome
	faulty   health.Cell // the cell that is truly at fault
	tried    int         // payments taken in the running ramp that failed
	asked    int
	taken    int
	good     int
	answered int
}

// Run plays one plan.
func Run(p Plan) Outcome {
	r := rand.New(rand.NewPCG(p.Seed, 0xC0FFEE))
	l := &life{Plan: p, set: health.Defaults(), r: r, usual: 0.01 + 0.03*r.Float64()}
	if p.Settings != nil {
		l.set = *p.Settings
	}
	l.set.Mode = p.Mode
	l.board = health.NewBoard(func(health.Cell) health.Settings { return l.set })
	l.board.Watch(cellOf(-1))
	l.operator.r = rand.New(rand.NewPCG(p.Seed, 0x0DD))
	end := p.Healthy
	l.fault = Fault{Begin: never * 1000, End: never * 1000}
	if p.Shape != "" {
		l.fault = draw(p.Shape, r)
		l.faulty = cellOf(-1)
		if p.Shape == OneBank {
			l.faulty = cellOf(l.fault.Bank)
		}
		end = l.fault.End + cool
		if p.Mode != health.Automatic {
			end += 4 * time.Hour
		}
	}
	l.out.Fault = l.fault
	l.play(end)
	return l.out
}

func (l *life) play(end time.Duration) {
	perTick := 10 * tick.Seconds()
	if l.Quiet {
		perTick = 0.1 * tick.Seconds()
	}
	due := l.r.ExpFloat64() / perTick // in ticks
	next, nextSample := due, 5*time.Second
	for n := 0.0; l.now < end; n++ {
		l.now += tick
		for ; next <= n; next += l.r.ExpFloat64() / perTick {
			l.payment()
		}
		for len(l.open) > 0 && l.open[0].at <= l.now {
			l.ended(heap.Pop(&l.open).(ended))
		}
		for _, o := range l.calls.Late(l.time(), func(health.Cell) time.Duration { return l.set.Slow }) {
			l.observe(o)
		}
		moves, probes := l.board.Tick(l.time())
		for _, m := range moves {
			l.keep(m)
		}
		for _, c := range probes {
			l.begin(c, -1, true)
		}
		l.person()
		if l.now >= nextSample {
			l.sample()
			nextSample += 5 * time.Second
		}
		if l.Shape != "" && l.out.Returned && l.Trace == nil {
			return // nothing more to learn
		}
	}
}

func (l *life) time() time.Time { return epoch.Add(l.now) }

func (l *life) payment() {
	u := l.r.Float64()
	bank := 0
	for sum := Banks[0].Part; u >= sum && bank < len(Banks)-1; sum += Banks[bank].Part {
		bank++
	}
	cell := cellOf(bank)
	l.asked++
	if !health.Admit(l.board.Share(cell), 0, false, l.r.Float64()) {
		return // it goes to another channel
	}
	l.taken++
	l.begin(cell, bank, false)
}

func (l *life) begin(cell health.Cell, bank int, probe bool) {
	c := l.fault.answer(l.now, bank, l.usual, l.r)
	if probe { // it waits no longer than Slow, and is none of the calls that come late
		heap.Push(&l.open, ended{l.now + min(c.takes, l.set.Slow), 0, cell, c.failed || c.takes > l.set.Slow, true})
		return
	}
	number := l.calls.Began(cell, l.time())
	if l.fault.active(l.now) && (c.failed || c.takes > l.set.Slow) {
		l.out.Lost++
		if l.board.Share(cell) < 1 {
			l.tried++
		}
	}
	if c.takes < never {
		heap.Push(&l.open, ended{l.now + c.takes, number, cell, c.failed, false})
	}
}

func (l *life) ended(e ended) {
	if e.probe || l.calls.Ended(e.number) {
		l.observe(health.Observation{At: l.time(), Cell: e.cell, Failed: e.failed, Probe: e.probe})
	}
}

func (l *life) observe(o health.Observation) {
	if !o.Probe {
		l.answered++
		if !o.Failed {
			l.good++
		}
	}
	m, a := l.board.Observe(o)
	if a != nil {
		l.out.Alarms++
		l.found(a.Cell)
		l.operator.alarmed(l.now)
	}
	l.keep(m)
}

// found holds a fault that was found against the truth.
func (l *life) found(c health.Cell) {
	truly := c == l.faulty && l.now >= l.fault.Begin && l.now < l.fault.End
	if !truly {
		l.out.Wrong++
	}
}

func (l *life) keep(m *health.Move) {
	if m == nil {
		return
	}
	l.board.Adopt(m.Status, l.time())
	if l.Moves != nil {
		l.Moves(*m)
	}
	if m.On == health.FaultFound && m.From == health.Available {
		l.found(m.Cell)
	}
	if m.Cell != l.faulty || l.Shape == "" {
		return
	}
	switch m.Does {
	case health.SetFault:
		if l.now < l.fault.Begin {
			return
		}
		if l.out.Found {
			l.out.Again++ // it was taken back in full too early
		} else {
			l.out.Found = true
			l.out.Response = max(l.now-l.fault.Onset(l.usual, l.set.Worst), 0)
		}
		if l.Mode != health.Automatic {
			l.operator.out(l.now)
		}
		l.tried = 0
	case health.BackToFault:
		l.out.Again++
		l.out.MaxSeen = max(l.out.MaxSeen, l.tried)
		l.tried = 0
	case health.SetNormal:
		if l.out.Found && l.now >= l.fault.Over() {
			l.out.Returned, l.out.Recovery = true, l.now-l.fault.Over()
		}
	}
}

// person acts where an action is due.
func (l *life) person() {
	o := &l.operator
	if o.acts == 0 || l.now < o.acts {
		return
	}
	s := l.board.Status(l.faulty)
	switch {
	case o.off && s.State == health.Available && l.fault.active(l.now):
		o.acts = 0
		if m, err := l.board.Switch(l.faulty, health.SwitchedOff, s.Version, l.time(), "operator", "alarm"); err == nil {
			l.out.Actions++
			l.keep(m)
		}
	case o.off:
		o.acts = 0 // it was over by then
	case l.now < l.fault.Over():
		l.out.Actions++ // the bank was asked, and is not well yet
		o.out(l.now)
	default:
		o.acts = 0
		if m, err := l.board.Switch(l.faulty, health.SwitchedOn, s.Version, l.time(), "operator", "the bank is well"); err == nil {
			l.out.Actions++
			l.keep(m)
		}
	}
}

func (l *life) sample() {
	if l.Trace != nil {
		s := l.board.Status(l.faulty)
		x := Sample{At: l.now, State: s.State, Share: s.Share, Success: -1, Asked: l.asked, Taken: l.taken, Faulty: l.fault.active(l.now)}
		if l.answered > 0 {
			x.Success = float64(l.good) / float64(l.answered)
		}
		l.Trace(x)
	}
	l.asked, l.taken, l.good, l.answered = 0, 0, 0, 0
}
