package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
)

// together is how many histories share a database and a backend: one after another would take most of the time to make databases.
const together = 100

// orders lets many histories come in two ways each, and wants the end state of the set both times.
func (s suite) orders(t *testing.T) {
	seen := map[string]int{}
	n := *histories
	if s.groups > 0 {
		n = min(n, together) // the rules are the same
	}
	for first := 0; first < n; first += together {
		var lived []history
		model := reference.New(look)
		for id := first; id < min(first+together, n); id++ {
			h := newHistory(*seed, id, id)
			lived = append(lived, h)
			tellAll(model, h)
		}
		want, err := model.State()
		require.NoError(t, err)
		note(seen, want)
		for plan := range uint64(2) {
			r := chance(*seed, uint64(first)<<8+plan)
			var lists [][]action
			for _, h := range lived {
				lists = append(lists, arrive(h, r))
			}
			all := weave(lists, true, r)
			if what := s.fails(t, all, want); what != "" {
				s.explain(t, fmt.Sprintf("-history-seed %d, histories from %d, arrival %d", *seed, first, plan), all, what)
			}
		}
	}
	for _, want := range []string{"accepted", "inferred", "unknown", "clone", "bad-tac", "void", "granted", "denied", "CLONE", "REPLAY", "BAD_TAC", "UNKNOWN_KEY", "WRONG_SAM", "BALANCE_UP", "BALANCE_DOWN", "ARITHMETIC",
		"COUNTER_BACK", "DENIED_TAP", "UNKNOWN_CARD", "NEGATIVE_SHADOW", "gap", "explained", "tap", "unreadable", "unnamed", "quarantined", "conflict", "active", "blocked",
		"ep", "ec", "desfire"} {
		require.NotZero(t, seen[want], "no history ended with %s: the suite proves less than it says", want)
	}
}

// tellAll tells a model what a history tells, in the order in which it happened.
func tellAll(m *reference.Model, h history) {
	for _, e := range h.events {
		if e.record == nil {
			e.act.tell(m)
			continue
		}
		k := e.record.key
		m.Keep(reference.Epoch{Terminal: k.Terminal, Epoch: k.Epoch}, k.Seq, [][]byte{e.record.body})
	}
}

// note counts what a state has, so that a suite whose histories have become tame fails.
func note(seen map[string]int, s reference.State) {
	for _, c := range s.Cards {
		seen[c.Status]++
		seen[c.Family]++
		seen["gap"] += len(c.Gaps)
		seen["explained"] += len(c.Explained)
		for _, p := range c.Claims {
			seen[p.Status.String()]++
		}
		for _, f := range c.Findings {
			seen[string(f.Code)]++
		}
	}
	for _, f := range s.Records {
		seen[string(f)]++
	}
	seen["conflict"] += s.Conflicts
}

// fails plays actions to a new database, and says how the end differs from the state wanted; "" if it does not.
func (s suite) fails(t testing.TB, all []action, want reference.State) string {
	p := s.begin(t, s.fresh(t), nil)
	defer p.store.Close()
	if err := p.play(all); err != nil {
		return "error: " + err.Error()
	}
	return differs(p.store, want)
}

// differs says how a store differs from the state wanted, and what is wrong with its books.
func differs(db *store.Store, want reference.State) string {
	ctx := context.Background()
	have, err := readState(ctx, db, want)
	if err != nil {
		return "error: " + err.Error()
	}
	if what := cardsDiffer(want, have); what != "" {
		return what
	}
	for a, w := range want.Balances {
		if h := have.Balances[a]; h != w {
			return fmt.Sprintf("account %s: want %v, have %v", a, w, h)
		}
	}
	if len(want.Balances) != len(have.Balances) || want.Conflicts != have.Conflicts {
		return fmt.Sprintf("accounts and conflicts: want %v, %d; have %v, %d", want.Balances, want.Conflicts, have.Balances, have.Conflicts)
	}
	var faults []string
	err = db.View(ctx, func(tx *store.Tx) error {
		if faults, err = tx.VerifyBooks(ctx); err != nil {
			return err
		}
		pending, err := tx.PendingRecords(ctx, 1)
		if len(pending) > 0 {
			faults = append(faults, "a record is still pending")
		}
		return err
	})
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.Join(faults, "\n")
}

// cardsDiffer says how the cards, the records and the watermarks of a state differ from those wanted.
func cardsDiffer(want, have reference.State) string {
	for _, n := range slices.SortedFunc(maps.Keys(want.Cards), func(a, b ids.CardNumber) int { return slices.Compare(a[:], b[:]) }) {
		w, h := want.Cards[n], have.Cards[n]
		for i := range reflect.TypeFor[reference.Card]().NumField() {
			if a, b := reflect.ValueOf(w).Field(i), reflect.ValueOf(h).Field(i); !equal(a, b) {
				return fmt.Sprintf("card %x of history %d: %s\nwant %+v\nhave %+v", n[:], historyOf(n), reflect.TypeFor[reference.Card]().Field(i).Name, a, b)
			}
		}
	}
	for k, w := range want.Records {
		if h := have.Records[k]; h != w {
			return fmt.Sprintf("record %v: want %s, have %s", k, w, h)
		}
	}
	for e, w := range want.Through {
		if h := have.Through[e]; h != w {
			return fmt.Sprintf("watermark of %v: want %d, have %d", e, w, h)
		}
	}
	return ""
}

// equal compares two fields of one type; no slice and an empty one are the same.
func equal(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func historyOf(n ids.CardNumber) int { return int(binary.BigEndian.Uint32(n[4:8])) }

// explain cuts failing actions down to those that are needed, and fails the test with them.
func (s suite) explain(t testing.TB, from string, all []action, what string) {
	again := func(some []action) string {
		m := reference.New(look)
		for _, a := range some {
			a.tell(m)
		}
		want, err := m.State()
		if err != nil {
			return ""
		}
		now := s.fails(t, some, want)
		if strings.HasPrefix(now, "error: ") != strings.HasPrefix(what, "error: ") {
			return "" // another fault, most likely of the cutting
		}
		return now
	}
	t.Logf("%s: %s\ncutting it down …", from, what)
	for size := (len(all) + 1) / 2; size > 0; {
		cut := false
		for at := 0; at < len(all); {
			less := slices.Concat(all[:at], all[min(at+size, len(all)):])
			if now := again(less); now != "" {
				all, what, cut = less, now, true
				continue
			}
			at += size
		}
		if !cut || size > 1 {
			size /= 2
		}
	}
	for i, a := range all { // single records of batches
		for {
			k, batch := a.(keep)
			if !batch || len(k.bodies) < 2 {
				break
			}
			head, tail := k, k
			head.bodies = k.bodies[:len(k.bodies)-1]
			tail.first, tail.bodies = k.first+1, k.bodies[1:]
			less := slices.Clone(all)
			if less[i] = head; again(less) == "" {
				if less[i] = tail; again(less) == "" {
					break
				}
			}
			all, a, what = less, less[i], again(less)
		}
	}
	var text strings.Builder
	for _, a := range all {
		fmt.Fprintf(&text, "%T %v\n", a, a)
	}
	t.Fatalf("%s: the end state is not what the set of records says\n%s\nat least by these:\n%s", from, what, text.String())
}
