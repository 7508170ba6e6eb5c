package shadowaccount

import "github.com/purselane/purselane/internal/money"

// Crowd is more than Taps taps of a card whose times lie within WithinMS of each other.
type Crowd struct {
	Taps     int
	WithinMS int64
}

// Crowds are what a card must have one of for [WatchCard] to find a burst or a way that nobody travels. Most cards have none, and need not be read
// tap by tap; a card that has one may be honest all the same.
func (l Limits) Crowds() []Crowd {
	var out []Crowd
	if l.Taps > 0 && l.Window > 0 {
		out = append(out, Crowd{l.Taps, l.Window.Milliseconds()})
	}
	if l.Speed > 0 && len(l.Places) > 1 {
		out = append(out, Crowd{1, needed(farthest, l.Speed)})
	}
	return out
}

// Least is the lowest limit of an amount, of whichever family: no debit up to it is over one. False: there is no limit.
func (l Limits) Least() (least money.Amount, ok bool) {
	for _, most := range l.Amount {
		if most.Sign() > 0 && (!ok || most.Cmp(least) < 0) {
			least, ok = most, true
		}
	}
	return least, ok
}
