package town

import (
	"context"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// checkMoney: what riders paid is on cards, with merchants, or waits for its owner, in truth and in the books alike.
func (w *town) checkMoney(o owed) {
	paid, back, cards, spent := money.Amount{}, money.Amount{}, money.Amount{}, money.Amount{}
	for _, r := range w.riders {
		for _, s := range r.sales {
			paid = plus(paid, s.amount)
			if s.refunded {
				back = plus(back, s.amount)
			}
		}
		cards, spent = plus(cards, r.card.Balance()), plus(spent, r.card.spent)
	}
	waiting := less(less(less(paid, back), cards), spent)
	if waiting.Sign() < 0 {
		w.fail("value", nobody, "riders paid %v and have %v back, but cards hold %v and merchants took %v: value out of nothing", paid, back, cards, spent)
	}
	total := func(all map[ids.MerchantID]money.Amount) (sum money.Amount) {
		for _, a := range all {
			sum = plus(sum, a)
		}
		return sum
	}
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		balance := func(a books.Account) money.Amount {
			b, err := tx.Balance(ctx, a)
			must(err)
			return b
		}
		is := func(what string, got, want money.Amount) {
			if got != want {
				w.fail("value", nobody, "%s: the books hold %v, it must be %v", what, got, want)
			}
		}
		is("paid at kiosks", w.movedIn(ctx, tx), less(paid, back))
		is("paid and not under way", negative(balance(books.Funding)), o.orders[topup.Paid])
		is("loads under way", negative(balance(books.LoadInProgress)), plus(o.orders[topup.InProgress], o.orders[topup.Uncertain]))
		is("taps nobody knows of", balance(books.SuspUnknown), total(o.open))
		is("second debits of one counter", balance(books.SuspClone), money.Amount{})
		is("records whose TAC does not verify", balance(books.SuspBadTAC), money.Amount{})
		for _, m := range merchants {
			is("held for "+string(m.ID), negative(balance(books.MerchantHeld(m.ID))), o.open[m.ID])
		}
		// The float identity: on cards + under way + waiting = receivable − what is already the merchants'.
		owedToHolders := plus(plus(negative(balance(books.Float)), negative(balance(books.LoadInProgress))), negative(balance(books.Funding)))
		is("float identity", owedToHolders, less(less(paid, back), total(o.posted)))
		return nil
	})
	w.log.add(nobody, "paid %v, back %v, on cards %v, spent %v, waiting %v, open %v", paid, back, cards, spent, waiting, total(o.open))
}

// movedIn is what the agent owes for loads, in all: what he took less what he gave back.
func (w *town) movedIn(ctx context.Context, tx *store.Tx) money.Amount {
	sum, err := tx.MovedThrough(ctx, books.AcquirerSoldLoads(agent), "9999-12-31", "settle-")
	must(err)
	return sum
}

func negative(a money.Amount) money.Amount { return less(money.Amount{}, a) }
