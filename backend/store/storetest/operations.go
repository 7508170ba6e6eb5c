package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// operations tries the small things that terminals and officers rely on, each by itself.
func (s suite) operations(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *player){
		"numbers are a set":                         numbersAreASet,
		"the same bytes are kept once":              sameBytesOnce,
		"other bytes are kept apart":                otherBytesApart,
		"a quarantined number can still be told":    quarantinedThenTold,
		"records wait in the order they came":       waitInOrder,
		"a record waits for its card's name":        waitForName,
		"a tap came when its first record came":     cameFirst,
		"a load on the card stays":                  loadStays,
		"a card is issued once":                     issuedOnce,
		"what failed leaves nothing":                failedLeavesNothing,
		"a group posted again changes no balance":   postedAgain,
		"a record's label says how it looked":       labelled,
		"what was committed is there after opening": nil,
	} {
		t.Run(name, func(t *testing.T) {
			at := s.fresh(t)
			p := s.begin(t, at, nil)
			defer func() { p.store.Close() }()
			if test != nil {
				test(t, p)
				return
			}
			require.NoError(t, p.play([]action{tapOf(1), step{1}}))
			require.NoError(t, p.store.Close())
			p.store = open(t, at, nil)
			require.Equal(t, "accepted", verdict(t, p, 1))
		})
	}
}

var bus = reference.Epoch{Terminal: "bus-1", Epoch: 1}

// tapOf is a batch of one good tap of a card that nobody issued.
func tapOf(seq uint64) keep {
	r := record{Card: stranger[:], Family: "ep", Counter: uint32(seq), Tap: seq, At: int64(seq), Merchant: "m", Amount: 100, Before: 1000, After: 900,
		Said: int8(shadowaccount.SaidCompleted), Proof: int8(shadowaccount.ProofGood), Debit: fmt.Sprint("debit ", seq)}
	return keep{epoch: bus, first: seq, bodies: [][]byte{r.body()}}
}

var stranger = ids.CardNumber{9: 9}

func verdict(t testing.TB, p *player, seq uint64) string {
	var v store.Verdict
	view(t, p, func(tx *store.Tx) (err error) {
		v, err = tx.RecordVerdict(p.ctx, bus.Terminal, bus.Epoch, seq)
		return err
	})
	return v.Verdict
}

func view(t require.TestingT, p *player, f func(*store.Tx) error) {
	require.NoError(t, p.store.View(p.ctx, f))
}

// numbersAreASet holds watermark, holes, hashes and bodies against the reference's set, whatever comes in whatever order: records,
// doubles, other content, garbled batches, and what a terminal no longer holds.
func numbersAreASet(t *testing.T, p *player) {
	e := reference.Epoch{Terminal: "bus-1"}
	rapid.Check(t, func(t *rapid.T) {
		const numbers = 25
		e.Epoch++
		m := reference.New(look)
		span := func(t *rapid.T) (first, last uint64) {
			first = rapid.Uint64Range(1, numbers).Draw(t, "first")
			return first, rapid.Uint64Range(first, min(first+4, numbers)).Draw(t, "last")
		}
		for range rapid.IntRange(1, 15).Draw(t, "arrivals") {
			switch rapid.SampledFrom([]string{"records", "records", "records", "garbled", "given up"}).Draw(t, "what") {
			case "records":
				a := keep{epoch: e}
				var last uint64
				a.first, last = span(t)
				other := rapid.IntRange(0, 5).Draw(t, "other") == 0
				var conflicts []uint64
				fresh := 0
				for seq := a.first; seq <= last; seq++ {
					body := fmt.Appendf(nil, "record %d", seq)
					if other {
						body = append(body, " otherwise"...)
					}
					switch have := m.Body(reference.Key{Terminal: e.Terminal, Epoch: e.Epoch, Seq: seq}); {
					case have == nil:
						fresh++
					case string(have) != string(body):
						conflicts = append(conflicts, seq)
					}
					a.bodies = append(a.bodies, body)
				}
				k, err := p.keep(a)
				require.NoError(t, err)
				a.tell(m)
				require.Equal(t, store.Kept{New: fresh, Same: len(a.bodies) - fresh - len(conflicts), Conflicts: conflicts, Through: m.Through(e)}, k)
			case "garbled":
				first, last := span(t)
				q := quarantine{e, first, last}
				require.NoError(t, q.do(p))
				q.tell(m)
			case "given up":
				last := rapid.Uint64Range(0, numbers).Draw(t, "last")
				want := map[uint64]bool{}
				for seq := range m.Missing(e, last) {
					if seq <= last {
						want[seq] = true
					}
				}
				var lost []store.SeqRange
				require.NoError(t, p.update(func(tx *store.Tx) (err error) {
					lost, err = tx.GiveUp(p.ctx, e.Terminal, e.Epoch, last, time.UnixMilli(p.now))
					return err
				}))
				require.Equal(t, want, members(lost))
				m.GiveUp(e, last)
			}
		}
		upTo := rapid.Uint64Range(0, numbers+5).Draw(t, "up to")
		view(t, p, func(tx *store.Tx) error {
			through, err := tx.Through(p.ctx, e.Terminal, e.Epoch)
			require.NoError(t, err)
			require.Equal(t, m.Through(e), through)
			holes, err := tx.Missing(p.ctx, e.Terminal, e.Epoch, upTo, numbers)
			require.NoError(t, err)
			require.Equal(t, m.Missing(e, upTo), members(holes))
			for seq := uint64(1); seq <= numbers; seq++ {
				want := m.Body(reference.Key{Terminal: e.Terminal, Epoch: e.Epoch, Seq: seq})
				have, err := tx.RecordBody(p.ctx, e.Terminal, e.Epoch, seq)
				hash, err2 := tx.RecordHash(p.ctx, e.Terminal, e.Epoch, seq)
				require.NoError(t, err2)
				if want == nil {
					require.ErrorIs(t, err, store.ErrNotFound)
					require.Zero(t, hash)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, want, have)
				require.Equal(t, sha256.Sum256(want), hash)
			}
			return nil
		})
	})
}

