package shadowaccount_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// claim is a claim of a terminal's tap 1 at a time, with 10.00 on the card before.
func claim(terminal string, at int64, amount int64, said shadowaccount.Said, proof shadowaccount.Proof) shadowaccount.Claim {
	return shadowaccount.Claim{Tap: ids.TapID{Terminal: ids.TerminalID(terminal), Epoch: 1, Tap: 1}, Seq: 1, At: at, Merchant: ids.MerchantID("m-" + terminal),
		Amount: money.Minor(amount), Before: money.Minor(10_00), After: money.Minor(10_00 - amount), Said: said, Proof: proof}
}

const (
	completed = shadowaccount.SaidCompleted
	unknown   = shadowaccount.SaidUnknown
	none      = shadowaccount.ProofNone
	good      = shadowaccount.ProofGood
	bad       = shadowaccount.ProofBad
)

func next(minor int64) shadowaccount.Next {
	return shadowaccount.Next{Known: true, Before: money.Minor(minor)}
}

func TestWhatStandsInASlot(t *testing.T) {
	spent := claim("b", 1, 2_00, completed, good)
	spent.Spent = true
	five := shadowaccount.ExplainedBy([]shadowaccount.Load{{Counter: 3, Amount: money.Minor(5_00), Loaded: true}})
	doubt := shadowaccount.ExplainedBy([]shadowaccount.Load{{Counter: 3, Amount: money.Minor(5_00)}})
	for name, c := range map[string]struct {
		claims    []shadowaccount.Claim
		next      shadowaccount.Next
		explained shadowaccount.Explained
		want      []shadowaccount.Status
	}{
		"a proved debit stands": {claims: []shadowaccount.Claim{claim("a", 1, 2_00, completed, good)}, want: []shadowaccount.Status{shadowaccount.Stands}},
		"of two proved debits the older stands": {
			claims: []shadowaccount.Claim{claim("a", 2, 2_00, completed, good), claim("b", 1, 3_00, completed, good)},
			want:   []shadowaccount.Status{shadowaccount.Clone, shadowaccount.Stands}},
		"of two at one time the terminal's name decides": {
			claims: []shadowaccount.Claim{claim("b", 1, 2_00, completed, good), claim("a", 1, 3_00, completed, good)},
			want:   []shadowaccount.Status{shadowaccount.Clone, shadowaccount.Stands}},
		"a debit counted elsewhere is void here and clones nothing": {
			claims: []shadowaccount.Claim{claim("a", 2, 2_00, completed, good), spent},
			want:   []shadowaccount.Status{shadowaccount.Stands, shadowaccount.Void}},
		"a bad TAC is held and decides nothing": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, completed, bad), claim("b", 1, 2_00, unknown, none)},
			want:   []shadowaccount.Status{shadowaccount.BadTAC, shadowaccount.Open}},
		"an unknown tap stays open while the next counter is not known": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none)}, want: []shadowaccount.Status{shadowaccount.Open}},
		"an unknown tap happened if the next counter shows its balance": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none)}, next: next(8_00), want: []shadowaccount.Status{shadowaccount.Inferred}},
		"an aged tap is resolved like an unknown one": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, shadowaccount.SaidAged, none)}, next: next(8_00), want: []shadowaccount.Status{shadowaccount.Inferred}},
		"an unknown tap stays open if the next counter shows another balance": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none)}, next: next(10_00), want: []shadowaccount.Status{shadowaccount.Open}},
		"a load on the card explains a higher balance": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none)}, next: next(13_00), explained: five, want: []shadowaccount.Status{shadowaccount.Inferred}},
		"a load in doubt explains nothing": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none)}, next: next(13_00), explained: doubt, want: []shadowaccount.Status{shadowaccount.Open}},
		"of two unknown taps that fit, the later one debited": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none), claim("b", 9, 2_00, unknown, none)}, next: next(8_00),
			want: []shadowaccount.Status{shadowaccount.Void, shadowaccount.Inferred}},
		"the card's log beats a later unknown": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, shadowaccount.SaidCardLog, none), claim("b", 9, 2_00, unknown, none)}, next: next(8_00),
			want: []shadowaccount.Status{shadowaccount.Inferred, shadowaccount.Void}},
		"a proved debit voids the unknown tap that saw the same counter": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, unknown, none), claim("b", 9, 2_00, completed, good)}, next: next(8_00),
			want: []shadowaccount.Status{shadowaccount.Void, shadowaccount.Stands}},
		"a voided tap is void, whatever the next counter shows": {
			claims: []shadowaccount.Claim{claim("a", 1, 2_00, shadowaccount.SaidVoided, none)}, next: next(8_00), want: []shadowaccount.Status{shadowaccount.Void}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.explained == nil {
				c.explained = shadowaccount.ExplainedBy(nil)
			}
			require.Equal(t, c.want, shadowaccount.Decide(c.claims, c.next, c.explained))
		})
	}
}

