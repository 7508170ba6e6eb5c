package watch

import (
	"context"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Fact is fact, for the tests.
type Fact struct {
	Terminal   ids.TerminalID
	Epoch, Seq uint64
	shadowaccount.Stamp
	Amount money.Amount
	PSAM   *[6]byte
	Serial uint32
}

// FactOf is factOf.
func FactOf(r store.Posted) (f Fact, name ids.CardNumber, alias, ok bool) {
	in, card, ok := factOf(r)
	return Fact{in.terminal, in.epoch, in.seq, in.Stamp, in.amount, in.psam, in.serial}, card.name, card.alias, ok
}

// SightOf is sightOf.
func SightOf(body []byte) store.Sight { return sightOf(body) }

// Look is look, with nothing else to write.
func (w *Watch) Look(ctx context.Context, find func(*store.Tx) ([]store.Notes, error)) (Report, error) {
	return w.look(ctx, find, nil)
}

// Where is where, for the tests.
func (s Settings) Where() func(spot, terminal string) string { return s.where() }

// Card is card, and Plain what passes cards over that are not known by heart, for the tests.
func (w *Watch) Card(ctx context.Context, tx *store.Tx, n ids.CardNumber) ([]store.Notes, error) {
	return w.card(ctx, tx, n, nil)
}

func (w *Watch) Plain(ctx context.Context, tx *store.Tx, all []ids.CardNumber) (map[ids.CardNumber]store.Plain, error) {
	return tx.PlainCards(ctx, all, w.limits)
}

// Remember has the watch know so many cards by heart, of each of two generations.
func (w *Watch) Remember(cards int) { w.recent.most = cards }

// Recent is recent.
type Recent struct{ r *recent }

// NewRecent makes one.
func NewRecent(l shadowaccount.Limits) Recent { return Recent{newRecent(l)} }

// Keep is how many times it keeps of a card.
func (r Recent) Keep() int { return r.r.keep }

// Know is know, of a card that has other taps too.
func (r Recent) Know(n ids.CardNumber, times ...int64) { r.r.know(n, store.Times{Latest: times}) }

// Quiet is quiet, of taps of one unit each.
func (r Recent) Quiet(n ids.CardNumber, times ...int64) (quiet, known bool) {
	var taps []spent
	for _, at := range times {
		taps = append(taps, spent{at, money.Minor(1)})
	}
	return r.r.quiet(n, taps)
}

// Spot is spot.
func Spot(line, station []byte) string { return spot(line, station) }

// Remember has it know so many cards, of each of two generations.
func (r Recent) Remember(cards int) { r.r.most = cards }

// Knows reports whether it knows a card.
func (r Recent) Knows(n ids.CardNumber) bool { return r.r.now[n] != nil || r.r.before[n] != nil }
