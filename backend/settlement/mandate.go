package settlement

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/store"
)

// SetMandate notes that a party has signed that its account may be debited for what it owes. From then on a day's order collects it (pain.008); what was ordered or is
// expected stays as it is. Errors: [ErrParty], and what is wrong with the mandate.
func SetMandate(ctx context.Context, s *store.Store, m store.PartyMandate) error {
	if err := errors.Join(bankfile.Mandate{ID: m.ID, Signed: m.Signed}.Check(), bankfile.CheckCreditorID(m.Creditor)); err != nil {
		return fmt.Errorf("mandate of %s %s: %w", m.Kind, m.Party, err)
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		if err := debtor(ctx, tx, m.Kind, m.Party); err != nil {
			return err
		}
		return tx.PutPartyMandate(ctx, m)
	})
}

// EndMandate forgets a party's mandate: from the next order on it pays by itself. Error: [ErrParty].
func EndMandate(ctx context.Context, s *store.Store, kind, party string) error {
	return s.Update(ctx, func(tx *store.Tx) error {
		if err := debtor(ctx, tx, kind, party); err != nil {
			return err
		}
		return tx.DropPartyMandate(ctx, kind, party)
	})
}

// debtor refuses whoever never owes a day's position.
func debtor(ctx context.Context, tx *store.Tx, kind, party string) error {
	if kind != partyAcquirer && kind != partyChannel {
		return fmt.Errorf("%w: %s %q: want acquirer:ID or channel:ID", ErrParty, kind, party)
	}
	return partyExists(ctx, tx, kind, party)
}

func mandatesOf(ctx context.Context, tx *store.Tx) (map[string]store.PartyMandate, error) {
	all, err := tx.PartyMandates(ctx)
	out := map[string]store.PartyMandate{}
	for _, m := range all {
		out[m.Kind+":"+m.Party] = m
	}
	return out, err
}

// collection is a message that collects, as it was ordered.
func collection(m store.BankMessage, each []store.BankPayment) bankfile.Collection {
	c := bankfile.Collection{ID: m.ID, Created: m.CreatedAt, Initiator: m.Initiator, Due: m.Due, Currency: m.Currency, CreditorID: m.Creditor,
		Creditor: bankfile.Account{Name: m.Name, Number: m.Account, Bank: m.Bank}}
	for _, p := range each {
		c.Debits = append(c.Debits, bankfile.Debit{ID: p.ID, Amount: p.Amount, Debtor: bankfile.Account{Name: p.Name, Number: p.Account, Bank: p.Bank},
			Mandate: bankfile.Mandate{ID: p.Mandate, Signed: p.Signed}, Text: "clearing day " + m.Day})
	}
	return c
}
