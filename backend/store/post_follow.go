package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Most records are the plain case: a proved debit that comes after all that is known of its card. What such a record does follows from the card's row
// and, where the balance rose, its loads; the claims before it are neither read nor changed. A group's cards with nothing but such records are followed here, in
// three steps over all of them: read, decide, write. The others go the long way (posting), which reads every claim that may matter.

// head is a card's row as far as following needs it.
type head struct {
	number    ids.CardNumber
	issued    bool
	chain     shadowaccount.Chain
	shadow    money.Amount
	blockedMS int64
	missing   int
	end       shadowaccount.End
}

// follower is a card whose records of the group all follow, and what comes of them.
type follower struct {
	head
	records []*Verified             // by counter
	debits  []shadowaccount.Counted // theirs
	audit   shadowaccount.Audit
	missing int // more than before
	change  money.Amount
	lines   []books.Line
}

// follow posts the records that follow, and returns the others with the cards that were followed.
func (p *posting) follow(ctx context.Context, records []Verified) (rest []Verified, followed map[ids.CardNumber]*follower, err error) {
	byCard, numbers := cardsOf(records)
	heads, err := p.t.heads(ctx, numbers)
	if err != nil {
		return nil, nil, err
	}
	rivals, err := p.t.cardsWithDebits(ctx, records)
	if err != nil {
		return nil, nil, err
	}
	var all []*follower
	var asking []ids.CardNumber
	for _, n := range numbers {
		h, known := heads[n]
		if !known || rivals[n] || h.end.LoadsFrom < 0 {
			continue
		}
		if debits, ok := inOrder(byCard[n]); ok {
			all = append(all, &follower{head: h, records: byCard[n], debits: debits})
			if h.end.Asks(debits) {
				asking = append(asking, n)
			}
		}
	}
	loads, err := p.t.loadsOf(ctx, asking)
	if err != nil {
		return nil, nil, err
	}
	followed = make(map[ids.CardNumber]*follower, len(all))
	for _, f := range all {
		above := slices.DeleteFunc(loads[f.number], func(l shadowaccount.Load) bool { return int(l.Counter) < f.end.LoadsFrom })
		ok, err := f.decide(above)
		if err != nil {
			return nil, nil, fmt.Errorf("card %v: %w", f.number, err)
		}
		if ok {
			followed[f.number] = f
			p.lines = append(p.lines, f.lines...)
		}
	}
	all = slices.DeleteFunc(all, func(f *follower) bool { return followed[f.number] == nil })
	for _, r := range records {
		if followed[r.Card] == nil {
			rest = append(rest, r)
		}
	}
	return rest, followed, p.t.writeFollowers(ctx, all)
}

// cardsOf are the records of each card, and the cards by number.
func cardsOf(records []Verified) (map[ids.CardNumber][]*Verified, []ids.CardNumber) {
	all := make([]*Verified, len(records))
	for i := range records {
		all[i] = &records[i]
	}
	slices.SortStableFunc(all, func(a, b *Verified) int { return bytes.Compare(a.Card[:], b.Card[:]) })
	by := make(map[ids.CardNumber][]*Verified, len(all))
	numbers := make([]ids.CardNumber, 0, len(all))
	for first := 0; first < len(all); {
		n, end := all[first].Card, first+1
		for end < len(all) && all[end].Card == n {
			end++
		}
		by[n], numbers, first = all[first:end], append(numbers, n), end
	}
	return by, numbers
}

// inOrder sorts a card's records by counter and makes them claims that stand. It is not ok where two may be about one slot, or one debit.
func inOrder(records []*Verified) ([]shadowaccount.Counted, bool) {
	slices.SortFunc(records, func(a, b *Verified) int { return cmp.Compare(a.Counter, b.Counter) })
	out := make([]shadowaccount.Counted, len(records))
	for i, r := range records {
		if i > 0 && records[i-1].Counter == r.Counter {
			return nil, false
		}
		for _, before := range records[:i] {
			if r.Claim.Debit != "" && before.Claim.Debit == r.Claim.Debit {
				return nil, false
			}
		}
		out[i] = shadowaccount.Counted{Counter: r.Counter, Claim: r.Claim, Status: shadowaccount.Stands}
	}
	return out, true
}

// decide is pure: it says what a card's debits do, if they follow, with its loads that no balance has shown yet.
func (f *follower) decide(loads []shadowaccount.Load) (bool, error) {
	for _, d := range f.debits {
		lines, change, err := shadowaccount.Effects(shadowaccount.Claim{}, shadowaccount.Nothing, d.Claim, d.Status)
		if err != nil {
			return false, err
		}
		if f.change, err = f.change.Add(change); err != nil {
			return false, err
		}
		f.lines = append(f.lines, lines...)
	}
	shadow, err := f.shadow.Add(f.change)
	if err != nil {
		return false, err
	}
	card := shadowaccount.Card{Issued: f.issued, Shadow: shadow, BlockedAt: f.blockedMS, Chain: f.chain}
	audit, ok, err := f.end.Extend(card, f.debits, loads)
	f.audit = audit
	for _, g := range audit.Gaps {
		f.missing += g.Missing(f.chain)
	}
	return ok && f.head.shadow.Sign() >= 0, err
}

const headColumns = `number, status, family, shadow, blocked_ms, complete, next, tail, missing, loads_from`

// readAtOnce is how many rows a statement looks for on SQLite: one costs more to begin than to find a row.
const readAtOnce = 32

var headsQuery = `SELECT ` + headColumns + ` FROM card WHERE number IN (` + strings.Repeat("?, ", readAtOnce-1) + `?)`

