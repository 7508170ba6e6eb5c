package timekeeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// System is the machine that a keeper runs on.
type System interface {
	// Elapsed is a stopwatch that nobody can set, from the machine's start or any other moment; it counts while the machine sleeps.
	Elapsed() time.Duration
	// Wall is the machine's clock, which anybody may set.
	Wall() time.Time
	// Kept is the machine's clock with the bound of its error, while a time service keeps it.
	Kept() (at time.Time, bound time.Duration, kept bool)
	// RTC is what the clock shows that runs while the machine is off, in Unix seconds; 0: there is none.
	RTC() int64
	// Boot is a name that each start of the machine has for itself; empty: it has none.
	Boot() string
}

// Config of a keeper.
type Config struct {
	Settings
	System System
	// File keeps what is known while the machine is off. Empty: nothing does.
	File string
	Log  *slog.Logger // default: none
}

const (
	lookEvery = 16 * time.Second // at the time service
	saveEvery = 10 * time.Minute
)

// Keeper is a clock (clock.Clock) that knows how wrong it may be. It is safe for concurrent use.
type Keeper struct {
	cfg Config

	mu    sync.Mutex
	judge *judge
	said  string // of the state, in the log
	saved time.Duration
}

// New starts a keeper with what it knew when it was last saved, and looks at the time service once. A file that cannot be read is as good
// as none: the log says so.
func New(cfg Config) *Keeper {
	cfg.Settings = cfg.filled()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{cfg: cfg, judge: newJudge(cfg.Settings)}
	k.recall()
	k.look()
	return k
}

// Now is the time. It never goes back, and never below the newest record.
func (k *Keeper) Now() time.Time { return k.Time().At }

// State is how good the clock is, and the bound of the error of Now.
func (k *Keeper) State() (wire.ClockState, time.Duration) {
	t := k.Time()
	return t.State, t.Bound
}

// Time is the time with all that is to be said of it.
func (k *Keeper) Time() Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.judge.give(k.cfg.System.Elapsed(), k.cfg.System.Wall())
}

// Elapsed is the keeper's stopwatch: nobody can set it.
func (k *Keeper) Elapsed() time.Duration { return k.cfg.System.Elapsed() }

// NotBefore is told the time of the newest record: nothing older is given any more.
func (k *Keeper) NotBefore(newest time.Time) {
	k.mu.Lock()
	k.judge.notBefore(newest)
	k.mu.Unlock()
	k.tell()
}

// ServerTime is told the backend's time, read at some moment between two of the stopwatch.
func (k *Keeper) ServerTime(at time.Time, sent, heard time.Duration) {
	trip := heard - sent
	if trip < 0 {
		return // two lives of a stopwatch
	}
	const tick = time.Millisecond // the time is in whole ones
	k.hear(Reading{Source: Backend, At: at.Add(trip / 2), Bound: trip/2 + tick + drift(trip, k.cfg.DriftPPM) + k.cfg.Backend, Elapsed: heard})
}

// Run looks at the time service and saves what is known until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			k.save()
			return
		case <-t.C:
		}
		k.look()
		if k.cfg.System.Elapsed()-k.saved >= saveEvery {
			k.save()
		}
	}
}

// look asks the machine.
func (k *Keeper) look() {
	sys := k.cfg.System
	before := sys.Elapsed()
	at, bound, kept := sys.Kept()
	wall := sys.Wall()
	after := sys.Elapsed()
	if kept { // it was asked at some moment between the two looks at the stopwatch
		k.hear(Reading{Source: Kernel, At: at, Bound: bound + after - before, Elapsed: after})
		return
	}
	k.mu.Lock()
	k.judge.withdraw(Kernel, after)
	k.mu.Unlock()
	if k.cfg.Unkept > 0 {
		k.hear(Reading{Source: Machine, At: wall, Bound: k.cfg.Unkept + after - before, Elapsed: after})
	}
	k.tell()
}

