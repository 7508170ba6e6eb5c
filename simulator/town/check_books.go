package town

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// account is the final reckoning, with every check there is. What it is held against is the truth from inside the cards and from
// the hands that paid, and the records as the terminals wrote them.
func (w *town) account() {
	w.checkQueues()
	w.checkAcknowledged()
	w.checkBooks("before the last day is closed")
	owed := w.checkCards()
	w.checkMoney(owed)
	w.checkFindings()
	w.closeDays(owed)
	w.checkBooks("after the last day is closed")
	w.pay()
	w.checkBooks("after the last day is paid")
	w.log.add(nobody, "all is accounted for: %d cards, %d terminals", len(w.riders), len(w.terminals))
}

// checkQueues: whole journals, nothing waiting, nothing given up.
func (w *town) checkQueues() {
	if left := w.underWay(); left != "" {
		w.fail("drain", nobody, "%s", left)
	}
	for _, m := range w.terminals {
		if err := m.journal.Verify(); err != nil {
			w.fail("sequence", nobody, "%s: %v", m.id, err)
		}
		m.compare(1)
		if s := m.sender.Stats(); s.Forged+s.Foreign+s.Quarantined+s.Gone > 0 {
			w.fail("uplink", nobody, "%s: %+v: receipts that are not its own, or records the backend cannot have", m.id, s)
		}
		if acked := m.journal.AckedSeq(); acked != uint64(len(m.written)) {
			w.fail("drain", nobody, "%s wrote %d records and has receipts for %d", m.id, len(m.written), acked)
		}
	}
	conflicts := 0
	w.backend.view(func(ctx context.Context, tx *store.Tx) (err error) {
		conflicts, err = tx.Tally(ctx, "conflicts")
		return err
	})
	if conflicts > 0 {
		w.fail("sequence", nobody, "the backend counted %d numbers with two contents", conflicts)
	}
}

// checkAcknowledged reads the records with a connection of its own, so that it believes the disk and not the store: what
// has a receipt is there, byte for byte, once, and nothing is there that no terminal wrote.
func (w *town) checkAcknowledged() {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: w.backend.path}).EscapedPath()+"?_pragma=query_only(1)")
	must(err)
	defer db.Close()
	rows, err := db.QueryContext(w.ctx, `SELECT terminal, seq, body, verdict FROM record ORDER BY terminal, epoch, seq`)
	must(err)
	defer rows.Close()
	kept := map[ids.TerminalID]map[uint64][]byte{}
	for rows.Next() {
		var terminal ids.TerminalID
		var seq uint64
		var body []byte
		var verdict sql.NullString
		must(rows.Scan(&terminal, &seq, &body, &verdict))
		if kept[terminal] == nil {
			kept[terminal] = map[uint64][]byte{}
		}
		if kept[terminal][seq] != nil {
			w.fail("acknowledged", nobody, "%s: record %d is in the store under two epochs", terminal, seq)
		}
		if !verdict.Valid {
			w.fail("drain", nobody, "%s: record %d is accepted and not posted", terminal, seq)
		}
		kept[terminal][seq] = body
	}
	must(rows.Err())
	for _, m := range w.terminals {
		for i, raw := range m.written {
			if !bytes.Equal(kept[m.id][uint64(i+1)], raw) {
				w.fail("acknowledged", nobody, "%s: record %d has its receipt, and the store holds %d bytes for it, not its %d", m.id, i+1, len(kept[m.id][uint64(i+1)]), len(raw))
			}
		}
		if len(kept[m.id]) != len(m.written) {
			w.fail("acknowledged", nobody, "%s wrote %d records, the store holds %d", m.id, len(m.written), len(kept[m.id]))
		}
	}
}

// checkBooks: what must hold of the books by themselves.
func (w *town) checkBooks(when string) {
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		total, err := books.Total(all)
		if err != nil {
			return err
		}
		if !total.IsZero() {
			w.fail("books", nobody, "%s the trial balance is off by %v", when, total)
		}
		faults, err := tx.VerifyBooks(ctx)
		if len(faults) > 0 {
			w.fail("books", nobody, "%s: %s", when, strings.Join(faults, "; "))
		}
		return err
	})
}

// owed is what the terminals' merchants must be owed, by the truth; open is what is claimed and nobody can know of.
type owed struct {
	posted map[ids.MerchantID]money.Amount
	open   map[ids.MerchantID]money.Amount
	orders map[topup.State]money.Amount
}

