package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Verified is a record whose TAC was looked at: a claim to a slot of a card.
type Verified struct {
	Pending
	Card    ids.CardNumber
	Family  string          // of the card's purse; "" is "ep"
	Alias   *ids.CardNumber // how terminals name the card, where its number is sealed
	Issuer  [8]byte
	Levels  int
	Counter uint32
	Claim   shadowaccount.Claim
	Kind    int32  // wire.Kind
	Rule    string // fare rule
	Reason  string // of a bad proof, for people
}

// Group is one posting group: records posted in one transaction.
type Group struct {
	Day   string // clearing day of the entry
	AtMS  int64
	Token func(ids.CardNumber) string // makes the token of a card we never issued
}

// PostGroup posts verified records: it merges each into its slot's claims, decides every slot touched and the one before
// it, and books the differences in one entry. Posting a record again changes nothing.
func (t *Tx) PostGroup(ctx context.Context, g Group, records []Verified) error {
	return t.postGroup(ctx, g, records, (*posting).follow)
}

func (t *Tx) postGroup(ctx context.Context, g Group, records []Verified,
	follow func(*posting, context.Context, []Verified) ([]Verified, map[ids.CardNumber]*follower, error)) error {
	ctx = t.unhurried(ctx)
	p := posting{t: t, g: g, cards: map[ids.CardNumber]*cardWork{}}
	rest, followed, err := follow(&p, ctx, records)
	if err != nil {
		return err
	}
	if err := p.open(ctx, rest); err != nil {
		return err
	}
	news := make(map[recordKey]bool, len(rest))
	for _, r := range rest {
		if p.cards[r.Card].merge(r) {
			news[keyOf(r.Pending)] = true
		}
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	number, err := t.nextGroup(ctx)
	if err != nil {
		return err
	}
	verdicts := make([]Verdict, len(records))
	for i, r := range records {
		v := Verdict{Reason: r.Reason, group: number}
		if f := followed[r.Card]; f != nil {
			v.Verdict = shadowaccount.Stands.String()
			v.Label = shadowaccount.LabelOf(r.Claim, true, shadowaccount.Stands, r.Counter, f.end.Complete, f.end.Next)
		} else {
			w := p.cards[r.Card]
			row := w.rowOf(r)
			v.Verdict = row.status.String()
			c := r.Claim
			c.Spent = row.Spent && c.Debit == row.Debit // which a record cannot know of its own debit
			v.Label = shadowaccount.LabelOf(c, news[keyOf(r.Pending)], row.status, r.Counter, w.complete, w.next)
			if row.Seq != r.Claim.Seq { // another record speaks for its tap
				v.Verdict = "superseded"
			}
		}
		verdicts[i] = v
	}
	evidence, err := t.setVerdicts(ctx, number, records, verdicts)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Alias != nil {
			if err := t.NameCard(ctx, *r.Alias, r.Card, g.Day); err != nil {
				return err
			}
		}
	}
	return t.closeGroup(ctx, g, number, p.lines, len(records), evidence)
}

// CardsToReview lists cards whose loads have changed since their unproved claims were decided, at most limit.
func (t *Tx) CardsToReview(ctx context.Context, limit int) ([]ids.CardNumber, error) {
	var out []ids.CardNumber
	err := t.rows(ctx, "cards to review", func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		var n ids.CardNumber
		copy(n[:], raw)
		out = append(out, n)
		return nil
	}, `SELECT card FROM review ORDER BY card LIMIT ?`, limit)
	return out, err
}

// ReviewCards decides the unproved claims of cards again and books what has changed.
func (t *Tx) ReviewCards(ctx context.Context, g Group, cards []ids.CardNumber) error {
	t.asideChain()
	p := posting{t: t, g: g, cards: map[ids.CardNumber]*cardWork{}}
	for _, n := range cards {
		w, err := p.card(ctx, n)
		if err != nil {
			return err
		}
		if err := t.loadSlots(ctx, w, 0, math.MaxUint32); err != nil {
			return err
		}
		for counter, rows := range w.slots {
			if slices.ContainsFunc(rows, func(r claimRow) bool { return r.Proof == shadowaccount.ProofNone }) {
				w.touched[counter] = true
			}
		}
		if _, err := t.exec(ctx, "reviewed", `DELETE FROM review WHERE card = ?`, n[:]); err != nil {
			return err
		}
	}
	if err := p.settle(ctx); err != nil || len(p.lines) == 0 {
		return err
	}
	number, err := t.nextGroup(ctx)
	if err != nil {
		return err
	}
	return t.closeGroup(ctx, g, number, p.lines, 0, evidenceOf(nil))
}

// posting is one group on its way into the books.
type posting struct {
	t     *Tx
	g     Group
	cards map[ids.CardNumber]*cardWork
	lines []books.Line
}

