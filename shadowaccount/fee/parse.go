package fee

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Parse reads a schedule in YAML, strictly, and reports all faults at once. docs/settlement.md describes the form.
func Parse(raw []byte) (Schedule, error) {
	var y yamlSchedule
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&y); err != nil {
		return Schedule{}, fmt.Errorf("fee schedule: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Schedule{}, errors.New("fee schedule: more than one YAML document")
	}
	r := reader{}
	s := r.schedule(y)
	if err := errors.Join(append(r.faults, s.Check())...); err != nil {
		return Schedule{}, err
	}
	return s, nil
}

// The forms as written: amounts are text here, because the YAML reader stops at the first one that it cannot read.
type (
	yamlSchedule struct {
		Terms []yamlTerm `yaml:"terms"`
		Until string     `yaml:"until"`
	}
	yamlTerm struct {
		From        string         `yaml:"from"`
		ExpireAfter *int           `yaml:"expire_after"`
		Standards   []yamlStandard `yaml:"standards"`
	}
	yamlStandard struct {
		Name     string       `yaml:"name"`
		Side     Side         `yaml:"side"`
		Rounding Rounding     `yaml:"rounding"`
		Collect  Collection   `yaml:"collect"`
		Tax      *Tax         `yaml:"tax"`
		Charges  []yamlCharge `yaml:"charges"`
	}
	yamlCharge struct {
		Kind  string     `yaml:"kind"`
		Model Model      `yaml:"model"`
		Side  Side       `yaml:"side"`
		To    string     `yaml:"to"`
		Per   Scope      `yaml:"per"`
		By    Measure    `yaml:"by"`
		Flat  string     `yaml:"flat"`
		PPM   int64      `yaml:"ppm"`
		Bands []yamlBand `yaml:"bands"`
		Min   string     `yaml:"min"`
		Max   string     `yaml:"max"`
	}
	yamlBand struct {
		UpTo      string `yaml:"up_to"`
		UpToCount int64  `yaml:"up_to_count"`
		PPM       int64  `yaml:"ppm"`
		Each      string `yaml:"each"`
		Flat      string `yaml:"flat"`
	}
)

// reader turns the written form into ours and collects the amounts that it cannot read.
type reader struct{ faults []error }

func (r *reader) schedule(y yamlSchedule) Schedule {
	s := Schedule{Until: calendar.Date(y.Until)}
	for i, t := range y.Terms {
		term := Term{From: calendar.Date(t.From), ExpireAfter: t.ExpireAfter, Standards: []Standard{}}
		for j, st := range t.Standards {
			out := Standard{Name: st.Name, Side: st.Side, Rounding: st.Rounding, Collect: st.Collect, Tax: st.Tax}
			for k, c := range st.Charges {
				out.Charges = append(out.Charges, r.charge(fmt.Sprintf("terms[%d].standards[%d].charges[%d]", i, j, k), c))
			}
			term.Standards = append(term.Standards, out)
		}
		s.Terms = append(s.Terms, term)
	}
	return s
}

func (r *reader) charge(where string, y yamlCharge) Charge {
	c := Charge{Kind: y.Kind, Model: y.Model, Side: y.Side, To: y.To, Per: y.Per, By: y.By, PPM: y.PPM,
		Flat: r.amount(where+".flat", y.Flat), Min: r.amount(where+".min", y.Min), Max: r.amount(where+".max", y.Max)}
	for i, b := range y.Bands {
		at := fmt.Sprintf("%s.bands[%d]", where, i)
		c.Bands = append(c.Bands, Band{UpToCount: b.UpToCount, PPM: b.PPM,
			UpTo: r.amount(at+".up_to", b.UpTo), Each: r.amount(at+".each", b.Each), Flat: r.amount(at+".flat", b.Flat)})
	}
	return c
}

// amount reads a sum; none is zero.
func (r *reader) amount(where, s string) money.Amount {
	if s == "" {
		return money.Amount{}
	}
	a, err := money.Parse(s)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("fee schedule: %s: %w", where, err))
	}
	return a
}