// checkCards holds each card against its shadow account, slot by slot.
func (w *town) checkCards() owed {
	o := owed{posted: map[ids.MerchantID]money.Amount{}, open: map[ids.MerchantID]money.Amount{}, orders: map[topup.State]money.Amount{}}
	for _, r := range w.riders {
		w.checkCard(r, o)
	}
	return o
}

// slot names a debit of a card by what a posting says of it.
type slot struct {
	counter  uint16
	terminal ids.TerminalID
	amount   money.Amount
}

func (w *town) checkCard(r *rider, o owed) {
	var taps []store.Tap
	w.backend.view(func(ctx context.Context, tx *store.Tx) (err error) {
		taps, err = tx.CardTaps(ctx, r.card.Number())
		return err
	})
	posted, open := map[slot]int{}, map[slot]int{}
	for _, t := range taps {
		s := slot{t.Counter, t.Tap.Terminal, t.Amount}
		switch t.Status {
		case shadowaccount.Stands, shadowaccount.Inferred:
			posted[s]++
			if t.Status == shadowaccount.Inferred {
				w.tally.Inferred++
			}
			o.posted[t.Merchant] = plus(o.posted[t.Merchant], t.Amount)
		case shadowaccount.Open:
			open[s]++
			w.tally.Open++
			o.open[t.Merchant] = plus(o.open[t.Merchant], t.Amount)
		case shadowaccount.Void:
		default:
			w.fail("posting", r.index, "counter %d: a tap of %s is %v, in an honest town", t.Counter, t.Tap.Terminal, t.Status)
		}
	}
	// Each debit that the card committed has one posting. Only while its rider stays away may it be an open question.
	unposted := money.Amount{}
	for _, d := range r.card.debits {
		s := slot{d.counter, w.terminals[d.terminal].id, d.amount}
		switch n := posted[s]; {
		case n > 1:
			w.fail("posting", r.index, "the debit of %v with counter %d at %s is posted %d times", d.amount, d.counter, s.terminal, n)
		case n == 1:
			posted[s]--
		case r.away && open[s] == 1:
			unposted = plus(unposted, d.amount)
		default:
			w.fail("posting", r.index, "the debit of %v with counter %d at %s is not posted; the card's taps: %s", d.amount, d.counter, s.terminal, describe(taps))
		}
	}
	for s, n := range posted {
		if n > 0 {
			w.fail("posting", r.index, "%v is posted with counter %d for %s, and the card has no such debit", s.amount, s.counter, s.terminal)
		}
	}
	if len(open) > 0 && !r.away {
		w.fail("posting", r.index, "the card came back, and there are still open taps: %s", describe(taps))
	}
	// Loads: what the card took is loaded or on its way, and nothing else is.
	unloaded := w.checkLoads(r, o)
	// So the shadow account is the card's balance, with every difference named.
	shadow := w.backend.cardOf(r.card.Number()).Shadow
	if want := less(plus(r.card.Balance(), unposted), unloaded); shadow != want {
		w.fail("shadow", r.index, "the shadow account holds %v, the card %v, %v of its debits are open and %v of its loads: want %v; %s",
			shadow, r.card.Balance(), unposted, unloaded, want, describe(taps))
	}
	if left := less(r.card.loaded, r.card.spent); left != r.card.Balance() {
		w.fail("value", r.index, "the card took %v, gave %v and holds %v", r.card.loaded, r.card.spent, r.card.Balance())
	}
}

// checkLoads holds a rider's sales against his card's loads, and returns the value on the card that the books have still
// in progress.
func (w *town) checkLoads(r *rider, o owed) (unloaded money.Amount) {
	loaded := money.Amount{}
	for _, s := range r.sales {
		if s.order == "" {
			w.fail("load", r.index, "sale %s was never booked", s.key)
		}
		order, err := w.backend.topup.Order(w.ctx, agent, s.order)
		must(err)
		if order.Amount != s.amount {
			w.fail("load", r.index, "sale %s was of %v, its order is of %v", s.key, s.amount, order.Amount)
		}
		o.orders[order.State] = plus(o.orders[order.State], order.Amount)
		switch order.State {
		case topup.Loaded:
			loaded = plus(loaded, order.Amount)
		case topup.InProgress, topup.Uncertain:
			w.tally.LoadsOpen++
			unloaded = plus(unloaded, order.Amount)
		case topup.Refunded:
			if !s.refunded {
				w.fail("load", r.index, "sale %s is refunded, and nobody did it", s.key)
			}
		}
		if open := order.State != topup.Loaded && order.State != topup.Refunded; open && !r.away {
			w.fail("load", r.index, "the card came back, and load %s is still %s", s.key, order.State)
		}
	}
	// Of what is in progress the card has taken all or nothing: a card has one open load at a time.
	switch onCard := less(r.card.loaded, loaded); {
	case onCard.IsZero():
		return money.Amount{}
	case onCard == unloaded:
		return unloaded
	default:
		w.fail("load", r.index, "the card took loads of %v; %v are booked as loaded and %v as under way", r.card.loaded, loaded, unloaded)
		return money.Amount{}
	}
}