func TestTheNextSlotIsReadFromTheMostTrustedClaim(t *testing.T) {
	at := func(before int64, c shadowaccount.Claim) shadowaccount.Claim {
		c.Before = money.Minor(before)
		return c
	}
	spent := at(1_00, claim("a", 0, 1_00, completed, good))
	spent.Spent = true
	require.Equal(t, next(7_00), shadowaccount.NextFrom([]shadowaccount.Claim{
		spent, at(2_00, claim("b", 1, 1_00, completed, bad)), at(3_00, claim("c", 2, 1_00, unknown, none)), at(7_00, claim("d", 9, 1_00, completed, good))}))
	require.Equal(t, next(3_00), shadowaccount.NextFrom([]shadowaccount.Claim{at(4_00, claim("d", 9, 1_00, unknown, none)), at(3_00, claim("c", 2, 1_00, unknown, none))}))
	require.Equal(t, shadowaccount.Next{}, shadowaccount.NextFrom([]shadowaccount.Claim{spent, claim("b", 1, 1_00, completed, bad)}))
}

func drawClaim(r *rapid.T) shadowaccount.Claim {
	c := claim(rapid.SampledFrom([]string{"a", "b"}).Draw(r, "terminal"), rapid.Int64Range(0, 3).Draw(r, "at"), rapid.Int64Range(0, 3).Draw(r, "amount")*100,
		shadowaccount.Said(rapid.IntRange(1, 5).Draw(r, "said")), none)
	c.Seq = rapid.Uint64Range(1, 4).Draw(r, "seq")
	c.Tap.Tap = c.Seq
	if c.Said == completed {
		c.Proof = rapid.SampledFrom([]shadowaccount.Proof{good, good, bad}).Draw(r, "proof")
	}
	c.Flags = shadowaccount.Flags(rapid.IntRange(0, 7).Draw(r, "flags"))
	c.Decision = shadowaccount.Decision(rapid.IntRange(0, 2).Draw(r, "decision"))
	return c
}

// A decision moves only what nothing else decides, and changes nothing for the other claims to the slot.
func TestADecisionIsWeakerThanAnyProof(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		claims := rapid.SliceOfNDistinct(rapid.Custom(drawClaim), 1, 5, func(c shadowaccount.Claim) ids.TapID { return c.Tap }).Draw(r, "claims")
		n := shadowaccount.Next{Known: rapid.Bool().Draw(r, "known"), Before: money.Minor(rapid.Int64Range(6, 10).Draw(r, "next") * 100)}
		explained := shadowaccount.ExplainedBy(nil)
		bare := slices.Clone(claims)
		for i := range bare {
			bare[i].Decision = shadowaccount.Undecided
		}
		decided := shadowaccount.Decide(claims, n, explained)
		for i, without := range shadowaccount.Decide(bare, n, explained) {
			want := without
			if without == shadowaccount.Open || without == shadowaccount.Clone || without == shadowaccount.BadTAC {
				want = [...]shadowaccount.Status{without, shadowaccount.Granted, shadowaccount.Denied}[claims[i].Decision]
				require.True(r, want.Decidable())
			} else {
				require.False(r, without.Decidable())
			}
			require.Equal(r, want, decided[i])
		}
		require.Equal(r, shadowaccount.NextFrom(bare), shadowaccount.NextFrom(claims))
	})
}

func TestMergingRecordsOfATapKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b, c := drawClaim(r), drawClaim(r), drawClaim(r)
		for i, x := range []*shadowaccount.Claim{&a, &b, &c} { // one tap, records of its own numbers
			x.Tap, x.Seq = ids.TapID{Terminal: "a", Epoch: 1, Tap: 1}, uint64(i+1)
		}
		m := shadowaccount.Merge
		require.Equal(r, m(a, b), m(b, a))
		require.Equal(r, m(m(a, b), c), m(a, m(b, c)))
		require.Equal(r, m(a, b), m(m(a, b), b))
	})
}

func TestDecidingKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		claims := rapid.SliceOfNDistinct(rapid.Custom(drawClaim), 1, 5, func(c shadowaccount.Claim) ids.TapID { return c.Tap }).Draw(r, "claims")
		n := shadowaccount.Next{Known: rapid.Bool().Draw(r, "known"), Before: money.Minor(rapid.Int64Range(6, 10).Draw(r, "next") * 100)}
		explained := shadowaccount.ExplainedBy([]shadowaccount.Load{{Amount: money.Minor(1_00), Loaded: true}})
		byTap := map[ids.TapID]shadowaccount.Status{}
		occupied := 0
		for i, s := range shadowaccount.Decide(claims, n, explained) {
			byTap[claims[i].Tap] = s
			if s.Occupies() {
				occupied++
			}
		}
		require.LessOrEqual(r, occupied, 1, "a card makes at most one debit with a counter")
		shuffled := rapid.Permutation(claims).Draw(r, "shuffled")
		for i, s := range shadowaccount.Decide(shuffled, n, explained) {
			require.Equal(r, byTap[shuffled[i].Tap], s)
		}
		require.Equal(r, shadowaccount.NextFrom(claims), shadowaccount.NextFrom(shuffled))
	})
}

func TestEffectsOfAnyPathBalanceAndEndInTheSameAccounts(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		sum := map[books.Account]int64{}
		var shadow int64
		var was shadowaccount.Claim
		wasStatus := shadowaccount.Nothing
		for range rapid.IntRange(1, 5).Draw(r, "moves") {
			now, status := drawClaim(r), shadowaccount.Status(rapid.IntRange(1, 8).Draw(r, "status"))
			lines, change, err := shadowaccount.Effects(was, wasStatus, now, status)
			require.NoError(r, err)
			require.NoError(r, books.Entry{ID: "x", Kind: "x", Day: "x", Lines: lines}.Check())
			for _, l := range lines {
				sum[l.Account] += l.Amount.Minor()
			}
			shadow += change.Minor()
			was, wasStatus = now, status
		}
		direct, change, err := shadowaccount.Effects(shadowaccount.Claim{}, shadowaccount.Nothing, was, wasStatus)
		require.NoError(r, err)
		for _, l := range direct {
			sum[l.Account] -= l.Amount.Minor()
		}
		for account, left := range sum {
			require.Zero(r, left, account)
		}
		require.Equal(r, change.Minor(), shadow)
	})
}

func TestADebitBelongsToItsPSAMsTerminalAndThenToTheOlderClaim(t *testing.T) {
	stranger := claim("a", 0, 2_00, completed, good)
	stranger.Flags = shadowaccount.FlagWrongSAM
	require.Equal(t, 1, shadowaccount.Spend([]shadowaccount.Claim{stranger, claim("c", 9, 2_00, completed, good)}))
	require.Equal(t, 0, shadowaccount.Spend([]shadowaccount.Claim{claim("c", 3, 2_00, completed, good), claim("a", 9, 2_00, completed, good)}))
	require.Equal(t, 1, shadowaccount.Spend([]shadowaccount.Claim{claim("c", 3, 2_00, completed, good), claim("a", 3, 2_00, completed, good)}))
}
