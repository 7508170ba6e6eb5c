package netting

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Acquirer is one acquirer's day. All sums are positive in an ordinary day; Adjustments carries its own sign.
type Acquirer struct {
	ID          ids.AcquirerID
	Accepted    money.Amount // gross of this day's accepted purchases
	Adjustments money.Amount // what purchases of earlier days became worth more (or less) by
	Fees        money.Amount // what its merchants are charged on both, and it is taken today
	Collected   money.Amount // fees of earlier months that are taken today
	SoldLoads   money.Amount // cash it took for loads, which is ours
	Merchants   []Merchant   // what Accepted, Adjustments, Fees and Collected are made up of; none: not told
}

// Merchant is one merchant's day with its acquirer.
type Merchant struct {
	ID                                     ids.MerchantID
	Accepted, Adjustments, Fees, Collected money.Amount
}

// Bearer says who bears a channel's fee.
type Bearer string

const (
	// Issuer: the channel keeps its fee and pays the rest.
	Issuer Bearer = "issuer"
	// Payer: the holder paid the fee on top, so the channel pays all that was loaded.
	Payer Bearer = "payer"
)

// Channel is one payment channel's day.
type Channel struct {
	ID        string
	Collected money.Amount // value of the loads paid through it
	Fee       money.Amount
	BorneBy   Bearer
}

// Kind says what a party is.
type Kind string

// The kinds of party a day has.
const (
	KindAcquirer Kind = "acquirer"
	KindChannel  Kind = "channel"
)

// Position is one party's line: the scheme pays Net to it, or receives −Net from it.
type Position struct {
	Kind  Kind
	Party string
	Net   money.Amount
}

// MerchantPosition is what an acquirer gets for one of its merchants. All of an acquirer's, less the loads it sold, are its own
// position.
type MerchantPosition struct {
	Acquirer ids.AcquirerID
	Merchant ids.MerchantID
	Net      money.Amount
}

// Result is the netted day. Movements are signed: positive is growth.
type Result struct {
	Positions    []Position         // acquirers, then channels, each by name
	Merchants    []MerchantPosition // by acquirer and name, of the acquirers whose merchants were told
	Loads        money.Amount       // sold by acquirers and paid through channels
	Use          money.Amount       // accepted and adjusted purchases
	Float        money.Amount       // movement of the holders' money, on cards and on the way there: loads − use
	MerchantFees money.Amount       // taken today, of whatever month
	ChannelFees  money.Amount       // borne by the issuer
	Trust        money.Amount       // movement of the trust account once every position is paid
}

// ErrNotProved says that the day's sums contradict each other. Nothing may be paid on such a day.
var ErrNotProved = errors.New("netting: the day does not prove")

// Net computes each party's position. Parties must be named once.
func Net(acquirers []Acquirer, channels []Channel) (Result, error) {
	var r Result
	s := summer{}
	seen := map[Position]bool{}
	add := func(kind Kind, party string, net money.Amount) {
		key := Position{Kind: kind, Party: party}
		if seen[key] {
			s.fail(fmt.Errorf("netting: %s %s is there twice", kind, party))
		}
		seen[key] = true
		r.Positions = append(r.Positions, Position{kind, party, net})
		r.Trust = s.sub(r.Trust, net)
	}
	for _, a := range acquirers {
		merchants, err := a.merchants()
		if err != nil {
			s.fail(err)
		}
		r.Merchants = append(r.Merchants, merchants...)
		use := s.add(a.Accepted, a.Adjustments)
		taken := s.add(a.Fees, a.Collected)
		add(KindAcquirer, string(a.ID), s.sub(s.sub(use, taken), a.SoldLoads))
		r.Use = s.add(r.Use, use)
		r.Loads = s.add(r.Loads, a.SoldLoads)
		r.MerchantFees = s.add(r.MerchantFees, taken)
	}
	for _, c := range channels {
		pays := c.Collected
		switch c.BorneBy {
		case Issuer:
			pays = s.sub(pays, c.Fee)
			r.ChannelFees = s.add(r.ChannelFees, c.Fee)
		case Payer:
		default:
			s.fail(fmt.Errorf("netting: channel %s: fee borne by %q: want %s or %s", c.ID, c.BorneBy, Issuer, Payer))
		}
		add(KindChannel, c.ID, s.sub(money.Amount{}, pays))
		r.Loads = s.add(r.Loads, c.Collected)
	}
	r.Float = s.sub(r.Loads, r.Use)
	sort.Slice(r.Positions, func(i, j int) bool {
		a, b := r.Positions[i], r.Positions[j]
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		return a.Party < b.Party
	})
	slices.SortFunc(r.Merchants, func(a, b MerchantPosition) int {
		return cmp.Or(cmp.Compare(a.Acquirer, b.Acquirer), cmp.Compare(a.Merchant, b.Merchant))
	})
	if s.err != nil {
		return Result{}, s.err
	}
	return r, r.Prove()
}