// checkMoney: what riders paid is on cards, with merchants, or waits for its owner, in truth and in the books alike.
func (w *town) checkMoney(o owed) {
	paid, back, cards, spent := money.Amount{}, money.Amount{}, money.Amount{}, money.Amount{}
	for _, r := range w.riders {
		for _, s := range r.sales {
			paid = plus(paid, s.amount)
			if s.refunded {
				back = plus(back, s.amount)
			}
		}
		cards, spent = plus(cards, r.card.Balance()), plus(spent, r.card.spent)
	}
	waiting := less(less(less(paid, back), cards), spent)
	if waiting.Sign() < 0 {
		w.fail("value", nobody, "riders paid %v and have %v back, but cards hold %v and merchants took %v: value out of nothing", paid, back, cards, spent)
	}
	total := func(all map[ids.MerchantID]money.Amount) (sum money.Amount) {
		for _, a := range all {
			sum = plus(sum, a)
		}
		return sum
	}
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		balance := func(a books.Account) money.Amount {
			b, err := tx.Balance(ctx, a)
			must(err)
			return b
		}
		is := func(what string, got, want money.Amount) {
			if got != want {
				w.fail("value", nobody, "%s: the books hold %v, it must be %v", what, got, want)
			}
		}
		is("paid at kiosks", w.movedIn(ctx, tx), less(paid, back))
		is("paid and not under way", negative(balance(books.Funding)), o.orders[topup.Paid])
		is("loads under way", negative(balance(books.LoadInProgress)), plus(o.orders[topup.InProgress], o.orders[topup.Uncertain]))
		is("taps nobody knows of", balance(books.SuspUnknown), total(o.open))
		is("second debits of one counter", balance(books.SuspClone), money.Amount{})
		is("records whose TAC does not verify", balance(books.SuspBadTAC), money.Amount{})
		for _, m := range merchants {
			is("held for "+string(m.ID), negative(balance(books.MerchantHeld(m.ID))), o.open[m.ID])
		}
		// The float identity: on cards + under way + waiting = receivable − what is already the merchants'.
		owedToHolders := plus(plus(negative(balance(books.Float)), negative(balance(books.LoadInProgress))), negative(balance(books.Funding)))
		is("float identity", owedToHolders, less(less(paid, back), total(o.posted)))
		return nil
	})
	w.log.add(nobody, "paid %v, back %v, on cards %v, spent %v, waiting %v, open %v", paid, back, cards, spent, waiting, total(o.open))
}

// movedIn is what the agent owes for loads, in all: what he took less what he gave back.
func (w *town) movedIn(ctx context.Context, tx *store.Tx) money.Amount {
	sum, err := tx.MovedThrough(ctx, books.AcquirerSoldLoads(agent), "9999-12-31", "settle-")
	must(err)
	return sum
}

func negative(a money.Amount) money.Amount { return less(money.Amount{}, a) }

// checkFindings: in a town of honest people nothing is suspicious once all has arrived.
func (w *town) checkFindings() {
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Findings(ctx, "", 100)
		if err != nil {
			return err
		}
		for _, f := range found {
			r := w.riderOfToken(f.Token)
			if r != nil && r.away { // what his open taps and loads did is not known
				continue
			}
			index := nobody
			if r != nil {
				index = r.index
			}
			w.fail("finding", index, "%s at counter %d: %s, in an honest town", f.Code, f.Counter, f.Detail)
		}
		loads, err := tx.LoadFindings(ctx, "", 100)
		for _, f := range loads {
			w.fail("finding", nobody, "%s of order %s: %s, in an honest town", f.Code, f.Order, f.Detail)
		}
		return err
	})
}

