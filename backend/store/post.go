package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Verified is a record whose TAC was looked at: a claim to a slot of a card.
type Verified struct {
	Pending
	Card    ids.CardNumber
	Issuer  [8]byte
	Levels  int
	Counter uint16
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

type slotKey struct {
	card    ids.CardNumber
	counter uint16
}

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
	isNew     bool
}

// PostGroup posts verified records: it merges each into its slot's claims, decides every slot touched and the one before
// it, and books the differences in one entry. Posting a record again changes nothing.
func (t *Tx) PostGroup(ctx context.Context, g Group, records []Verified) error {
	slots := map[slotKey][]claimRow{}
	touched := map[slotKey]bool{}
	load := func(k slotKey) error {
		if _, ok := slots[k]; ok {
			return nil
		}
		rows, err := t.claims(ctx, k)
		slots[k] = rows
		return err
	}
	var order []slotKey // first touched first, so that a group's entry has one form
	touch := func(k slotKey) error {
		if !touched[k] {
			touched[k] = true
			order = append(order, k)
		}
		return load(k)
	}
	for _, r := range records {
		k := slotKey{r.Card, r.Counter}
		if err := touch(k); err != nil {
			return err
		}
		slots[k] = merge(slots[k], r)
		if k.counter > 0 {
			if err := touch(slotKey{r.Card, r.Counter - 1}); err != nil {
				return err
			}
		}
	}
	loads := map[ids.CardNumber][]shadowaccount.Load{}
	var lines []books.Line
	change := map[ids.CardNumber]money.Amount{}
	for _, k := range order {
		if _, ok := loads[k.card]; !ok {
			l, err := t.CardLoads(ctx, k.card)
			if err != nil {
				return err
			}
			loads[k.card] = l
		}
		next := slotKey{k.card, k.counter + 1}
		if k.counter < 0xFFFF {
			if err := load(next); err != nil {
				return err
			}
		}
		ls, delta, err := decide(slots[k], slots[next], shadowaccount.ExplainedBy(loads[k.card]))
		if err != nil {
			return fmt.Errorf("card %v counter %d: %w", k.card, k.counter, err)
		}
		lines = append(lines, ls...)
		if change[k.card], err = change[k.card].Add(delta); err != nil {
			return err
		}
	}
	if err := t.registerStrangers(ctx, g, records, change); err != nil {
		return err
	}
	for _, k := range order {
		if err := t.writeClaims(ctx, k, slots[k]); err != nil {
			return err
		}
	}
	cards := make([]ids.CardNumber, 0, len(change))
	for n := range change {
		cards = append(cards, n)
	}
	slices.SortFunc(cards, func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) })
	for _, n := range cards {
		if err := t.moveShadow(ctx, n, change[n]); err != nil {
			return err
		}
		if err := t.auditCard(ctx, n); err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := t.SetVerdict(ctx, r.Pending, verdictOf(slots[slotKey{r.Card, r.Counter}], r), r.Reason); err != nil {
			return err
		}
	}
	return t.closeGroup(ctx, g, lines, len(records))
}

// merge puts a record's claim among the slot's: its tap's stronger claim counts.
func merge(rows []claimRow, r Verified) []claimRow {
	for i := range rows {
		if rows[i].Tap != r.Claim.Tap {
			continue
		}
		if s := shadowaccount.Stronger(rows[i].Claim, r.Claim); s != rows[i].Claim {
			rows[i].Claim, rows[i].changed = s, true
		}
		return rows
	}
	return append(rows, claimRow{Claim: r.Claim, kind: r.Kind, rule: r.Rule, day: r.Day, receivedMS: r.ReceivedMS, isNew: true, changed: true})
}

func claimsOf(rows []claimRow) []shadowaccount.Claim {
	out := make([]shadowaccount.Claim, len(rows))
	for i, r := range rows {
		out[i] = r.Claim
	}
	return out
}

// decide sets the status of each claim of a slot and returns the lines and the shadow's change that follow.
func decide(rows, next []claimRow, explained shadowaccount.Explained) ([]books.Line, money.Amount, error) {
	statuses := shadowaccount.Decide(claimsOf(rows), shadowaccount.NextFrom(claimsOf(next)), explained)
	var lines []books.Line
	var change money.Amount
	for i := range rows {
		row := &rows[i]
		if row.status != statuses[i] {
			row.status, row.changed = statuses[i], true
		}
		if !row.changed {
			continue
		}
		ls, delta, err := shadowaccount.Effects(row.was, row.wasStatus, row.Claim, row.status)
		if err != nil {
			return nil, money.Amount{}, err
		}
		lines = append(lines, ls...)
		if change, err = change.Add(delta); err != nil {
			return nil, money.Amount{}, err
		}
		row.was, row.wasStatus = row.Claim, row.status
	}
	return lines, change, nil
}

// verdictOf words what became of a record: its own claim's status, or SAME where another record speaks for the tap.
func verdictOf(rows []claimRow, r Verified) string {
	for _, row := range rows {
		if row.Tap == r.Claim.Tap {
			if row.Seq != r.Claim.Seq {
				return "superseded"
			}
			return row.status.String()
		}
	}
	return shadowaccount.Nothing.String()
}

