package health

import (
	"fmt"
	"time"
)

// Mode says what a cell does by itself.
type Mode int

// Modes. The number is stored.
const (
	Manual        Mode = 0 // alarms only: people take it out and bring it back
	SemiAutomatic Mode = 1 // goes out by itself, people bring it back
	Automatic     Mode = 2 // goes out and comes back by itself
)

var modeNames = []string{"manual", "semi-automatic", "automatic"}

func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("mode %d", int(m))
	}
	return modeNames[m]
}

// Settings of a cell. Start from [Defaults]. Shares and rates are fractions of one.
type Settings struct {
	Mode Mode

	// Detection.
	Alpha  float64       // chance of a false alarm at one look
	Usual  float64       // failure rate expected of a cell that nothing is known of
	Worst  float64       // failure rate that is never tolerated, whatever was usual
	Margin float64       // tolerated on top of twice the usual rate
	Slow   time.Duration // a call that has no answer after it counts as failed
	Memory time.Duration // older observations say nothing of now

	// The way back: how large the first step is, how long a step takes at least and how fast steps grow.
	First    float64       // smallest first share
	Interval time.Duration // shortest step
	Growth   float64       // share of a step over the one before
	Seen     float64       // payments a first step is to meet within Interval, where the usual traffic gives as many
	Doubt    float64       // chance of a wrong judgement of a step
	BackOff  time.Duration // before the first ramp; doubles with each that fails
	MaxOff   time.Duration

	// Probing.
	Probe time.Duration // between two probes while a cell is in doubt or out
	Idle  time.Duration // between two probes of a quiet cell; a cell with payments within it needs none
}

// Defaults are for a channel of some payments a second or a minute.
func Defaults() Settings {
	return Settings{
		Mode:  Automatic,
		Alpha: 1e-8, Usual: 0.03, Worst: 0.30, Margin: 0.03, Slow: 3 * time.Second, Memory: 30 * time.Minute,
		First: 0.01, Interval: 10 * time.Second, Growth: 2, Seen: 5, Doubt: 0.02, BackOff: 15 * time.Second, MaxOff: 2 * time.Minute,
		Probe: 500 * time.Millisecond, Idle: 10 * time.Second,
	}
}

// Check reports the first setting that makes no sense, and what would.
func (s Settings) Check() error {
	fraction := func(name string, v, lo, hi float64) error {
		if !(v > lo && v < hi) { // a NaN fails too
			return fmt.Errorf("channel health: %s is %v: want above %v and below %v", name, v, lo, hi)
		}
		return nil
	}
	for _, err := range []error{
		fraction("alpha", s.Alpha, 0, 0.01), fraction("usual", s.Usual, 0, 0.5), fraction("worst", s.Worst, s.Usual, 0.95), fraction("margin", s.Margin, 0, 0.5),
		fraction("first", s.First, 0, 1.000001), fraction("growth", s.Growth, 1, 16.000001), fraction("doubt", s.Doubt, 0, 0.5), fraction("seen", s.Seen, 0, 10000),
	} {
		if err != nil {
			return err
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"slow", s.Slow}, {"memory", s.Memory}, {"interval", s.Interval}, {"back-off", s.BackOff}, {"probe", s.Probe}, {"idle", s.Idle}} {
		if d.v <= 0 {
			return fmt.Errorf("channel health: %s is %v: want more than zero", d.name, d.v)
		}
	}
	if s.MaxOff < s.BackOff {
		return fmt.Errorf("channel health: the longest back-off %v is shorter than the first %v", s.MaxOff, s.BackOff)
	}
	if s.Mode < Manual || s.Mode > Automatic {
		return fmt.Errorf("channel health: %v: want manual, semi-automatic or automatic", s.Mode)
	}
	return nil
}

// tolerated is the failure rate up to which a cell with a usual rate is left alone.
func (s Settings) tolerated(usual float64) float64 { return min(2*usual+s.Margin, s.Worst) }
