package pursetest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// tells wants Recover to be of use: of debits that were just lost it tells of one, at least, that it was made, and of one that it was not.
func (r *report) tells(f Family) {
	told := map[purse.Verdict]int{}
	for _, s := range f.scenarios() {
		for _, x := range r.lost(f, s) {
			if got, ok := r.run(f, s, x); ok && got.last().known == unknown {
				if verdict, _, _, err := r.ask(got.bench, 0, 0, got.last().attempt, fault{}); err == nil {
					told[verdict]++
				}
			}
		}
	}
	r.where = "debits that were lost before the card made them, and after"
	r.want(told[purse.Completed] > 0 && told[purse.Voided] > 0, Tells, "%d were told completed, %d voided, %d aged", told[purse.Completed], told[purse.Voided], told[purse.Aged])
}

// everyFault breaks each command of the scenario in each way, and asks the card afterwards.
func (r *report) everyFault(f Family, s scenario) {
	whole, ok := r.undisturbed(f, s)
	if !ok {
		return
	}
	for at := 1; at <= whole.visit.line.sent; at++ {
		for _, x := range f.faults(at) {
			got, ok := r.run(f, s, x)
			if !ok {
				continue
			}
			if !x.how.garbled() { // else what was read before is not what was there
				r.trips(got)
			}
			if last := got.last(); last.known == unknown {
				r.settle(got.bench, last)
			}
		}
	}
}

// settle asks about an unknown debit, twice, and buys something in the visit that was told.
func (r *report) settle(b Bench, lost result) {
	where := r.where
	defer func() { r.where = where }()
	r.where += ", then recovered"
	first, _, _, err := r.ask(b, 0, 0, lost.attempt, fault{})
	r.verdict(lost.took, first, err)
	if err != nil {
		return
	}
	v, err := r.open(b, 0, 0, fault{})
	if !r.want(err == nil, Works, "%v", err) {
		return
	}
	defer v.close()
	_, _, err = v.recover(foreign(lost.attempt))
	r.want(isOther(err), OtherCard, "of another family's attempt the card says: %v", err)
	for range 2 {
		again, _, err := v.recover(lost.attempt)
		r.want(err == nil && again == first, Repeatable, "verdict %d first, then %d: %v", first, again, err)
	}
	next := v.debit(lost.order)
	r.want(next.known == made, Works, "a debit after Recover: %v", next.err)
}

// everyRecovery loses the debit of the scenario before and after it is made, and breaks each command of the recovery in each way.
func (r *report) everyRecovery(f Family, s scenario) {
	for _, x := range r.lost(f, s) {
		got, ok := r.run(f, s, x)
		if !ok || got.last().known != unknown {
			continue
		}
		where, lost := r.where, got.last()
		want, _, sent, err := r.ask(got.bench, 0, 0, lost.attempt, fault{})
		r.verdict(lost.took, want, err)
		if err != nil {
			continue
		}
		for at := 1; at <= sent; at++ {
			for _, y := range f.faults(at) {
				r.where = fmt.Sprintf("%s, then recovered, %v", where, y)
				verdict, _, _, err := r.ask(got.bench, 0, 0, lost.attempt, y)
				r.verdict(lost.took, verdict, err)
				r.want(!isOther(err) || mayLookOther(got, y), OtherCard, "the very card says: %v", err)
				verdict, _, _, err = r.ask(got.bench, 0, 0, lost.attempt, fault{})
				r.want(err == nil && verdict == want, Repeatable, "verdict %d, and %d after a recovery that failed: %v", want, verdict, err)
			}
		}
		r.where = where
	}
}

// mayLookOther reports a fault with which the very card looks like another: its number is misread, or it refuses a file and has told no
// number yet.
func mayLookOther(got ran, x fault) bool {
	unnamed := got.visit.before.Card == ids.CardNumber{}
	return x.how.garbled() || unnamed && (x.how == refused || x.how == failed)
}

// lost are the two faults that a terminal cannot tell apart: the debit is lost before the card makes it, or after.
func (r *report) lost(f Family, s scenario) []fault {
	got, ok := r.run(f, s, fault{})
	if !ok || !r.want(got.last().known == made, Works, "%v", got.last().err) {
		return nil
	}
	first, last := got.visit.marks["Commit"]+1, got.visit.marks["Evidence"]
	return []fault{{at: first, how: lostBefore}, {at: last, how: lostAfter}}
}

