package risk

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"
)

// Event is one attempt to pay, with who takes part in it; the zero [ID] is not known.
type Event struct {
	Number   string    // of the attempt: the same one is counted once, however often it is told
	At       time.Time // when the attempt was made, the same each time it is told
	Amount   int64     // minor units
	Payer    ID
	Device   ID
	Card     ID
	Merchant ID
}

// The windows. The longest is what is remembered.
const (
	shortWindow  = 10 * time.Minute
	middleWindow = time.Hour
	longWindow   = 24 * time.Hour

	ahead      = 5 * time.Minute // a clock may be: beyond it an event is refused
	maxCounted = int64(1) << 40  // of an amount, so that a sum of all that is kept fits
	maxKept    = 1 << 22
)

// Velocity counts and sums the payments of each payer, device, card and merchant in sliding windows, exactly: a payment leaves a window at the
// millisecond that it is as old as the window is long. Its memory is bounded. It is safe for concurrent use.
type Velocity struct {
	mu    sync.Mutex
	most  int
	kept  map[velocityKey][]item // by time
	order []ref                  // as they came; a ring
	head  int
	n     int
	since time.Time // all that happened since was added
	lost  time.Time // what happened before may have made room
}

type velocityKey struct {
	kind Kind
	id   ID
}

type item struct {
	at     int64 // Unix ms
	number uint64
	amount int64
	sum    int64 // of this and all before it, counted from some beginning
}

type ref struct {
	key    velocityKey
	at     int64
	number uint64
}

// NewVelocity makes one that keeps at most so many notes; a payment is one for each who takes part, so four at most. since is from when on all payments
// will be added: now, if it is not filled from what is stored.
func NewVelocity(most int, since time.Time) (*Velocity, error) {
	if most < 4 || most > maxKept {
		return nil, fmt.Errorf("risk: velocity of %d notes: want 4 to %d", most, maxKept)
	}
	return &Velocity{most: most, kept: map[velocityKey][]item{}, since: since}, nil
}

// Add counts a payment and reports whether it is in: one that is older than all windows, or from a time to come, is not.
func (v *Velocity) Add(e Event, now time.Time) bool {
	at := e.At.UnixMilli()
	if e.At.After(now.Add(ahead)) || at <= now.Add(-longWindow).UnixMilli() {
		return false
	}
	h := fnv.New64a()
	h.Write([]byte(e.Number))
	number := h.Sum64()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(now)
	for _, k := range e.keys() {
		if k.id != (ID{}) {
			v.add(k, item{at: at, number: number, amount: max(0, min(e.Amount, maxCounted))})
		}
	}
	return true
}

func (e Event) keys() [4]velocityKey {
	return [4]velocityKey{{Payer, e.Payer}, {Device, e.Device}, {CardOf, e.Card}, {Merchant, e.Merchant}}
}

func (v *Velocity) add(k velocityKey, new item) {
	all := v.kept[k]
	i, there := slices.BinarySearchFunc(all, new, compareItems)
	if there {
		return
	}
	if v.n == v.most {
		// The oldest note makes room, and the windows are not whole until it would have left them by itself.
		if at := time.UnixMilli(v.order[v.head].at + 1); at.After(v.lost) {
			v.lost = at
		}
		v.pop()
		all = v.kept[k]
		i, _ = slices.BinarySearchFunc(all, new, compareItems)
	}
	before := int64(0)
	switch {
	case i > 0:
		before = all[i-1].sum
	case len(all) > 0:
		before = all[0].sum - all[0].amount
	}
	new.sum = before + new.amount
	all = slices.Insert(all, i, new)
	for j := i + 1; j < len(all); j++ {
		all[j].sum += new.amount
	}
	v.kept[k] = all
	v.push(ref{k, new.at, new.number})
}

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
}

// push notes what came last. The ring grows up to the most.
func (v *Velocity) push(r ref) {
	if v.n == len(v.order) {
		grown := make([]ref, v.n, min(v.most, max(64, 2*v.n)))
		for i := range grown {
			grown[i] = v.order[(v.head+i)%v.n]
		}
		v.order, v.head = grown[:cap(grown)], 0
	}
	v.order[(v.head+v.n)%len(v.order)] = r
	v.n++
}

// pop forgets what came first.
func (v *Velocity) pop() {
	r := v.order[v.head]
	v.head, v.n = (v.head+1)%len(v.order), v.n-1
	all := v.kept[r.key]
	i, there := slices.BinarySearchFunc(all, item{at: r.at, number: r.number}, compareItems)
	switch {
	case !there:
		return
	case len(all) == 1:
		delete(v.kept, r.key)
	case i == 0:
		v.kept[r.key] = all[1:]
	default:
		for j := i + 1; j < len(all); j++ {
			all[j].sum -= all[i].amount
		}
		v.kept[r.key] = slices.Delete(all, i, i+1)
	}
}

// forget drops what has left all windows, as far as it came first.
func (v *Velocity) forget(now time.Time) {
	for old := now.Add(-longWindow).UnixMilli(); v.n > 0 && v.order[v.head].at <= old; {
		v.pop()
	}
}

// Ask counts and sums one's payments in the windows that end at a time, that moment included.
func (v *Velocity) Ask(kind Kind, id ID, at time.Time) Counts {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.kept[velocityKey{kind, id}]
	ms := at.UnixMilli()
	end := after(all, ms)
	var c Counts
	c.Count10m, c.Sum10m = between(all, after(all, ms-shortWindow.Milliseconds()), end)
	c.Count1h, c.Sum1h = between(all, after(all, ms-middleWindow.Milliseconds()), end)
	c.Count24h, c.Sum24h = between(all, after(all, ms-longWindow.Milliseconds()), end)
	return c
}

// after is the place of the first item that is later than a time.
func after(all []item, ms int64) int {
	i, _ := slices.BinarySearchFunc(all, ms+1, func(x item, t int64) int { return cmp.Compare(x.at, t) })
	return i
}

func between(all []item, from, end int) (int, int64) {
	if from >= end {
		return 0, 0
	}
	return end - from, all[end-1].sum - all[from].sum + all[from].amount
}

// Complete says that all payments since a time have been added: those of the last day were read from what is stored.
func (v *Velocity) Complete(since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if since.Before(v.since) {
		v.since = since
	}
}

// Fill sets the windows of those who take part in a payment, as they are at a time.
func (v *Velocity) Fill(f *Facts, e Event, at time.Time) {
	f.ByPayer, f.ByDevice = v.Ask(Payer, e.Payer, at), v.Ask(Device, e.Device, at)
	f.ByCard, f.ByMerchant = v.Ask(CardOf, e.Card, at), v.Ask(Merchant, e.Merchant, at)
	v.mu.Lock()
	day := at.Add(-longWindow)
	f.Complete = !v.since.After(day) && !v.lost.After(day)
	v.mu.Unlock()
}

// Len is how many notes are kept.
func (v *Velocity) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n
}
