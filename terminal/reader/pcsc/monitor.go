//go:build pcsc

package pcsc

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ebfe/scard"
)

const (
	// watchFor bounds each wait for a change: libpcsclite cannot be told to stop by a Go context.
	watchFor = 500 * time.Millisecond
	// minWatch keeps a reader that reports changes without end from burning the processor.
	minWatch = 10 * time.Millisecond
	// A reader that is listed, and whose state pcscd does not know, is asked again every unclearEvery, unclearMost times: pcscd polls some drivers every 400 ms, and
	// a question that failed is put again with the next.
	unclearEvery = 50 * time.Millisecond
	unclearMost  = 20
	// Delays before contexts are made anew: doubled from the first to the last.
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// view is what the monitor knows of the reader.
type view struct {
	name    string // full PC/SC name; empty while the reader is lost
	present bool
	seen    time.Time // when the card that is present was told of
	left    uint64    // cards that have left since the program started
	losses  uint64    // times the reader was lost
	why     error     // the reader is lost, as it was seen last
}

// monitor watches one reader in a goroutine of its own.
type monitor struct {
	want string
	log  *slog.Logger
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	view    view
	events  scard.StateFlag // the driver's count of insertions and removals, upper 16 bits of the state
	ctx     *scard.Context  // of the wait under way, to cancel it
	changed chan struct{}   // closed and renewed at every change of view
}

func startMonitor(want string, log *slog.Logger) *monitor {
	m := &monitor{want: want, log: log, stop: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{})}
	go m.run()
	return m
}

// look returns what is known and a channel that is closed when it changes.
func (m *monitor) look() (view, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.view, m.changed
}

// update changes the view and wakes all who look.
func (m *monitor) update(f func(*view)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.view)
	close(m.changed)
	m.changed = make(chan struct{})
}

// end stops the goroutine and waits for it.
func (m *monitor) end() {
	close(m.stop)
	m.mu.Lock()
	if m.ctx != nil {
		_ = m.ctx.Cancel() // else the wait ends by itself
	}
	m.mu.Unlock()
	<-m.done
}

func (m *monitor) stopped() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// run watches until end. Each failure throws the context away; whatever it was, only a new one is known to work.
func (m *monitor) run() {
	defer close(m.done)
	delay := firstDelay
	for {
		found, err := m.watch()
		if m.stopped() {
			return
		}
		if found {
			delay = firstDelay
		}
		m.lose(err)
		select {
		case <-m.stop:
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, lastDelay)
	}
}

// watch reports the reader's state until something fails. It says whether it ever found the reader.
func (m *monitor) watch() (found bool, err error) {
	ctx, err := scard.EstablishContext()
	if err != nil {
		return false, called("SCardEstablishContext", err)
	}
	m.setContext(ctx)
	defer func() {
		m.setContext(nil)
		_ = ctx.Release() // of a dead pcscd: nothing to release
	}()
	names, err := list(ctx)
	if err != nil {
		return false, err
	}
	name, err := choose(names, m.want)
	if err != nil {
		return false, err
	}
	state, unclear := scard.StateUnaware, 0
	for !m.stopped() {
		start := time.Now()
		states := []scard.ReaderState{{Reader: name, CurrentState: state}}
		err := ctx.GetStatusChange(states, watchFor)
		if errors.Is(err, scard.ErrTimeout) {
			continue
		}
		if err != nil {
			return found, called("SCardGetStatusChange", err)
		}
		event := states[0].EventState
		if event&(scard.StateUnknown|scard.StateUnavailable|scard.StateIgnore) != 0 {
			if unclear++; unclear > unclearMost || !listed(ctx, name) {
				return found, fmt.Errorf("reader %q is gone", name)
			}
			// One question that the driver could not put to its reader. Whether a card came or went meanwhile, pcscd's count of events tells.
			m.log.Debug("reader's state is not known", "reader", name, "event", event)
			state = scard.StateUnaware
			time.Sleep(unclearEvery)
			continue
		}
		unclear = 0
		if !found {
			m.log.Info("reader found", "reader", name)
		}
		found = true
		m.see(name, event)
		state = event &^ scard.StateChanged
		if spent := time.Since(start); spent < minWatch {
			time.Sleep(minWatch - spent)
		}
	}
	return found, nil
}

func (m *monitor) setContext(ctx *scard.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ctx = ctx
	if ctx != nil && m.stopped() {
		_ = ctx.Cancel()
	}
}

// see takes in one state. A changed count with a card present on both sides is a swap whose gap was missed.
func (m *monitor) see(name string, event scard.StateFlag) {
	present := event&scard.StatePresent != 0
	count := event >> 16
	m.mu.Lock()
	old, was := m.view, m.events
	m.events = count
	m.mu.Unlock()
	gone := old.present && (!present || count != was)
	if old.name == name && old.present == present && !gone {
		return
	}
	m.update(func(v *view) {
		v.name, v.present = name, present
		if gone {
			v.left++
		}
		if present {
			v.seen = time.Now()
		}
	})
}

// lose tells that the reader, and with it any card, is gone.
func (m *monitor) lose(err error) {
	old, _ := m.look()
	if old.name == "" && old.losses > 0 { // it is still lost, maybe for another reason; nobody waits for that
		m.mu.Lock()
		m.view.why = err
		m.mu.Unlock()
		return
	}
	m.log.Warn("reader lost", "reader", m.want, "err", err)
	m.update(func(v *view) {
		if v.present {
			v.left++
		}
		v.name, v.present, v.why = "", false, err
		v.losses++
	})
}

// listed reports that the reader is still among those that pcscd has.
func listed(ctx *scard.Context, name string) bool {
	names, err := list(ctx)
	return err == nil && slices.Contains(names, name)
}

// list returns the names of all readers; none is no error.
func list(ctx *scard.Context) ([]string, error) {
	names, err := ctx.ListReaders()
	if errors.Is(err, scard.ErrNoReadersAvailable) {
		return nil, nil
	}
	return names, called("SCardListReaders", err)
}

// choose finds the reader that want names: by its whole name, or as the only one that has it in its name.
func choose(names []string, want string) (string, error) {
	if slices.Contains(names, want) {
		return want, nil
	}
	var found []string
	for _, n := range names {
		if strings.Contains(n, want) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("no reader %q among %q", want, names)
	}
	return "", fmt.Errorf("reader %q could be any of %q", want, found)
}
