package epdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

// logRecords is how far back a card's log goes (purse facts 2.1: at least 10 records).
const logRecords = 10

// Recover implements purse.Card (purse facts 4.3): the card's counter, GET TRANSACTION PROVE, its log. It wants no SAM.
func (v *visit) Recover(ctx context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	// A card may have two purses of one number. The counter of the one says nothing of the other's debits. Attempts of before the
	// application was written down have none.
	if a.Family != Family || a.Card != v.public.CardNumber || len(a.Application) > 0 && !bytes.Equal(a.Application, v.aid) {
		return 0, purse.Evidence{}, purse.ErrOtherCard
	}
	if len(a.SAM) != len(ep.TerminalNumber{}) || len(a.Time) != len(ep.DateTime{}) || a.Counter > math.MaxUint16 {
		return 0, purse.Evidence{}, fmt.Errorf("epdriver: the attempt is none of this family: SAM %x, time %x, counter %d", a.SAM, a.Time, a.Counter)
	}
	q := question{
		kind: ep.Type(a.Type), before: uint16(a.Counter), amount: a.Amount, after: a.After,
		terminal: ep.TerminalNumber(a.SAM), at: ep.DateTime(a.Time),
	}
	var err error
	if q.counter, err = v.counter(ctx, q.terminal); err != nil {
		return 0, purse.Evidence{}, told(err)
	}
	moved := q.counter - q.before // modulo 2^16, as the counter is
	if moved <= 1 {
		switch q.proof, err = v.card.Prove(ctx, q.kind, q.before+1); {
		case err == nil:
			// The proof is of the last debit with that counter; only the log says that it was ours: a debit at another terminal uses the
			// same counter if ours did not take place.
			q.proven = q.proof != ep.Proof{}
		case isLeft(err):
			return 0, purse.Evidence{}, err
		}
	}
	if moved == 0 && !q.proven && !q.amount.IsZero() {
		return purse.Voided, purse.Evidence{}, nil
	}
	return v.byLog(ctx, q)
}

// question is what is asked of the card's log.
type question struct {
	kind     ep.Type
	before   uint16 // the attempt's counter
	counter  uint16 // the card's
	amount   money.Amount
	after    money.Amount
	terminal ep.TerminalNumber
	at       ep.DateTime
	proof    ep.Proof
	proven   bool // there is one
}

// counter is the card's offline counter. An INITIALIZE of nothing tells it and costs the card nothing; it does not erase the
// proof (3.10). A card that refuses because its counter is at its end tells it as well.
func (v *visit) counter(ctx context.Context, term ep.TerminalNumber) (uint16, error) {
	init, err := v.card.InitPurchase(ctx, ep.TypeComposite, v.s.KeyIndex, money.Amount{}, term)
	if errors.Is(err, ep.ErrCounterMax) {
		return math.MaxUint16, nil
	}
	return init.Counter, err
}

// byLog reads the card's log for the debit, and reads it again before it says anything but completed: nobody signs the log, and one record
// misread must not make a debit that was made void. Completed needs a record that fits in every field.
func (v *visit) byLog(ctx context.Context, q question) (purse.Verdict, purse.Evidence, error) {
	read := v.paid
	switch {
	case q.amount.IsZero() && q.counter == q.before:
		read = v.uncounted
	case q.amount.IsZero():
		read = v.counted
	}
	verdict, e, err := read(ctx, q)
	if err != nil || verdict == purse.Completed {
		return verdict, e, err
	}
	again, _, err := read(ctx, q)
	switch {
	case err != nil:
		return 0, purse.Evidence{}, err
	case again != verdict:
		return 0, purse.Evidence{}, errors.New("epdriver: the card's log reads differently each time; present the card again")
	}
	return verdict, e, nil
}

// paid asks about a debit of money. With a proof in hand it is completed with its TAC; without, the log is all there is.
//
// A record of nothing shows little: a card that does not count such debits (C3) gives it the counter of another. So it tells to nobody
// whom a counter went, and at the card's own counter not how the card logs. A record with the counter before ours is then ours, logged before the increment, or of an equal debit
// one earlier, logged after it: the backend must find out. One with the counter after ours is nobody else's, for this terminal makes no debit while ours is open.
func (v *visit) paid(ctx context.Context, q question) (purse.Verdict, purse.Evidence, error) {
	logged, sure, newest := v.logged(q.before), false, true
	maybe := false  // a record is ours, or of an equal debit in the same second
	either := false // the newest debit is of nothing at the card's own counter: one that logs after the increment, or does not count it
	for n := byte(1); n <= logRecords; n++ {
		l, found, err := v.debitLogged(ctx, n)
		if err != nil {
			return 0, purse.Evidence{}, err
		}
		if !found {
			return q.unlogged(!maybe)
		}
		if l == (ep.LogRecord{}) {
			continue
		}
		if newest {
			if by, known := loggedBy(l, q.counter, q.before, logged); known {
				logged, sure = by, true
			}
			either, newest = !sure && l.Counter == q.counter, false
		}
		switch {
		case q.isOurs(l) && (l.Counter == logged && !(either && l.Counter == q.before) || q.counter == q.before):
			return purse.Completed, q.evidence(q.proven), nil
		case q.isOurs(l):
			maybe = true
		case l.Amount.IsZero():
		case sure && l.Counter == logged && q.counter != q.before:
			return purse.Voided, purse.Evidence{}, nil // the counter went to another tap
		case int16(l.Counter-q.before) < 0: // modulo 2^16, as the counter is
			return q.unlogged(!maybe)
		}
	}
	return q.unlogged(false)
}