// cardWork is what a group needs of one card: the claims to its slots in a window of counters, and what it changes.
type cardWork struct {
	number         ids.CardNumber
	known          bool // in the registry
	chain          shadowaccount.Chain
	complete, next uint32 // before the group
	slots          map[uint32][]claimRow
	touched        map[uint32]bool
	debits         map[string]bool // whose owner may change
	change         money.Amount
}

// claimRow is a claim as it stands in the store and as the group makes it.
type claimRow struct {
	shadowaccount.Claim
	status     shadowaccount.Status
	kind       int32
	rule       string
	day        string
	receivedMS int64

	was       shadowaccount.Claim // as posted before this group
	wasStatus shadowaccount.Status
	changed   bool
}

func (p *posting) card(ctx context.Context, n ids.CardNumber) (*cardWork, error) {
	if w := p.cards[n]; w != nil {
		return w, nil
	}
	w := &cardWork{number: n, slots: map[uint32][]claimRow{}, touched: map[uint32]bool{}, debits: map[string]bool{}}
	c, err := p.t.lockedCard(ctx, n)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, err
	default:
		w.known, w.complete, w.next = true, c.Complete, c.Next
	}
	w.chain = shadowaccount.ChainOf(c.Family)
	p.cards[n] = w
	return w, nil
}

// open reads what the records need of their cards: the claims to their slots and to the neighbours, in one query a card,
// and the slots of claims with the same debit, wherever they stand.
func (p *posting) open(ctx context.Context, records []Verified) error {
	if err := p.openCards(ctx, records); err != nil {
		return err
	}
	type window struct{ lo, hi uint32 }
	windows := map[ids.CardNumber]*window{}
	for _, r := range records {
		if x := windows[r.Card]; x == nil {
			windows[r.Card] = &window{r.Counter, r.Counter}
		} else {
			x.lo, x.hi = min(x.lo, r.Counter), max(x.hi, r.Counter)
		}
	}
	for _, r := range records {
		w, err := p.card(ctx, r.Card)
		if err != nil {
			return err
		}
		if x := windows[r.Card]; x != nil {
			delete(windows, r.Card)
			if w.chain == shadowaccount.Sparse { // any slot may be a neighbour
				x.lo, x.hi = 0, math.MaxUint32
			}
			if err := p.t.loadSlots(ctx, w, down(x.lo), up(x.hi)); err != nil {
				return err
			}
		}
		w.touch(r.Counter)
		for _, debit := range w.debitsOf(r) {
			if w.debits[debit] {
				continue
			}
			w.debits[debit] = true
			if err := p.openRivals(ctx, w, debit); err != nil {
				return err
			}
		}
	}
	return nil
}

