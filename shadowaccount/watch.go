package shadowaccount

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Sure says how good a terminal's word of the time was.
type Sure int8

// How sure. Numbers are stored: they are never given a new meaning.
const (
	NotSure Sure = 0 // the record does not say by how much the time may be wrong, or that it is bad: it proves nothing
	Bounded Sure = 1 // wrong by at most the error that the record states
)

// Stamp is when a tap was taken, by its terminal and by us.
type Stamp struct {
	Tap        uint64 // number within its epoch
	AtMS       int64  // terminal time, Unix ms
	ErrorMS    int64  // bound of its error, 0 to some weeks
	Sure       Sure
	ReceivedMS int64 // arrival of the record, Unix ms
}

// maxMS is the last moment of the year 9999: a terminal may say any number.
const maxMS = 253_402_300_799_999

// Proves reports whether the stamp proves anything of the time.
func (s Stamp) Proves() bool { return s.Sure == Bounded && s.AtMS >= 0 && s.AtMS <= maxMS }

// earliest and latest are the kindest readings of a stamp that proves something.
func (s Stamp) earliest() int64 { return s.AtMS - s.ErrorMS }
func (s Stamp) latest() int64   { return s.AtMS + s.ErrorMS }

// Seen is a claim as the watch reads it: with when, where and by which list it was taken.
type Seen struct {
	Counted
	Stamp
	Place       string // where it was taken, as [Limits].Places knows it; "": not known
	DenyVersion uint64 // of the deny list that the terminal asked, 0: none, or not told
}

// Place is where terminals are.
type Place struct {
	Latitude, Longitude float64 // degrees, WGS 84
	Radius              int     // metres within which its terminals stand
}

// Denial is where a card stands on the deny lists.
type Denial struct {
	Version uint64 // first list that names it
	Until   uint64 // first list that no longer does, 0: none
	AtMS    int64  // when Version was published, Unix ms
}

// Limits are what the scheme holds usual. A zero switches a finder off.
type Limits struct {
	// Taps of a card within Window are usual; one more is VELOCITY.
	Taps   int
	Window time.Duration
	// Amount is the most that one debit may take, by card family; "" is for families that are not named.
	Amount map[string]money.Amount
	// Places and the speed, in kilometres an hour, that nobody travels faster than.
	Places map[string]Place
	Speed  int
	// UnknownAge and GapAge are how long an unknown tap and a gap may wait for what explains them.
	UnknownAge, GapAge time.Duration
	// ClockSlack is by how much a clock may be wrong beyond the error that it owns up to.
	ClockSlack time.Duration
}

// Watched is a card with all that the watch knows of it.
type Watched struct {
	Family string
	Denial *Denial // nil: on no list
	Gaps   []Gap
	Taps   []Seen
}

// Note is something suspicious about a card, a terminal or a PSAM. Item says what it is about, and names it for ever: the same cause has the
// same item, whenever it is looked for.
type Note struct {
	Code   Code
	Item   string
	Detail string // for people; it holds no card number
}

// WatchCard finds what is suspicious in a card's taps at the time now. It is a function of the sets: the slices may come in any order. What
// the money alone shows is the audit's ([AuditCard]).
func WatchCard(card Watched, now time.Time, l Limits) []Note {
	taps := slices.Clone(card.Taps)
	slices.SortFunc(taps, func(a, b Seen) int {
		return cmp.Or(cmp.Compare(a.AtMS, b.AtMS), older(a.Claim, b.Claim), cmp.Compare(a.Counter, b.Counter))
	})
	var out []Note
	out = append(out, velocity(taps, l)...)
	out = append(out, overLimit(card.Family, taps, l)...)
	out = append(out, travel(taps, l)...)
	out = append(out, denied(card.Denial, taps)...)
	out = append(out, aged(card, taps, now, l)...)
	return out
}

// item names a claim.
func (s Seen) item() string { return fmt.Sprintf("%d@%v", s.Counter, s.Claim.Tap) }

// there reports whether the card was at the terminal, as far as it is not a forgery: a record whose proof is bad or counted elsewhere says
// nothing of the card.
func (s Seen) there() bool { return s.Claim.Proof != ProofBad && !s.Claim.Spent }