// members are the numbers in ranges; a number that is in two, or out of order, is none.
func members(ranges []store.SeqRange) map[uint64]bool {
	out := map[uint64]bool{}
	last := uint64(0)
	for _, r := range ranges {
		for seq := r.First; seq <= r.Last; seq++ {
			if seq > last {
				out[seq] = true
			}
			last = seq
		}
	}
	return out
}

func sameBytesOnce(t *testing.T, p *player) {
	for i := range 3 {
		k, err := p.keep(tapOf(1))
		require.NoError(t, err)
		require.Equal(t, i == 0, k.New == 1)
		require.EqualValues(t, 1, k.Through)
	}
	require.NoError(t, p.drain())
	view(t, p, func(tx *store.Tx) error {
		n, err := tx.Tally(p.ctx, "duplicates")
		require.NoError(t, err)
		require.Equal(t, 2, n)
		c, err := tx.CardByNumber(p.ctx, stranger)
		require.Equal(t, "-1.00", c.Shadow.String())
		return err
	})
}

func otherBytesApart(t *testing.T, p *player) {
	require.NoError(t, p.play([]action{tapOf(1)}))
	other := tapOf(1)
	other.bodies = [][]byte{[]byte("other")}
	for range 2 {
		k, err := p.keep(other)
		require.NoError(t, err)
		require.Equal(t, []uint64{1}, k.Conflicts)
	}
	require.NoError(t, p.drain())
	view(t, p, func(tx *store.Tx) error {
		body, err := tx.RecordBody(p.ctx, bus.Terminal, bus.Epoch, 1)
		require.NoError(t, err)
		require.Equal(t, tapOf(1).bodies[0], body)
		found, err := tx.Findings(p.ctx, "", all)
		require.NoError(t, err)
		conflicts := 0
		for _, f := range found {
			if f.Code == shadowaccount.FindRecordConflict {
				conflicts++
			}
		}
		require.Equal(t, 1, conflicts, "told twice, one alarm")
		return nil
	})
	require.Equal(t, "accepted", verdict(t, p, 1))
}

func quarantinedThenTold(t *testing.T, p *player) {
	require.NoError(t, p.play([]action{tapOf(1), quarantine{bus, 1, 3}}))
	require.Equal(t, "accepted", verdict(t, p, 1), "what is kept stays")
	require.Equal(t, "quarantined", verdict(t, p, 2))
	require.NoError(t, p.play([]action{tapOf(2), tapOf(3)}))
	require.Equal(t, "accepted", verdict(t, p, 2))
	view(t, p, func(tx *store.Tx) error {
		through, err := tx.Through(p.ctx, bus.Terminal, bus.Epoch)
		require.EqualValues(t, 3, through)
		return err
	})
}

