package reference

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// State is the end state of a set: what no order of arrival may change.
type State struct {
	Cards     map[ids.CardNumber]Card // also those that only records tell of
	Balances  map[books.Account]money.Amount
	Records   map[Key]Fate
	Through   map[Epoch]uint64
	Conflicts int
}

// Fate is what became of a record.
type Fate string

// Fates. A tap's own worth is its claim's status.
const (
	Tap         Fate = "tap"
	Unreadable  Fate = "unreadable"
	Unnamed     Fate = "unnamed"
	Quarantined Fate = "quarantined"
)

// Card is a card's row, and all that hangs on it.
type Card struct {
	Status    string
	Family    string
	Opening   uint32
	BlockedMS int64
	Shadow    money.Amount
	Complete  uint32
	Next      uint32
	Tail      money.Amount
	Missing   int
	Claims    []Claim // by counter, terminal, epoch, tap
	Findings  []shadowaccount.Finding
	Gaps      []shadowaccount.Gap
	Explained []uint16 // online counters of loads in doubt that the card shows to have happened
}

// Claim is a tap's claim to a slot, and what it is worth.
type Claim struct {
	Counter               uint32
	Tap                   ids.TapID
	Seq                   uint64
	AtMS                  int64
	Merchant              ids.MerchantID
	Amount, Before, After money.Amount
	Said                  shadowaccount.Said
	Proof                 shadowaccount.Proof
	Status                shadowaccount.Status
	Kind                  int32
	Rule                  string
}

// State works the end state out. An error is a sum out of range.
func (m *Model) State() (State, error) {
	out := State{Cards: map[ids.CardNumber]Card{}, Balances: map[books.Account]money.Amount{}, Records: map[Key]Fate{}, Through: map[Epoch]uint64{}}
	taps := m.fates(&out)
	numbers := map[ids.CardNumber]bool{}
	for n := range m.issued {
		numbers[n] = true
	}
	for n := range taps {
		numbers[n] = true
	}
	for n := range numbers {
		card, lines, err := m.card(n, taps[n])
		if err != nil {
			return out, fmt.Errorf("card %v: %w", n, err)
		}
		out.Cards[n] = card
		if err := out.move(lines); err != nil {
			return out, err
		}
	}
	for _, e := range m.entries {
		if err := out.move(e.Lines); err != nil {
			return out, err
		}
	}
	maps.DeleteFunc(out.Balances, func(_ books.Account, a money.Amount) bool { return a.IsZero() })
	for k := range m.records {
		e := Epoch{k.Terminal, k.Epoch}
		out.Through[e] = m.Through(e)
	}
	for _, others := range m.conflicts {
		out.Conflicts += len(others)
	}
	return out, nil
}

// fates says what becomes of each record, and returns those that are taps, by card, in one fixed order.
func (m *Model) fates(out *State) map[ids.CardNumber][]Looked {
	looked := map[Key]Looked{}
	names := map[ids.CardNumber]ids.CardNumber{} // by alias
	for k, body := range m.records {
		if body == nil {
			continue
		}
		l := m.look(k, body)
		looked[k] = l
		if l.Unreadable == "" && l.Unnamed == nil && l.Alias != nil {
			names[*l.Alias] = l.Card
		}
	}
	taps := map[ids.CardNumber][]Looked{}
	for k := range m.records {
		l, read := looked[k]
		switch {
		case !read:
			out.Records[k] = Quarantined
			continue
		case l.Unreadable != "":
			out.Records[k] = Unreadable
			continue
		case l.Unnamed != nil:
			n, known := names[*l.Unnamed]
			if !known {
				out.Records[k] = Unnamed
				continue
			}
			l.Card = n
		}
		out.Records[k] = Tap
		taps[l.Card] = append(taps[l.Card], l)
	}
	for _, all := range taps {
		slices.SortFunc(all, func(a, b Looked) int {
			return cmp.Or(cmp.Compare(a.Claim.Tap.Terminal, b.Claim.Tap.Terminal), cmp.Compare(a.Claim.Tap.Epoch, b.Claim.Tap.Epoch), cmp.Compare(a.Claim.Seq, b.Claim.Seq))
		})
	}
	return taps
}

func (s *State) move(lines []books.Line) error {
	for _, l := range lines {
		sum, err := s.Balances[l.Account].Add(l.Amount)
		if err != nil {
			return fmt.Errorf("account %s: %w", l.Account, err)
		}
		s.Balances[l.Account] = sum
	}
	return nil
}

// status of a card's row. One that was never issued stays unknown, blocked or not.
func (m *Model) status(n ids.CardNumber) string {
	if _, issued := m.issued[n]; !issued {
		return store.CardUnknown
	}
	if _, blocked := m.blocked[n]; blocked {
		return store.CardBlocked
	}
	return store.CardActive
}