// took reports whether the terminal took money, or may have.
func (s Seen) took() bool { return s.there() && s.Claim.Said != SaidVoided }

// velocity finds bursts of taps. Windows that overlap are one burst; its item is its first tap. Taps of clocks that are not sure are none.
func velocity(taps []Seen, l Limits) []Note {
	if l.Taps <= 0 || l.Window <= 0 {
		return nil
	}
	taps = only(taps, func(s Seen) bool { return s.took() && s.Proves() })
	var out []Note
	first, last := -1, -1 // of the burst in hand
	tell := func() {
		if first >= 0 {
			out = append(out, Note{FindVelocity, taps[first].item(), fmt.Sprintf("%d taps in %v, more than %d in %v",
				last-first+1, time.Duration(taps[last].AtMS-taps[first].AtMS)*time.Millisecond, l.Taps, l.Window)})
		}
	}
	for from, to := 0, 0; to < len(taps); to++ {
		for taps[to].AtMS-taps[from].AtMS > l.Window.Milliseconds() {
			from++
		}
		if to-from+1 <= l.Taps {
			continue
		}
		if first < 0 || from > last {
			tell()
			first = from
		}
		last = to
	}
	tell()
	return out
}

func overLimit(family string, taps []Seen, l Limits) []Note {
	most, ok := l.Amount[family]
	if !ok {
		most, ok = l.Amount[""]
	}
	if !ok || most.Sign() <= 0 {
		return nil
	}
	var out []Note
	for _, s := range taps {
		if s.took() && s.Claim.Amount.Cmp(most) > 0 {
			out = append(out, Note{FindOverLimit, s.item(), fmt.Sprintf("%v at terminal %s, more than %v", s.Claim.Amount, s.Claim.Tap.Terminal, most)})
		}
	}
	return out
}

// travel finds taps at which the card could not be, coming from an earlier one: even the kindest reading of both clocks leaves no time. The
// item is the later tap, and of several it could not come from the one that asks for most time is told.
func travel(taps []Seen, l Limits) []Note {
	if l.Speed <= 0 {
		return nil
	}
	taps = only(taps, func(s Seen) bool {
		_, known := l.Places[s.Place]
		return known && s.there() && s.Proves()
	})
	far := int64(math.MaxInt64) // no two places are further apart: what lies longer ago needs no look
	if len(taps) > 0 {
		far = needed(farthest, l.Speed)
	}
	var out []Note
	for j, s := range taps {
		var worst int64
		var from Seen
		for i := j - 1; i >= 0 && s.AtMS-taps[i].AtMS < far; i-- {
			b := taps[i]
			has := s.latest() - b.earliest()
			if short := needed(distance(l.Places[b.Place], l.Places[s.Place]), l.Speed) - has; short > worst || short == worst && short > 0 {
				worst, from = short, b
			}
		}
		if worst > 0 {
			out = append(out, Note{FindTravel, s.item(), fmt.Sprintf("%s at terminal %s, and %s at terminal %s: %d km in at most %v",
				from.Place, from.Claim.Tap.Terminal, s.Place, s.Claim.Tap.Terminal, distance(l.Places[from.Place], l.Places[s.Place])/1000,
				time.Duration(s.latest()-from.earliest())*time.Millisecond)})
		}
	}
	return out
}

// farthest is half the way round the earth, in metres: no two places are further apart.
const farthest = 20_040_000

// needed is how long a way takes, in ms.
func needed(metres int64, speed int) int64 { return metres * 3600 / int64(speed) }

// distance is how far apart the nearest points of two places are, in metres.
func distance(a, b Place) int64 {
	const radius = 6_371_000 // metres, of the earth
	rad := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	sinLat, sinLon := math.Sin(rad(b.Latitude-a.Latitude)/2), math.Sin(rad(b.Longitude-a.Longitude)/2)
	h := sinLat*sinLat + math.Cos(rad(a.Latitude))*math.Cos(rad(b.Latitude))*sinLon*sinLon
	way := int64(2 * radius * math.Asin(math.Sqrt(min(1, h))))
	return max(0, way-int64(a.Radius)-int64(b.Radius))
}

