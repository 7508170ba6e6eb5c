package netting

import (
	"cmp"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
)

// ThroughHub settles balances by one payment a party, to or from the hub: the trust account. It is what a settlement bank
// does, and nobody needs another party's account. The balances need not add up to zero: the hub keeps what is left. Sorted
// by From and To; a party without a balance has no payment.
func ThroughHub(hub string, all []Balance) ([]Obligation, error) {
	out := []Obligation{}
	seen := map[string]bool{hub: true}
	for _, b := range all {
		if seen[b.Party] {
			return nil, fmt.Errorf("netting: %s is there twice, or is the hub", b.Party)
		}
		seen[b.Party] = true
		switch b.Net.Sign() {
		case 1:
			out = append(out, Obligation{hub, b.Party, b.Net})
		case -1:
			pays, err := b.Net.Neg()
			if err != nil {
				return nil, fmt.Errorf("netting: %s: %w", b.Party, err)
			}
			out = append(out, Obligation{b.Party, hub, pays})
		}
	}
	sortObligations(out)
	return out, nil
}

// exactParties is up to how many parties Instruct looks for the fewest payments there are. The search takes time and room
// like 2 to that power; 16 take about a millisecond.
const exactParties = 16

// Instruct settles balances by payments between the parties themselves: as few as can be for up to 16 parties with a
// balance, and always fewer than there are such parties. The same balances in any order give the same payments, sorted by
// From and To. No party both pays and gets. Error: [ErrUnbalanced].
func Instruct(all []Balance) ([]Obligation, error) {
	open := make([]Balance, 0, len(all))
	seen := map[string]bool{}
	total := new(big.Int)
	for _, b := range all {
		if b.Party == "" || seen[b.Party] {
			return nil, fmt.Errorf("netting: party %q is there twice, or has no name", b.Party)
		}
		seen[b.Party] = true
		if _, err := b.Net.Neg(); err != nil {
			return nil, fmt.Errorf("netting: %s: %w", b.Party, err)
		}
		total.Add(total, big.NewInt(b.Net.Minor()))
		if !b.Net.IsZero() {
			open = append(open, b)
		}
	}
	if total.Sign() != 0 {
		return nil, fmt.Errorf("%w: they are off by %v minor units", ErrUnbalanced, total)
	}
	slices.SortFunc(open, func(a, b Balance) int { return cmp.Compare(a.Party, b.Party) })
	out := []Obligation{}
	for _, group := range closedGroups(open) {
		paid, err := settle(group)
		if err != nil {
			return nil, err
		}
		out = append(out, paid...)
	}
	sortObligations(out)
	return out, nil
}

// closedGroups cuts the parties into as many groups as can be that each come out even among themselves. A group of n
// settles in n−1 payments, so with k groups the payments are the parties less k, and fewest where k is greatest.
func closedGroups(all []Balance) [][]Balance {
	n := len(all)
	if n > exactParties || wide(all) {
		return [][]Balance{all}
	}
	// Lay the parties of a set in a row: a group closes wherever the sum of the row so far is zero. most[set] is how many
	// groups the best row closes, last[set] the party that ends it.
	sum, most, last := make([]int64, 1<<n), make([]int8, 1<<n), make([]int8, 1<<n)
	for set := 1; set < 1<<n; set++ {
		sum[set] = sum[set&(set-1)] + all[bits.TrailingZeros(uint(set))].Net.Minor()
		most[set] = -1
		for rest := set; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros(uint(rest))
			if m := most[set&^(1<<i)]; m > most[set] {
				most[set], last[set] = m, int8(i)
			}
		}
		if sum[set] == 0 {
			most[set]++
		}
	}
	var groups [][]Balance
	var group []Balance
	for set := 1<<n - 1; set != 0; {
		group = append(group, all[last[set]])
		set &^= 1 << last[set]
		if sum[set] == 0 {
			groups, group = append(groups, group), nil
		}
	}
	return groups
}

// wide reports whether a sum of some of the balances may leave 64 bits, which no real money does.
func wide(all []Balance) bool {
	total := new(big.Int)
	for _, b := range all {
		total.Add(total, new(big.Int).Abs(big.NewInt(b.Net.Minor())))
	}
	return !total.IsInt64()
}

// settle pays within one group: the largest debtor pays the largest creditor, until all are even. Each payment makes at least
// one of the two even, and the last both.
func settle(group []Balance) ([]Obligation, error) {
	var out []Obligation
	largest := func(sign int) int {
		at := -1
		for i, b := range group {
			if b.Net.Sign() == sign && (at < 0 || b.Net.Cmp(group[at].Net)*sign > 0 || b.Net == group[at].Net && b.Party < group[at].Party) {
				at = i
			}
		}
		return at
	}
	for {
		to, from := largest(1), largest(-1)
		if to < 0 || from < 0 {
			return out, nil
		}
		owes, err := group[from].Net.Neg()
		if err != nil {
			return nil, fmt.Errorf("netting: %s: %w", group[from].Party, err)
		}
		pay := owes
		if group[to].Net.Cmp(pay) < 0 {
			pay = group[to].Net
		}
		s := summer{}
		group[to].Net = s.sub(group[to].Net, pay)
		group[from].Net = s.add(group[from].Net, pay)
		if s.err != nil {
			return nil, s.err
		}
		out = append(out, Obligation{group[from].Party, group[to].Party, pay})
	}
}

// Balances are the positions as balances, with the trust account as a party of its own: together they add up to zero. A
// party's name is its kind and its id, as acquirers and channels may share one.
func (r Result) Balances(trust string) []Balance {
	out := []Balance{{trust, r.Trust}}
	for _, p := range r.Positions {
		out = append(out, Balance{string(p.Kind) + ":" + p.Party, p.Net})
	}
	return out
}

// Payments are what settles the day: one payment for each position, to or from the trust account.
func (r Result) Payments(trust string) ([]Obligation, error) {
	return ThroughHub(trust, r.Balances(trust)[1:])
}
