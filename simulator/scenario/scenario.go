package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Scenario is a story: steps in order, each with what must come of it.
type Scenario struct {
	Name    string                 `yaml:"name"`
	Variant firmwareconfig.Variant `yaml:"variant"` // of the sample profile's cards; left out: the recommended one
	Steps   []Step                 `yaml:"steps"`
}

// Step is one thing that is done. Which fields it has depends on Do.
type Step struct {
	Do     string        `yaml:"do"`     // issue, load, tap, block, unblock, history, wait, books
	Card   string        `yaml:"card"`   // the story's name for it
	Number string        `yaml:"number"` // issue: 20 digits
	Lane   string        `yaml:"lane"`   // tap: bus, entry, exit or till
	Amount money.Amount  `yaml:"amount"` // load; tap at a till
	Key    string        `yaml:"key"`    // load, tap at a till: names the sale, so that it can be asked again
	Tear   Tear          `yaml:"tear"`   // load, tap
	For    time.Duration `yaml:"for"`    // wait
	Expect Expect        `yaml:"expect"`
}

// Tear takes the card out at a command.
type Tear struct {
	At    string `yaml:"at"`    // INITIALIZE, CACHE, DEBIT or CREDIT; empty: the card stays
	After bool   `yaml:"after"` // the card carries the command out and its answer is lost
}

// Expect is what must come of a step. What is left out may be anything.
type Expect struct {
	Outcome string        `yaml:"outcome"` // load, tap: as terminal and kiosk name it
	Amount  *money.Amount `yaml:"amount"`  // load, tap: taken or loaded
	Balance *money.Amount `yaml:"balance"` // on the card itself, after the step
	Settled string        `yaml:"settled"` // tap: what became of an earlier one, completed or voided

	Log   []string `yaml:"log"`   // history: EF 18, newest first, such as "load 20.00"
	Trips []string `yaml:"trips"` // history: EF 1E, newest first, such as "out 6.00"

	Records  *int          `yaml:"records"`  // books: that the backend has of this card
	Verified *int          `yaml:"verified"` // books: of them with a TAC that verifies
	Findings *int          `yaml:"findings"` // books: alarms about this card
	Shadow   *money.Amount `yaml:"shadow"`   // books: the card's shadow account
}

// tearable are the instructions that Tear.At names.
var tearable = map[string]byte{"INITIALIZE": 0x50, "CACHE": 0xDC, "DEBIT": 0x54, "CREDIT": 0x52}

// Parse reads a scenario in YAML, strictly: an unknown field is a fault, and so is a step that cannot be done.
func Parse(raw []byte) (*Scenario, error) {
	s := Scenario{Variant: firmwareconfig.RecommendedVariant()}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("scenario: more than one YAML document")
	}
	if len(s.Steps) == 0 {
		return nil, errors.New("scenario: no steps")
	}
	var all []error
	issued := map[string]bool{}
	for i, step := range s.Steps {
		if err := step.check(issued); err != nil {
			all = append(all, fmt.Errorf("scenario: step %d, %s: %w", i+1, step.Do, err))
		}
		if step.Do == "issue" {
			issued[step.Card] = true
		}
	}
	return &s, errors.Join(all...)
}

func (s Step) check(issued map[string]bool) error {
	switch s.Do {
	case "issue":
		if _, err := ids.ParseCardNumber(s.Number); err != nil {
			return fmt.Errorf("number: %w", err)
		}
		if s.Card == "" || issued[s.Card] {
			return fmt.Errorf("card %q: want a name of its own", s.Card)
		}
		return nil
	case "wait":
		if s.For <= 0 {
			return errors.New("for: want a time above 0s")
		}
		return nil
	case "load", "tap", "block", "unblock", "history", "books":
	default:
		return errors.New("do: want issue, load, tap, block, unblock, history, wait or books")
	}
	if !issued[s.Card] {
		return fmt.Errorf("card %q: no such card was issued", s.Card)
	}
	if _, known := tearable[s.Tear.At]; s.Tear != (Tear{}) && (!known || s.Do != "load" && s.Do != "tap") {
		return fmt.Errorf("tear: %q: want INITIALIZE, CACHE, DEBIT or CREDIT, at a load or tap", s.Tear.At)
	}
	if s.Do == "tap" && !slices.Contains(lanes, s.Lane) {
		return fmt.Errorf("lane %q: want one of %v", s.Lane, lanes)
	}
	if wants := s.Do == "load" || s.Do == "tap" && s.Lane == "till"; wants != (s.Amount.Sign() > 0 && s.Key != "") {
		return errors.New("a load and a till want an amount above 0.00 and a key, other steps neither")
	}
	return nil
}
