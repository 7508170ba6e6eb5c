package storetest

import (
	"math/rand/v2"
	"slices"

	"github.com/purselane/purselane/backend/store/reference"
)

// arrive lets a history's events come in a random way, as actions without steps.
func arrive(h history, r *rand.Rand) []action {
	order := disorder(h.events, r)
	keepChains(h.events, order)
	return batches(again(order, r), r)
}

// disorder returns the events in a random order, of a random kind.
func disorder(events []event, r *rand.Rand) []event {
	out := slices.Clone(events)
	switch r.IntN(5) {
	case 0: // as it happened
	case 1: // backwards
		slices.Reverse(out)
	case 2: // every which way
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	case 3: // some come late
		for i := range out {
			if r.IntN(4) == 0 {
				e, to := out[i], i+r.IntN(len(out)-i)
				copy(out[i:to], out[i+1:to+1])
				out[to] = e
			}
		}
	case 4: // each terminal comes to its depot at some time, with all it has, in one go or in a few
		of := map[reference.Epoch]int{}
		parts := map[int][]event{}
		var names []int
		for i, e := range out {
			name := i
			if e.record != nil {
				epoch := reference.Epoch{Terminal: e.record.key.Terminal, Epoch: e.record.key.Epoch}
				if old, there := of[epoch]; there && r.IntN(6) > 0 {
					name = old
				}
				of[epoch] = name
			}
			if parts[name] == nil {
				names = append(names, name)
			}
			parts[name] = append(parts[name], e)
		}
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		out = out[:0]
		for _, n := range names {
			out = append(out, parts[n]...)
		}
	}
	return out
}

// keepChains puts each chain's events back in their own order, on the places that they have.
func keepChains(events, order []event) {
	next := map[int][]event{}
	for _, e := range events {
		next[e.chain] = append(next[e.chain], e)
	}
	for i, e := range order {
		if e.chain != 0 {
			order[i], next[e.chain] = next[e.chain][0], next[e.chain][1:]
		}
	}
}

// again lets some records come once more, later.
func again(order []event, r *rand.Rand) []event {
	for i := 0; i < len(order); i++ {
		if order[i].record != nil && r.IntN(6) == 0 {
			order = slices.Insert(order, i+1+r.IntN(len(order)-i), order[i])
		}
	}
	return order
}

// batches puts records together where their numbers follow each other, mostly.
func batches(order []event, r *rand.Rand) []action {
	var out []action
	for i := 0; i < len(order); {
		e := order[i]
		i++
		if e.record == nil {
			out = append(out, e.act)
			continue
		}
		k := e.record.key
		a := keep{epoch: reference.Epoch{Terminal: k.Terminal, Epoch: k.Epoch}, first: k.Seq, bodies: [][]byte{e.record.body}}
		for i < len(order) && order[i].record != nil && r.IntN(5) > 0 {
			k.Seq++
			if order[i].record.key != k {
				break
			}
			a.bodies = append(a.bodies, order[i].record.body)
			i++
		}
		out = append(out, a)
	}
	return out
}

// weave lets many histories go on at the same time, each in its own order, with a backend that posts in groups of random size
// whenever it gets to it. dayEnds says whether clearing days end in between.
func weave(lists [][]action, dayEnds bool, r *rand.Rand) []action {
	lists = slices.DeleteFunc(slices.Clone(lists), func(l []action) bool { return len(l) == 0 })
	total := 0
	for _, l := range lists {
		total += len(l)
	}
	var out []action
	for n := range total {
		at := r.IntN(len(lists))
		out = append(out, lists[at][0])
		if lists[at] = lists[at][1:]; len(lists[at]) == 0 {
			lists = slices.Delete(lists, at, at+1)
		}
		for r.IntN(4) == 0 {
			out = append(out, step{1 + r.IntN(40)})
		}
		if dayEnds && r.IntN(1+total/len(days)) == 0 && n < total-1 {
			out = append(out, nextDay{})
		}
	}
	return out
}
