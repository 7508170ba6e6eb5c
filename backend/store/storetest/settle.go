package storetest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// The parties of the suite's clearing days: merchants of even numbers settle through the one acquirer, odd ones through the other.
var acquirers = []ids.AcquirerID{"bus", "metro"}

const channel = "online"

// settled is a scheme whose days are closed one after another, and what was seen of them.
type settled struct {
	*player
	t *testing.T
	expiry
	outputs map[string]settlement.Output
	items   map[string]store.Item // what the days closed so far left each tap or record in
	told    map[string]string     // the day that told of it last
	earned  map[ids.MerchantID]int64
	seen    map[string]int
}

// settlement closes every day of random histories. Each must prove, no tap may be settled twice, a correction belongs to a later day,
// and in the end each merchant was granted what its taps are worth, but for those that came too late and that officers did not grant.
func (s suite) settlement(t *testing.T) {
	seen := map[string]int{}
	type life struct {
		seed  uint64
		world int
	}
	lives := []life{{20261125, 3}} // a number that nobody could read, and of a tap that had seemed not to have happened
	for world := range max(1, *histories/100) {
		lives = append(lives, life{*seed, world})
	}
	for _, l := range lives {
		w := settled{player: s.begin(t, s.fresh(t), nil), t: t, outputs: map[string]settlement.Output{}, items: map[string]store.Item{},
			expiry: expiry{model: reference.New(look), came: map[reference.Key]int64{}, late: map[reference.Tapped]store.Late{}},
			told:   map[string]string{}, earned: map[ids.MerchantID]int64{}, seen: seen}
		w.live(l.seed, l.world)
		require.NoError(t, w.store.Close())
	}
	for _, want := range []string{"accepted", "rejected", "suspect", "void", "unreadable", "granted", "denied", "correction", "taken back", "read after all",
		"expired", "late-granted", "bad clock", "expired after all"} {
		require.NotZero(t, seen[want], "no day had %s: the suite proves less than it says", want)
	}
}

func (w *settled) live(seed uint64, world int) {
	const lives = 25
	r := chance(seed, uint64(world)<<8)
	var lists [][]action
	w.register(world, lives)
	for id := lives * world; id < lives*(world+1); id++ {
		h := newHistory(seed, id, id)
		lists = append(lists, arrive(h, r))
	}
	open := 0 // the first day that is not closed
	for i, a := range weave(lists, true, r) {
		require.NoError(w.t, a.do(w.player))
		w.heard(a, w.now)
		if _, ended := a.(nextDay); ended && r.IntN(3) > 0 { // else it is closed together with the next
			for ; open < w.day; open++ {
				w.close(days[open], r.IntN(4)*2)
			}
			w.officers(r)
		}
		if r.IntN(10) == 0 {
			w.sell(fmt.Sprint("sale-", i), int64(r.IntN(5000)))
		}
	}
	for ; open <= w.day; open++ {
		w.close(days[open], 3)
	}
	w.officers(r)
	w.close("2026-12-02", 3) // what they granted is paid
	want, err := w.model.State()
	require.NoError(w.t, err)
	require.Empty(w.t, w.granted(want))
	w.expired(want)
	for day, out := range w.outputs {
		again, err := settlement.Close(w.ctx, w.store, day, w.at(day, 1))
		require.NoError(w.t, err)
		require.Equal(w.t, out, again, "a closed day stays as it was, whatever came later")
	}
	view(w.t, w.player, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(w.ctx)
		require.Empty(w.t, faults)
		return err
	})
}

