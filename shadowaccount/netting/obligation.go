package netting

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/purselane/purselane/internal/money"
)

// Obligation is what one party owes another. Amount is not negative.
type Obligation struct {
	From, To string
	Amount   money.Amount
}

// Balance is a party's position against all others: positive, it gets money.
type Balance struct {
	Party string
	Net   money.Amount
}

var (
	// ErrObligation says that an obligation is none.
	ErrObligation = errors.New("netting: no obligation")
	// ErrUnbalanced says that positions do not add up to zero, so that no payments settle them.
	ErrUnbalanced = errors.New("netting: the positions do not add up to zero")
)

func (o Obligation) check() error {
	switch {
	case o.From == "" || o.To == "" || o.From == o.To:
		return fmt.Errorf("%w: from %q to %q: want two parties", ErrObligation, o.From, o.To)
	case o.Amount.Sign() < 0:
		return fmt.Errorf("%w: from %s to %s: %v: want it the other way round", ErrObligation, o.From, o.To, o.Amount)
	}
	return nil
}

// Bilateral nets each two parties: at most one obligation between them is left, sorted by From and To. Every pair keeps its
// own risk; nobody is owed by a party that it did no business with.
func Bilateral(all []Obligation) ([]Obligation, error) {
	type pair struct{ a, b string } // a < b
	owed := map[pair]money.Amount{} // by a to b
	for _, o := range all {
		if err := o.check(); err != nil {
			return nil, err
		}
		s := summer{}
		if key := (pair{o.From, o.To}); o.From < o.To {
			owed[key] = s.add(owed[key], o.Amount)
		} else {
			key = pair{o.To, o.From}
			owed[key] = s.sub(owed[key], o.Amount)
		}
		if s.err != nil {
			return nil, s.err
		}
	}
	out := []Obligation{}
	for p, amount := range owed {
		switch amount.Sign() {
		case 1:
			out = append(out, Obligation{p.a, p.b, amount})
		case -1:
			back, err := amount.Neg()
			if err != nil {
				return nil, fmt.Errorf("netting: %w", err)
			}
			out = append(out, Obligation{p.b, p.a, back})
		}
	}
	sortObligations(out)
	return out, nil
}

// Multilateral nets each party against all others together. The balances add up to zero; a party that comes out even is
// there with zero. They are sorted by name.
func Multilateral(all []Obligation) ([]Balance, error) {
	net := map[string]money.Amount{}
	s := summer{}
	for _, o := range all {
		if err := o.check(); err != nil {
			return nil, err
		}
		net[o.From] = s.sub(net[o.From], o.Amount)
		net[o.To] = s.add(net[o.To], o.Amount)
	}
	out := []Balance{}
	for party, n := range net {
		out = append(out, Balance{party, n})
	}
	slices.SortFunc(out, func(a, b Balance) int { return cmp.Compare(a.Party, b.Party) })
	return out, s.err
}

func sortObligations(all []Obligation) {
	slices.SortFunc(all, func(a, b Obligation) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}