func (k *Keeper) hear(r Reading) {
	k.mu.Lock()
	had, told := k.judge.kept.on(r.Elapsed, k.cfg.DriftPPM), k.judge.told
	k.judge.hear(r)
	has := k.judge.kept.on(r.Elapsed, k.cfg.DriftPPM)
	k.mu.Unlock()
	if off := has.At.Sub(had.At); told && !had.span().meets(has.span()) {
		k.cfg.Log.Warn("clock: what was believed was wrong", "by", off.Round(time.Millisecond), "believed", had.Source.String(), "now", has.Source.String())
	}
	k.tell()
}

// tell logs the state when that is news.
func (k *Keeper) tell() {
	t := k.Time()
	said := t.State.String() + t.By.String() + fmt.Sprint(t.Slewed > k.cfg.Good)
	for s := range t.Suspects {
		said += "," + s.String()
	}
	k.mu.Lock()
	news := said != k.said
	k.said = said
	k.mu.Unlock()
	if !news {
		return
	}
	level := slog.LevelInfo
	if t.State == wire.ClockState_CLOCK_BAD || len(t.Suspects) > 0 || t.Slewed > k.cfg.Good {
		level = slog.LevelWarn
	}
	k.cfg.Log.Log(context.Background(), level, t.String())
}

// String says how the clock is, in words.
func (t Time) String() string {
	state := map[wire.ClockState]string{wire.ClockState_CLOCK_GOOD: "good", wire.ClockState_CLOCK_HOLDOVER: "holdover", wire.ClockState_CLOCK_BAD: "bad"}[t.State]
	out := fmt.Sprintf("clock: %s, by the %s, within %v", state, t.By, t.Bound.Round(time.Millisecond))
	if t.By == Nobody {
		out = fmt.Sprintf("clock: %s: nobody has told the time", state)
	}
	if t.Slewed > 0 {
		out += fmt.Sprintf("; it runs at half speed, %v ahead", t.Slewed.Round(time.Millisecond))
	}
	for _, s := range sources {
		if why, is := t.Suspects[s]; is {
			out += fmt.Sprintf("; %s: %s", s, why)
		}
	}
	return out
}

var sources = []Source{Kernel, Backend, LastKnown, Machine}

// recall reads the file.
func (k *Keeper) recall() {
	if k.cfg.File == "" {
		return
	}
	raw, err := os.ReadFile(k.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var m memory
	if err == nil {
		m, err = parseMemory(raw)
	}
	if err != nil {
		k.cfg.Log.Warn("clock: what was known before is lost", "file", k.cfg.File, "err", err)
		return
	}
	k.judge.notBefore(time.UnixMilli(m.GivenMS))
	sys := k.cfg.System
	r, err := m.recall(machineFacts{boot: sys.Boot(), elapsed: sys.Elapsed(), rtc: sys.RTC(), wall: sys.Wall()}, k.cfg.Settings)
	if err != nil {
		k.cfg.Log.Warn("clock: what was known before tells no time", "err", err)
		return
	}
	k.judge.hear(r)
}

// save writes what is known, unless the clock is bad: what was known before is worth more then.
func (k *Keeper) save() {
	k.saved = k.cfg.System.Elapsed()
	if k.cfg.File == "" {
		return
	}
	rtc := k.cfg.System.RTC()
	k.mu.Lock()
	elapsed := k.cfg.System.Elapsed()
	t := k.judge.give(elapsed, k.cfg.System.Wall())
	kept := k.judge.kept.on(elapsed, k.cfg.DriftPPM)
	k.mu.Unlock()
	if t.State == wire.ClockState_CLOCK_BAD {
		return
	}
	m := memory{
		Version: 1, AtMS: kept.At.UnixMilli(), BoundMS: (t.Bound + t.Slewed).Milliseconds() + 1, Boot: k.cfg.System.Boot(),
		ElapsedMS: elapsed.Milliseconds(), RTC: rtc, GivenMS: t.At.UnixMilli(),
	}
	if err := write(k.cfg.File, m); err != nil {
		k.cfg.Log.Warn("clock: what is known cannot be saved", "file", k.cfg.File, "err", err)
	}
}

// write replaces the file as a whole.
func write(path string, m memory) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
