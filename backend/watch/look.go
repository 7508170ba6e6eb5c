package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// journal is one life of a terminal's journal.
type journal struct {
	terminal ids.TerminalID
	epoch    uint64
}

// gathered is what the records of a group tell, and whom they are about.
type gathered struct {
	facts   []store.Fact
	cards   map[called]bool
	taps    map[journal][]uint64
	days    map[journal]map[int64]bool // days of arrival, UTC, in days since 1970
	serials map[[6]byte][]uint64       // by PSAM
}

func gather(records []store.Posted) gathered {
	g := gathered{cards: map[called]bool{}, taps: map[journal][]uint64{}, days: map[journal]map[int64]bool{}, serials: map[[6]byte][]uint64{}}
	for _, r := range records {
		f, card, ok := factOf(r)
		if !ok {
			continue
		}
		g.facts = append(g.facts, f)
		g.cards[card] = true
		j := journal{f.Terminal, f.Epoch}
		g.taps[j] = append(g.taps[j], f.Tap)
		if g.days[j] == nil {
			g.days[j] = map[int64]bool{}
		}
		g.days[j][f.ReceivedMS/day.Milliseconds()] = true
		if f.PSAM != nil {
			g.serials[*f.PSAM] = append(g.serials[*f.PSAM], uint64(f.Serial))
		}
	}
	return g
}

// run is a stretch of numbers, both ends included.
type run struct{ lo, hi uint64 }

// near is how far apart two numbers may be for what lies between them to be read too.
const near = 1000

// runs gathers numbers that are near each other: a record that comes again from long ago must not have all between it and today read.
func runs(numbers []uint64) []run {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	var out []run
	for _, n := range numbers {
		if len(out) > 0 && n-out[len(out)-1].hi <= near {
			out[len(out)-1].hi = n
			continue
		}
		out = append(out, run{n, n})
	}
	return out
}

// cards looks at cards; the plain ones, most of an honest group, need no look.
func (w *Watch) cards(ctx context.Context, tx *store.Tx, all []ids.CardNumber, out []store.Notes) ([]store.Notes, error) {
	plain, err := tx.PlainCards(ctx, all, w.limits)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if plain[n] {
			continue
		}
		if out, err = w.card(ctx, tx, n, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// card looks at one card. One that is not registered has nothing to be looked at.
func (w *Watch) card(ctx context.Context, tx *store.Tx, n ids.CardNumber, out []store.Notes) ([]store.Notes, error) {
	token, card, audit, err := tx.WatchedCard(ctx, n, w.where)
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	found := append(audit, shadowaccount.WatchCard(card, w.clock.Now(), w.limits)...)
	return append(out, store.Notes{Kind: store.OfCard, Subject: token, Mine: func(shadowaccount.Code, string) bool { return true }, Found: found}), nil
}

// clocks looks at the clocks of terminals in the neighbourhood of the taps that came.
func (w *Watch) clocks(ctx context.Context, tx *store.Tx, g gathered, out []store.Notes) ([]store.Notes, error) {
	if w.settings.ClockSlack == -1 {
		return out, nil
	}
	for j, taps := range g.taps {
		for _, r := range runs(taps) {
			stamps, err := tx.Stamps(ctx, j.terminal, j.epoch, r.lo, r.hi)
			if err != nil {
				return nil, err
			}
			last := r.hi
			if len(stamps) > 0 {
				last = max(last, stamps[len(stamps)-1].Tap)
			}
			out = append(out, store.Notes{Kind: store.OfTerminal, Subject: string(j.terminal), Found: shadowaccount.ClockBack(j.epoch, stamps, w.limits),
				Mine: func(code shadowaccount.Code, item string) bool {
					tap, ok := strings.CutPrefix(item, fmt.Sprintf("%x/", j.epoch))
					n, err := strconv.ParseUint(tap, 10, 64)
					return code == shadowaccount.FindClockBack && ok && err == nil && r.lo <= n && n <= last
				}})
		}
		for d := range g.days[j] {
			from := d * day.Milliseconds()
			n, most, err := tx.AheadOfArrival(ctx, j.terminal, j.epoch, from, from+day.Milliseconds(), w.limits.ClockSlack.Milliseconds())
			if err != nil {
				return nil, err
			}
			about := fmt.Sprintf("%x/%s", j.epoch, time.UnixMilli(from).UTC().Format(time.DateOnly))
			notes := store.Notes{Kind: store.OfTerminal, Subject: string(j.terminal), Mine: func(code shadowaccount.Code, item string) bool {
				return code == shadowaccount.FindClockAhead && item == about
			}}
			if n > 0 {
				notes.Found = []shadowaccount.Note{{Code: shadowaccount.FindClockAhead, Item: about,
					Detail: fmt.Sprintf("%d records that came that day, by up to %v", n, (time.Duration(most) * time.Millisecond).Round(time.Second))}}
			}
			out = append(out, notes)
		}
	}
	return out, nil
}
