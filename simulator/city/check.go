package city

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// close holds the backend against the cards, closes the day, closes it again, and tells the story.
func (c *City) close(ctx context.Context) (Story, error) {
	t := c.tally
	s := Story{
		Version: StoryVersion, Seed: c.cfg.Seed, Cards: len(c.riders), Taps: t.taps, Presentations: t.presentations, Outcomes: t.outcomes,
		Torn: t.torn, Recovered: t.recovered, Voided: t.voided, Killed: t.kills, ModemDead: string(t.modemDead), ModemBacklog: t.modemBacklog,
		DuplicatesSent: t.duplicatesSent, DuplicatesIgnored: t.duplicatesIgnored, Loads: t.loads, LoadsTorn: t.loadsTorn,
		Phones: t.online, BankCards: t.bankCards, PhonesAsked: c.online.asked, NotificationsBad: t.forged,
		DoubleCharged: t.doubleCharged, PassedUnpaid: t.passedUnpaid, Findings: map[string]int{}, Faults: []string{}, Day: c.today(),
	}
	if err := c.compare(ctx, &s); err != nil {
		return s, err
	}
	out, err := c.node.Settle(ctx, s.Day)
	if err != nil {
		return s, err
	}
	again, err := c.node.Settle(ctx, s.Day)
	if err != nil {
		return s, err
	}
	s.Digest, s.Settled, s.Repeated = out.Digest, settledLines(out.Report), true
	for i, f := range out.Files() {
		s.Repeated = s.Repeated && bytes.Equal(f.Body, again.Files()[i].Body)
	}
	if !out.Report.Proof.ZeroSum.IsZero() {
		s.Faults = append(s.Faults, fmt.Sprintf("the settlement does not sum to zero: %v", out.Report.Proof.ZeroSum))
	}
	if err := c.node.Store().View(ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(ctx)
		s.Faults = append(s.Faults, faults...)
		return err
	}); err != nil {
		return s, err
	}
	s.Conserved = len(s.Faults) == 0
	return s, nil
}

// compare holds what the cards say against what the backend has.
func (c *City) compare(ctx context.Context, s *Story) error {
	return c.node.Store().View(ctx, func(tx *store.Tx) error {
		add := func(to *money.Amount, a money.Amount) (err error) { *to, err = to.Add(a); return err }
		for _, r := range c.riders {
			card, err := tx.CardByNumber(ctx, r.card.Number())
			if err != nil {
				return err
			}
			if card.Shadow != r.card.Balance() {
				s.ShadowMismatches++
			}
			taps, err := tx.CardTaps(ctx, r.card.Number())
			if err != nil {
				return err
			}
			s.count(r, taps)
			spent, err := r.spent()
			if err != nil {
				return err
			}
			for to, a := range map[*money.Amount]money.Amount{&s.Loaded: r.loaded, &s.Sums.OnCards: r.card.Balance(), &s.Sums.Debited: spent, &s.Sums.Shadow: card.Shadow} {
				if err := add(to, a); err != nil {
					return err
				}
			}
		}
		found, err := tx.Findings(ctx, "", 100_000)
		if err != nil {
			return err
		}
		for _, f := range found {
			s.Findings[string(f.Code)]++
		}
		loads, err := tx.LoadFindings(ctx, "", 100_000)
		if err != nil {
			return err
		}
		for _, f := range loads {
			s.Findings[f.Code]++
		}
		balances, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		return errors.Join(c.funded(s, balances), s.sum(balances))
	})
}