// unlogged is the verdict on a debit of money that the log does not show. Past: the log reaches back past it. Else it has rolled past the
// debit, and the backend must find out; so it must where a card counts backwards.
func (q question) unlogged(past bool) (purse.Verdict, purse.Evidence, error) {
	forward := int16(q.counter-q.before) > 0
	if past && forward || q.counter == q.before {
		return purse.Voided, purse.Evidence{}, nil
	}
	return purse.Aged, purse.Evidence{}, nil
}

// counted asks about a debit of nothing whose counter has gone to it or to another.
func (v *visit) counted(ctx context.Context, q question) (purse.Verdict, purse.Evidence, error) {
	logged, newest := v.logged(q.before), true
	another := false // has that counter: a card that does not count a debit of nothing (C3) has more than one with it
	for n := byte(1); n <= logRecords; n++ {
		l, found, err := v.debitLogged(ctx, n)
		if err != nil {
			return 0, purse.Evidence{}, err
		}
		if !found && another {
			return purse.Voided, purse.Evidence{}, nil
		}
		if !found {
			break
		}
		if l == (ep.LogRecord{}) {
			continue
		}
		if newest {
			logged, _ = loggedBy(l, q.counter, q.before, logged)
			newest = false
		}
		switch {
		case q.isOurs(l):
			return purse.Completed, q.evidence(q.proven && !another), nil
		case another && int16(l.Counter-logged) < 0:
			return purse.Voided, purse.Evidence{}, nil
		case l.Counter == logged:
			another = true
		}
	}
	return purse.Aged, purse.Evidence{}, nil // the log has rolled past it: the backend must find out
}

// uncounted asks about a debit of nothing while the counter stands where it stood. Some cards do not count such a one (conflict C3): they write
// it down in their log, with a proof or without.
func (v *visit) uncounted(ctx context.Context, q question) (purse.Verdict, purse.Evidence, error) {
	newest := true
	for n := byte(1); n <= logRecords; n++ {
		l, found, err := v.debitLogged(ctx, n)
		switch {
		case err != nil:
			return 0, purse.Evidence{}, err
		case !found:
			return purse.Voided, purse.Evidence{}, nil
		case l == ep.LogRecord{}:
			continue
		case q.isOurs(l):
			return purse.Completed, q.evidence(q.proven && newest), nil
		case !l.Amount.IsZero(), l.Counter != q.before && l.Counter != q.before+1:
			return purse.Voided, purse.Evidence{}, nil // counted, and so older than ours would be
		}
		newest = false
	}
	return purse.Aged, purse.Evidence{}, nil // ten others of nothing: ours may have been before them
}

// debitLogged is log record n, zero if it is of no debit. Found is false at the end of the log. The error says that the card left.
func (v *visit) debitLogged(ctx context.Context, n byte) (l ep.LogRecord, found bool, err error) {
	l, err = v.card.ReadLog(ctx, n)
	switch {
	case isLeft(err):
		return l, false, err
	case err != nil || l.Empty():
		return l, false, nil
	case l.Type != ep.TypePurchase && l.Type != ep.TypeComposite:
		return ep.LogRecord{}, true, nil
	}
	return l, true, nil
}

func (q question) isOurs(l ep.LogRecord) bool {
	return isOurs(l, q.kind, q.before, q.amount, q.terminal, q.at)
}

func (q question) evidence(proven bool) purse.Evidence {
	e := purse.Evidence{How: purse.CardLog, Kind: evidenceKind, Balance: q.after}
	if proven {
		e.How, e.MAC2, e.TAC = purse.Prove, q.proof.MAC2[:], q.proof.TAC[:]
	}
	return e
}

// logged is how this scheme's cards log the counter of a debit, by the settings.
func (v *visit) logged(before uint16) uint16 {
	if v.s.LogsAfter {
		return before + 1
	}
	return before
}

// loggedBy is how the card itself logs the counter of a debit, seen from its newest one, whose counter is known, and whether that is sure: a
// scheme may have cards of both kinds (conflict C1), and a debit of nothing at the card's own counter may as well not have been counted
// (C3). What fits neither leaves it to the settings.
func loggedBy(newest ep.LogRecord, counter, before, bySettings uint16) (logged uint16, sure bool) {
	switch newest.Counter {
	case counter:
		return before + 1, !newest.Amount.IsZero()
	case counter - 1:
		return before, true
	}
	return bySettings, false
}

func isLeft(err error) bool {
	return errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer)
}
