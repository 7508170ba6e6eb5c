package settlement

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
	"github.com/purselane/purselane/shadowaccount/netting"
)

// Frozen is all that the report of a day follows from. It is what the store keeps of a closed day.
type Frozen struct {
	Version        int // of the report's format when the day closed
	Day, Term, Due string
	Currency       string
	CaseAfter      int                  // days after which what is held becomes a case
	Parties        []store.PartyDay     // by kind and name; Net is not read
	Merchants      []store.MerchantFees // those with contracts of their own
	Items          Walk                 // in the store's order
	Held           Walk                 // suspect when the day closed, of all days
	Collected      []store.FeesDue      // fees of earlier months, to be taken in this day
	Month          []store.DaySum       // the closed days of the month before it, where a fee counts them
}

// Walk goes through items, one at a time, and stops at the first error. A day may have millions, so nothing keeps them.
type Walk func(each func(store.Item) error) error

// terms are the fee standards that a merchant is charged by, and what of its month they count.
type terms struct {
	standards []fee.Standard
	since     string
}

// The kinds of party as the store keeps them.
const (
	partyAcquirer = string(netting.KindAcquirer)
	partyChannel  = string(netting.KindChannel)
)

// perMonth reports whether the day charges a fee that counts the month before it.
func (f Frozen) perMonth() (bool, error) {
	var all []fee.Standard
	for _, p := range f.Parties {
		s, err := readStandards(p.Kind, p.Party, p.Fees)
		if err != nil {
			return false, err
		}
		all = append(all, s...)
	}
	for _, m := range f.Merchants {
		s, err := readStandards(partyMerchant, string(m.Merchant), m.Fees)
		if err != nil {
			return false, err
		}
		all = append(all, s...)
	}
	return slices.ContainsFunc(all, fee.Standard.PerMonth), nil
}

