package firmwareconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Signal is the light and the sound of one outcome: the light blinks, and each blink may have a beep.
type Signal struct {
	Light   string        `yaml:"light"`   // "green", "amber" or "red"
	On      time.Duration `yaml:"on"`      // of a blink: lit
	Off     time.Duration `yaml:"off"`     // and dark after it
	Repeats int           `yaml:"repeats"` // blinks
	Beep    time.Duration `yaml:"beep"`    // with each blink; 0s: silent
}

// Beeps is how many beeps are heard.
func (s Signal) Beeps() int {
	if s.Beep == 0 {
		return 0
	}
	return s.Repeats
}

// whole is how long it takes.
func (s Signal) whole() time.Duration { return time.Duration(s.Repeats) * (s.On + s.Off) }

// Signals are what a scheme's outcomes look and sound like, by the outcome's name.
type Signals map[string]Signal

// blink is a light as most outcomes have it. Nobody hears a refusal as a success, whatever the light: the number of beeps tells them apart.
func blink(light string, beeps int) Signal {
	s := Signal{Light: light, On: 100 * time.Millisecond, Off: 100 * time.Millisecond, Repeats: max(beeps, 1)}
	if beeps > 0 {
		s.Beep = s.On
	}
	return s
}

// DefaultSignals are those of a profile that says nothing: every outcome's. Green is what lets a rider pass, and nothing else is.
func DefaultSignals() Signals {
	return Signals{
		"granted": blink("green", 1), "granted-low-balance": blink("green", 2), "already-paid": blink("green", 1), "granted-recovered": blink("green", 1),
		"present-same-card-again": blink("amber", 3), "one-card-please": blink("amber", 3),
		"refused-balance": blink("red", 2), "refused-blocked": blink("red", 2), "refused-expired": blink("red", 2), "refused-not-yet-valid": blink("red", 2),
		"refused-denied": blink("red", 2), "refused-unknown-card": blink("red", 2), "refused-key-version": blink("red", 2), "refused-trip": blink("red", 2),
		"refused-faulty-card": blink("red", 2), "out-of-service": blink("red", 0),
	}
}

// Signal is the light and sound of an outcome; without a light where there is no such outcome.
func (p *Profile) Signal(outcome string) Signal {
	if s, own := p.Signals[outcome]; own {
		return s
	}
	return defaultSignals[outcome]
}

var defaultSignals = DefaultSignals()

// UnmarshalYAML reads what a profile says of its outcomes; a field that is left out is as in [DefaultSignals].
func (s *Signals) UnmarshalYAML(node *yaml.Node) error {
	var given map[string]map[string]yaml.Node
	if err := node.Decode(&given); err != nil {
		return fmt.Errorf("signals: %w", err)
	}
	out := Signals{}
	for _, outcome := range slices.Sorted(maps.Keys(given)) {
		one := defaultSignals[outcome] // Check refuses a name that no outcome has
		into := map[string]any{"light": &one.Light, "on": &one.On, "off": &one.Off, "repeats": &one.Repeats, "beep": &one.Beep}
		for _, field := range slices.Sorted(maps.Keys(given[outcome])) {
			to, known := into[field]
			if !known {
				return fmt.Errorf("signals.%s: no field is called %q", outcome, field)
			}
			value := given[outcome][field]
			if err := value.Decode(to); err != nil {
				return fmt.Errorf("signals.%s.%s: %w", outcome, field, err)
			}
		}
		out[outcome] = one
	}
	*s = out
	return nil
}

// Bounds of a signal. A reader serves nobody while it blinks, and some count in tenths of a second.
const (
	shortestBlink = 20 * time.Millisecond
	longestBlink  = time.Second
	mostRepeats   = 5
	longestSignal = 2 * time.Second
)

// faults returns what is wrong, each with its field.
func (s Signals) faults() (all []error) {
	for _, outcome := range slices.Sorted(maps.Keys(s)) {
		bad := func(field, format string, args ...any) {
			all = append(all, fmt.Errorf("profile: signals.%s%s: %s", outcome, field, fmt.Sprintf(format, args...)))
		}
		usual, known := defaultSignals[outcome]
		if !known {
			bad("", "no outcome is called so: want one of %s", strings.Join(slices.Sorted(maps.Keys(defaultSignals)), ", "))
			continue
		}
		one := s[outcome]
		switch passes := usual.Light == "green"; {
		case one.Light != "green" && one.Light != "amber" && one.Light != "red":
			bad(".light", "%q: want green, amber or red", one.Light)
		case passes && one.Light != "green":
			bad(".light", "%s: want green, because the rider may pass", one.Light)
		case !passes && one.Light == "green":
			bad(".light", "green: want amber or red, because the rider may not pass")
		}
		if one.On < shortestBlink || one.On > longestBlink {
			bad(".on", "%v: want %v to %v", one.On, shortestBlink, longestBlink)
		}
		if one.Off < 0 || one.Off > longestBlink {
			bad(".off", "%v: want 0s to %v", one.Off, longestBlink)
		}
		if one.Repeats < 1 || one.Repeats > mostRepeats {
			bad(".repeats", "%d: want 1 to %d", one.Repeats, mostRepeats)
		}
		if one.Beep < 0 || one.Beep > one.On+one.Off {
			bad(".beep", "%v: want 0s, which is silent, to %v, which is one blink", one.Beep, one.On+one.Off)
		}
		if one.whole() > longestSignal {
			bad("", "%v in all: want at most %v, because some readers serve nobody meanwhile", one.whole(), longestSignal)
		}
	}
	return all
}
