package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// JournalFirst posts groups with one row each instead of rows for claims and cards: the transaction of a group has its entry in the books, the verdicts of its records, and a
// row of the journal, which says what became of its cards. Many groups later the journal is written out into the rows that a strict group writes, each card once.
//
// It knows by heart what the groups that are not written out have done to their cards, and may because nobody else does anything to a card meanwhile: its lanes are its
// poster's, and every change and every look of others writes the journal out first ([Store.Update], [Store.View]), which marks the lanes. When the mark of a lane is
// not the one that it left, all is forgotten, and begins with the rows. So what is in memory is never more than a cache, and a crash loses nothing.
//
// It takes the plain records (post_follow.go). The others wait until nothing is unwritten and then go the strict way: no order of records changes where all ends.
type JournalFirst struct {
	store *Store
	every int

	mu     sync.Mutex
	groups int    // unwritten, of these lanes
	lanes  []Lane // as the last group left them
	cards  map[ids.CardNumber]head
	debits map[cardDebit]bool
	names  map[ids.CardNumber]bool // aliases known to be their cards'
	later  map[recordKey]bool      // put off until nothing is unwritten
}

// cardDebit is a debit that a record of a card proves.
type cardDebit struct {
	card  ids.CardNumber
	debit string
}

// JournalFirst makes a poster's memory. The journal is written out after so many groups.
func (s *Store) JournalFirst(every int) *JournalFirst {
	j := &JournalFirst{store: s, every: max(every, 1)}
	j.forget()
	return j
}

func (j *JournalFirst) forget() {
	j.groups, j.lanes = 0, nil
	j.cards, j.debits, j.names, j.later = map[ids.CardNumber]head{}, map[cardDebit]bool{}, map[ids.CardNumber]bool{}, map[recordKey]bool{}
}

// keepUp forgets all if somebody else has had the lanes, or has written the journal out.
func (j *JournalFirst) keepUp(h Held) {
	if j.groups > 0 && !slices.Equal(j.lanes, h.lanes) {
		j.forget()
	}
}

// Pending lists records as [Tx.PendingOf] does, but for those that it has put off.
func (j *JournalFirst) Pending(ctx context.Context, t *Tx, h Held, first, limit int) ([]Pending, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keepUp(h)
	out, err := t.PendingOf(ctx, h, first, limit+len(j.later))
	out = slices.DeleteFunc(out, func(r Pending) bool { return j.later[keyOf(r)] })
	return out[:min(len(out), limit)], err
}

// Due reports whether the journal is to be written out before more is posted.
func (j *JournalFirst) Due() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.groups >= j.every || len(j.later) >= maxLater
}

// Unwritten is how many groups it has posted that are not written out, as far as it knows.
func (j *JournalFirst) Unwritten() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.groups
}

// maxLater is how many records may be put off before the journal is written out for them.
const maxLater = 2000

// Flush writes the journal out, if there is anything in it that is known by heart, and reports whether it did.
func (j *JournalFirst) Flush(ctx context.Context) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.groups == 0 {
		return false, nil
	}
	j.forget() // whatever comes of it
	n := 0
	err := j.store.Apart(ctx, func(t *Tx) (err error) {
		n, err = t.flushJournal(ctx)
		return err
	})
	return n > 0, err
}

// step is what a group adds to memory once it is committed.
type step struct {
	cards  map[ids.CardNumber]head
	debits []cardDebit
	names  []ids.CardNumber
	later  []recordKey
	posted bool
	lanes  []Lane
}

// Post posts records of lanes, which [JournalFirst.Pending] gave, and returns how many of them it has put off. Also runs in the same transaction, before. Errors:
// [ErrFenced], [ErrPostedMeanwhile].
func (j *JournalFirst) Post(ctx context.Context, h Held, g Group, records []Verified, also func(*Tx) error) (later int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keepUp(h)
	var s step
	err = j.store.Apart(ctx, func(t *Tx) (err error) {
		s, err = j.post(ctx, t, h, g, records, also)
		return err
	})
	if err != nil {
		j.forget() // it may stand all the same
		return 0, err
	}
	for n, c := range s.cards {
		j.cards[n] = c
	}
	for _, d := range s.debits {
		j.debits[d] = true
	}
	for _, n := range s.names {
		j.names[n] = true
	}
	if s.posted {
		j.groups++
	}
	for _, k := range s.later {
		j.later[k] = true
	}
	if j.groups > 0 {
		j.lanes = s.lanes
	}
	return len(s.later), nil
}

// post is one run of Post's transaction. It changes nothing in memory: the run may come to nothing.
func (j *JournalFirst) post(ctx context.Context, t *Tx, h Held, g Group, records []Verified, also func(*Tx) error) (step, error) {
	var s step
	ctx = t.unhurried(ctx)
	if err := t.HoldLanes(ctx, h); err != nil {
		return s, err
	}
	marks := int64(1)
	if j.groups == 0 { // what is in the journal now was left by another
		n, err := t.flushJournal(ctx)
		if err != nil {
			return s, err
		}
		if n > 0 {
			marks++
		}
	}
	for _, l := range h.lanes {
		l.mark += marks
		s.lanes = append(s.lanes, l)
	}
	if err := also(t); err != nil {
		return s, err
	}
	rest, followed, err := j.follow(ctx, t, h, records)
	if err != nil {
		return s, err
	}
	if j.groups > 0 {
		for _, r := range rest {
			s.later = append(s.later, keyOf(r.Pending))
		}
	} else if len(rest) > 0 {
		if err := t.PostGroup(ctx, g, rest); err != nil {
			return s, err
		}
	}
	if len(followed) == 0 {
		return s, nil
	}
	s.posted, s.cards = true, make(map[ids.CardNumber]head, len(followed))
	return s, j.write(ctx, t, h, g, followed, &s)
}