// openCards reads the cards of records, and locks them where others post beside, in the order of their numbers. A card that we never issued gets a row: its debits
// that our keys verify are owed to the merchant all the same, and the audit raises the alarm. It gets it with its first claim, whatever that is worth, for what a claim
// is worth may still change; and before its claims are read, because a row that is not there cannot be locked.
func (p *posting) openCards(ctx context.Context, records []Verified) error {
	said := map[ids.CardNumber]Card{}
	for _, r := range records {
		family := said[r.Card].Family
		if family == "" {
			family = r.Family
		}
		said[r.Card] = Card{Number: r.Card, Family: family, Issuer: r.Issuer, Levels: r.Levels, Status: CardUnknown}
	}
	for _, n := range slices.SortedFunc(maps.Keys(said), func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) }) {
		w, err := p.card(ctx, n)
		if err != nil {
			return err
		}
		if w.known {
			continue
		}
		c := said[n]
		c.Token = p.g.Token(n)
		if err := p.t.IssueCard(ctx, c); err != nil { // if another was quicker it changes nothing
			return err
		}
		delete(p.cards, n)
		if _, err := p.card(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// debitsOf are the debits whose owner a record may change: the one it proves, and the one its tap proved so far.
func (w *cardWork) debitsOf(r Verified) []string {
	var out []string
	if r.Claim.Debit != "" {
		out = append(out, r.Claim.Debit)
	}
	for _, row := range w.slots[r.Counter] {
		if row.Tap == r.Claim.Tap && row.Debit != "" && row.Debit != r.Claim.Debit {
			out = append(out, row.Debit)
		}
	}
	return out
}

// openRivals reads and touches the slots with a claim that proves a debit.
func (p *posting) openRivals(ctx context.Context, w *cardWork, debit string) error {
	rivals, err := p.t.countersOfDebit(ctx, w.number, debit)
	if err != nil {
		return err
	}
	for _, counter := range rivals {
		if w.chain == shadowaccount.Sparse { // all slots are there
			w.touch(counter)
			continue
		}
		for c := int64(down(counter)); c <= int64(up(counter)); c++ {
			if w.slots[uint32(c)] != nil {
				continue
			}
			if err := p.t.loadSlots(ctx, w, uint32(c), uint32(c)); err != nil {
				return err
			}
		}
		w.touch(counter)
	}
	return nil
}

func down(c uint32) uint32 { return c - min(c, 1) }
func up(c uint32) uint32   { return c + min(math.MaxUint32-c, 1) }

// touch marks a slot to be decided, and the one before it, which reads its claims.
func (w *cardWork) touch(counter uint32) {
	w.touched[counter] = true
	w.touched[down(counter)] = true
}

// merge puts a record's claim among the slot's, and reports whether it changed its tap's.
func (w *cardWork) merge(r Verified) bool {
	rows := w.slots[r.Counter]
	for i := range rows {
		row := &rows[i]
		if row.Tap != r.Claim.Tap {
			continue
		}
		if r.ReceivedMS < row.receivedMS { // it waited for its card's name, and a later one was posted before it
			row.receivedMS, row.changed = r.ReceivedMS, true
		}
		c := r.Claim
		c.Merchant = row.Merchant // a tap counts for the merchant its terminal had when its first record came
		m := shadowaccount.Merge(row.Claim, c)
		m.Spent = row.Spent && m.Debit != "" // decided below, from all claims; what names no debit is never spent
		if m == row.Claim {
			return false
		}
		row.Claim, row.changed = m, true
		return true
	}
	w.slots[r.Counter] = append(rows, claimRow{Claim: r.Claim, kind: r.Kind, rule: r.Rule, day: r.Day, receivedMS: r.ReceivedMS, changed: true})
	return true
}

// rowOf is the claim that a record is merged into.
func (w *cardWork) rowOf(r Verified) claimRow {
	rows := w.slots[r.Counter]
	return rows[slices.IndexFunc(rows, func(row claimRow) bool { return row.Tap == r.Claim.Tap })]
}

// spend decides which claim each debit of the group counts for. All claims that prove one of them are in touched slots.
func (w *cardWork) spend(touched []uint32) {
	by := map[string][]*claimRow{}
	for _, counter := range touched {
		for i := range w.slots[counter] {
			if row := &w.slots[counter][i]; w.debits[row.Debit] {
				by[row.Debit] = append(by[row.Debit], row)
			}
		}
	}
	for _, rows := range by { // the debits do not touch each other, so their order does not matter
		claims := make([]shadowaccount.Claim, len(rows))
		for i, row := range rows {
			claims[i] = row.Claim
		}
		owner := shadowaccount.Spend(claims)
		for i, row := range rows {
			if spent := i != owner; row.Spent != spent {
				row.Spent, row.changed = spent, true
			}
		}
	}
}

// settle decides every touched slot, and writes claims, shadow balances and audits. The cards are taken in one order, so that a
// group has one form.
func (p *posting) settle(ctx context.Context) error {
	cards := make([]*cardWork, 0, len(p.cards))
	for _, w := range p.cards {
		cards = append(cards, w)
	}
	slices.SortFunc(cards, func(a, b *cardWork) int { return slices.Compare(a.number[:], b.number[:]) })
	for _, w := range cards {
		if err := p.settleCard(ctx, w); err != nil {
			return fmt.Errorf("card %v: %w", w.number, err)
		}
	}
	return nil
}

func (p *posting) settleCard(ctx context.Context, w *cardWork) error {
	loads, err := p.t.CardLoads(ctx, w.number)
	if err != nil {
		return err
	}
	explained := shadowaccount.ExplainedBy(loads)
	if w.chain == shadowaccount.Sparse { // any slot may be what one that is touched comes next to
		for counter := range w.slots {
			w.touched[counter] = true
		}
	}
	touched := make([]uint32, 0, len(w.touched))
	for counter := range w.touched {
		touched = append(touched, counter)
	}
	slices.Sort(touched)
	w.spend(touched)
	next := shadowaccount.Next{}
	for _, counter := range slices.Backward(touched) { // on a sparse chain the next slot is the nearest that something is known of
		if w.chain == shadowaccount.Dense {
			next = shadowaccount.Next{}
			if counter < math.MaxUint32 {
				next = shadowaccount.NextFrom(claimsOf(w.slots[counter+1]))
			}
		}
		if err := p.decide(w, w.slots[counter], next, explained); err != nil {
			return fmt.Errorf("counter %d: %w", counter, err)
		}
		if own := shadowaccount.NextFrom(claimsOf(w.slots[counter])); own.Known {
			next = own
			next.Apart = true
		}
		if err := p.t.writeClaims(ctx, w.number, counter, w.slots[counter]); err != nil {
			return err
		}
	}
	if err := p.t.moveShadow(ctx, w.number, w.change); err != nil {
		return err
	}
	return p.t.auditCard(ctx, w.number)
}

// decide sets the status of each claim of a slot, by what is known of the next one, and adds the lines and the shadow's change that follow.
func (p *posting) decide(w *cardWork, rows []claimRow, next shadowaccount.Next, explained shadowaccount.Explained) error {
	statuses := shadowaccount.Decide(claimsOf(rows), next, explained)
	for i := range rows {
		row := &rows[i]
		if row.status != statuses[i] {
			row.status, row.changed = statuses[i], true
		}
		if !row.changed {
			continue
		}
		lines, change, err := shadowaccount.Effects(row.was, row.wasStatus, row.Claim, row.status)
		if err != nil {
			return err
		}
		p.lines = append(p.lines, lines...)
		if w.change, err = w.change.Add(change); err != nil {
			return err
		}
	}
	return nil
}

func claimsOf(rows []claimRow) []shadowaccount.Claim {
	out := make([]shadowaccount.Claim, len(rows))
	for i, r := range rows {
		out[i] = r.Claim
	}
	return out
}

const (
	// newClaimColumns are those of a claim that comes; nothing is decided of it.
	newClaimColumns = `counter, terminal, epoch, tap, seq, at_ms, merchant, amount, before, after, said, proof, flags, debit, spent, status, kind, rule, day, received_ms`
	claimColumns    = newClaimColumns + `, decision`
)

func scanClaim(scan func(...any) error) (counter uint32, r claimRow, err error) {
	var epoch, amount, before, after int64
	var debit []byte
	if err := scan(&counter, &r.Tap.Terminal, &epoch, &r.Tap.Tap, &r.Seq, &r.At, &r.Merchant, &amount, &before, &after,
		&r.Said, &r.Proof, &r.Flags, &debit, &r.Spent, &r.status, &r.kind, &r.rule, &r.day, &r.receivedMS, &r.Decision); err != nil {
		return 0, r, err
	}
	r.Tap.Epoch, r.Debit = uint64(epoch), string(debit)
	r.Amount, r.Before, r.After = money.Minor(amount), money.Minor(before), money.Minor(after)
	r.was, r.wasStatus = r.Claim, r.status
	return counter, r, nil
}

// loadSlots reads the claims to the slots of a card from lo to hi, both included.
func (t *Tx) loadSlots(ctx context.Context, w *cardWork, lo, hi uint32) error {
	return t.rows(ctx, "claims", func(scan func(...any) error) error {
		counter, r, err := scanClaim(scan)
		if err != nil {
			return err
		}
		w.slots[counter] = append(w.slots[counter], r)
		return nil
	}, `SELECT `+claimColumns+` FROM claim WHERE card = ? AND counter BETWEEN ? AND ? ORDER BY counter, terminal, epoch, tap`, w.number[:], int64(lo), int64(hi))
}

// countersOfDebit lists the slots of a card with a claim that proves a debit.
func (t *Tx) countersOfDebit(ctx context.Context, n ids.CardNumber, debit string) ([]uint32, error) {
	var out []uint32
	err := t.rows(ctx, "claims of a debit", func(scan func(...any) error) error {
		var c uint32
		err := scan(&c)
		out = append(out, c)
		return err
	}, `SELECT counter FROM claim WHERE card = ? AND debit = ? AND debit <> `+t.dialect.noBytes()+` ORDER BY counter`, n[:], []byte(debit))
	return out, err
}

func (t *Tx) writeClaims(ctx context.Context, n ids.CardNumber, counter uint32, rows []claimRow) error {
	for _, r := range rows {
		if !r.changed {
			continue
		}
		if err := t.writeClaim(ctx, n, counter, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) writeClaim(ctx context.Context, n ids.CardNumber, counter uint32, r claimRow) error {
	_, err := t.exec(ctx, "write claim", `INSERT INTO claim (card, counter, terminal, epoch, tap, seq, at_ms, merchant, amount, before, after,
			said, proof, flags, debit, spent, status, kind, rule, day, received_ms, decision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (card, counter, terminal, epoch, tap) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms, amount = excluded.amount,
			before = excluded.before, after = excluded.after, said = excluded.said, proof = excluded.proof, flags = excluded.flags,
			debit = excluded.debit, spent = excluded.spent, status = excluded.status, received_ms = excluded.received_ms, decision = excluded.decision`,
		n[:], int64(counter), string(r.Tap.Terminal), int64(r.Tap.Epoch), r.Tap.Tap, r.Seq, r.At, string(r.Merchant), r.Amount.Minor(),
		r.Before.Minor(), r.After.Minor(), int(r.Said), int(r.Proof), int(r.Flags), []byte(r.Debit), r.Spent, int(r.status),
		r.kind, r.rule, r.day, r.receivedMS, int(r.Decision))
	return err
}
