package bill

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// Entry is one of ours: a payment, or what was given back.
type Entry struct {
	Kind   channel.Subject // OfPayment or OfRefund
	Number string
	Of     string // of what was given back: the payment
	Order  string
	State  string // as we have it
	Done   bool   // we hold that the money moved
	Back   bool   // a pay-out that came back after it had arrived: the bill has it, and may have its return
	Void   bool   // takes the payment back before the channel has settled it: a bill may show both, or neither
	Money  channel.Money
	Fee    money.Amount
	At     time.Time // when it moved
}

// Class is how two sides differ.
type Class string

// Classes.
const (
	Missing Class = "missing" // we hold that it moved, and the bill has it not
	Extra   Class = "extra"   // the bill has it, and we never asked for it
	Amount  Class = "amount"  // both have it, with other amounts
	State   Class = "state"   // the bill has it, and we do not hold that it moved
	Twice   Class = "twice"   // the bill has it more than once
)

// Difference is one row on which the sides differ.
type Difference struct {
	Class  Class           `json:"class"`
	Kind   channel.Subject `json:"-"`
	What   string          `json:"what"` // payment, refund or payout
	Number string          `json:"number,omitempty"`
	Order  string          `json:"order,omitempty"`
	ID     string          `json:"channel_id,omitempty"`
	Ours   money.Amount    `json:"ours"` // zero: not there
	Theirs money.Amount    `json:"theirs"`
	State  string          `json:"state,omitempty"` // ours
}

// Sums are one side's.
type Sums struct {
	Payments int          `json:"payments"`
	Paid     money.Amount `json:"paid"`
	Refunds  int          `json:"refunds"`
	Back     money.Amount `json:"back"`
	Fees     money.Amount `json:"fees"`
}

// Report is what a day's match came to.
type Report struct {
	Account     string       `json:"account"`
	Day         string       `json:"day"`
	Bill        Sums         `json:"bill"`
	Ours        Sums         `json:"ours"` // of the day by our clock
	Matched     int          `json:"matched"`
	Neighbours  int          `json:"neighbours"` // of ours that the channel counts to the day before or after, or may still
	Differences []Difference `json:"differences"`
}

// Clean reports that both sides agree.
func (r Report) Clean() bool { return len(r.Differences) == 0 }

// Lookup finds one of ours by its number, of whatever day; false for none.
type Lookup func(number string) (Entry, bool, error)

// Matcher takes a bill's rows.
type Matcher struct {
	report Report
	ours   map[string]Entry // of the day, done, not met yet
	find   Lookup
	byID   Lookup
	seen   map[string]bool
}

// NewMatcher starts a day of an account with those of ours that moved on it.
func NewMatcher(account, day string, ours []Entry, find Lookup) (*Matcher, error) {
	m := &Matcher{report: Report{Account: account, Day: day, Differences: []Difference{}}, ours: map[string]Entry{}, find: find, seen: map[string]bool{}}
	for _, e := range ours {
		if !e.Done {
			continue
		}
		m.ours[e.Number] = e
		if err := m.report.Ours.add(e.Kind, e.Money.Amount, e.Fee); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (s *Sums) add(kind channel.Subject, amount, fee money.Amount) error {
	var err1, err2 error
	if kind == channel.OfPayment {
		s.Payments++
		s.Paid, err1 = s.Paid.Add(amount)
		s.Fees, err2 = s.Fees.Add(fee)
	} else {
		s.Refunds++
		s.Back, err1 = s.Back.Add(amount)
		s.Fees, err2 = s.Fees.Sub(abs(fee))
	}
	return cmp.Or(err1, err2)
}

// abs is a fee that comes back, however a channel signs it.
func abs(a money.Amount) money.Amount {
	if a.Sign() >= 0 {
		return a
	}
	back, err := a.Neg()
	if err != nil {
		return money.Amount{}
	}
	return back
}

// ByID finds pay-outs that came back by the beginning of the channel's number, which is all that some bills tell of them.
func (m *Matcher) ByID(find Lookup) { m.byID = find }

// back takes a row without our number; false for one that is no pay-out of ours which came back.
func (m *Matcher) back(r channel.BillRow) (bool, error) {
	if r.Number != "" || r.ChannelID == "" || m.byID == nil {
		return false, nil
	}
	e, known, err := m.byID(r.ChannelID)
	if err != nil || !known || e.Kind != channel.OfPayout {
		return false, err
	}
	d := Difference{Kind: channel.OfPayout, Number: e.Number, Order: e.Order, ID: r.ChannelID, Ours: e.Money.Amount, Theirs: r.Money.Amount, State: e.State}
	key := fmt.Sprint("back ", e.Number)
	again := m.seen[key]
	m.seen[key] = true
	switch {
	case again:
		d.Class = Twice
	case !e.Back:
		d.Class = State
	case e.Money != r.Money:
		d.Class = Amount
	default:
		m.report.Matched++
		return true, nil
	}
	m.differs(d)
	return true, nil
}

// Row takes a row of the bill.
func (m *Matcher) Row(r channel.BillRow) error {
	if err := m.report.Bill.add(r.Kind, r.Money.Amount, r.Fee); err != nil {
		return err
	}
	if back, err := m.back(r); back || err != nil {
		return err
	}
	e, known, err := m.find(r.Number)
	if err != nil {
		return err
	}
	d := Difference{Kind: r.Kind, Number: r.Number, Order: e.Order, ID: r.ChannelID, Ours: e.Money.Amount, Theirs: r.Money.Amount, State: e.State}
	key := fmt.Sprint(r.Kind, " ", cmp.Or(r.Number, r.ChannelID))
	again := m.seen[key]
	m.seen[key] = true
	delete(m.ours, r.Number)
	switch {
	case again:
		d.Class = Twice
	case !known || e.Kind != r.Kind:
		d.Class = Extra
		d.Order, d.Ours, d.State = "", money.Amount{}, ""
	case !e.Done && !e.Back:
		d.Class = State
	case e.Money != r.Money:
		d.Class = Amount
	default:
		m.report.Matched++
		return nil
	}
	m.differs(d)
	return nil
}

func (m *Matcher) differs(d Difference) {
	d.What = map[channel.Subject]string{channel.OfPayment: "payment", channel.OfRefund: "refund", channel.OfPayout: "payout"}[d.Kind]
	m.report.Differences = append(m.report.Differences, d)
}

// Left are those of ours that no row has named yet, by number.
func (m *Matcher) Left() []Entry {
	var out []Entry
	for _, e := range m.ours {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// Elsewhere says that one of ours is on the bill of the day before or after, or may come there.
func (m *Matcher) Elsewhere(number string) {
	if _, left := m.ours[number]; left {
		delete(m.ours, number)
		m.report.Neighbours++
	}
}

// Report ends the day: what no row has named is missing. A payment that was voided, and its void, are missing together or not at all.
func (m *Matcher) Report() Report {
	left := m.ours
	for _, e := range m.Left() {
		if p, both := left[e.Of]; e.Void && both && p.Money == e.Money {
			delete(left, e.Number)
			delete(left, e.Of)
			m.report.Matched += 2
		}
	}
	for _, e := range m.Left() {
		m.differs(Difference{Class: Missing, Kind: e.Kind, Number: e.Number, Order: e.Order, Ours: e.Money.Amount, State: e.State})
	}
	slices.SortStableFunc(m.report.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Number, b.Number))
	})
	return m.report
}