var debitsQuery = `SELECT card FROM claim WHERE debit <> ` + sqlite.noBytes() + ` AND (card, debit) IN (VALUES ` + strings.Repeat("(?, ?), ", readAtOnce-1) + `(?, ?))`

func scanHead(scan func(...any) error) (head, error) {
	var h head
	var number []byte
	var status, family string
	var shadow, tail int64
	if err := scan(&number, &status, &family, &shadow, &h.blockedMS, &h.end.Complete, &h.end.Next, &tail, &h.missing, &h.end.LoadsFrom); err != nil {
		return head{}, err
	}
	copy(h.number[:], number)
	h.issued, h.chain = status != CardUnknown, shadowaccount.ChainOf(family)
	h.shadow, h.end.Tail = money.Minor(shadow), money.Minor(tail)
	return h, nil
}

// heads reads the rows of cards, many a statement.
func (t *Tx) heads(ctx context.Context, numbers []ids.CardNumber) (map[ids.CardNumber]head, error) {
	out := make(map[ids.CardNumber]head, len(numbers))
	each := func(scan func(...any) error) error {
		h, err := scanHead(scan)
		out[h.number] = h
		return err
	}
	if t.dialect == postgres {
		return out, t.eachHeadAtOnce(ctx, numbers, each)
	}
	for part := range slices.Chunk(numbers, readAtOnce) {
		args := make([]any, readAtOnce)
		for i := range args {
			args[i] = part[min(i, len(part)-1)][:] // the last again where there are fewer: one text, one statement
		}
		if err := t.rows(ctx, "cards of a group", each, headsQuery, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cardsWithDebits are the cards of records whose debit another record has proved already.
func (t *Tx) cardsWithDebits(ctx context.Context, records []Verified) (map[ids.CardNumber]bool, error) {
	if t.dialect == postgres {
		return t.cardsWithDebitsAtOnce(ctx, records)
	}
	var proving []*Verified
	for i := range records {
		if records[i].Claim.Debit != "" {
			proving = append(proving, &records[i])
		}
	}
	out := map[ids.CardNumber]bool{}
	for part := range slices.Chunk(proving, readAtOnce) {
		args := make([]any, 0, 2*readAtOnce)
		for i := range readAtOnce {
			r := part[min(i, len(part)-1)]
			args = append(args, r.Card[:], []byte(r.Claim.Debit))
		}
		err := t.rows(ctx, "debits of a group", func(scan func(...any) error) error {
			var card []byte
			err := scan(&card)
			out[numberFrom(card)] = true
			return err
		}, debitsQuery, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// loadsOf lists the loads of cards, each card's by online counter.
func (t *Tx) loadsOf(ctx context.Context, numbers []ids.CardNumber) (map[ids.CardNumber][]shadowaccount.Load, error) {
	if t.dialect == postgres {
		return t.loadsOfAtOnce(ctx, numbers)
	}
	out := make(map[ids.CardNumber][]shadowaccount.Load, len(numbers))
	for _, n := range numbers {
		var err error
		if out[n], err = t.CardLoads(ctx, n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// writeFollowers writes what came of the cards that were followed.
func (t *Tx) writeFollowers(ctx context.Context, all []*follower) error {
	write := t.writeFollowersInTurn
	if t.dialect == postgres {
		write = t.writeFollowersAtOnce
	}
	if err := write(ctx, all); err != nil {
		return err
	}
	for _, f := range all {
		for _, x := range f.audit.Findings {
			if err := t.addFinding(ctx, f.number, x); err != nil {
				return err
			}
		}
		for _, g := range f.audit.Gaps {
			if err := t.addGap(ctx, f.number, g); err != nil {
				return err
			}
		}
		for _, counter := range f.audit.Explained {
			if _, err := t.exec(ctx, "explain load", `UPDATE card_load SET explained = 1 WHERE card = ? AND counter = ?`, f.number[:], int(counter)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFollowersInTurn writes claims and cards row by row: in process that is as quick as one statement for many.
func (t *Tx) writeFollowersInTurn(ctx context.Context, all []*follower) error {
	for _, f := range all {
		for _, r := range f.records {
			if err := t.writeClaim(ctx, f.number, r.Counter, claimRow{Claim: r.Claim, status: shadowaccount.Stands, kind: r.Kind, rule: r.Rule, day: r.Day, receivedMS: r.ReceivedMS}); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, "move card on", `UPDATE card SET shadow = shadow + ?, complete = ?, next = ?, tail = ?, missing = ?, loads_from = ? WHERE number = ?`,
			f.change.Minor(), int64(f.audit.Complete), int64(f.audit.Next), f.audit.Tail.Minor(), f.head.missing+f.missing, f.audit.LoadsFrom, f.number[:]); err != nil {
			return err
		}
	}
	return nil
}

// unsettleAudit makes the next audit of a card begin with its first debit, if balances have shown loads up to the one given, which has come, gone or
// changed its amount.
func (t *Tx) unsettleAudit(ctx context.Context, n ids.CardNumber, counter uint16, amount money.Amount) error {
	above := int64(counter)
	if amount.Sign() < 0 {
		above = -1
	}
	_, err := t.exec(ctx, "unsettle audit", `UPDATE card SET loads_from = -1 WHERE number = ? AND loads_from > ?`, n[:], above)
	return err
}

// unhurried is ctx without its end, on SQLite: each statement of a context that may end starts goroutines that wait for it, and a group takes hundredths of a
// second. The transaction as a whole still ends with it.
func (t *Tx) unhurried(ctx context.Context) context.Context {
	if t.dialect == sqlite {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
