package wechat

import (
	"slices"

	sim "github.com/purselane/purselane/simulator/channel"
)

// Payments are all that were asked for, the newest first.
func (s *Simulator) Payments() []sim.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]sim.Payment, 0, len(s.orders))
	for _, o := range s.orders {
		over := s.over(o)
		out = append(out, sim.Payment{Number: o.Number, Subject: o.Subject, Amount: o.Amount.Total, Way: tradeTypes[o.product], State: o.state,
			Waits: !over && (o.state == notPaid || o.state == paying), Made: o.made})
	}
	slices.SortFunc(out, sim.Newest)
	return out
}
