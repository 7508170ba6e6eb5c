package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/tap"
)

// The life of the terminal in a soak, much faster than a real one.
const (
	soakDay   = 720  // taps of a day, unless told
	soakKeep  = 1000 // records kept after their receipt
	soakBatch = 64   // taps between two looks at the link and at the files
	soakCards = 400  // at each reader; each comes back a few hours later
)

type soakOptions struct {
	dir  string
	taps int
	day  int // taps of a day of the terminal's clock; 0: soakDay
	sync bool
}

// held is what a process holds after so many taps.
type held struct {
	taps       int
	rss, heap  int64 // bytes
	goroutines int
	files      int // open
	fileBytes  int64
	journals   int   // files of the journal
	wrote      wrote // since the figures before
}

// soak runs a terminal, with all that it does beside its taps, on two readers until there were so many taps: new files for new days, receipts and
// pruning. It returns what the process held at 1,000, 10,000, … taps and at the end.
func soak(ctx context.Context, out io.Writer, o soakOptions) (all []held, err error) {
	work, err := os.MkdirTemp(o.dir, "soaktap-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	var link *backend
	var linkErr error
	outcomes := make([]chan tap.Result, doors)
	var readers [doors]*inproc.Reader
	s, err := newStand(work, newField(), func(cfg *edge.Config) {
		cfg.Journal = journal.Options{NoSync: !o.sync, Keep: soakKeep}
		cfg.Show = func(e edge.Event) {
			if e.Lane != edge.AllLanes && !e.Card {
				outcomes[e.Lane] <- e.Result
			}
		}
		for lane := range doors {
			outcomes[lane] = make(chan tap.Result, 1)
			readers[lane] = inproc.New(fmt.Sprintf("door %d", lane))
			cfg.Lanes[lane].Reader = readers[lane]
		}
		link, linkErr = newBackend(cfg)
	})
	if err := errors.Join(linkErr, err); err != nil {
		return nil, err
	}
	s.Sender().OnConnect(s.clock.Now())
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-done, s.Journal().Verify(), s.Close())
	}()

	var cards [doors][]*epcard.Card
	for lane := range doors {
		for n := range soakCards {
			card, err := newCard(lane, n)
			if err != nil {
				return nil, err
			}
			cards[lane] = append(cards[lane], card)
		}
	}
	fmt.Fprintf(out, "%d taps on two readers, in %s, each commit durable: %v\n", o.taps, work, o.sync)
	fmt.Fprintln(out, "   taps   RSS MiB  heap MiB  goroutines  open files  journal MiB  in files   days  KiB written a tap  and dirtied")
	began := s.clock.Now()
	between := 24 * time.Hour / time.Duration(cmp.Or(o.day, soakDay))
	before, err := written()
	if err != nil {
		return nil, err
	}
	for taps, next := 0, 1000; taps < o.taps; {
		some := min(next, o.taps) - taps
		err := atOnce(doors, func(lane int) error {
			for n := lane; n < some; n += doors {
				if err := s.visit(between, readers[lane], cards[lane][(taps+n)/doors%soakCards], outcomes[lane]); err != nil {
					return fmt.Errorf("tap %d: %w", taps+n, err)
				}
				if n%soakBatch == 0 {
					if err := s.keepHouse(ctx, link); err != nil {
						return fmt.Errorf("after tap %d: %w", taps+n, err)
					}
				}
			}
			return nil
		})
		if err != nil {
			return all, err
		}
		if taps += some; taps == next {
			next *= 10
		}
		if err := s.keepHouse(ctx, link); err != nil {
			return all, err
		}
		now, err := written()
		if err != nil {
			return all, err
		}
		h, err := s.holds(taps)
		if err != nil {
			return all, err
		}
		h.wrote = now.since(before)
		all = append(all, h)
		fmt.Fprintf(out, "%7d  %8.1f  %8.1f  %10d  %10d  %11.1f  %8d  %5.0f  %17.1f  %11.1f\n", h.taps, mib(h.rss), mib(h.heap), h.goroutines, h.files, mib(h.fileBytes), h.journals,
			s.clock.Now().Sub(began).Hours()/24, float64(h.wrote.calls)/float64(some)/1024, float64(h.wrote.dirtied)/float64(some)/1024)
		before = now
	}
	return all, nil
}

// visit is one card at one reader, until its outcome is shown, and gone again.
func (s *stand) visit(between time.Duration, r *inproc.Reader, card apdu.Transmitter, outcome <-chan tap.Result) error {
	s.clock.Advance(between)
	r.Present(card)
	result := <-outcome
	r.Withdraw()
	if !result.Outcome.Pass() || result.Outcome == tap.AlreadyPaid {
		return fmt.Errorf("%v: %s", result.Outcome, result.Reason)
	}
	return nil
}

// keepHouse sends what has no receipt, begins a new file when a day is over, and prunes, while the other reader sells on. A soak's days go by faster than
// the terminal itself looks.
func (s *stand) keepHouse(ctx context.Context, link *backend) error {
	link.mu.Lock()
	defer link.mu.Unlock()
	if err := link.exchange(ctx, "bench-1", s.Sender(), s.clock.Now()); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	j := s.Journal()
	begun, err := j.Begun()
	if err == nil && !begun.IsZero() && s.clock.Now().Sub(begun) > 24*time.Hour {
		err = j.Roll()
	}
	for n := 1; n > 0 && err == nil; {
		n, err = j.Prune(500)
	}
	return err
}

// holds looks at what the process holds, once what is garbage is gone.
func (s *stand) holds(taps int) (held, error) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	stats, err := s.Journal().Stats()
	if err != nil {
		return held{}, err
	}
	h := held{taps: taps, heap: int64(m.HeapAlloc), goroutines: runtime.NumGoroutine(), fileBytes: stats.FileBytes, journals: stats.Files}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return h, fmt.Errorf("count the open files: %w", err)
	}
	h.files = len(entries) - 1 // the folder itself
	h.rss, err = rss(filepath.Join("/proc/self", "status"))
	return h, err
}

// rss reads how much of a process is in memory.
func rss(path string) (int64, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no VmRSS", path)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
