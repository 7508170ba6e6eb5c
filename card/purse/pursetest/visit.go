package pursetest

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// all is what a visit has read.
var all = purse.Need{Trip: true, Ride: true, Balance: true}

// knowledge is what a terminal knows of a debit.
type knowledge int

const (
	nothing knowledge = iota // it was certainly not made
	unknown
	made
)

// result is what came of one order.
type result struct {
	order    purse.Order
	known    knowledge
	attempt  purse.Attempt // as it lies on disk; of unknown and made
	evidence purse.Evidence
	took     bool // the truth
	err      error
}

// state is the truth about a card at one moment.
type state struct {
	balance money.Amount
	debits  uint64
}

func stateOf(c Chip) state { return state{c.Balance(), c.Debits()} }

// visit is one presentation at a terminal made anew.
type visit struct {
	*report
	bench  Bench
	chip   Chip
	ctx    context.Context
	line   *line
	card   purse.Card
	before purse.Reading
	marks  map[string]int // commands sent before a call
}

// open is Open and Read, with what they promise. Nil: the visit is over.
func (r *report) open(b Bench, terminal, card int, f fault) (*visit, error) {
	chip := b.Card(card)
	v := &visit{report: r, bench: b, chip: chip, marks: map[string]int{}}
	v.ctx, v.line = present(chip, f)
	memory := chip.Memory()
	d := b.Driver(terminal)
	var err error
	if v.card, err = d.Open(v.ctx, v.line); err == nil {
		v.mark("Read")
		v.before, err = v.card.Read(v.ctx, all)
	}
	r.want(chip.Memory() == memory, Harmless, "Open and Read changed the card")
	r.hidden(chip.Number(), err, v.before, v.card)
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// mark notes where in the run of commands a call begins.
func (v *visit) mark(call string) { v.marks[call] = v.line.sent }

// close ends the visit.
func (v *visit) close() {
	was, sent := stateOf(v.chip), v.line.sent
	if v.card != nil {
		v.card.Close()
	}
	v.want(v.line.sent == sent, Harmless, "Close sent a command")
	v.line.end()
	v.want(stateOf(v.chip) == was, Harmless, "the balance moved at the end of the visit")
	v.want(v.bench.Held() == 0, Released, "%d SAMs are held after Close", v.bench.Held())
}

// debit is one order, from Begin to Evidence.
func (v *visit) debit(o purse.Order) (out result) {
	start := stateOf(v.chip)
	out.order = o
	defer func() {
		end := stateOf(v.chip)
		out.took = end != start
		v.truth(start, end, out)
		v.hidden(v.chip.Number(), out.err, out.attempt, out.evidence, v.card)
	}()

	v.mark("Begin")
	var a purse.Attempt
	if a, out.err = v.card.Begin(v.ctx, o); out.err != nil {
		if errors.Is(out.err, purse.ErrMaybeDebited) {
			out.known, out.attempt = unknown, disk(a)
			v.sealed("an attempt that may have debited", a.Sealed)
		}
		return out
	}
	v.want(stateOf(v.chip) == start, Early, "Begin debited")
	out.attempt = disk(a) // before Stage ends, as a terminal has it
	v.sealed("the attempt", a.Sealed)
	staged := make(chan error, 1)
	v.mark("Stage")
	go func() { staged <- v.card.Stage(v.ctx) }()
	if out.err = <-staged; out.err != nil {
		v.want(stateOf(v.chip) == start, Early, "Stage debited")
		return out
	}
	v.want(stateOf(v.chip) == start, Early, "Stage debited")

	v.mark("Commit")
	if out.err = v.card.Commit(v.ctx); errors.Is(out.err, purse.ErrNotDebited) {
		return out
	}
	out.known = unknown
	if out.err != nil {
		return out
	}
	v.mark("Evidence")
	if out.evidence, out.err = v.card.Evidence(v.ctx); out.err != nil {
		return out
	}
	v.sealed("the evidence", out.evidence.Sealed)
	out.known = made
	return out
}

// truth holds what a terminal knows against the card.
func (v *visit) truth(start, end state, out result) {
	after, err := start.balance.Sub(out.order.Amount)
	once := err == nil && end == state{after, start.debits + 1}
	switch {
	case out.took && !once:
		v.found(Debited, "balance %v and counter %d after %v and %d: that is no debit of %v", end.balance, end.debits, start.balance, start.debits, out.order.Amount)
	case out.known == made && !out.took:
		v.found(Debited, "the driver has evidence, the card has not debited")
	case out.known == nothing && out.took && errors.Is(out.err, purse.ErrNotDebited):
		v.found(NotDebited, "the card has debited: %v", out.err)
	case out.known == nothing && out.took:
		v.found(Early, "the card has debited: %v", out.err)
	}
	if out.known == made {
		v.want(out.attempt.Amount == out.order.Amount && out.evidence.How == purse.Reply, Debited, "attempt of %v, evidence by %d, for an order of %v", out.attempt.Amount, out.evidence.How, out.order.Amount)
	}
}

// disk is the attempt as it comes back from a disk: nothing is shared with the driver.
func disk(a purse.Attempt) purse.Attempt {
	for _, b := range []*[]byte{&a.Application, &a.Issuer, &a.SAM, &a.Time, &a.MAC1, &a.State, &a.Sealed} {
		*b = slices.Clone(*b)
	}
	return a
}

// proof is what the host checks of an evidence, to be compared.
func proof(e purse.Evidence) string {
	return hex.EncodeToString(e.MAC2) + "/" + hex.EncodeToString(e.TAC) + "/" + hex.EncodeToString(e.Data)
}

// ask recovers an attempt in a visit of its own.
func (r *report) ask(b Bench, terminal, card int, a purse.Attempt, f fault) (verdict purse.Verdict, e purse.Evidence, sent int, err error) {
	v, err := r.open(b, terminal, card, f)
	if err != nil {
		return 0, purse.Evidence{}, 0, err
	}
	verdict, e, err = v.recover(a)
	v.close()
	return verdict, e, v.line.sent, err
}

// recover asks about an attempt in this visit.
func (v *visit) recover(a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	start := stateOf(v.chip)
	v.mark("Recover")
	verdict, e, err := v.card.Recover(v.ctx, disk(a))
	v.want(stateOf(v.chip) == start, Harmless, "Recover moved the balance")
	v.hidden(v.chip.Number(), err, e, v.card)
	if err == nil {
		v.sealed("the verdict", e.Sealed)
	}
	return verdict, e, err
}

// verdict holds one against the truth.
func (r *report) verdict(took bool, got purse.Verdict, err error) {
	right := purse.Voided
	if took {
		right = purse.Completed
	}
	if err == nil && got != right && got != purse.Aged {
		r.found(Truth, "the verdict is %d, and the card has debited: %v", got, took)
	}
}
