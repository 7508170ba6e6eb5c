package route

import "math"

// Experiment sends a part of payments by another plan and watches that it does no harm.
type Experiment struct {
	Part      float64 // of payments that take the variant
	MinSample int     // payments of each arm before anything is said
	Guardrail float64 // loss of success, in points of one, at which it stops at once
}

// Variant reports whether a payment takes the variant. It depends on the payment alone.
func (e Experiment) Variant(key uint64) bool { return part(key^0x5bd1e9955bd1e995) < e.Part }

// Arm is what was seen of one side.
type Arm struct{ Payments, Succeeded int }

// Finding of an experiment.
type Finding struct {
	Stop   bool    // the variant loses more than the guardrail allows, beyond chance
	Enough bool    // both arms have their sample
	Gain   float64 // success of the variant over the other
	Lo, Hi float64 // of Gain, 95 %
}

// Judge compares the arms: the difference of two proportions with its normal interval. Stop needs a twentieth of the sample, so that bad luck with the first
// payments stops nothing.
func (e Experiment) Judge(base, variant Arm) Finding {
	if base.Payments == 0 || variant.Payments == 0 {
		return Finding{Lo: -1, Hi: 1}
	}
	p, q := float64(base.Succeeded)/float64(base.Payments), float64(variant.Succeeded)/float64(variant.Payments)
	half := 1.96 * math.Sqrt(p*(1-p)/float64(base.Payments)+q*(1-q)/float64(variant.Payments))
	f := Finding{Gain: q - p, Lo: q - p - half, Hi: q - p + half}
	f.Enough = min(base.Payments, variant.Payments) >= e.MinSample
	f.Stop = min(base.Payments, variant.Payments) >= e.MinSample/20 && f.Hi < 0 && f.Gain < -e.Guardrail
	return f
}
