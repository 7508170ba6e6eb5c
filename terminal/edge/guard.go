package edge

import (
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// guard is the journal as one visit sees it. It keeps a sale from being debited twice: the rules that need to know the
// till's request stand here, because the tap knows only cards.
type guard struct {
	tap.Journal
	request string     // of a sale, else empty
	only    *Sale      // an earlier attempt of the same request that may have been debited: its card alone may be asked
	aged    *ids.TapID // this visit gave the earlier attempt up
}

// refusal ends a visit that could debit a sale a second time. Nothing was taken.
type refusal struct {
	outcome tap.Outcome
	reason  string
	tap     ids.TapID
}

func (r *refusal) Error() string { return r.reason }

// OpenIntent implements tap.Journal. The tap asks it before any debit, so this is where a second card is turned away, and one that does not
// tell its number, when it is not the card of the earlier attempt.
func (g *guard) OpenIntent(card ids.CardNumber) (draft *wire.Record, unknown, found bool, err error) {
	if g.only != nil && card != g.only.card {
		return nil, false, false, &refusal{tap.PresentAgain,
			"nothing taken: the sale was begun with another card, which may have paid; that card must come first", g.only.Tap}
	}
	return g.Journal.OpenIntent(card)
}

// OpenIntents implements tap.Journal: of a sale that was begun, the tap may ask about no other.
func (g *guard) OpenIntents() ([]*wire.Record, error) {
	all, err := g.Journal.OpenIntents()
	if err != nil || g.only == nil {
		return all, err
	}
	return slices.DeleteFunc(all, func(r *wire.Record) bool { return r.GetTap() != g.only.Tap.Tap }), nil
}

// Begin implements tap.Journal.
func (g *guard) Begin(draft *wire.Record) (uint64, error) {
	if g.aged != nil && draft.GetState() != wire.State_STATE_UNKNOWN { // a card that may have debited already has its intent
		return 0, agedSale(*g.aged)
	}
	return g.Journal.Begin(draft)
}

// Finish implements tap.Journal.
func (g *guard) Finish(n uint64, final *wire.Record) error {
	if g.request != "" && final.GetRequestId() == g.request && final.GetState() == wire.State_STATE_AGED {
		g.aged = &ids.TapID{Terminal: ids.TerminalID(final.GetTerminal()), Epoch: final.GetEpoch(), Tap: n}
	}
	return g.Journal.Finish(n, final)
}

// agedSale answers for a sale whose outcome the card could not tell: debiting again might be debiting twice.
func agedSale(id ids.TapID) *refusal {
	return &refusal{tap.RefusedFaulty,
		"nothing taken: the card cannot tell any more what became of this sale. Ask the backend, and sell again under a new request only if it was not debited", id}
}
