package settlement

import (
	"encoding/json"
	"fmt"
	"sort"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
	"github.com/purselane/purselane/shadowaccount/netting"
)

// Frozen is all that the report of a day follows from. It is what the store keeps of a closed day.
type Frozen struct {
	Day, Term, Due string
	Parties        []store.PartyDay // by kind and name; Net is not read
	Items          []store.Item     // in the store's order
	Held           []store.Item     // suspect when the day closed, of all days
}

// The kinds of party as the store keeps them.
const (
	partyAcquirer = string(netting.KindAcquirer)
	partyChannel  = string(netting.KindChannel)
)

// Report works the day out. It is pure: the same frozen day gives the same report, always.
func (f Frozen) Report() (Report, error) {
	r := Report{Format: "purselane-settlement", Version: Version, Day: f.Day, Term: f.Term, Due: f.Due,
		Acquirers: []AcquirerSection{}, Channels: []ChannelSection{}}
	byAcquirer := map[ids.AcquirerID][]store.Item{}
	known := map[ids.AcquirerID]bool{}
	for _, i := range f.Items {
		byAcquirer[i.Acquirer] = append(byAcquirer[i.Acquirer], i)
	}
	held := map[ids.AcquirerID][]store.Item{}
	for _, i := range f.Held {
		held[i.Acquirer] = append(held[i.Acquirer], i)
	}
	var acquirers []netting.Acquirer
	var channels []netting.Channel
	for _, p := range f.Parties {
		standards, err := standardsOf(p)
		if err != nil {
			return Report{}, err
		}
		switch p.Kind {
		case partyAcquirer:
			id := ids.AcquirerID(p.Party)
			known[id] = true
			s, err := acquirerSection(p, standards, byAcquirer[id], held[id])
			if err != nil {
				return Report{}, fmt.Errorf("settlement: acquirer %s: %w", p.Party, err)
			}
			r.Acquirers = append(r.Acquirers, s)
			acquirers = append(acquirers, s.netting())
		case partyChannel:
			s, c, err := channelSection(p, standards)
			if err != nil {
				return Report{}, fmt.Errorf("settlement: channel %s: %w", p.Party, err)
			}
			r.Channels = append(r.Channels, s)
			channels = append(channels, c)
		default:
			return Report{}, fmt.Errorf("settlement: party %s of kind %q", p.Party, p.Kind)
		}
	}
	for id := range byAcquirer {
		if !known[id] {
			return Report{}, fmt.Errorf("settlement: an item of acquirer %q, which is no party of %s", id, f.Day)
		}
	}
	net, err := netting.Net(acquirers, channels)
	if err != nil {
		return Report{}, fmt.Errorf("settlement: %s: %w", f.Day, err)
	}
	return r, r.conclude(net)
}

// netting is the section as netting takes it.
func (a AcquirerSection) netting() netting.Acquirer {
	out := netting.Acquirer{ID: ids.AcquirerID(a.ID), Accepted: a.Accepted.Amount, Adjustments: a.Adjustments.Amount, Fees: a.Fees.Total, SoldLoads: a.SoldLoads}
	for _, m := range a.Merchants {
		out.Merchants = append(out.Merchants, netting.Merchant{ID: ids.MerchantID(m.ID), Accepted: m.Accepted.Amount, Adjustments: m.Adjustments.Amount, Fees: m.Fees.Total})
	}
	return out
}

// conclude puts the positions, the totals and the proof in.
func (r *Report) conclude(net netting.Result) error {
	position, merchant := map[string]money.Amount{}, map[string]money.Amount{}
	for _, p := range net.Positions {
		position[string(p.Kind)+" "+p.Party] = p.Net
	}
	for _, m := range net.Merchants {
		merchant[string(m.Acquirer)+" "+string(m.Merchant)] = m.Net
	}
	var s sum
	t := &r.Totals
	for i := range r.Acquirers {
		a := &r.Acquirers[i]
		a.Net = position[partyAcquirer+" "+a.ID]
		for j := range a.Merchants {
			a.Merchants[j].Net = merchant[a.ID+" "+a.Merchants[j].ID]
		}
		s.sums(&t.Sums, a.Sums)
		s.tally(&t.Held, a.Held.Tally)
		s.add(&t.MerchantFees, a.Fees.Total)
		s.add(&t.SoldLoads, a.SoldLoads)
	}
	for i := range r.Channels {
		c := &r.Channels[i]
		c.Net = position[partyChannel+" "+c.ID]
		s.add(&t.Collected, c.Collected)
	}
	t.ChannelFees = net.ChannelFees
	zero, err := net.ZeroSum()
	s.fail(err)
	r.Proof = Proof{ZeroSum: zero, TrustMovement: net.Trust, FloatMovement: net.Float, MerchantFees: net.MerchantFees, ChannelFees: net.ChannelFees,
		Identity: fmt.Sprintf("%v = %v + %v - %v", net.Trust, net.Float, net.MerchantFees, net.ChannelFees)}
	return s.err
}

