package alipay

import (
	"slices"

	sim "github.com/purselane/purselane/simulator/channel"
)

// Payments are all that were asked for, the newest first. What nobody has scanned has no state at Alipay, and can be paid all the same.
func (s *Simulator) Payments() []sim.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]sim.Payment, 0, len(s.trades))
	for _, t := range s.trades {
		over := s.over(t)
		out = append(out, sim.Payment{Number: t.Number, Subject: t.Subject, Amount: t.minor, Way: t.Product, State: t.state, Waits: !over && t.paidAt.IsZero(), Made: t.made})
	}
	slices.SortFunc(out, sim.Newest)
	return out
}