// denied says who bears the debits of a card on the deny list.
func denied(d *Denial, taps []Seen) []Note {
	if d == nil {
		return nil
	}
	var out []Note
	for _, s := range taps {
		switch v := s.DenyVersion; {
		case !s.Status.Occupies() && s.Status != Open:
		case d.Until > 0 && v >= d.Until:
		case v >= d.Version:
			out = append(out, Note{FindDeniedAcquirer, s.item(), fmt.Sprintf("%v at terminal %s, which had list %d; list %d denies the card", s.Claim.Amount, s.Claim.Tap.Terminal, v, d.Version)})
		case s.Proves() && s.earliest() > d.AtMS:
			had := fmt.Sprintf("had list %d", v)
			if v == 0 {
				had = "told of no list"
			}
			out = append(out, Note{FindDeniedIssuer, s.item(), fmt.Sprintf("%v at terminal %s, which %s; list %d denies the card", s.Claim.Amount, s.Claim.Tap.Terminal, had, d.Version)})
		}
	}
	return out
}

// aged finds what has waited too long for an explanation. A gap is known from when a record above it came.
func aged(card Watched, taps []Seen, now time.Time, l Limits) []Note {
	var out []Note
	for _, s := range taps {
		if l.UnknownAge > 0 && s.Status == Open && now.UnixMilli()-s.ReceivedMS >= l.UnknownAge.Milliseconds() {
			out = append(out, Note{FindAgedUnknown, s.item(), fmt.Sprintf("%v at terminal %s", s.Claim.Amount, s.Claim.Tap.Terminal)})
		}
	}
	if l.GapAge <= 0 {
		return out
	}
	for _, g := range card.Gaps {
		known := int64(math.MaxInt64)
		for _, s := range taps {
			if s.Status.Occupies() && s.Counter > g.Last {
				known = min(known, s.ReceivedMS)
			}
		}
		if known != math.MaxInt64 && now.UnixMilli()-known >= l.GapAge.Milliseconds() {
			out = append(out, Note{FindAgedGap, fmt.Sprintf("%d-%d", g.First, g.Last), fmt.Sprintf("counters %d to %d, %v in all", g.First, g.Last, g.Value)})
		}
	}
	return out
}

// ClockBack finds where a terminal's time went back: of two taps that follow each other in one epoch the later one has the earlier time, by
// more than both errors and the slack. Stamps may come in any order, one a tap; the item is the later tap.
func ClockBack(epoch uint64, stamps []Stamp, l Limits) []Note {
	stamps = slices.DeleteFunc(slices.Clone(stamps), func(s Stamp) bool { return !s.Proves() })
	slices.SortFunc(stamps, func(a, b Stamp) int { return cmp.Compare(a.Tap, b.Tap) })
	var out []Note
	for i := 1; i < len(stamps); i++ {
		was, is := stamps[i-1], stamps[i]
		if is.latest()+l.ClockSlack.Milliseconds() < was.earliest() {
			out = append(out, Note{FindClockBack, fmt.Sprintf("%x/%d", epoch, is.Tap), fmt.Sprintf("tap %d is %v earlier than tap %d", is.Tap,
				time.Duration(was.AtMS-is.AtMS)*time.Millisecond, was.Tap)})
		}
	}
	return out
}

// Ahead is by how many ms a record's time is later than its arrival, beyond the error it owns up to; zero or less: it is not.
func (s Stamp) Ahead() int64 {
	if !s.Proves() {
		return 0
	}
	return s.earliest() - s.ReceivedMS
}

// Hole is a run of numbers that are missing, both ends included.
type Hole struct {
	First, Last uint64
}

// Len is how many numbers are missing.
func (h Hole) Len() uint64 { return h.Last - h.First + 1 }

// Holes finds the runs between the numbers given, which may come in any order and more than once.
func Holes(numbers []uint64) []Hole {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	var out []Hole
	for i := 1; i < len(numbers); i++ {
		if numbers[i] > numbers[i-1]+1 && numbers[i-1] != math.MaxUint64 {
			out = append(out, Hole{numbers[i-1] + 1, numbers[i] - 1})
		}
	}
	return out
}

func only(taps []Seen, keep func(Seen) bool) []Seen {
	return slices.DeleteFunc(slices.Clone(taps), func(s Seen) bool { return !keep(s) })
}
