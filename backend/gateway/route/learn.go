package route

import (
	"math"
	"sync/atomic"
)

// learned is the success of one account with the cards of one bank, forgotten by half every few hundred payments: what was true last week says little of
// now. It is a mean and a weight, packed so that a decision reads both at once without a lock.
type learned struct{ bits atomic.Uint64 }

const (
	priorMean   = 0.9
	priorWeight = 4
	maxWeight   = 300 // payments
)

func pack(mean, weight float32) uint64 {
	return uint64(math.Float32bits(mean))<<32 | uint64(math.Float32bits(weight))
}

func (l *learned) get() (mean, weight float64) {
	b := l.bits.Load()
	if b == 0 {
		return priorMean, priorWeight
	}
	return float64(math.Float32frombits(uint32(b >> 32))), float64(math.Float32frombits(uint32(b)))
}

func (l *learned) add(good bool) {
	for {
		b := l.bits.Load()
		mean, weight := l.get()
		x := 0.0
		if good {
			x = 1
		}
		weight = math.Min(weight+1, maxWeight)
		mean += (x - mean) / weight
		if l.bits.CompareAndSwap(b, pack(float32(mean), float32(weight))) {
			return
		}
	}
}

// measured is the part of payers who take a failure well, as payments come: the last thousand weigh most. A payment that is decided while another is may go
// uncounted, which no part of many hangs on.
type measured struct{ bits atomic.Uint64 }

const (
	maxMeasured    = 1000
	enoughMeasured = 50 // payments before it is believed
)

func (m *measured) add(tolerant bool) {
	b := m.bits.Load()
	mean, weight := float64(math.Float32frombits(uint32(b>>32))), float64(math.Float32frombits(uint32(b)))
	if !tolerant && mean == 0 && weight == maxMeasured {
		return // nobody says so of his payers, and nothing is written
	}
	x := 0.0
	if tolerant {
		x = 1
	}
	weight = math.Min(weight+1, maxMeasured)
	mean += (x - mean) / weight
	m.bits.CompareAndSwap(b, pack(float32(mean), float32(weight)))
}

// part is 0 where it is not known.
func (m *measured) part() float64 {
	b := m.bits.Load()
	if math.Float32frombits(uint32(b)) < enoughMeasured {
		return 0
	}
	return float64(math.Float32frombits(uint32(b >> 32)))
}

// drawn is a success rate drawn from what is known: an account that little is known of is drawn high now and then, and so tried. u is from 0 to below 1.
func drawn(mean, weight, u float64) float64 {
	sd := math.Sqrt(mean*(1-mean)/weight + 1/(4*weight*weight))
	return min(max(mean+sd*normal(u), 0), 1)
}

// normal is the inverse of the normal distribution, by a logistic fit that is right to a few hundredths within three standard deviations. No choice
// hangs on more.
func normal(u float64) float64 {
	u = min(max(u, 1e-9), 1-1e-9)
	return math.Log(u/(1-u)) / 1.702
}

// mix spreads a key evenly (the finaliser of MurmurHash3).
func mix(k uint64) uint64 {
	k ^= k >> 33
	k *= 0xff51afd7ed558ccd
	k ^= k >> 33
	k *= 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}

// part is a number from 0 to below 1 that belongs to a key.
func part(k uint64) float64 { return float64(mix(k)>>11) / (1 << 53) }
