package identity_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/risk/identity"
)

// provider simulates one who is asked about persons. It answers after its latency, a slow one that hears nobody hang up too.
type provider struct {
	mu      sync.Mutex
	latency time.Duration
	deaf    bool  // it goes on after the caller has gone
	fault   error // instead of an answer
	calls   int
	now     int // calls in it
	most    int
}

// people are whom the provider knows.
var people = map[string]identity.Person{
	"110101199003070011": {Name: "Li Lei", Number: "110101199003070011", Card: "6222020000000000001", Phone: "13800000000"},
	"110101199003070038": {Name: "Han Meimei", Number: "110101199003070038", Card: "6222020000000000002", Phone: "13900000000"},
}

func (v *provider) Verify(ctx context.Context, p identity.Person) (identity.Answer, error) {
	v.mu.Lock()
	latency, deaf, fault := v.latency, v.deaf, v.fault
	v.calls++
	v.now++
	v.most = max(v.most, v.now)
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.now--
		v.mu.Unlock()
	}()
	if deaf {
		time.Sleep(latency) // on the test's clock
	} else {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if fault != nil {
		return 0, fault
	}
	known, there := people[p.Number]
	switch {
	case !there:
		return identity.NotInDatabase, nil
	case p.Name != known.Name, p.Card != "" && p.Card != known.Card, p.Phone != "" && p.Phone != known.Phone:
		return identity.Mismatch, nil
	}
	return identity.Match, nil
}

func (v *provider) set(change func(*provider)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
}

func (v *provider) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

var errLine = errors.New("connection reset while asking for Li Lei 110101199003070011")
