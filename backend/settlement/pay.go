package settlement

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// maxBankRef is the longest reference a bank's files carry (ISO 20022 Max140Text).
const maxBankRef = 140

// pay mirrors the payment of a closed day's positions: every acquirer's clearing account and every channel against the
// trust account. It is the bank's first form: the whole day at once, under one reference. Paying again under the same
// reference changes nothing; under another it is [ErrPaid], because the money moved once. It asks for nobody's approval, so it is reached
// through [ProposePay] and [Approve] alone.
func pay(ctx context.Context, tx *store.Tx, day, bankRef string, now time.Time) error {
	head, err := tx.ClosedDay(ctx, day)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: close it first", ErrNotClosed)
	}
	if err != nil {
		return err
	}
	if head.Paid() {
		if head.BankRef != bankRef {
			return fmt.Errorf("%w: under reference %q", ErrPaid, head.BankRef)
		}
		return nil
	}
	ordered, err := tx.BankPayments(ctx, day)
	if err != nil {
		return err
	}
	if len(ordered) > 0 {
		return fmt.Errorf("%w: read the bank's statements", ErrOrdered)
	}
	if _, err := prove(ctx, tx, day); err != nil {
		return err // a day that was changed after it closed is not paid
	}
	parties, err := tx.PartyDays(ctx, day)
	if err != nil {
		return err
	}
	for _, p := range parties {
		account := positionAccount(p.Kind, p.Party)
		e := books.Entry{ID: kindPayment + ":" + day + ":" + p.Kind + ":" + p.Party, Kind: kindPayment, Day: day, Ref: bankRef, Lines: move(account, books.Trust, p.Net)}
		if err := tx.Post(ctx, e); err != nil {
			return err
		}
	}
	return tx.PayDay(ctx, day, bankRef, now)
}

// positionAccount is where a party's position stands.
func positionAccount(kind, party string) books.Account {
	if kind == partyChannel {
		return books.Channel(party)
	}
	return books.AcquirerClearing(ids.AcquirerID(party))
}

func checkBankRef(ref string) error {
	if ref == "" || utf8.RuneCountInString(ref) > maxBankRef || !utf8.ValidString(ref) {
		return fmt.Errorf("bank reference: want 1 to %d characters", maxBankRef)
	}
	for _, c := range ref {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("bank reference: character %q cannot be printed", c)
		}
	}
	return nil
}

// Summary is a closed day in short, as lists show it.
type Summary struct {
	Day, Due, Digest, BankRef string
	Paid                      bool
	Trust                     money.Amount // movement of the trust account: less than zero, we pay more than we get
}

// Days lists the closed days, latest first, at most limit.
func Days(ctx context.Context, s *store.Store, limit int) ([]Summary, error) {
	var out []Summary
	err := s.View(ctx, func(tx *store.Tx) error {
		days, err := tx.ClosedDays(ctx, limit)
		if err != nil {
			return err
		}
		for _, d := range days {
			parties, err := tx.PartyDays(ctx, d.Day)
			if err != nil {
				return err
			}
			var total sum
			line := Summary{Day: d.Day, Due: d.Due, Digest: d.Digest, BankRef: d.BankRef, Paid: d.Paid()}
			for _, p := range parties {
				total.add(&line.Trust, total.neg(p.Net))
			}
			if total.err != nil {
				return total.err
			}
			out = append(out, line)
		}
		return nil
	})
	return out, err
}
