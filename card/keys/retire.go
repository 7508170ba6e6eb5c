package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A version of a master key lives through: added (ceremony, draw, import); overlap, when cards of it and of its successor are in use; retired,
// when nothing new is done with it and its proofs are still judged; destroyed. Each step refuses what would strand cards or records, and says
// which.

// Errors of a version's end.
var (
	// ErrStrands: cards or records would be left behind.
	ErrStrands = errors.New("this would strand cards or records")
	// ErrRetired: the version is for judging old proofs only.
	ErrRetired = errors.New("the version is retired: it proves what was done, and does nothing new")
	// ErrDestroyed: the version is gone, and its number is not used again.
	ErrDestroyed = errors.New("the version was destroyed, and its number is not used again")
)

// RecordsLate is how many days after its card's last day a record may come: a terminal that was offline, and a dispute over it.
const RecordsLate = 30

// Retirement is what was decided on a version.
type Retirement struct {
	Until Day // the last day on which its proofs are judged
	Gone  Day // when it was destroyed; empty: not yet
}

// proves says whether a purpose's work is also to judge what was done before. The keys of the others only do new things.
func (p Purpose) proves() bool {
	switch p {
	case TAC, ECCryptogram, ECMAC, DESFireTMAC:
		return true
	}
	return false
}

// Retire is what whoever retires a version answers for.
type Retire struct {
	Today       Day
	CardsExpire Day // the last day on which any card issued with it is valid
	Until       Day
}

// Retire takes a version out of new work. Held are the versions there are: those of the ring, or of the HSM that has the ring's keys. Errors
// are ErrUnknownKey, ErrRetired, ErrDestroyed and ErrStrands.
func (r *Ring) Retire(id ID, held []ID, f Retire) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("keys: %v: %w: %s", id, ErrStrands, fmt.Sprintf(format, args...))
	}
	switch old, retired := r.Retired[id]; {
	case retired && old.Gone != "":
		return fmt.Errorf("keys: %v: %w", id, ErrDestroyed)
	case retired:
		return fmt.Errorf("keys: %v: %w", id, ErrRetired)
	case !slices.Contains(held, id):
		return fmt.Errorf("keys: %v: %w", id, ErrUnknownKey)
	case !r.succeeded(id, held):
		return refuse("it is the only %s version in use: add another, bring it to backend and SAMs, and issue cards with it first", id.Purpose)
	case !id.Purpose.proves() && f.CardsExpire >= f.Today:
		return refuse("cards of it are valid until %s, and a %s key serves them", f.CardsExpire, id.Purpose)
	case f.Until < f.CardsExpire.After(RecordsLate):
		return refuse("a card of it may be used on %s, and its record may come %d days later: want to judge until %s at least", f.CardsExpire, RecordsLate, f.CardsExpire.After(RecordsLate))
	case f.Until <= f.Today:
		return fmt.Errorf("keys: %v: to be judged until %s: want a day to come", id, f.Until)
	}
	if r.Retired == nil {
		r.Retired = map[ID]Retirement{}
	}
	r.Retired[id] = Retirement{Until: f.Until}
	return nil
}

// Destroy is what whoever destroys a version answers for.
type Destroy struct {
	Today   Day
	Settled Day // the last clearing day that is closed and settled, with no record of the version left to judge
}

// Destroy takes a retired version out for good and keeps its number taken. Errors are ErrDestroyed and ErrStrands.
func (r *Ring) Destroy(id ID, held []ID, f Destroy) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("keys: %v: %w: %s", id, ErrStrands, fmt.Sprintf(format, args...))
	}
	switch old, retired := r.Retired[id]; {
	case !retired:
		return refuse("it is in use: retire it first")
	case old.Gone != "":
		return fmt.Errorf("keys: %v: %w", id, ErrDestroyed)
	case f.Today <= old.Until:
		return refuse("its proofs are judged until %s", old.Until)
	case f.Settled < old.Until:
		return refuse("the days up to %s want to be closed and settled; the last is %s", old.Until, f.Settled)
	case !r.succeeded(id, held):
		return refuse("no other %s version is in use", id.Purpose)
	default:
		old.Gone = f.Today
		r.Retired[id] = old
	}
	delete(r.Masters, id)
	return nil
}

// succeeded says whether another version of the purpose is in use; of another algorithm too, since a scheme may go over to one.
func (r *Ring) succeeded(id ID, held []ID) bool {
	return slices.ContainsFunc(held, func(other ID) bool {
		_, retired := r.Retired[other]
		return other.Purpose == id.Purpose && other != id && !retired
	})
}

// Held lists the ring's own master keys.
func (r *Ring) Held() []ID { return slices.SortedFunc(maps.Keys(r.Masters), ID.Compare) }

// ForNewWork returns the master keys that cards and SAMs are made from: those that are not retired.
func (r *Ring) ForNewWork() map[ID]Key {
	out := maps.Clone(r.Masters)
	maps.DeleteFunc(out, func(id ID, _ Key) bool { _, retired := r.Retired[id]; return retired })
	return out
}

// RetiredIDs returns the versions that do nothing new, for a door to their keys.
func (r *Ring) RetiredIDs() []ID { return slices.SortedFunc(maps.Keys(r.Retired), ID.Compare) }

// Due returns the versions that are to be destroyed: their day is over.
func (r *Ring) Due(today Day) (due []ID) {
	for _, id := range r.RetiredIDs() {
		if old := r.Retired[id]; old.Gone == "" && old.Until < today {
			due = append(due, id)
		}
	}
	return due
}

// retired are the versions that a door does nothing new with.
type retired map[ID]bool

func retiredOf(ids []ID) retired {
	out := retired{}
	for _, id := range ids {
		out[id] = true
	}
	return out
}

// refuse refuses new work.
func (r retired) refuse(id ID) error {
	if r[id] {
		return fmt.Errorf("keys: %v: %w", id, ErrRetired)
	}
	return nil
}
