package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// journal is one life of a terminal's journal.
type journal struct {
	terminal ids.TerminalID
	epoch    uint64
}

// gathered is what the records of a group tell, and whom they are about.
type gathered struct {
	cards   map[called][]spent
	stamps  map[journal][]store.Stamped
	ahead   []store.Ahead
	serials map[[6]byte][]store.Serial // by PSAM
}

// spent is when a tap was, and what it took.
type spent struct {
	atMS   int64
	amount money.Amount
}

func gather(records []store.Posted) gathered {
	g := gathered{cards: make(map[called][]spent, len(records)), stamps: map[journal][]store.Stamped{}, serials: map[[6]byte][]store.Serial{}}
	for _, r := range records {
		f, card, ok := factOf(r)
		if !ok {
			continue
		}
		g.cards[card] = append(g.cards[card], spent{f.AtMS, f.amount})
		if f.Proves() {
			j := journal{f.terminal, f.epoch}
			g.stamps[j] = append(g.stamps[j], store.Stamped{Seq: f.seq, Stamp: f.Stamp})
		}
		if ms := f.Ahead(); ms > 0 {
			g.ahead = append(g.ahead, store.Ahead{Terminal: f.terminal, Epoch: f.epoch, Seq: f.seq, ReceivedMS: f.ReceivedMS, MS: ms})
		}
		if f.psam != nil {
			g.serials[*f.psam] = append(g.serials[*f.psam], store.Serial{Number: f.serial, ReceivedMS: f.ReceivedMS})
		}
	}
	return g
}

// near is how far apart two numbers may be for what lies between them to be read too.
const near = 1000

// stretches sorts things by number and gathers those that are near each other: a record that comes again from long ago must not have all between it and today read.
func stretches[T any](all []T, number func(T) uint64) [][]T {
	all = slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(number(a), number(b)) })
	var out [][]T
	first := 0
	for i := range all {
		if i > 0 && number(all[i])-number(all[i-1]) > near {
			out, first = append(out, all[first:i]), i
		}
	}
	return append(out, all[first:])
}

// changes are what is to be kept of a group.
type changes struct {
	stamps  []store.Stamps
	serials []store.Serials
	ahead   []store.Ahead
}

