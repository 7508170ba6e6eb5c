package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/purselane/purselane/internal/money"
)

// Errors. After each of them nothing is known of the person.
var (
	ErrTimeout = errors.New("the identity provider did not answer in time: ask again, its answer is kept if it comes")
	ErrSilent  = errors.New("the identity provider has no answer")
	ErrOpen    = errors.New("the identity provider is not asked: its last calls failed")
	ErrBusy    = errors.New("the identity provider is not asked: too many calls are on their way")
	ErrBudget  = errors.New("the identity provider is not asked: the day's budget is spent")
)

// Service verifies persons. It is safe for concurrent use.
type Service struct {
	set      Settings
	verifier Verifier
	key      []byte
	breaker  circuitbreaker.CircuitBreaker[Answer]

	mu     sync.Mutex
	memory *memory
	calls  map[hash]*call // on their way
	spent  Spending
}

// Result is an answer.
type Result struct {
	Answer   Answer
	Elements int
	Cost     money.Amount // of this question: zero where the answer was known, or another asked the same
	Known    bool         // no call was made for it
}

// call is one on its way. answer and err are set before done is closed.
type call struct {
	done   chan struct{}
	answer Answer
	err    error
	judge  sync.Once
}

// New makes a service. key are 32 bytes by which persons are hashed; used for nothing else, and kept as long as answers are.
func New(set Settings, v Verifier, key []byte) (*Service, error) {
	if err := set.Check(); err != nil {
		return nil, err
	}
	if v == nil || len(key) != 32 {
		return nil, errors.New("identity: wants a verifier, and a key of 32 bytes")
	}
	breaker := circuitbreaker.NewBuilder[Answer]().WithFailureThreshold(set.Failures).WithSuccessThreshold(1).WithDelay(set.OpenFor).Build()
	return &Service{
		set: set, verifier: v, key: append([]byte(nil), key...), breaker: breaker,
		memory: newMemory(set.Remember), calls: map[hash]*call{}, spent: Spending{Budget: set.Budget},
	}, nil
}

// Verify asks whether the elements are one person's. It returns within the time-out. Errors: [ErrPerson], [ErrTimeout], [ErrSilent], [ErrOpen], [ErrBusy],
// [ErrBudget], or that of ctx; the call of who does not wait for it goes on, and its answer is remembered.
func (s *Service) Verify(ctx context.Context, p Person) (Result, error) {
	elements, err := p.Elements()
	if err != nil {
		return Result{}, err
	}
	r := Result{Elements: elements}
	key := s.hash(p)
	s.mu.Lock()
	now := time.Now()
	s.spent.turn(now, s.set.Zone)
	if answer, known := s.memory.get(key, now); known {
		s.spent.Saved++
		s.mu.Unlock()
		r.Answer, r.Known = answer, true
		return r, nil
	}
	c, joined := s.calls[key]
	if joined {
		r.Known = true
	} else {
		if err := s.mayCall(elements); err != nil {
			s.spent.Refusals++
			s.mu.Unlock()
			return r, err
		}
		r.Cost = s.set.price(elements)
		c = &call{done: make(chan struct{})}
		s.calls[key] = c
		go s.call(context.WithoutCancel(ctx), c, key, p, s.spent.Day, r.Cost)
	}
	s.mu.Unlock()

	late := time.NewTimer(s.set.Timeout)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
		return r, ErrTimeout
	case <-ctx.Done():
		return r, fmt.Errorf("identity: %w", ctx.Err())
	}
	if errors.Is(c.err, ErrNotSent) {
		r.Cost = money.Minor(0)
	}
	if c.err != nil {
		return r, c.err
	}
	if joined {
		s.mu.Lock()
		s.spent.Saved++
		s.mu.Unlock()
	}
	r.Answer = c.answer
	return r, nil
}

// mayCall takes what a call needs: a place, money, the breaker's leave. The breaker is asked last, because its leave must be answered for.
func (s *Service) mayCall(elements int) error {
	price, day := s.set.price(elements), s.spent.Day
	if len(s.calls) >= s.set.AtOnce {
		return ErrBusy
	}
	if !s.spent.pay(price) {
		return ErrBudget
	}
	if !s.breaker.TryAcquirePermit() {
		s.spent.payBack(day, price)
		return ErrOpen
	}
	return nil
}

// call asks the provider and remembers what it says, in time or not: it has been paid for.
func (s *Service) call(ctx context.Context, c *call, key hash, p Person, day string, price money.Amount) {
	limited, stop := context.WithTimeout(ctx, s.set.Timeout)
	defer stop()
	// A call that is late is judged when it is late, not when it ends.
	late := time.AfterFunc(s.set.Timeout, func() { s.judge(c, false) })
	defer late.Stop()
	answer, err := s.verifier.Verify(limited, p)
	switch {
	case err != nil:
		c.err = told(err, p)
	case answer < Match || answer > NotInDatabase:
		c.err = fmt.Errorf("%w: it says %v", ErrSilent, answer)
	default:
		c.answer = answer
	}
	s.judge(c, c.err == nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.spent.turn(now, s.set.Zone)
	delete(s.calls, key)
	if c.err == nil {
		s.spent.Answers[c.answer]++
		s.memory.put(remembered{key, c.answer, now.Add(s.set.keep(c.answer))}, now)
	}
	if errors.Is(c.err, ErrNotSent) {
		s.spent.payBack(day, price)
	}
	close(c.done)
}

// judge tells the breaker of a call, once.
func (s *Service) judge(c *call, good bool) {
	c.judge.Do(func() {
		if good {
			s.breaker.RecordSuccess()
			return
		}
		s.breaker.RecordFailure()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spent.turn(time.Now(), s.set.Zone)
		s.spent.Silent++
	})
}

// told is what may be said of a provider's error: our own words, and a code that looks like one.
func told(err error, p Person) error {
	out := ErrSilent
	var f Fault
	switch {
	case errors.Is(err, ErrNotSent):
		out = fmt.Errorf("%w: %w", ErrSilent, ErrNotSent)
	case errors.Is(err, context.DeadlineExceeded):
		out = ErrTimeout
	}
	if errors.As(err, &f) && isCode(string(f), p) {
		out = fmt.Errorf("%w: %w", out, f)
	}
	return out
}

func isCode(s string, p Person) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	if s == "" || len(s) > 24 || strings.Trim(s, letters) != "" {
		return false
	}
	for _, field := range p.fields() {
		if field != "" && strings.Contains(strings.ToLower(s), strings.ToLower(field)) {
			return false
		}
	}
	return true
}

// hash stands for a person and the elements that are asked for. Lengths are hashed too: no two persons are written alike.
func (s *Service) hash(p Person) hash {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("purselane-identity-1\n"))
	for _, field := range p.fields() {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(field))))
		mac.Write([]byte(field))
	}
	return hash(mac.Sum(nil))
}

// Spending is today's.
func (s *Service) Spending() Spending {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent.turn(time.Now(), s.set.Zone)
	return s.spent
}

// Restore goes on with what was spent of the same day before a restart. It is called before the first question.
func (s *Service) Restore(was Spending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was.Budget = s.set.Budget
	s.spent = was
	s.spent.turn(time.Now(), s.set.Zone)
}

// Open reports whether the breaker keeps calls back.
func (s *Service) Open() bool { return s.breaker.IsOpen() }