func waitInOrder(t *testing.T, p *player) {
	for _, seq := range []uint64{7, 2, 5} {
		_, err := p.keep(tapOf(seq))
		require.NoError(t, err)
	}
	require.NoError(t, nextDay{}.do(p))
	_, err := p.keep(tapOf(1))
	require.NoError(t, err)
	view(t, p, func(tx *store.Tx) error {
		for limit, want := range map[int][]uint64{2: {7, 2}, 10: {7, 2, 5, 1}} {
			pending, err := tx.PendingRecords(p.ctx, limit)
			require.NoError(t, err)
			var have []uint64
			for _, r := range pending {
				have = append(have, r.Seq)
			}
			require.Equal(t, want, have)
		}
		ofDay, err := tx.PendingOfDay(p.ctx, days[0])
		require.NoError(t, err)
		require.Equal(t, 3, ofDay)
		through, err := tx.PendingThrough(p.ctx, days[1])
		require.Equal(t, 4, through)
		return err
	})
	n, err := p.step(10)
	require.NoError(t, err)
	require.Equal(t, 3, n, "a group is of one day")
}

func waitForName(t *testing.T, p *player) {
	card, alias := ids.CardNumber{9: 1}, ids.CardNumber{0: 0xA1, 9: 1}
	named := record{Card: card[:], Alias: alias[:], Family: "ec", Counter: 2, Tap: 2, At: 2, Merchant: "m", Amount: 100, Before: 800, After: 700,
		Said: int8(shadowaccount.SaidCompleted), Proof: int8(shadowaccount.ProofGood)}
	torn := record{Alias: alias[:], Family: "ec", Counter: 1, Tap: 1, At: 1, Merchant: "m", Amount: 200, Before: 1000, After: 800, Said: int8(shadowaccount.SaidUnknown)}
	require.NoError(t, p.play([]action{keep{bus, 1, [][]byte{torn.body()}}}))
	require.Equal(t, "unnamed", verdict(t, p, 1))
	require.NoError(t, nextDay{}.do(p))
	require.NoError(t, p.play([]action{keep{bus, 2, [][]byte{named.body()}}}))
	require.Equal(t, "inferred", verdict(t, p, 1))
	err := p.update(func(tx *store.Tx) error { return tx.NameCard(p.ctx, alias, stranger, days[0]) })
	require.ErrorContains(t, err, "already", "an alias is one card's for ever")
}

// cameFirst lets a tap's record that names its card come after one that does not, and be posted before it.
func cameFirst(t *testing.T, p *player) {
	card, alias := ids.CardNumber{9: 1}, ids.CardNumber{0: 0xA1, 9: 1}
	torn := record{Alias: alias[:], Family: "ec", Counter: 1, Tap: 1, At: 1, Merchant: "m", Amount: 200, Before: 1000, After: 800, Said: int8(shadowaccount.SaidUnknown)}
	proved := torn
	proved.Card, proved.Said, proved.Proof = card[:], int8(shadowaccount.SaidCompleted), int8(shadowaccount.ProofGood)
	require.NoError(t, p.play([]action{keep{bus, 1, [][]byte{torn.body()}}}))
	first := p.now
	require.NoError(t, nextDay{}.do(p))
	require.NoError(t, p.play([]action{keep{bus, 2, [][]byte{proved.body()}}}))
	view(t, p, func(tx *store.Tx) error {
		taps, err := tx.CardTaps(p.ctx, card)
		require.Len(t, taps, 1)
		require.Equal(t, shadowaccount.Stands, taps[0].Status)
		require.Equal(t, first, taps[0].ReceivedMS)
		return err
	})
}

func loadStays(t *testing.T, p *player) {
	card := ids.CardNumber{9: 1}
	five := shadowaccount.Load{Counter: 3, Amount: money.Minor(5_00)}
	on := five
	on.Loaded = true
	require.NoError(t, p.play([]action{issue{store.Card{Number: card, Token: token(card), Levels: 1}}, load{card, five}, load{card, on}, load{card, on}, forget{card, 3}}))
	more := on
	more.Amount = money.Minor(6_00)
	for _, l := range []shadowaccount.Load{more, five} {
		require.Error(t, p.update(func(tx *store.Tx) error { return tx.PutCardLoad(p.ctx, card, l, "order") }), "a load that is on the card cannot become another")
	}
	view(t, p, func(tx *store.Tx) error {
		c, err := tx.CardByNumber(p.ctx, card)
		require.NoError(t, err)
		require.Equal(t, "5.00", c.Shadow.String())
		loads, err := tx.CardLoads(p.ctx, card)
		require.Equal(t, []shadowaccount.Load{on}, loads)
		return err
	})
}