// standardsOf reads and checks a party's fee standards.
func standardsOf(p store.PartyDay) ([]fee.Standard, error) {
	var out []fee.Standard
	if err := json.Unmarshal([]byte(p.Fees), &out); err != nil {
		return nil, fmt.Errorf("settlement: fee standards of %s %s: %w", p.Kind, p.Party, err)
	}
	kinds := map[string]bool{}
	for _, s := range out {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("settlement: %s %s: %w", p.Kind, p.Party, err)
		}
		// The card was debited the fare and no more, so nobody is left to charge on top of it.
		if p.Kind == partyAcquirer && s.Side != fee.Inside {
			return nil, fmt.Errorf("settlement: acquirer %s: fee standard %q is %s: an offline purchase is charged inside", p.Party, s.Name, s.Side)
		}
		if p.Kind == partyChannel && s.Side != out[0].Side {
			return nil, fmt.Errorf("settlement: channel %s: fee standards of both sides: want one", p.Party)
		}
		if s.Tax != nil {
			return nil, fmt.Errorf("settlement: %s %s: fee standard %q has a tax, which has no account yet", p.Kind, p.Party, s.Name)
		}
		for _, c := range s.Charges {
			if c.Per != "" && c.Per != fee.Day || c.Side != "" && c.Side != s.Side || c.To != "" {
				return nil, fmt.Errorf("settlement: %s %s: fee kind %q: a day is charged as one, on one side, and for the scheme", p.Kind, p.Party, c.Kind)
			}
			if kinds[c.Kind] {
				return nil, fmt.Errorf("settlement: %s %s: fee kind %q is there twice", p.Kind, p.Party, c.Kind)
			}
			kinds[c.Kind] = true
		}
	}
	return out, nil
}

// charge puts all standards on one basis.
func charge(standards []fee.Standard, b fee.Basis) (Fees, error) {
	out := Fees{Parts: []fee.Part{}}
	var s sum
	for _, st := range standards {
		q, err := st.Quote(b)
		s.fail(err)
		s.add(&out.Total, q.Total)
		s.add(&out.Rounding, q.Residue)
		out.Parts = append(out.Parts, q.Parts...)
	}
	return out, s.err
}

func acquirerSection(p store.PartyDay, standards []fee.Standard, items, held []store.Item) (AcquirerSection, error) {
	out := AcquirerSection{ID: p.Party, Name: p.Name, SoldLoads: p.Loads, Reasons: []Reason{}, Merchants: []MerchantSection{}}
	var s sum
	merchants := map[ids.MerchantID]*merchantDay{}
	reasons := map[Reason]Tally{}
	for _, i := range items {
		m := merchants[i.Merchant]
		if m == nil {
			m = &merchantDay{id: i.Merchant}
			merchants[i.Merchant] = m
		}
		s.fail(m.take(i))
		if i.WasDay == "" && i.Reason != "" {
			key := Reason{Class: Class(i.Class), Reason: i.Reason}
			t := reasons[key]
			s.tally(&t, Tally{1, i.Amount})
			reasons[key] = t
		}
	}
	for key, t := range reasons {
		key.Tally = t
		out.Reasons = append(out.Reasons, key)
	}
	sort.Slice(out.Reasons, func(i, j int) bool {
		a, b := out.Reasons[i], out.Reasons[j]
		return a.Class < b.Class || a.Class == b.Class && a.Reason < b.Reason
	})
	for _, i := range held {
		s.tally(&out.Held.Tally, Tally{1, i.Amount})
		if out.Held.OldestDay == "" || i.Arrived < out.Held.OldestDay {
			out.Held.OldestDay = i.Arrived
		}
	}
	parts, err := charge(standards, fee.Basis{}) // every kind has its line, also on a day without business
	s.fail(err)
	out.Fees = parts
	for _, m := range sorted(merchants) {
		section, err := m.section(standards)
		s.fail(err)
		out.Merchants = append(out.Merchants, section)
		s.sums(&out.Sums, section.Sums)
		s.add(&out.Fees.Total, section.Fees.Total)
		s.add(&out.Fees.Rounding, section.Fees.Rounding)
		for i, part := range section.Fees.Parts {
			s.add(&out.Fees.Parts[i].Amount, part.Amount)
		}
	}
	return out, s.err
}