// funded holds what each channel's own books say against the gateway's orders, our books, and the cards.
func (c *City) funded(s *Story, balances []books.Balance) (err error) {
	for _, w := range c.online.channels {
		f := Funded{Channel: w.account, Loads: len(w.numbers), Paid: w.paid, Loaded: w.loaded, Booked: w.fees}
		var charged int64
		for _, n := range w.numbers {
			times, taken, back := w.booked(n)
			f.Charges += times
			charged += taken - back
		}
		f.Charged = money.Minor(charged)
		for _, b := range balances {
			if b.Account == books.Channel(w.account) {
				if f.Booked, err = f.Booked.Add(b.Amount); err != nil {
					return err
				}
			}
		}
		if !f.agrees() {
			s.Faults = append(s.Faults, fmt.Sprintf("%s: charged %v in %d charges, paid %v for %d loads, booked %v, on cards %v", f.Channel, f.Charged, f.Charges, f.Paid, f.Loads, f.Booked, f.Loaded))
		}
		s.Funded = append(s.Funded, f)
	}
	return nil
}

// count holds a card's own debits against its taps: each has exactly one that counts, over the same amount.
func (s *Story) count(r *rider, taps []store.Tap) {
	standing := map[uint32][]money.Amount{}
	for _, t := range taps {
		switch t.Status {
		case shadowaccount.Open:
			s.Unknown++
		case shadowaccount.Inferred:
			s.Inferred++
		}
		if t.Status.Occupies() {
			standing[t.Counter] = append(standing[t.Counter], t.Amount)
		}
	}
	for _, d := range r.debits {
		if got := standing[uint32(d.counter)]; len(got) != 1 || got[0] != d.amount {
			s.Lost++
			s.Faults = append(s.Faults, fmt.Sprintf("card %v, debit %d of %v: counted as %v", r.card.Number(), d.counter, d.amount, got))
		}
		delete(standing, uint32(d.counter))
	}
	for counter, got := range standing {
		s.Faults = append(s.Faults, fmt.Sprintf("card %v: a debit %d of %v is counted that the card did not make", r.card.Number(), counter, got))
	}
}

// sum reads the books and checks the sums.
func (s *Story) sum(balances []books.Balance) error {
	m := &s.Sums
	m.Loaded = s.Loaded
	sold := books.AcquirerSoldLoads(ids.AcquirerID(agentOfLoad))
	for _, b := range balances {
		name := string(b.Account)
		to, owed := (*money.Amount)(nil), true
		switch {
		case b.Account == books.Float:
			to = &m.Float
		case b.Account == books.LoadInProgress:
			to = &m.InFlight
		case b.Account == books.Funding:
			to = &m.Funding
		case b.Account == sold:
			to, owed = &m.Agents, false
		case b.Account == books.FeeChannel || strings.HasPrefix(name, "channel:"):
			to, owed = &m.Channels, false
		case strings.HasSuffix(name, ":pending"):
			to = &m.Merchants
		case strings.HasSuffix(name, ":held"):
			to = &m.Held
		}
		var err error
		if m.Trial, err = m.Trial.Add(b.Amount); err != nil {
			return err
		}
		if to == nil {
			continue
		}
		a := b.Amount
		if owed { // what is owed stands in the books as a credit, less than zero
			if a, err = a.Neg(); err != nil {
				return err
			}
		}
		if *to, err = to.Add(a); err != nil {
			return err
		}
	}
	whole, err := m.OnCards.Add(m.Debited)
	if err != nil {
		return err
	}
	paid, err := m.Agents.Add(m.Channels)
	if err != nil {
		return err
	}
	for _, must := range []struct {
		what string
		a, b money.Amount
	}{
		{"loaded = on cards + debited", m.Loaded, whole},
		{"on cards = shadow accounts", m.OnCards, m.Shadow},
		{"shadow accounts = float", m.Shadow, m.Float},
		{"debited = earned by merchants", m.Debited, m.Merchants},
		{"loaded = with agents + with channels", m.Loaded, paid},
		{"nothing in flight", m.InFlight, money.Amount{}},
		{"nothing paid and not loaded", m.Funding, money.Amount{}},
		{"the trial balance is zero", m.Trial, money.Amount{}},
	} {
		if must.a != must.b {
			s.Faults = append(s.Faults, fmt.Sprintf("%s: %v is not %v", must.what, must.a, must.b))
		}
	}
	return nil
}