// inBetween lets other terminals debit the card before it comes back: once, taking the same from the same balance, and then until the card
// may have forgotten.
func (r *report) inBetween(f Family, s scenario) {
	for _, x := range r.lost(f, s) {
		got, ok := r.run(f, s, x)
		if !ok || got.last().known != unknown {
			continue
		}
		where, lost := r.where, got.last()
		r.begunElsewhere(got.bench, lost)
		for n := 1; n <= 13; n++ {
			r.where = fmt.Sprintf("%s, then %d debits elsewhere", where, n)
			v, err := r.open(got.bench, 1, 0, fault{})
			if !r.want(err == nil, Works, "%v", err) {
				break
			}
			o := lost.order
			if n > 1 { // a card full of one debit would look like one that made none
				o.At = o.At.Add(time.Duration(n) * time.Second)
			}
			other := v.debit(o)
			v.close()
			if !r.want(other.known == made, Works, "%v", other.err) {
				break
			}
			verdict, e, _, err := r.ask(got.bench, 0, 0, lost.attempt, fault{})
			r.verdict(lost.took, verdict, err)
			if err == nil && verdict == purse.Completed && e.How == purse.Prove {
				r.want(proof(e) != proof(other.evidence), OneEvidence, "the other terminal's evidence is given for ours")
			}
		}
		r.where = where
	}
}

// otherKinds lets another terminal make a debit of each kind, and then one more, before the card comes back.
func (r *report) otherKinds(f Family, s scenario) {
	for _, x := range r.lost(f, s) {
		for _, k := range f.Kinds {
			got, ok := r.run(f, s, x)
			if !ok || got.last().known != unknown {
				continue
			}
			where, lost := r.where, got.last()
			for _, next := range []purse.Kind{k, f.Kinds[0]} {
				r.where += ", then " + kindNames[next] + " elsewhere"
				v, err := r.open(got.bench, 1, 0, fault{})
				if !r.want(err == nil, Works, "%v", err) {
					break
				}
				other := v.debit(order(next, lost.order.At))
				v.close()
				r.want(other.known == made, Works, "%v", other.err)
				verdict, _, _, err := r.ask(got.bench, 0, 0, lost.attempt, fault{})
				r.verdict(lost.took, verdict, err)
			}
			r.where = where
		}
	}
}

// begunElsewhere begins a debit at another terminal, which never commits it. It leaves the card as it was, so the card tells what it told, or
// that it has forgotten.
func (r *report) begunElsewhere(b Bench, lost result) {
	r.where += ", then a debit begun elsewhere"
	was, _, _, err := r.ask(b, 0, 0, lost.attempt, fault{})
	if err != nil {
		return
	}
	start, before := stateOf(b.Card(0)), lost.attempt
	for _, staged := range []bool{false, true} {
		v, err := r.open(b, 1, 0, fault{})
		if !r.want(err == nil, Works, "%v", err) {
			return
		}
		a, err := v.card.Begin(v.ctx, lost.order)
		r.want(!sameAttempt(a, before), OneEvidence, "two attempts cannot be told apart")
		before = disk(a)
		if r.want(err == nil, Works, "Begin: %v", err) && staged {
			err = v.card.Stage(v.ctx)
			r.want(err == nil, Works, "Stage: %v", err)
		}
		v.close()
		r.want(stateOf(b.Card(0)) == start, Early, "the balance moved without Commit")
		now, _, _, err := r.ask(b, 0, 0, lost.attempt, fault{})
		r.verdict(lost.took, now, err)
		r.want(err == nil && (now == was || now == purse.Aged), Repeatable, "verdict %d before, %d after: %v", was, now, err)
	}
}

// sameAttempt reports two attempts that no proof could tell apart.
func sameAttempt(a, b purse.Attempt) bool {
	return bytes.Equal(a.SAM, b.SAM) && a.Serial == b.Serial && bytes.Equal(a.MAC1, b.MAC1) && bytes.Equal(a.State, b.State)
}

