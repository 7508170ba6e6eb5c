package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// ErrHoldEdited says that a hold's row was changed by somebody who has no key to seal it: it is neither released nor settled.
var ErrHoldEdited = errors.New("the hold's row was edited: look at it with two people")

// ofHold is the seal of a hold's row.
func (s sealer) ofHold(h AccountHold) []byte {
	if s.key == nil {
		return []byte{}
	}
	m := hmac.New(sha256.New, s.key)
	for _, text := range []string{"purselane-account-hold-1", h.ID, string(h.Account), h.State, h.Entry} {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		m.Write([]byte(text))
	}
	for _, n := range []uint64{uint64(h.Amount.Minor()), uint64(h.Until.UnixMilli())} {
		m.Write(binary.BigEndian.AppendUint64(nil, n))
	}
	return m.Sum(nil)
}

func (s sealer) genuineHold(h AccountHold, seal []byte) bool {
	return s.key == nil || hmac.Equal(seal, s.ofHold(h))
}

// sealHolds seals the holds of an older version, once: from then on a hold without a seal is not ours.
func (s *Store) sealHolds(ctx context.Context) error {
	if s.opt.BooksKey == nil {
		return nil
	}
	done := func(tx *Tx) (bool, error) {
		var holds int
		_, err := tx.one(ctx, "seal of the holds", `SELECT holds FROM account_seal WHERE one = 1`, nil, &holds)
		return holds == 1, err
	}
	var sealed bool
	if err := s.View(ctx, func(tx *Tx) (err error) { sealed, err = done(tx); return err }); err != nil || sealed {
		return err
	}
	return s.Update(ctx, func(tx *Tx) error {
		if sealed, err := done(tx); err != nil || sealed {
			return err // another process was quicker
		}
		var all []AccountHold
		begun := false // somebody took the note away that they are sealed: what has no seal then is not ours
		if err := tx.rows(ctx, "holds to seal", func(scan func(...any) error) error {
			h, seal, err := scanHold(scan)
			all, begun = append(all, h), begun || len(seal) > 0
			return err
		}, `SELECT `+holdColumns+` FROM account_hold ORDER BY id`); err != nil {
			return err
		}
		if begun {
			all = nil
		}
		for _, h := range all {
			if _, err := tx.exec(ctx, "seal hold", `UPDATE account_hold SET seal = ? WHERE id = ?`, tx.seal.ofHold(h), h.ID); err != nil {
				return err
			}
		}
		_, err := tx.exec(ctx, "note the seal of holds", `UPDATE account_seal SET holds = 1 WHERE one = 1`)
		return err
	})
}

// OpenHoldSum is what is held on all accounts together.
func (t *Tx) OpenHoldSum(ctx context.Context) (money.Amount, error) {
	var minor int64
	_, err := t.one(ctx, "sum of holds", `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM account_hold WHERE state = 'open'`, nil, &minor)
	return money.Minor(minor), err
}

// VerifyHolds looks at every hold: its row is as it was written, what settled it is in the journal and took no more than was held, and each reservation of
// a holder's balance that is open has its hold. A hold that was taken away is found by that last rule alone.
func (t *Tx) VerifyHolds(ctx context.Context) ([]string, error) {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	err := t.rows(ctx, "holds", func(scan func(...any) error) error {
		h, seal, err := scanHold(scan)
		if err != nil {
			return err
		}
		class, err := books.ClassOf(h.Account)
		switch {
		case !t.seal.genuineHold(h, seal):
			fault("hold %s: its row was edited: the seal does not fit", h.ID)
		case err != nil || class != books.Liability || h.Amount.Sign() <= 0:
			fault("hold %s: %v of account %s: nothing can be held there", h.ID, h.Amount, h.Account)
		case (h.State == HoldSettled) != (h.Entry != ""):
			fault("hold %s: it is %s, with entry %q", h.ID, h.State, h.Entry)
		}
		return nil
	}, `SELECT `+holdColumns+` FROM account_hold ORDER BY id`)
	if err != nil {
		return nil, err
	}
	err = t.rows(ctx, "holds that were settled", func(scan func(...any) error) error {
		var id, entry string
		var held, taken int64
		if err := scan(&id, &entry, &held, &taken); err != nil {
			return err
		}
		fault("hold %s: %v was held, entry %s took %v", id, money.Minor(held), entry, money.Minor(taken))
		return nil
	}, `SELECT id, entry, amount, taken FROM (SELECT h.id, h.entry, h.amount, CAST(COALESCE((SELECT SUM(l.amount) FROM journal_line l WHERE l.entry = h.entry AND l.account = h.account), 0) AS BIGINT) AS taken
			FROM account_hold h WHERE h.state = 'settled') x WHERE taken <= 0 OR taken > amount ORDER BY id`)
	if err != nil {
		return nil, err
	}
	err = t.rows(ctx, "reservations and holds", func(scan func(...any) error) error {
		var number string
		if err := scan(&number); err != nil {
			return err
		}
		fault("reservation %s of a balance: its hold is not there, or of another amount", number)
		return nil
	}, `SELECT p.number FROM balance_payment p WHERE p.state = 'held' AND NOT EXISTS
			(SELECT 1 FROM account_hold h WHERE h.id = 'balance:' || p.number AND h.state = 'open' AND h.amount = p.amount AND h.account = 'holder:' || p.holder || ':balance')
		ORDER BY p.number`)
	return faults, err
}
