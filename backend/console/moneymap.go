package console

import (
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// MoneyMap is the float identity, term by term, with what each term is made of. All sums are shown as they count in the
// equation
//
//	on cards + in flight + funding = trust + receivables − payables
//
// The left side's first term comes from the card rows and everything else from the books, so the two sides can differ.
type MoneyMap struct {
	OnCards, InFlight, Funding   money.Amount
	Trust, Receivables, Payables money.Amount
	Left, Right, Off             money.Amount // Off = Left − Right
	Cover                        money.Amount // Trust + Receivables

	SoldLoads, Channels      money.Amount // Receivables = these and ClearingDue
	ClearingDue              money.Amount // positions of acquirers that owe us for closed days
	Pending, Available, Held money.Amount // Payables = these and the four below
	ClearingOwed, Suspense   money.Amount // positions of acquirers that we owe; suspense that somebody may yet be owed
	FeesNet, Rounding        money.Amount // fees earned less fees paid: the scheme's own
	SuspenseParts            []Part
}

// Part is one account of a term.
type Part struct {
	Name   string
	Amount money.Amount
}

// Balanced reports whether both sides are equal.
func (m MoneyMap) Balanced() bool { return m.Off.IsZero() }

// moneyMap reads the equation out of an overview.
func moneyMap(ov store.Overview) (MoneyMap, error) {
	m := MoneyMap{OnCards: ov.OnCards}
	var errs []error
	add := func(to *money.Amount, a money.Amount) {
		sum, err := to.Add(a)
		errs = append(errs, err)
		*to = sum
	}
	for _, b := range ov.Balances {
		owed, err := b.Amount.Neg() // a credit balance is what is owed
		errs = append(errs, err)
		name := string(b.Account)
		switch {
		case b.Account == books.Float: // stands on the left as the sum of the card rows
		case b.Account == books.LoadInProgress:
			add(&m.InFlight, owed)
		case b.Account == books.Funding:
			add(&m.Funding, owed)
		case b.Account == books.Trust:
			add(&m.Trust, b.Amount)
		case strings.HasSuffix(name, ":sold-loads"):
			add(&m.SoldLoads, b.Amount)
		case strings.HasPrefix(name, "channel:"):
			add(&m.Channels, b.Amount)
		case strings.HasSuffix(name, ":pending"):
			add(&m.Pending, owed)
		case strings.HasSuffix(name, ":available"):
			add(&m.Available, owed)
		case strings.HasSuffix(name, ":held"):
			add(&m.Held, owed)
		case strings.HasSuffix(name, ":clearing") && b.Amount.Sign() > 0: // not netted over acquirers: each pays for itself
			add(&m.ClearingDue, b.Amount)
		case strings.HasSuffix(name, ":clearing"):
			add(&m.ClearingOwed, owed)
		case b.Class == books.Suspense:
			add(&m.Suspense, owed)
			m.SuspenseParts = append(m.SuspenseParts, Part{strings.TrimPrefix(name, "suspense:"), owed})
		case b.Account == books.Rounding:
			add(&m.Rounding, owed)
		default: // fees, and any account that comes later: never left out of the sum
			add(&m.FeesNet, owed)
		}
	}
	for _, a := range []money.Amount{m.SoldLoads, m.Channels, m.ClearingDue} {
		add(&m.Receivables, a)
	}
	for _, a := range []money.Amount{m.Pending, m.Available, m.Held, m.ClearingOwed, m.Suspense, m.FeesNet, m.Rounding} {
		add(&m.Payables, a)
	}
	for _, a := range []money.Amount{m.OnCards, m.InFlight, m.Funding} {
		add(&m.Left, a)
	}
	for _, a := range []money.Amount{m.Trust, m.Receivables} {
		add(&m.Cover, a)
	}
	m.Right = m.Cover
	var err error
	m.Right, err = m.Right.Sub(m.Payables)
	errs = append(errs, err)
	m.Off, err = m.Left.Sub(m.Right)
	return m, errors.Join(append(errs, err)...)
}

// showMoney prints an amount for people: groups of three, a true minus sign.
func showMoney(a money.Amount) string {
	rest, negative := strings.CutPrefix(a.String(), "-")
	whole, cents, _ := strings.Cut(rest, ".")
	sign := ""
	if negative {
		sign = "−"
	}
	return sign + grouped(whole) + "." + cents
}

// showCount prints a number of things, an int or an int64 that is not negative.
func showCount(n any) string { return grouped(fmt.Sprint(n)) }

func grouped(digits string) string {
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
