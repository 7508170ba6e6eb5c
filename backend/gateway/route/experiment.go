package route

import (
	"errors"
	"fmt"
	"math"
)

// stopDeviations is how sure a harm must be that stops an experiment, in standard deviations.
const stopDeviations = 3

// Experiment sends a part of payments by another plan and watches that it does no harm.
type Experiment struct {
	Name      string
	Seed      uint64  // another one divides payments anew
	Part      float64 // of payments that take the variant
	MinSample int     // payments of each arm before anything is said
	Guardrail float64 // loss of success, in points of one, at which it stops at once
}

// Variant reports whether a payment takes the variant. It depends on the payment alone.
func (e Experiment) Variant(key uint64) bool {
	return part(key^0x5bd1e9955bd1e995^mix(e.Seed)) < e.Part
}

// Check reports what makes no sense, and what would.
func (e Experiment) Check() error {
	switch {
	case e.Name == "":
		return errors.New("an experiment wants a name")
	case !(e.Part > 0 && e.Part <= 0.5): // a NaN too
		return fmt.Errorf("experiment %s: part is %v: want more than 0 and at most 0.5", e.Name, e.Part)
	case e.MinSample < 100:
		return fmt.Errorf("experiment %s: the sample is %d: want 100 payments or more", e.Name, e.MinSample)
	case !(e.Guardrail >= 0 && e.Guardrail < 1):
		return fmt.Errorf("experiment %s: guardrail is %v: want 0 or more and below 1", e.Name, e.Guardrail)
	}
	return nil
}

// Arm is what was seen of one side.
type Arm struct{ Payments, Succeeded int }

// Finding of an experiment.
type Finding struct {
	Stop   bool    // the variant loses more than the guardrail allows, beyond chance
	Enough bool    // both arms have their sample
	Gain   float64 // success of the variant over the other
	Lo, Hi float64 // of Gain, 95 %
}

// Judge compares the arms: the difference of two proportions with its normal interval. It is asked again and again while payments come, so Stop wants three
// standard deviations, and a twentieth of the sample, so that bad luck with the first payments stops nothing.
func (e Experiment) Judge(base, variant Arm) Finding {
	if base.Payments == 0 || variant.Payments == 0 {
		return Finding{Lo: -1, Hi: 1}
	}
	p, q := float64(base.Succeeded)/float64(base.Payments), float64(variant.Succeeded)/float64(variant.Payments)
	sd := math.Sqrt(p*(1-p)/float64(base.Payments) + q*(1-q)/float64(variant.Payments))
	f := Finding{Gain: q - p, Lo: q - p - z95*sd, Hi: q - p + z95*sd}
	f.Enough = min(base.Payments, variant.Payments) >= e.MinSample
	f.Stop = min(base.Payments, variant.Payments) >= e.MinSample/20 && f.Gain+stopDeviations*sd < 0 && f.Gain < -e.Guardrail
	return f
}

// trial is an experiment that runs.
type trial struct {
	Experiment
	plan *compiled
}

// Try sends a part of payments by another plan from now on, in place of an experiment that runs. A plan that is wrong changes nothing.
func (r *Router) Try(p Plan, e Experiment) error {
	if err := e.Check(); err != nil {
		return err
	}
	c, err := r.compile(p)
	if err != nil {
		return fmt.Errorf("experiment %s: routing plan %d: %w", e.Name, p.Version, err)
	}
	r.trial.Store(&trial{e, c})
	return nil
}

// Check reports what is wrong with a plan: the error that [Router.Use] and [Router.Try] would give for it. It changes nothing.
func (r *Router) Check(p Plan) error {
	_, err := r.compile(p)
	return err
}

// EndTrial has all payments go by the plan again, where the experiment of that name runs.
func (r *Router) EndTrial(name string) {
	if t := r.trial.Load(); t != nil && t.Name == name {
		r.trial.CompareAndSwap(t, nil) // another one that has begun meanwhile goes on
	}
}

// Trial is the experiment that runs with its plan; the last value is false where none does.
func (r *Router) Trial() (Experiment, Plan, bool) {
	t := r.trial.Load()
	if t == nil {
		return Experiment{}, Plan{}, false
	}
	return t.Experiment, t.plan.plan, true
}

// Side says which experiment runs, "" for none, whether a payment takes its plan, and the version of the plan that it takes.
func (r *Router) Side(key uint64) (experiment string, variant bool, plan int) {
	c, t := r.planOf(key)
	if t != nil {
		experiment, variant = t.Name, c == t.plan
	}
	if c != nil {
		plan = c.plan.Version
	}
	return experiment, variant, plan
}

// planOf is what a payment is routed by, nil for no plan, and the experiment that runs, nil for none.
func (r *Router) planOf(key uint64) (*compiled, *trial) {
	c, t := r.plan.Load(), r.trial.Load()
	if c != nil && t != nil && t.Variant(key) {
		c = t.plan
	}
	return c, t
}
