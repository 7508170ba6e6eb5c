package route

import (
	"cmp"
	"slices"
)

// Learned is the success of an account with the cards of one bank, or of all where the bank is "".
type Learned struct {
	Account string  `json:"account"`
	Bank    string  `json:"bank,omitempty"`
	Success float64 `json:"success"` // 0 to 1
	Weight  float64 `json:"weight"`  // payments that it is worth, at most 300
}

// maxLearned bounds what is written down: apps name banks, and a fall-back file has its size.
const maxLearned = 5000

// Learned lists what was learned, by account and bank. Where it is more than 5,000 the least certain is left out.
func (r *Router) Learned() []Learned {
	var out []Learned
	r.known.Range(func(k, v any) bool {
		if l := v.(*learned); l.bits.Load() != 0 {
			mean, weight := l.get()
			key := k.(memoryKey)
			out = append(out, Learned{Account: key.account, Bank: key.bank, Success: mean, Weight: weight})
		}
		return true
	})
	if len(out) > maxLearned {
		slices.SortFunc(out, func(a, b Learned) int { return cmp.Compare(b.Weight, a.Weight) })
		out = out[:maxLearned]
	}
	slices.SortFunc(out, func(a, b Learned) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Bank, b.Bank))
	})
	return out
}

// Recall goes on from what was learned before. What this router has learned meanwhile stands, and what makes no sense is left out.
func (r *Router) Recall(all []Learned) {
	for _, l := range all {
		if !(l.Success >= 0 && l.Success <= 1 && l.Weight > 0 && l.Weight <= maxWeight) {
			continue
		}
		r.memory(l.Account, l.Bank).bits.CompareAndSwap(0, pack(float32(l.Success), float32(l.Weight)))
	}
}