func (t *Tx) claims(ctx context.Context, k slotKey) ([]claimRow, error) {
	var out []claimRow
	err := t.rows(ctx, "claims", func(scan func(...any) error) error {
		var r claimRow
		var epoch, amount, before, after int64
		if err := scan(&r.Tap.Terminal, &epoch, &r.Tap.Tap, &r.Seq, &r.At, &r.Merchant, &amount, &before, &after,
			&r.Said, &r.Proof, &r.status, &r.kind, &r.rule, &r.day, &r.receivedMS); err != nil {
			return err
		}
		r.Tap.Epoch = uint64(epoch)
		r.Amount, r.Before, r.After = money.Minor(amount), money.Minor(before), money.Minor(after)
		r.was, r.wasStatus = r.Claim, r.status
		out = append(out, r)
		return nil
	}, `SELECT terminal, epoch, tap, seq, at_ms, merchant, amount, before, after, said, proof, status, kind, rule, day, received_ms
		FROM claim WHERE card = ? AND counter = ? ORDER BY terminal, epoch, tap`, k.card[:], int(k.counter))
	return out, err
}

func (t *Tx) writeClaims(ctx context.Context, k slotKey, rows []claimRow) error {
	for _, r := range rows {
		if !r.changed {
			continue
		}
		if _, err := t.exec(ctx, "write claim", `INSERT INTO claim (card, counter, terminal, epoch, tap, seq, at_ms, merchant, amount, before, after,
			said, proof, status, kind, rule, day, received_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (card, counter, terminal, epoch, tap) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms, amount = excluded.amount,
			before = excluded.before, after = excluded.after, said = excluded.said, proof = excluded.proof, status = excluded.status`,
			k.card[:], int(k.counter), string(r.Tap.Terminal), int64(r.Tap.Epoch), r.Tap.Tap, r.Seq, r.At, string(r.Merchant), r.Amount.Minor(),
			r.Before.Minor(), r.After.Minor(), int(r.Said), int(r.Proof), int(r.status), r.kind, r.rule, r.day, r.receivedMS); err != nil {
			return err
		}
	}
	return nil
}

// registerStrangers makes rows for cards whose claims count and that we never issued: the terminal's merchant is owed
// whatever our keys verify, and the audit raises the alarm.
func (t *Tx) registerStrangers(ctx context.Context, g Group, records []Verified, change map[ids.CardNumber]money.Amount) error {
	seen := map[ids.CardNumber]bool{}
	for _, r := range records {
		if seen[r.Card] || change[r.Card].IsZero() {
			continue
		}
		seen[r.Card] = true
		_, err := t.CardByNumber(ctx, r.Card)
		if errors.Is(err, ErrNotFound) {
			err = t.IssueCard(ctx, Card{Number: r.Card, Token: g.Token(r.Card), Issuer: r.Issuer, Levels: r.Levels, Status: CardUnknown, OpeningCounter: r.Counter})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// closeGroup writes the group's one entry and chains it to the group before it.
func (t *Tx) closeGroup(ctx context.Context, g Group, lines []books.Line, records int) error {
	var number int64
	prev := ""
	if _, err := t.one(ctx, "last group", `SELECT number, hash FROM posting_group ORDER BY number DESC LIMIT 1`, nil, &number, &prev); err != nil {
		return err
	}
	number++
	e, err := books.Entry{ID: "group-" + strconv.FormatInt(number, 10), Kind: "records", Day: g.Day, Lines: lines}.Compact()
	if err != nil {
		return err
	}
	if err := t.Post(ctx, e); err != nil {
		return err
	}
	digest := e.Digest()
	_, err = t.exec(ctx, "chain group", `INSERT INTO posting_group (number, entry, digest, lines, records, prev_hash, hash, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		number, e.ID, digest, len(e.Lines), records, prev, groupHash(prev, number, digest), g.AtMS)
	return err
}

func groupHash(prev string, number int64, digest string) string {
	h := sha256.Sum256([]byte(prev + "\n" + strconv.FormatInt(number, 10) + "\n" + digest))
	return hex.EncodeToString(h[:])
}

// verifyGroups recomputes the chain of posting groups and each group's digest from its journal entry.
func (t *Tx) verifyGroups(ctx context.Context) ([]string, error) {
	type row struct {
		number              int64
		lines               int
		entry, digest, p, h string
	}
	var all []row
	if err := t.rows(ctx, "groups", func(scan func(...any) error) error {
		var r row
		err := scan(&r.number, &r.lines, &r.entry, &r.digest, &r.p, &r.h)
		all = append(all, r)
		return err
	}, `SELECT number, lines, entry, digest, prev_hash, hash FROM posting_group ORDER BY number`); err != nil {
		return nil, err
	}
	var faults []string
	prev := ""
	for i, r := range all {
		if r.number != int64(i+1) || r.p != prev || r.h != groupHash(prev, r.number, r.digest) {
			faults = append(faults, fmt.Sprintf("posting group %d: the chain is broken", r.number))
		}
		prev = r.h
		e := books.Entry{ID: r.entry}
		found, err := t.one(ctx, "group entry", `SELECT kind, day, ref FROM journal_entry WHERE id = ?`, []any{r.entry}, &e.Kind, &e.Day, &e.Ref)
		if err != nil {
			return nil, err
		}
		if !found && r.lines == 0 {
			continue // a group that moved nothing has no entry
		}
		if err := t.rows(ctx, "group lines", func(scan func(...any) error) error {
			var l books.Line
			var minor int64
			err := scan(&l.Account, &minor)
			l.Amount = money.Minor(minor)
			e.Lines = append(e.Lines, l)
			return err
		}, `SELECT account, amount FROM journal_line WHERE entry = ? ORDER BY line`, r.entry); err != nil {
			return nil, err
		}
		if e.Digest() != r.digest {
			faults = append(faults, fmt.Sprintf("posting group %d: its entry was changed", r.number))
		}
	}
	return faults, nil
}