func (w *town) riderOfToken(token string) *rider {
	for _, r := range w.riders {
		if store.Token(tokenKey, r.card.Number()) == token {
			return r
		}
	}
	return nil
}

// closeDays closes what is left, proves that every day sums to zero and that closing it again gives the same bytes, and
// holds what the days settled against the truth.
func (w *town) closeDays(o owed) {
	b := w.backend
	last := ""
	b.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TapsThrough(ctx, "9999-12-31")
		for _, t := range all {
			last = max(last, t.Day)
		}
		return err
	})
	today := w.clock.Now().In(w.zone).Format(time.DateOnly)
	if last > today {
		w.fail("settlement", nobody, "a tap is cleared on %s, and today is %s", last, today)
	}
	for day := opening.In(w.zone); ; day = day.AddDate(0, 0, 1) {
		name := day.Format(time.DateOnly)
		if name > today {
			break
		}
		if !slices.ContainsFunc(b.closed, func(o settlement.Output) bool { return o.Report.Day == name }) {
			b.closeDay(name)
		}
	}
	settled := map[ids.MerchantID]money.Amount{}
	for _, day := range b.closed {
		again, err := settlement.Close(w.ctx, b.store, day.Report.Day, settlement.Options{Now: w.clock.Now(), Location: w.zone})
		if err != nil {
			w.fail("settlement", nobody, "closing %s again: %v", day.Report.Day, err)
		}
		files, was := again.Files(), day.Files()
		if len(files) != len(was) {
			w.fail("settlement", nobody, "closing %s again gives %d files, not %d", day.Report.Day, len(files), len(was))
		}
		for i := range files {
			if files[i].Name != was[i].Name || !bytes.Equal(files[i].Body, was[i].Body) {
				w.fail("settlement", nobody, "closing %s again gives another %s", day.Report.Day, was[i].Name)
			}
		}
		if p := day.Report.Proof; !p.ZeroSum.IsZero() {
			w.fail("settlement", nobody, "day %s: its positions sum to %v: %s", day.Report.Day, p.ZeroSum, p.Identity)
		}
		for _, a := range day.Report.Acquirers {
			for _, m := range a.Merchants {
				id := ids.MerchantID(m.ID)
				settled[id] = plus(settled[id], plus(m.Accepted.Amount, m.Adjustments.Amount))
			}
		}
	}
	for _, m := range merchants {
		if settled[m.ID] != o.posted[m.ID] {
			w.fail("settlement", nobody, "merchant %s: all days settled %v, his taps are worth %v", m.ID, settled[m.ID], o.posted[m.ID])
		}
	}
}

// pay pays every closed day, and again: then nobody is owed anything but the holders, and the trust account holds that and
// what the scheme has earned.
func (w *town) pay() {
	b := w.backend
	for range 2 {
		for _, day := range b.closed {
			if err := settlement.Pay(w.ctx, b.store, day.Report.Day, "bank "+day.Report.Day, w.clock.Now()); err != nil {
				w.fail("settlement", nobody, "%v", err)
			}
		}
	}
	b.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		trust, holders, earned := money.Amount{}, money.Amount{}, money.Amount{}
		for _, a := range all {
			switch {
			case a.Account == books.Trust:
				trust = a.Amount
			case a.Account == books.Float || a.Account == books.Funding || a.Account == books.LoadInProgress:
				holders = less(holders, a.Amount)
			case a.Class == books.Income:
				earned = less(earned, a.Amount)
			case a.Class == books.Suspense || strings.HasSuffix(string(a.Account), ":held"):
			case !a.Amount.IsZero():
				w.fail("settlement", nobody, "every day is paid, and %s holds %v", a.Account, a.Amount)
			}
		}
		if want := plus(holders, earned); trust != want {
			w.fail("value", nobody, "every day is paid: the trust account holds %v; holders are owed %v and %v is earned", trust, holders, earned)
		}
		return nil
	})
}

// describe lists a card's taps as the backend has them.
func describe(taps []store.Tap) string {
	var out []string
	for _, t := range taps {
		out = append(out, fmt.Sprintf("%d: %s/%d %v of %v, before %v, said %d, proof %d", t.Counter, t.Tap.Terminal, t.Tap.Tap, t.Status, t.Amount, t.Before, t.Said, t.Proof))
	}
	return strings.Join(out, "\n  ")
}
