package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/shadowaccount"
)

// found plays what random histories found once, cut down to what was needed.
func (s suite) found(t *testing.T) {
	good := func(seq, tap uint64, counter uint32, before, amount int64, debit string) action {
		r := record{Card: stranger[:], Family: "ec", Counter: counter, Tap: tap, At: int64(counter), Merchant: "m", Amount: amount, Before: before, After: before - amount,
			Said: int8(shadowaccount.SaidCompleted), Proof: int8(shadowaccount.ProofGood), Debit: debit}
		return keep{bus, seq, [][]byte{r.body()}}
	}
	for name, actions := range map[string][]action{
		"a card that was never issued is blocked, and issued": {good(1, 1, 3, 1000, 100, ""), step{1}, block{stranger, 2},
			issue{store.Card{Number: stranger, Token: token(stranger), Family: "ec", Levels: 1, OpeningCounter: 2}}},
		"a tap was spent, and its older record names no debit": {good(9, 1, 2, 600, 0, "debit"), good(3, 2, 1, 500, 0, "debit"), step{9}, good(5, 1, 2, 800, 200, "")},
	} {
		t.Run(name, func(t *testing.T) {
			m := reference.New(look)
			for _, a := range actions {
				a.tell(m)
			}
			want, err := m.State()
			require.NoError(t, err)
			require.Empty(t, s.fails(t, actions, want))
		})
	}
}