func channelSection(p store.PartyDay, standards []fee.Standard) (ChannelSection, netting.Channel, error) {
	basis := fee.Basis{Gross: p.Loads}
	if !p.Loads.IsZero() {
		basis.Count = 1 // the day's collections as one sum; a fee per payment comes with the channel's own bill
	}
	fees, err := charge(standards, basis)
	bearer := netting.Issuer
	if len(standards) > 0 && standards[0].Side == fee.Outside {
		bearer = netting.Payer
	}
	return ChannelSection{ID: p.Party, Name: p.Name, Collected: p.Loads, Fees: fees, BorneBy: string(bearer)},
		netting.Channel{ID: p.Party, Collected: p.Loads, Fee: fees.Total, BorneBy: bearer}, err
}

// merchantDay adds up one merchant's items.
type merchantDay struct {
	id ids.MerchantID
	Sums
	charged int64 // taps with an amount, which a fee per transaction is charged on
}

func (m *merchantDay) take(i store.Item) error {
	var s sum
	count := func(class string, amount money.Amount, n int64) {
		if class == string(Accepted) && !amount.IsZero() {
			m.charged += n
		}
	}
	count(i.Class, i.Amount, 1)
	count(i.WasClass, i.WasAmount, -1)
	if i.WasDay != "" {
		if Class(i.Class) == Accepted {
			s.tally(&m.Adjustments, Tally{1, i.Amount})
		}
		if Class(i.WasClass) == Accepted {
			s.tally(&m.Adjustments, Tally{-1, s.neg(i.WasAmount)})
		}
		return s.err
	}
	switch Class(i.Class) {
	case Accepted:
		s.tally(&m.Accepted, Tally{1, i.Amount})
	case Rejected:
		s.tally(&m.Rejected, Tally{1, i.Amount})
	case Suspect:
		s.tally(&m.Suspect, Tally{1, i.Amount})
	}
	return s.err
}

func (m *merchantDay) section(standards []fee.Standard) (MerchantSection, error) {
	var s sum
	out := MerchantSection{ID: string(m.id), Sums: m.Sums}
	gross := m.Accepted.Amount
	s.add(&gross, m.Adjustments.Amount)
	var err error
	out.Fees, err = charge(standards, fee.Basis{Gross: gross, Count: m.charged})
	s.fail(err)
	return out, s.err
}

func sorted(m map[ids.MerchantID]*merchantDay) []*merchantDay {
	out := make([]*merchantDay, 0, len(m))
	for _, d := range m {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// sum adds and keeps the first error, so that the arithmetic above reads as arithmetic.
type sum struct{ err error }

func (s *sum) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *sum) add(to *money.Amount, a money.Amount) {
	v, err := to.Add(a)
	s.fail(err)
	*to = v
}

func (s *sum) neg(a money.Amount) money.Amount {
	v, err := a.Neg()
	s.fail(err)
	return v
}

func (s *sum) tally(to *Tally, t Tally) {
	to.Count += t.Count
	s.add(&to.Amount, t.Amount)
}

func (s *sum) sums(to *Sums, a Sums) {
	s.tally(&to.Accepted, a.Accepted)
	s.tally(&to.Rejected, a.Rejected)
	s.tally(&to.Suspect, a.Suspect)
	s.tally(&to.Adjustments, a.Adjustments)
}
