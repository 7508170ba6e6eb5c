package channel

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Op is what a request asks for, so that a fault can be planted on one kind of them.
type Op string

// Operations. A simulator with more of them names its own.
const (
	Pay         Op = "pay"
	Query       Op = "query"
	Close       Op = "close"
	Refund      Op = "refund"
	QueryRefund Op = "query refund"
	Void        Op = "void"
	Authorise   Op = "authorise"
	Increment   Op = "increment"
	Capture     Op = "capture"
	Release     Op = "release"
	Sign        Op = "sign"
	Unsign      Op = "unsign"
	Payout      Op = "payout"
	Bill        Op = "bill"
)

// Cut is where a connection ends too early.
type Cut int

// Cuts.
const (
	NoCut     Cut = iota
	CutBefore     // the request is lost: nothing is done
	CutAfter      // the request is done, and its answer is lost
)

// Fate is what becomes of one request. The zero value is a request that goes well.
type Fate struct {
	Cut     Cut
	Error   string        // answer with this code of the channel; "" for none
	AndDone bool          // with Error: the request is done all the same
	Early   bool          // of a payment: the payer pays and the notification is there before the answer
	Delay   time.Duration // before the answer, where the simulator was told how to wait
}

// Faults are what goes wrong by chance, each from 0 (never) to 1 (always). The zero value is a channel without faults.
type Faults struct {
	CutBefore float64
	CutAfter  float64
	Early     float64                       // see Fate.Early
	Errors    map[string]map[string]float64 // by the payer's bank, then by code; bank "" is for the banks that are not named

	Latency time.Duration // of each answer
	Jitter  time.Duration // at most this more

	LateSuccess bool // a payer who pays after expiry or closing is let through, as real channels do in a race

	NotifyLost      float64 // a try is lost; the schedule brings the next
	NotifyDoubled   float64 // a notification comes twice
	NotifyLate      float64 // the first try comes NotifyLateBy later
	NotifyLateBy    time.Duration
	NotifyForged    float64 // a changed copy comes first
	NotifyReencoded float64 // a proxy writes the body anew, in other bytes
}

// Weather decides what goes wrong. It is safe for concurrent use; with one caller the same seed gives the same faults.
type Weather struct {
	Wait func(context.Context, time.Duration) error // how to wait for Fate.Delay; nil: not at all. Set before use

	mu     sync.Mutex
	chance *rand.Rand
	faults Faults
	next   map[Op][]Fate
	down   bool
}

// NewWeather starts without faults.
func NewWeather(seed uint64) *Weather {
	return &Weather{chance: rand.New(rand.NewPCG(seed, 0x77656174686572)), next: map[Op][]Fate{}}
}

// Set changes what goes wrong by chance.
func (w *Weather) Set(f Faults) { w.mu.Lock(); defer w.mu.Unlock(); w.faults = f }

// Faults is what was set last.
func (w *Weather) Faults() Faults { w.mu.Lock(); defer w.mu.Unlock(); return w.faults }

// Next gives the coming requests of one kind their fates, in order and before any chance.
func (w *Weather) Next(op Op, fates ...Fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next[op] = append(w.next[op], fates...)
}

// Unreachable makes every connection fail before a byte leaves, until it is called with false.
func (w *Weather) Unreachable(yes bool) { w.mu.Lock(); defer w.mu.Unlock(); w.down = yes }

// Reachable reports that connections can be made.
func (w *Weather) Reachable() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.down }

// Draw decides the fate of one request. A simulator calls it once for each, when it knows what is asked and has verified who asks.
func (w *Weather) Draw(op Op, bank string) Fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if planned := w.next[op]; len(planned) > 0 {
		w.next[op] = planned[1:]
		return planned[0]
	}
	f := Fate{Delay: w.faults.Latency}
	if w.faults.Jitter > 0 {
		f.Delay += time.Duration(w.chance.Int64N(int64(w.faults.Jitter)))
	}
	switch {
	case w.hit(w.faults.CutBefore):
		f.Cut = CutBefore
	case w.hit(w.faults.CutAfter):
		f.Cut = CutAfter
	}
	if op == Pay {
		f.Error = w.code(bank)
		f.Early = w.hit(w.faults.Early)
	}
	return f
}

// hit is true with a chance of p. It draws nothing for what cannot happen, so a fault that is off leaves the others' order alone.
func (w *Weather) hit(p float64) bool { return p > 0 && w.chance.Float64() < p }

func (w *Weather) code(bank string) string {
	mix, named := w.faults.Errors[bank]
	if !named {
		mix = w.faults.Errors[""]
	}
	codes := make([]string, 0, len(mix))
	for c := range mix {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	if len(codes) == 0 {
		return ""
	}
	at := w.chance.Float64()
	for _, c := range codes {
		if at -= mix[c]; at < 0 {
			return c
		}
	}
	return ""
}

// notice is what becomes of one try of a notification.
type notice struct{ lost, doubled, forged, reencoded bool }

func (w *Weather) notice() notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return notice{lost: w.hit(w.faults.NotifyLost), doubled: w.hit(w.faults.NotifyDoubled), forged: w.hit(w.faults.NotifyForged), reencoded: w.hit(w.faults.NotifyReencoded)}
}

func (w *Weather) late() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hit(w.faults.NotifyLate) {
		return w.faults.NotifyLateBy
	}
	return 0
}

// Begin is what a simulator over HTTP does with a fate before it does the request: it waits, and loses what is to be lost.
func (w *Weather) Begin(ctx context.Context, f Fate) {
	if w.Wait != nil && f.Delay > 0 && w.Wait(ctx, f.Delay) != nil {
		Break()
	}
	if f.Cut == CutBefore {
		Break()
	}
}

// End is what it does after the request is done and before it answers.
func (f Fate) End() {
	if f.Cut == CutAfter {
		Break()
	}
}

// Break ends a connection without an answer, from inside an http.Handler.
func Break() { panic(http.ErrAbortHandler) }

// ErrBroken is what a client of [Doer] gets when the connection ended without an answer.
var ErrBroken = errors.New("the connection ended before the answer")
