package node

import "time"

// GatewayTimes are how long the gateway waits with orders. Zero is the default of [gateway.Config].
type GatewayTimes struct {
	ClaimFor   time.Duration `yaml:"claim_for"`   // how long a red packet may be claimed
	HoldFor    time.Duration `yaml:"hold_for"`    // how long escrow is held that nobody confirms
	ReserveFor time.Duration `yaml:"reserve_for"` // how long a reservation is kept that is neither captured nor released
	EarnAfter  time.Duration `yaml:"earn_after"`  // how long what a payment earns is pending
}

// longest is the longest of them: money that waits for years is forgotten.
const longest = 366 * 24 * time.Hour

func (t GatewayTimes) check(bad func(string, ...any)) {
	for _, f := range []struct {
		name string
		is   time.Duration
	}{{"claim_for", t.ClaimFor}, {"hold_for", t.HoldFor}, {"reserve_for", t.ReserveFor}, {"earn_after", t.EarnAfter}} {
		if f.is != 0 && (f.is < time.Minute || f.is > longest) {
			bad("gateway.times.%s: %v: want %v to %v, or none for the default", f.name, f.is, time.Minute, longest)
		}
	}
}