// register makes the parties, the merchants and the terminals of the histories.
func (w *settled) register(world, lives int) {
	fees := [][]fee.Standard{{fee.Percent("standard", "service", 5_000)}, {}}
	require.NoError(w.t, w.update(func(tx *store.Tx) error {
		for i, a := range acquirers {
			raw, err := json.Marshal(fees[i])
			require.NoError(w.t, err)
			if err := tx.PutAcquirer(w.ctx, store.Acquirer{ID: a, Name: string(a), Fees: string(raw)}); err != nil {
				return err
			}
		}
		raw, err := json.Marshal([]fee.Standard{fee.Percent("channel", "channel", 6_000)})
		require.NoError(w.t, err)
		if err := tx.PutChannel(w.ctx, store.ClearingChannel{ID: channel, Name: channel, Fees: string(raw)}); err != nil {
			return err
		}
		for id := lives * world; id < lives*(world+1); id++ {
			for i, a := range acquirers {
				if err := tx.PutMerchant(w.ctx, store.Merchant{ID: ids.MerchantID(merchantOf(id, i)), Acquirer: a}); err != nil {
					return err
				}
			}
			for n := range 3 {
				if err := tx.PutTerminal(w.ctx, store.Terminal{ID: ids.TerminalID(fmt.Sprintf("h%d-t%d", id, n)), Merchant: ids.MerchantID(merchantOf(id, n)),
					PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// sell posts a load that was paid for: in cash at an acquirer, or online.
func (w *settled) sell(id string, minor int64) {
	from := []books.Account{books.AcquirerSoldLoads(acquirers[0]), books.AcquirerSoldLoads(acquirers[1]), books.Channel(channel)}[minor%3]
	require.NoError(w.t, w.update(func(tx *store.Tx) error {
		return tx.MoveLoad(w.ctx, id, "load-order", days[w.day], id, from, books.Funding, money.Minor(minor))
	}))
}

// at is when a day is closed, and after how many days its taps expire.
func (w *settled) at(day string, expire int) settlement.Options {
	d, err := time.Parse(time.DateOnly, day)
	require.NoError(w.t, err)
	return settlement.Options{Now: d.Add(23 * time.Hour), Location: time.UTC, ExpireAfter: expire}
}

// close closes a day, twice, and looks at all that it says. Taps that came so many days late expire.
func (w *settled) close(day string, expire int) {
	t := w.t
	require.NoError(t, w.drain())
	w.judge(day, expire)
	out, err := settlement.Close(w.ctx, w.store, day, w.at(day, expire))
	require.NoError(t, err)
	again, err := settlement.Close(w.ctx, w.store, day, w.at(days[len(days)-1], 1))
	require.NoError(t, err)
	require.Equal(t, len(out.Files()), len(again.Files()))
	for i, f := range out.Files() {
		require.True(t, bytes.Equal(f.Body, again.Files()[i].Body), "%s: %s", day, f.Name)
	}
	w.outputs[day] = out
	w.proves(day, out.Report)
	w.once(day)
}

// proves adds the day up: from taps to merchants, from merchants to acquirers, and from all to nothing.
func (w *settled) proves(day string, r settlement.Report) {
	t, total := w.t, r.Proof.TrustMovement.Minor()
	var fees, float int64
	for _, a := range r.Acquirers {
		merchants := -a.SoldLoads.Minor()
		for _, m := range a.Merchants {
			payable := m.Accepted.Amount.Minor() + m.Adjustments.Amount.Minor()
			require.Equal(t, payable-m.Fees.Total.Minor(), m.Net.Minor(), "%s: merchant %s gets what was accepted, less fees", day, m.ID)
			w.earned[ids.MerchantID(m.ID)] += payable
			merchants += m.Net.Minor()
			fees += m.Fees.Total.Minor()
			float -= payable
		}
		require.Equal(t, merchants, a.Net.Minor(), "%s: acquirer %s gets what its merchants get, less the loads it sold", day, a.ID)
		total += a.Net.Minor()
		float += a.SoldLoads.Minor()
	}
	for _, c := range r.Channels {
		total += c.Net.Minor()
		float += c.Collected.Minor()
	}
	require.Zero(t, total, "%s: all positions and our own", day)
	require.True(t, r.Proof.ZeroSum.IsZero(), day)
	require.Equal(t, fees, r.Proof.MerchantFees.Minor(), day)
	require.Equal(t, float, r.Proof.FloatMovement.Minor(), day)
	require.Equal(t, float+fees-r.Proof.ChannelFees.Minor(), r.Proof.TrustMovement.Minor(), day)
}

// once holds the day's items to what the days before left: each tap is new, or is corrected from exactly what it was.
func (w *settled) once(day string) {
	view(w.t, w.player, func(tx *store.Tx) error {
		var items []store.Item
		err := tx.EachItem(w.ctx, day, func(i store.Item) error {
			items = append(items, i)
			return nil
		})
		claims := w.claims()
		for _, i := range items {
			number := fmt.Sprintf("record %s/%d/%d", i.Terminal, i.Epoch, i.Seq)
			k := reference.Tapped{Card: i.CardNumber(), Counter: i.Counter, Tap: ids.TapID{Terminal: i.Terminal, Epoch: i.Epoch, Tap: i.Tap}}
			name := nameOf(k)
			if len(i.Card) == 0 {
				name = number
			} else {
				class, reason := classOf(claims[k].Status, w.late[k])
				require.Equal(w.t, [2]string{class, reason}, [2]string{i.Class, i.Reason}, "%s: %s", day, name)
			}
			was, there := w.items[name]
			on := w.told[name]
			require.LessOrEqual(w.t, i.Arrived, day, name)
			if unread, told := w.items[number]; !there && told { // nobody could read its number, and its good record has come since
				require.Equal(w.t, string(reference.Quarantined), unread.Reason, name)
				was, on, there = unread, w.told[number], true
				delete(w.items, number)
				w.seen["read after all"]++
			}
			if !there && i.WasDay != "" { // a tap that seemed not to have happened was in no report
				was, on, there = store.Item{Class: "void", Amount: i.WasAmount, Acquirer: i.Acquirer}, i.WasDay, true
			}
			if there {
				require.Equal(w.t, on, i.WasDay, "%s: %s is not a correction of the day that told of it last", day, name)
				require.Less(w.t, i.WasDay, day, name)
				require.Equal(w.t, [3]any{was.Class, was.Amount, was.Acquirer}, [3]any{i.WasClass, i.WasAmount, i.Acquirer}, "%s: %s", day, name)
				w.seen["correction"]++
				if i.WasClass == "accepted" && i.Class != "accepted" {
					w.seen["taken back"]++
				}
				if i.Expired && was.Class == "suspect" {
					w.seen["expired after all"]++
				}
			}
			w.items[name], w.told[name] = i, day
			w.seen[i.Class]++
			w.seen[i.Reason]++
		}
		return err
	})
}

// granted says how what the closed days came to differs from what the set of records is worth: by merchant, and tap by tap.
func (w *settled) granted(want reference.State) string {
	worth, told := map[ids.MerchantID]int64{}, map[string]bool{}
	for n, c := range want.Cards {
		for _, p := range c.Claims {
			k := reference.Tapped{Card: n, Counter: p.Counter, Tap: p.Tap}
			class, _ := classOf(p.Status, w.late[k])
			if class == "accepted" {
				worth[p.Merchant] += p.Amount.Minor()
			}
			name := nameOf(k)
			item, there := w.items[name]
			if !there && p.Status == shadowaccount.Void {
				continue // never anybody's
			}
			told[name] = true
			if item.Class != class || item.Amount != p.Amount {
				return fmt.Sprintf("%s is %v with %v, settled as %q with %v", name, p.Status, p.Amount, item.Class, item.Amount)
			}
		}
	}
	for k, fate := range want.Records {
		if fate != reference.Unreadable && fate != reference.Quarantined {
			continue
		}
		name := fmt.Sprintf("record %s/%d/%d", k.Terminal, k.Epoch, k.Seq)
		told[name] = true
		// One that a day told of while it was garbled keeps that reason.
		if item := w.items[name]; item.Class != "rejected" || item.Reason != string(fate) && item.Reason != string(reference.Quarantined) {
			return fmt.Sprintf("%s is %s, settled as %q, %s", name, fate, item.Class, item.Reason)
		}
	}
	for name, i := range w.items { // a day may have told of a garbled record before it came again, whole
		if !told[name] && (i.Reason != string(reference.Quarantined) || !i.Amount.IsZero()) {
			return fmt.Sprintf("%s is settled as %q, and nothing tells of it", name, i.Class)
		}
	}
	for m, minor := range w.earned {
		if worth[m] != minor {
			return fmt.Sprintf("merchant %s: its taps are worth %d, its days granted %d", m, worth[m], minor)
		}
	}
	for m, minor := range worth {
		if w.earned[m] != minor {
			return fmt.Sprintf("merchant %s: its taps are worth %d, its days granted %d", m, minor, w.earned[m])
		}
	}
	return ""
}
