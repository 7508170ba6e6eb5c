package town

import (
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
)

// The town's own sums are small and its own faults are bugs of the town: both end the run at once.

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func plus(a, b money.Amount) money.Amount {
	sum, err := a.Add(b)
	must(err)
	return sum
}

func less(a, b money.Amount) money.Amount {
	d, err := a.Sub(b)
	must(err)
	return d
}

// tripOf reads the metro trip state out of a card's memory.
func tripOf(img epcard.Image) (ep.MetroTrip, error) {
	raw := make([]byte, 128)
	copy(raw, img.Trips[0])
	return ep.ParseMetroTrip(raw)
}