// follow tells the records that follow from those that do not, as posting.follow does, by what is known by heart and, of cards that are not, by their rows.
func (j *JournalFirst) follow(ctx context.Context, t *Tx, h Held, records []Verified) (rest []Verified, followed []*follower, err error) {
	byCard, numbers := cardsOf(records)
	var unknown []ids.CardNumber
	for _, n := range numbers {
		if _, known := j.cards[n]; !known {
			unknown = append(unknown, n)
		}
	}
	read, err := t.heads(ctx, unknown)
	if err != nil {
		return nil, nil, err
	}
	rivals, err := t.cardsWithDebits(ctx, records)
	if err != nil {
		return nil, nil, err
	}
	var all []*follower
	var asking []ids.CardNumber
	for _, n := range numbers {
		now, known := j.cards[n]
		if !known {
			now, known = read[n]
		}
		if !known || rivals[n] || now.end.LoadsFrom < 0 || !h.owns(n) || slices.ContainsFunc(byCard[n], j.strange) {
			rest = appendAll(rest, byCard[n])
			continue
		}
		debits, ok := inOrder(byCard[n])
		if !ok {
			rest = appendAll(rest, byCard[n])
			continue
		}
		all = append(all, &follower{head: now, records: byCard[n], debits: debits})
		if now.end.Asks(debits) {
			asking = append(asking, n)
		}
	}
	loads, err := t.loadsOf(ctx, asking)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range all {
		above := slices.DeleteFunc(loads[f.number], func(l shadowaccount.Load) bool { return int(l.Counter) < f.end.LoadsFrom })
		ok, err := f.decide(above)
		if err != nil {
			return nil, nil, fmt.Errorf("card %v: %w", f.number, err)
		}
		if ok {
			followed = append(followed, f)
		} else {
			rest = appendAll(rest, f.records)
		}
	}
	return rest, followed, nil
}

func appendAll(to []Verified, records []*Verified) []Verified {
	for _, r := range records {
		to = append(to, *r)
	}
	return to
}

// strange reports whether a record is not to be decided by heart: its debit is another's that is not written, or it has a reason for people.
func (j *JournalFirst) strange(r *Verified) bool {
	return r.Reason != "" || r.Claim.Debit != "" && j.debits[cardDebit{r.Card, r.Claim.Debit}]
}

// owns reports whether all records that name a card by its number are of these lanes: those that name it otherwise may be of any, and no two posters may know one card.
func (h Held) owns(n ids.CardNumber) bool {
	return h.any || slices.ContainsFunc(h.lanes, func(l Lane) bool { return l.Number == LaneOf(n) })
}

// write writes the group: its row of the journal, the verdicts of its records, the names of its cards, and its entry.
func (j *JournalFirst) write(ctx context.Context, t *Tx, h Held, g Group, followed []*follower, s *step) error {
	number, err := t.nextGroup(ctx)
	if err != nil {
		return err
	}
	body := make(journalBody, 0, len(followed))
	var records []Verified
	var verdicts []Verdict
	var lines []books.Line
	for _, f := range followed {
		c := journalCard{number: f.number, change: f.change, missing: f.head.missing + f.missing,
			end:      shadowaccount.End{Complete: f.audit.Complete, Next: f.audit.Next, Tail: f.audit.Tail, LoadsFrom: f.audit.LoadsFrom},
			findings: f.audit.Findings, gaps: f.audit.Gaps, explained: f.audit.Explained, records: make([]journalRecord, len(f.records))}
		for i, r := range f.records {
			c.records[i] = journalRecord{counter: r.Counter, claim: r.Claim, kind: r.Kind, rule: r.Rule, day: r.Day, receivedMS: r.ReceivedMS}
			label := shadowaccount.LabelOf(r.Claim, true, shadowaccount.Stands, r.Counter, f.head.end.Complete, f.head.end.Next)
			records, verdicts = append(records, *r), append(verdicts, Verdict{Verdict: shadowaccount.Stands.String(), Label: label, group: number})
			if r.Claim.Debit != "" {
				s.debits = append(s.debits, cardDebit{r.Card, r.Claim.Debit})
			}
			if r.Alias != nil && !j.names[*r.Alias] {
				if err := t.NameCard(ctx, *r.Alias, r.Card, g.Day); err != nil {
					return err
				}
				s.names = append(s.names, *r.Alias)
			}
		}
		body, lines = append(body, c), append(lines, f.lines...)
		now := f.head
		if now.shadow, err = now.shadow.Add(f.change); err != nil {
			return err
		}
		now.end, now.missing = c.end, c.missing
		s.cards[f.number] = now
	}
	if _, err := t.exec(ctx, "write journal", `INSERT INTO posting_journal (number, lanes, body) VALUES (?, ?, ?)`, number, h.bits(), body.encode()); err != nil {
		return err
	}
	evidence, err := t.setVerdicts(ctx, number, records, verdicts)
	if err != nil {
		return err
	}
	return t.closeGroup(ctx, g, number, lines, len(records), evidence)
}

// bits has a bit for each lane.
func (h Held) bits() (out int64) {
	for _, l := range h.lanes {
		out |= 1 << l.Number
	}
	return out
}