// Report works the day out. It is pure: the same frozen day gives the same report, always.
func (f Frozen) Report() (Report, error) {
	r := Report{Format: "purselane-settlement", Version: f.Version, Day: f.Day, Term: f.Term, Due: f.Due,
		Acquirers: []AcquirerSection{}, Channels: []ChannelSection{}}
	days, err := f.sums()
	if err != nil {
		return Report{}, err
	}
	known := map[ids.AcquirerID]bool{}
	own := map[ids.MerchantID]terms{}
	for _, m := range f.Merchants {
		standards, err := readStandards(partyMerchant, string(m.Merchant), m.Fees)
		if err != nil {
			return Report{}, err
		}
		own[m.Merchant] = terms{standards, m.Since}
	}
	var acquirers []netting.Acquirer
	var channels []netting.Channel
	for _, p := range f.Parties {
		standards, err := readStandards(p.Kind, p.Party, p.Fees)
		if err != nil {
			return Report{}, err
		}
		switch p.Kind {
		case partyAcquirer:
			id := ids.AcquirerID(p.Party)
			known[id] = true
			s, err := f.acquirerSection(p, terms{standards, p.Since}, own, days.of(id))
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
	for id, day := range days {
		if !known[id] && len(day.merchants) > 0 {
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
	out := netting.Acquirer{ID: ids.AcquirerID(a.ID), Accepted: a.Accepted.Amount, Adjustments: a.Adjustments.Amount, Fees: a.Fees.Total, Collected: a.Collected, SoldLoads: a.SoldLoads}
	for _, m := range a.Merchants {
		out.Merchants = append(out.Merchants, netting.Merchant{ID: ids.MerchantID(m.ID), Accepted: m.Accepted.Amount, Adjustments: m.Adjustments.Amount, Fees: m.Fees.Total, Collected: m.Collected})
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
		s.add(&t.MerchantFees, a.Collected)
		if a.Accrued != nil {
			s.add(&t.FeesAccrued, a.Accrued.Total)
		}
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

// readStandards reads and checks a party's fee standards.
func readStandards(kind, party, fees string) ([]fee.Standard, error) {
	var out []fee.Standard
	if err := json.Unmarshal([]byte(fees), &out); err != nil {
		return nil, fmt.Errorf("settlement: fee standards of %s %s: %w", kind, party, err)
	}
	return out, CheckStandards(kind, party, out)
}

// charged is what one standard came to on one basis.
type charged struct {
	standard fee.Standard
	basis    fee.Basis
	quote    fee.Quote
}

// charge puts all standards on one basis: what is taken at once, what is taken when the month is over (nil where no standard is), and each standard by
// itself.
func charge(standards []fee.Standard, b fee.Basis) (now Fees, accrued *Fees, each []charged, err error) {
	now = Fees{Parts: []fee.Part{}}
	var s sum
	for _, st := range standards {
		q, err := st.Quote(b)
		s.fail(err)
		for i := range q.Parts {
			q.Parts[i].Side = "" // settlement charges a party on one side only
		}
		to := &now
		if st.Monthly() {
			if accrued == nil {
				accrued = &Fees{Parts: []fee.Part{}}
			}
			to = accrued
		}
		s.add(&to.Total, q.Total)
		s.add(&to.Rounding, q.Residue)
		to.Parts = append(to.Parts, q.Parts...)
		each = append(each, charged{st, b, q})
	}
	return now, accrued, each, s.err
}

// fees adds a fee and its parts.
func (s *sum) fees(to *Fees, a Fees) {
	s.add(&to.Total, a.Total)
	s.add(&to.Rounding, a.Rounding)
	s.addParts(&to.Parts, a.Parts)
}

// addParts adds parts by their kind; kinds that are not there yet come last.
func (s *sum) addParts(to *[]fee.Part, parts []fee.Part) {
	for _, p := range parts {
		i := slices.IndexFunc(*to, func(x fee.Part) bool { return x.Kind == p.Kind && x.Tax == p.Tax })
		if i < 0 {
			*to = append(*to, p)
			continue
		}
		s.add(&(*to)[i].Amount, p.Amount)
	}
}

// acquirerDay adds up one acquirer's items.
type acquirerDay struct {
	merchants map[ids.MerchantID]*merchantDay
	reasons   map[Reason]Tally
	held      Held
}

func (a *acquirerDay) merchant(id ids.MerchantID) *merchantDay {
	m := a.merchants[id]
	if m == nil {
		m = &merchantDay{id: id, each: map[money.Amount]int64{}}
		a.merchants[id] = m
	}
	return m
}

func (a *acquirerDay) take(i store.Item) error {
	var s sum
	s.fail(a.merchant(i.Merchant).take(i))
	if i.WasDay == "" && i.Reason != "" {
		key := Reason{Class: Class(i.Class), Reason: i.Reason}
		t := a.reasons[key]
		s.tally(&t, Tally{1, i.Amount})
		a.reasons[key] = t
	}
	return s.err
}

func (a *acquirerDay) hold(i store.Item) error {
	var s sum
	s.tally(&a.held.Tally, Tally{1, i.Amount})
	if a.held.OldestDay == "" || i.Arrived < a.held.OldestDay {
		a.held.OldestDay = i.Arrived
	}
	return s.err
}

// acquirerDays are the sums of all acquirers.
type acquirerDays map[ids.AcquirerID]*acquirerDay

func (d acquirerDays) of(id ids.AcquirerID) *acquirerDay {
	if d[id] == nil {
		d[id] = &acquirerDay{merchants: map[ids.MerchantID]*merchantDay{}, reasons: map[Reason]Tally{}}
	}
	return d[id]
}

// sums goes through the day's items once, and once through what it holds.
func (f Frozen) sums() (acquirerDays, error) {
	out := acquirerDays{}
	in := func(walk Walk, take func(*acquirerDay, store.Item) error) error {
		return walk(func(i store.Item) error {
			if err := take(out.of(i.Acquirer), i); err != nil {
				return fmt.Errorf("settlement: acquirer %s: %w", i.Acquirer, err)
			}
			return nil
		})
	}
	if err := in(f.Items, (*acquirerDay).take); err != nil {
		return nil, err
	}
	for _, d := range f.Collected {
		out.of(d.Acquirer).merchant(d.Merchant).due = d.Amount // also of a merchant that had no business today
	}
	return out, in(f.Held, (*acquirerDay).hold)
}

func (f Frozen) acquirerSection(p store.PartyDay, usual terms, own map[ids.MerchantID]terms, day *acquirerDay) (AcquirerSection, error) {
	out := AcquirerSection{ID: p.Party, Name: p.Name, SoldLoads: p.Loads, Reasons: []Reason{}, Held: day.held, Merchants: []MerchantSection{}}
	var s sum
	for key, t := range day.reasons {
		key.Tally = t
		out.Reasons = append(out.Reasons, key)
	}
	sort.Slice(out.Reasons, func(i, j int) bool {
		a, b := out.Reasons[i], out.Reasons[j]
		return a.Class < b.Class || a.Class == b.Class && a.Reason < b.Reason
	})
	parts, accrued, _, err := charge(usual.standards, fee.Basis{}) // every kind has its line, also on a day without business
	s.fail(err)
	out.Fees, out.Accrued = parts, accrued
	for _, m := range sorted(day.merchants) {
		by, special := own[m.id]
		if !special {
			by = usual
		}
		section, err := m.section(by.standards, f.monthOf(ids.AcquirerID(p.Party), m.id, by.since, &s))
		s.fail(err)
		out.Merchants = append(out.Merchants, section)
		s.sums(&out.Sums, section.Sums)
		s.fees(&out.Fees, section.Fees)
		if section.Accrued != nil {
			if out.Accrued == nil {
				out.Accrued = &Fees{Parts: []fee.Part{}}
			}
			s.fees(out.Accrued, *section.Accrued)
		}
		s.add(&out.Collected, section.Collected)
	}
	return out, s.err
}

// monthOf is what earlier days settled for a merchant with its acquirer, from a day on. Days of before there were charges per
// month have none.
func (f Frozen) monthOf(a ids.AcquirerID, m ids.MerchantID, since string, s *sum) fee.Sum {
	var out fee.Sum
	for _, d := range f.Month {
		if since != "" && d.Day >= since && d.Acquirer == a && d.Merchant == m {
			s.add(&out.Gross, d.Gross)
			out.Count += d.Count
		}
	}
	return out
}

func channelSection(p store.PartyDay, standards []fee.Standard) (ChannelSection, netting.Channel, error) {
	basis := fee.Basis{Gross: p.Loads}
	if !p.Loads.IsZero() {
		basis.Count = 1 // the day's collections as one sum; a fee per payment comes with the channel's own bill
	}
	fees, _, _, err := charge(standards, basis)
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
	due     money.Amount           // fees of earlier months
	charged int64                  // taps with an amount, which a fee per transaction is charged on
	each    map[money.Amount]int64 // the same by amount
}

func (m *merchantDay) take(i store.Item) error {
	var s sum
	count := func(class string, amount money.Amount, n int64) {
		if class == string(Accepted) && !amount.IsZero() {
			m.charged += n
			m.each[amount] += n
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

func (m *merchantDay) section(standards []fee.Standard, month fee.Sum) (MerchantSection, error) {
	var s sum
	out := MerchantSection{ID: string(m.id), Sums: m.Sums, Collected: m.due}
	gross := m.Accepted.Amount
	s.add(&gross, m.Adjustments.Amount)
	basis := fee.Basis{Gross: gross, Count: m.charged, Month: month}
	for amount, n := range m.each {
		basis.Each = append(basis.Each, fee.Each{Amount: amount, Count: n})
	}
	slices.SortFunc(basis.Each, func(a, b fee.Each) int { return a.Amount.Cmp(b.Amount) })
	var err error
	out.Fees, out.Accrued, out.charged, err = charge(standards, basis)
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