// otherCard asks another card, and this one about attempts of another family and of another purse on it.
func (r *report) otherCard(f Family, s scenario) {
	for _, x := range r.lost(f, s) {
		got, ok := r.run(f, s, x)
		if !ok || got.last().known != unknown {
			continue
		}
		a := got.last().attempt
		_, _, _, err := r.ask(got.bench, 0, 1, a, fault{})
		r.want(isOther(err), OtherCard, "another card says: %v", err)
		_, _, _, err = r.ask(got.bench, 0, 0, foreign(a), fault{})
		r.want(isOther(err), OtherCard, "of another family's attempt the card says: %v", err)
		purseOf := disk(a)
		purseOf.Application[len(purseOf.Application)-1]++
		_, _, _, err = r.ask(got.bench, 0, 0, purseOf, fault{})
		r.want(isOther(err), OtherCard, "of another purse's attempt the card says: %v", err)
	}
}

// askedAround loses a debit of each card at one terminal, and asks each card about the other's attempt first, then about its own, and sells:
// so a terminal does that does not know yet whose card it has.
func (r *report) askedAround(f Family, s scenario) {
	for _, x := range r.lost(f, s) {
		got, ok := r.run(f, s, x)
		if !ok || got.last().known != unknown {
			continue
		}
		where := r.where
		r.where += ", and of the other card too"
		lost := [cards]result{0: got.last()}
		v, err := r.open(got.bench, 0, 1, x)
		if !r.want(err == nil, Works, "%v", err) {
			continue
		}
		for _, o := range s.orders {
			if lost[1] = v.debit(o); lost[1].known != made {
				break
			}
		}
		v.close()
		if lost[1].known != unknown {
			continue // the cards differ in how many commands they need
		}
		for c := range cards {
			v, err := r.open(got.bench, 0, c, fault{})
			if !r.want(err == nil, Works, "%v", err) {
				continue
			}
			_, _, err = v.recover(lost[1-c].attempt)
			r.want(isOther(err), OtherCard, "of the other card's attempt this one says: %v", err)
			verdict, _, err := v.recover(lost[c].attempt)
			r.want(err == nil, Repeatable, "after it of its own: %v", err)
			r.verdict(lost[c].took, verdict, err)
			next := v.debit(lost[c].order)
			r.want(next.known == made, Works, "a debit after both: %v", next.err)
			v.close()
		}
		r.where = where
	}
}

// foreign is the attempt as another family's.
func foreign(a purse.Attempt) purse.Attempt {
	a.Family = "none of ours"
	return a
}

// equalDebits makes one order twice, in one second, and wants two evidences.
func (r *report) equalDebits(f Family) {
	b, seen := f.New(), map[string]bool{}
	for range 3 {
		for _, terminal := range []int{0, 1} {
			r.where = fmt.Sprintf("equal debits, terminal %d", terminal)
			v, err := r.open(b, terminal, 0, fault{})
			if !r.want(err == nil, Works, "%v", err) {
				return
			}
			got := v.debit(order(f.Kinds[0], f.At))
			v.close()
			p := proof(got.evidence)
			r.want(got.known == made && p != "//", OneEvidence, "there is none: %v", got.err)
			r.want(!seen[p], OneEvidence, "two debits have one")
			seen[p] = true
		}
	}
}

// tooMuch orders more than there is.
func (r *report) tooMuch(f Family) {
	for _, k := range f.Kinds {
		if k == purse.Enter {
			continue // what it debits is nothing
		}
		r.where = kindNames[k] + " of more than there is"
		b := f.New()
		v, err := r.open(b, 0, 0, fault{})
		if !r.want(err == nil, Works, "%v", err) {
			return
		}
		o := order(k, f.At)
		if o.Amount, err = b.Card(0).Balance().Add(money.Minor(1)); err != nil {
			panic(err) // no balance of a bench is near the end of an Amount
		}
		got := v.debit(o)
		v.close()
		r.want(got.known == nothing && !got.took && isInsufficient(got.err), Insufficient, "%v", got.err)
	}
}

// strangers are cards of no family at all.
func (r *report) strangers(f Family) {
	for _, sw := range []apdu.SW{0x6A82, 0x6D00, 0x6E00} {
		r.where = fmt.Sprintf("a card that answers %v", sw)
		b := f.New()
		ctx, l := present(b.Card(0), fault{})
		card, err := b.Driver(0).Open(ctx, stranger(sw))
		if card != nil {
			card.Close()
		}
		l.end()
		r.want(isNoPurse(err), NoPurse, "%v", err)
		r.want(b.Held() == 0, Released, "%d SAMs are held", b.Held())
	}
}
