package store

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// ECSession is one request of an electronic cash card that was authorised.
type ECSession struct {
	Order    string
	N        int // 1, 2, 3 …
	Booking  int
	Card     ids.CardNumber
	Sequence byte
	ATC      uint16
	ChipData []byte       // field 55 of the request
	Balance  money.Amount // before the load
	Script   [4]byte
	At       time.Time
}

// AddECSession writes an authorised request.
func (t *Tx) AddECSession(ctx context.Context, s ECSession) error {
	_, err := t.exec(ctx, "add EC session", `INSERT INTO ec_session (order_id, n, booking, card, sequence, atc, chip_data, balance, script, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Order, s.N, s.Booking, s.Card[:], int(s.Sequence), int(s.ATC), s.ChipData, s.Balance.Minor(), s.Script[:], s.At.UnixMilli())
	return err
}

// ECSessions lists an order's authorised requests of electronic cash cards, oldest first.
func (t *Tx) ECSessions(ctx context.Context, order string) ([]ECSession, error) {
	var out []ECSession
	err := t.rows(ctx, "EC sessions", func(scan func(...any) error) error {
		s := ECSession{Order: order}
		var card, script []byte
		var balance, at int64
		if err := scan(&s.N, &s.Booking, &card, &s.Sequence, &s.ATC, &s.ChipData, &balance, &script, &at); err != nil {
			return err
		}
		copy(s.Card[:], card)
		copy(s.Script[:], script)
		s.Balance, s.At = money.Minor(balance), time.UnixMilli(at)
		out = append(out, s)
		return nil
	}, `SELECT n, booking, card, sequence, atc, chip_data, balance, script, at_ms FROM ec_session WHERE order_id = ? ORDER BY n`, order)
	return out, err
}

// HasECSession reports whether a card's session was authorised, for any order.
func (t *Tx) HasECSession(ctx context.Context, n ids.CardNumber, atc uint16) (bool, error) {
	var one int
	return t.one(ctx, "EC session", `SELECT 1 FROM ec_session WHERE card = ? AND atc = ? LIMIT 1`, []any{n[:], int(atc)}, &one)
}

// OpenECOrders lists the orders whose money is on its way to an electronic cash card.
func (t *Tx) OpenECOrders(ctx context.Context) ([]LoadOrder, error) {
	return t.loadOrders(ctx, `WHERE o.state IN ('in_progress', 'uncertain') AND k.family = 'ec' ORDER BY o.id`)
}

// NextProved is the card's nearest debit above a counter whose proof is good: its counter, and the balance before it.
func (t *Tx) NextProved(ctx context.Context, n ids.CardNumber, counter uint32) (at uint32, before money.Amount, found bool, err error) {
	var minor int64
	found, err = t.one(ctx, "next proved debit", `SELECT counter, before FROM claim WHERE card = ? AND counter > ? AND proof = ? AND status = ? ORDER BY counter LIMIT 1`,
		[]any{n[:], int64(counter), int(shadowaccount.ProofGood), int(shadowaccount.Stands)}, &at, &minor)
	return at, money.Minor(minor), found, err
}