func issuedOnce(t *testing.T, p *player) {
	card := store.Card{Number: ids.CardNumber{9: 1}, Token: token(ids.CardNumber{9: 1}), Levels: 1, OpeningCounter: 5}
	again := card
	again.OpeningCounter = 6
	require.NoError(t, p.play([]action{issue{card}, issue{again}}))
	view(t, p, func(tx *store.Tx) error {
		c, err := tx.CardByToken(p.ctx, card.Token)
		require.EqualValues(t, 5, c.OpeningCounter)
		return err
	})
	again.OpeningBalance = money.Minor(1)
	require.ErrorContains(t, issue{again}.do(p), "issued empty")
	require.ErrorIs(t, p.update(func(tx *store.Tx) error { return tx.BlockCard(p.ctx, stranger, time.UnixMilli(1)) }), store.ErrNotFound)
}

func failedLeavesNothing(t *testing.T, p *player) {
	boom := errors.New("boom")
	err := p.update(func(tx *store.Tx) error {
		_, err := tx.Keep(p.ctx, p.arrived(bus, 1, tapOf(1).bodies))
		require.NoError(t, err)
		return boom
	})
	require.ErrorIs(t, err, boom)
	view(t, p, func(tx *store.Tx) error {
		_, err := tx.RecordVerdict(p.ctx, bus.Terminal, bus.Epoch, 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	})
	require.Error(t, p.store.View(p.ctx, func(tx *store.Tx) error {
		_, err := tx.Keep(p.ctx, p.arrived(bus, 1, tapOf(1).bodies))
		return err
	}), "a view cannot write")
}

// labelled tells how records looked when they came, in groups of their own and in one.
func labelled(t *testing.T, p *player) {
	labels := func(seqs ...uint64) (out []shadowaccount.Label) {
		view(t, p, func(tx *store.Tx) error {
			for _, seq := range seqs {
				v, err := tx.RecordVerdict(p.ctx, bus.Terminal, bus.Epoch, seq)
				require.NoError(t, err)
				out = append(out, v.Label)
			}
			return nil
		})
		return out
	}
	debit := func(seq uint64, counter uint32, name string) action {
		r := record{Card: stranger[:], Family: "ep", Counter: counter, Tap: seq, At: int64(seq), Merchant: "m", Amount: 100, Before: 1000, After: 900,
			Said: int8(shadowaccount.SaidCompleted), Proof: int8(shadowaccount.ProofGood), Debit: name}
		return keep{bus, seq, [][]byte{r.body()}}
	}
	require.NoError(t, p.play([]action{debit(1, 1, "a"), debit(2, 4, "b"), step{9}}))
	require.NoError(t, p.play([]action{debit(3, 5, "a"), step{9}, debit(4, 4, "c"), step{9}, debit(5, 2, "d"), step{9}}))
	require.Equal(t, []shadowaccount.Label{shadowaccount.LabelOK, shadowaccount.LabelOK, shadowaccount.LabelReuse, shadowaccount.LabelReuse, shadowaccount.LabelLate}, labels(1, 2, 3, 4, 5),
		"a debit is told twice, a counter is used twice, and a gap is filled")
	require.NoError(t, p.play([]action{debit(6, 6, "e"), debit(7, 7, "e"), debit(8, 8, "b"), step{9}}))
	require.Equal(t, []shadowaccount.Label{shadowaccount.LabelOK, shadowaccount.LabelReuse, shadowaccount.LabelReuse}, labels(6, 7, 8), "in one group")
}

// postedAgain posts a group a second time, as a backend would that did not hear that it was committed.
func postedAgain(t *testing.T, p *player) {
	for _, seq := range []uint64{1, 2} {
		_, err := p.keep(tapOf(seq))
		require.NoError(t, err)
	}
	var pending []store.Pending
	view(t, p, func(tx *store.Tx) (err error) {
		pending, err = tx.PendingRecords(p.ctx, 10)
		return err
	})
	require.Len(t, pending, 2)
	var group []store.Verified
	for _, r := range pending {
		l := look(reference.Key{Terminal: r.Terminal, Epoch: r.Epoch, Seq: r.Seq}, r.Body)
		l.Pending = r
		group = append(group, l.Verified)
	}
	m := reference.New(look)
	tapOf(1).tell(m)
	tapOf(2).tell(m)
	want, err := m.State()
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, p.update(func(tx *store.Tx) error { return tx.PostGroup(context.Background(), p.group(days[0]), group) }))
		require.Empty(t, differs(p.store, want))
	}
}