// keep writes them.
func (c changes) keep(ctx context.Context, tx *store.Tx) error {
	for _, s := range c.stamps {
		if err := tx.KeepStamps(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range c.serials {
		if err := tx.KeepSerials(ctx, s); err != nil {
			return err
		}
	}
	for _, a := range c.ahead {
		if err := tx.KeepAhead(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// serials works out what the group's numbers change of those that have come of each PSAM.
func serials(ctx context.Context, tx *store.Tx, g gathered) (out []store.Serials, err error) {
	for psam, all := range g.serials {
		for _, part := range stretches(all, func(s store.Serial) uint64 { return uint64(s.Number) }) {
			s, err := tx.SerialsWith(ctx, psam, part)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// cards looks at cards, of which taps came or none; the plain ones, most of an honest group, need no look.
func (w *Watch) cards(ctx context.Context, tx *store.Tx, all map[ids.CardNumber][]spent, out []store.Notes) ([]store.Notes, error) {
	numbers := slices.Collect(maps.Keys(all)) // each is about a subject of its own, so their order does not matter
	standing, err := tx.StandingCards(ctx, numbers)
	if err != nil {
		return nil, err
	}
	var look, ask []ids.CardNumber
	known := map[ids.CardNumber]bool{}
	for _, n := range numbers {
		quiet, knows := w.recent.quiet(n, all[n])
		known[n] = knows
		switch {
		case standing[n]:
			look = append(look, n)
		case !quiet:
			ask = append(ask, n)
		}
	}
	plain, err := tx.PlainCards(ctx, ask, w.limits)
	if err != nil {
		return nil, err
	}
	for _, n := range ask {
		switch _, passed := plain[n]; {
		case !passed:
			look = append(look, n)
		case known[n]:
			delete(plain, n)
		}
	}
	fresh, err := tx.LatestTimes(ctx, plain, w.recent.keep)
	if err != nil {
		return nil, err
	}
	for n, times := range fresh {
		w.recent.know(n, times)
	}
	for _, n := range look {
		if out, err = w.card(ctx, tx, n, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// card looks at one card. One that is not registered has nothing to be looked at.
func (w *Watch) card(ctx context.Context, tx *store.Tx, n ids.CardNumber, out []store.Notes) ([]store.Notes, error) {
	token, card, audit, err := tx.WatchedCard(ctx, n, sightOf, w.where)
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	found := append(audit, shadowaccount.WatchCard(card, w.clock.Now(), w.limits)...)
	return append(out, store.Notes{Kind: store.OfCard, Subject: token, Mine: func(shadowaccount.Code, string) bool { return true }, Found: found}), nil
}

// clocks looks at the clocks of terminals in the neighbourhood of the taps that came, and says what is to be kept of those.
func (w *Watch) clocks(ctx context.Context, tx *store.Tx, g gathered, out []store.Notes) ([]store.Notes, []store.Stamps, error) {
	var all []store.Stamps
	for j, came := range g.stamps {
		for _, part := range stretches(came, func(s store.Stamped) uint64 { return s.Tap }) {
			merged, err := tx.StampsWith(ctx, j.terminal, j.epoch, part)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, merged)
			if w.settings.ClockSlack == -1 {
				continue
			}
			stamps := merged.All()
			looked := map[uint64]bool{} // taps whose neighbour is at hand
			for _, s := range stamps[1:] {
				looked[s.Tap] = true
			}
			out = append(out, store.Notes{Kind: store.OfTerminal, Subject: string(j.terminal), Found: shadowaccount.ClockBack(j.epoch, stamps, w.limits),
				Mine: func(code shadowaccount.Code, item string) bool {
					tap, ok := strings.CutPrefix(item, fmt.Sprintf("%x/", j.epoch))
					n, err := strconv.ParseUint(tap, 10, 64)
					return code == shadowaccount.FindClockBack && ok && err == nil && looked[n]
				}})
		}
	}
	return out, all, nil
}

// ahead looks at the clocks of terminals whose records came before they say that they were made.
func (w *Watch) ahead(ctx context.Context, tx *store.Tx, g gathered, out []store.Notes) ([]store.Notes, error) {
	if w.settings.ClockSlack == -1 {
		return out, nil
	}
	type arrival struct {
		journal
		day int64 // UTC, since 1970
	}
	came := map[arrival][]store.Ahead{}
	for _, a := range g.ahead {
		on := arrival{journal{a.Terminal, a.Epoch}, a.ReceivedMS / day.Milliseconds()}
		came[on] = append(came[on], a)
	}
	for on, more := range came {
		from := on.day * day.Milliseconds()
		all, err := tx.AheadOfArrival(ctx, on.terminal, on.epoch, from, from+day.Milliseconds())
		if err != nil {
			return nil, err
		}
		for _, a := range more {
			if _, kept := all[a.Seq]; !kept {
				all[a.Seq] = a.MS
			}
		}
		n, most := 0, int64(0)
		for _, ms := range all {
			if ms > w.limits.ClockSlack.Milliseconds() {
				n, most = n+1, max(most, ms)
			}
		}
		about := fmt.Sprintf("%x/%s", on.epoch, time.UnixMilli(from).UTC().Format(time.DateOnly))
		notes := store.Notes{Kind: store.OfTerminal, Subject: string(on.terminal), Mine: func(code shadowaccount.Code, item string) bool {
			return code == shadowaccount.FindClockAhead && item == about
		}}
		if n > 0 {
			notes.Found = []shadowaccount.Note{{Code: shadowaccount.FindClockAhead, Item: about,
				Detail: fmt.Sprintf("%d records that came that day, by up to %v", n, (time.Duration(most) * time.Millisecond).Round(time.Second))}}
		}
		out = append(out, notes)
	}
	return out, nil
}