// merchants nets each merchant, and proves that together they are the acquirer's day.
func (a Acquirer) merchants() ([]MerchantPosition, error) {
	if len(a.Merchants) == 0 {
		return nil, nil
	}
	var out []MerchantPosition
	var accepted, adjustments, fees, collected money.Amount
	s := summer{}
	seen := map[ids.MerchantID]bool{}
	for _, m := range a.Merchants {
		if seen[m.ID] {
			return nil, fmt.Errorf("netting: acquirer %s: merchant %s is there twice", a.ID, m.ID)
		}
		seen[m.ID] = true
		out = append(out, MerchantPosition{a.ID, m.ID, s.sub(s.add(m.Accepted, m.Adjustments), s.add(m.Fees, m.Collected))})
		accepted, adjustments, fees = s.add(accepted, m.Accepted), s.add(adjustments, m.Adjustments), s.add(fees, m.Fees)
		collected = s.add(collected, m.Collected)
	}
	if s.err != nil {
		return nil, s.err
	}
	if accepted != a.Accepted || adjustments != a.Adjustments || fees != a.Fees || collected != a.Collected {
		return nil, fmt.Errorf("%w: the merchants of acquirer %s come to %v accepted, %v adjusted, %v in fees and %v in fees of earlier months, the acquirer to %v, %v, %v and %v",
			ErrNotProved, a.ID, accepted, adjustments, fees, collected, a.Accepted, a.Adjustments, a.Fees, a.Collected)
	}
	return out, nil
}

// ZeroSum is Σ positions + trust movement: zero, or money was made or lost.
func (r Result) ZeroSum() (money.Amount, error) {
	s := summer{}
	sum := r.Trust
	for _, p := range r.Positions {
		sum = s.add(sum, p.Net)
	}
	return sum, s.err
}

// Identity is the right-hand side of: trust = float + merchant fees − channel fees. What is held as suspect
// has left no shadow account and reached nobody, so it stands in neither.
func (r Result) Identity() (money.Amount, error) {
	s := summer{}
	return s.sub(s.add(r.Float, r.MerchantFees), r.ChannelFees), s.err
}

// Prove checks both proofs.
func (r Result) Prove() error {
	zero, err := r.ZeroSum()
	if err != nil {
		return err
	}
	right, err := r.Identity()
	if err != nil {
		return err
	}
	if !zero.IsZero() {
		return fmt.Errorf("%w: positions and trust movement add up to %v, not to zero", ErrNotProved, zero)
	}
	if right.Cmp(r.Trust) != 0 {
		return fmt.Errorf("%w: the trust account moves by %v, float and fees say %v", ErrNotProved, r.Trust, right)
	}
	return nil
}

// summer adds and keeps the first overflow, so that the arithmetic above reads as arithmetic.
type summer struct{ err error }

func (s *summer) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *summer) add(a, b money.Amount) money.Amount {
	v, err := a.Add(b)
	if err != nil {
		s.fail(fmt.Errorf("netting: %w", err))
	}
	return v
}

func (s *summer) sub(a, b money.Amount) money.Amount {
	v, err := a.Sub(b)
	if err != nil {
		s.fail(fmt.Errorf("netting: %w", err))
	}
	return v
}
