package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ProbedSAM is a SAM that can be asked whether it works.
type ProbedSAM interface {
	SAM
	// Probe opens the SAM anew. nil says that it works and is the SAM it was.
	Probe(ctx context.Context) error
}

// samLimit is the time one SAM command may take. A SAM answers in milliseconds.
const samLimit = 5 * time.Second

// Pool is several SAMs for the lanes of one terminal. A SAM that fails is taken out, and comes back when it works again; the others go on.
// Who waits longest is served first, and the SAM that rested longest serves. Start [Pool.Run] beside it.
type Pool struct {
	wake chan struct{} // something for Run to look at

	mu      sync.Mutex
	members []*member
	free    []*member // the one that rested longest first
	waiting []chan *member
}

// member is one SAM. At any time it is free, held by a purchase, or out.
type member struct {
	sam    ProbedSAM
	held   bool
	serial uint32 // the last it gave
	used   bool   // it gave one

	fault    error // of the last command; judged at release
	out      error // why it is out; nil: it is not
	failures int
	again    time.Time // when it is asked again; zero: never
}

// NewPool makes a pool. Two SAMs of one terminal number are refused: their serials would name two debits alike.
func NewPool(sams ...ProbedSAM) (*Pool, error) {
	if len(sams) == 0 {
		return nil, errors.New("keys: a pool of no SAM")
	}
	p := &Pool{wake: make(chan struct{}, 1)}
	seen := map[[6]byte]bool{}
	for _, s := range sams {
		n := s.TerminalNumber()
		if seen[n] {
			return nil, fmt.Errorf("keys: two SAMs have the terminal number %X: replace one", n)
		}
		seen[n] = true
		m := &member{sam: s}
		p.members, p.free = append(p.members, m), append(p.free, m)
	}
	return p, nil
}

// Acquire implements SAMs. When no SAM is left it does not wait for one: the error joins what is wrong with each.
func (p *Pool) Acquire(ctx context.Context) (SAM, func(), error) {
	p.mu.Lock()
	if len(p.free) > 0 && len(p.waiting) == 0 {
		m := p.free[0]
		p.free = p.free[1:]
		m.held = true
		p.mu.Unlock()
		return p.lend(m)
	}
	if err := p.none(); err != nil {
		p.mu.Unlock()
		return nil, nil, err
	}
	mine := make(chan *member, 1)
	p.waiting = append(p.waiting, mine)
	p.mu.Unlock()
	select {
	case m := <-mine:
		return p.lend(m)
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, mine); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else if m := <-mine; m != nil { // it came at the same moment
		p.give(m)
	}
	return nil, nil, fmt.Errorf("%w: %w", ErrSAMBusy, ctx.Err())
}

// lend hands a held SAM out; nil says that none is left.
func (p *Pool) lend(m *member) (SAM, func(), error) {
	if m == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := p.none(); err != nil {
			return nil, nil, err
		}
		return nil, nil, ErrSAMBusy // one came back between; the next call has it
	}
	return &lentSAM{m.sam, m}, sync.OnceFunc(func() { p.release(m) }), nil
}

// none returns what is wrong with each SAM when all are out. The caller has the lock.
func (p *Pool) none() error {
	var all []error
	for _, m := range p.members {
		if m.out == nil {
			return nil
		}
		all = append(all, fmt.Errorf("SAM %X: %w", m.sam.TerminalNumber(), m.out))
	}
	return errors.Join(all...)
}

// release takes a SAM back and judges it.
func (p *Pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := faultOf(m.fault); f != nil {
		p.putOut(m, f, m.fault)
		return
	}
	m.failures = 0
	p.give(m)
}

// give hands a SAM that works to whoever waits longest. The caller has the lock.
func (p *Pool) give(m *member) {
	m.fault, m.out = nil, nil
	if m.held = len(p.waiting) > 0; m.held {
		first := p.waiting[0]
		p.waiting = p.waiting[1:]
		first <- m
		return
	}
	p.free = append(p.free, m)
}

// putOut takes a SAM out of service. Who waits for the last one waits in vain. The caller has the lock.
func (p *Pool) putOut(m *member, f *samFault, why error) {
	if errors.Is(why, context.DeadlineExceeded) { // of the command: it must not look like the visit's own
		why = fmt.Errorf("%w (no answer in %v)", ErrSAMGone, samLimit)
	}
	m.held, m.out, m.fault = false, why, nil
	m.failures++
	m.again = time.Time{}
	if d, ever := f.rest(m.failures); ever {
		m.again = time.Now().Add(d)
	}
	if p.none() != nil {
		for _, w := range p.waiting {
			w <- nil
		}
		p.waiting = nil
	}
	select {
	case p.wake <- struct{}{}:
	default: // Run looks anyway
	}
}

// Run asks the SAMs that are out, each in its time, whether they work again. It returns when ctx ends.
func (p *Pool) Run(ctx context.Context) error {
	for {
		m, at := p.nextOut()
		var due <-chan time.Time
		if m != nil {
			due = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
			continue
		case <-due:
		}
		limited, cancel := context.WithTimeout(ctx, samLimit)
		err := m.sam.Probe(limited)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.probed(m, err)
	}
}

// nextOut is the SAM that is to be asked first, and when; nil for none.
func (p *Pool) nextOut() (next *member, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.out != nil && !m.again.IsZero() && (next == nil || m.again.Before(next.again)) {
			next = m
		}
	}
	if next != nil {
		at = next.again
	}
	return next, at
}

func (p *Pool) probed(m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.give(m) // its failures count until it has served
		return
	}
	f := faultOf(err)
	if f == nil {
		f = faultOf(ErrSAMGone) // whatever it says, it does not work
	}
	p.putOut(m, f, err)
}

// SAMState is what a pool thinks of one SAM.
type SAMState struct {
	TerminalNumber [6]byte
	Held           bool
	Out            error     // nil: it serves
	Again          time.Time // when it is asked again; zero: never
}

// States returns the state of each SAM, in the order of NewPool.
func (p *Pool) States() []SAMState {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []SAMState
	for _, m := range p.members {
		s := SAMState{TerminalNumber: m.sam.TerminalNumber(), Held: m.held, Out: m.out}
		if m.out != nil {
			s.Again = m.again
		}
		out = append(out, s)
	}
	return out
}

// lentSAM is a SAM for one purchase. Its commands are not ended by the purchase's own deadline, but by one of theirs: a slow card must not
// look like a broken SAM. Its holder has it alone, so nothing here is locked.
type lentSAM struct {
	SAM
	m *member
}

// InitPurchase implements SAM, and lets no serial through that is not above the SAM's last.
func (l *lentSAM) InitPurchase(ctx context.Context, r PurchaseRequest) (uint32, [4]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), samLimit)
	defer cancel()
	serial, mac1, err := l.SAM.InitPurchase(ctx, r)
	if err == nil && l.m.used && serial <= l.m.serial {
		err = fmt.Errorf("serial %d after %d: %w", serial, l.m.serial, ErrSAMSerial)
	}
	l.m.fault = err
	if err != nil {
		return 0, [4]byte{}, err
	}
	l.m.serial, l.m.used = serial, true
	return serial, mac1, nil
}

// CheckMAC2 implements SAM.
func (l *lentSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), samLimit)
	defer cancel()
	l.m.fault = l.SAM.CheckMAC2(ctx, mac2)
	return l.m.fault
}
