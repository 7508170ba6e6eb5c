package webhook

import (
	"context"
	"net/netip"
)

// Begin starts what is due and waits for nothing.
func (s *Service) Begin(ctx context.Context) (int, error) { return s.begin(ctx) }

// CheckAddress is what the guard says of an address that is about to be connected to by https.
func CheckAddress(a netip.Addr, allow ...netip.Prefix) error { return guard{allow: allow}.check(a) }

// CheckURL is what is said of an endpoint's URL.
func CheckURL(raw string, allow ...netip.Prefix) error { return checkURL(raw, allow) }
