package store

import (
	"context"
	"fmt"
	"time"
)

// VaultCard is what is known of a bank card whose number lies in the vault.
type VaultCard struct {
	Token  string
	Last   string // four digits
	Bank   string // "" : not known
	Type   string // debit | credit | prepaid; "" : not known
	Scheme string // visa | mastercard | unionpay | other
	Made   time.Time
}

// PutVaultCard notes a card. One that is there gets bank, type and scheme anew.
func (t *Tx) PutVaultCard(ctx context.Context, c VaultCard) error {
	_, err := t.exec(ctx, "put vault card", `INSERT INTO vault_card (token, last, bank, type, scheme, made_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (token) DO UPDATE SET bank = excluded.bank, type = excluded.type, scheme = excluded.scheme`, c.Token, c.Last, c.Bank, c.Type, c.Scheme, c.Made.UnixMilli())
	return err
}

// VaultCard finds a card, or ErrNotFound.
func (t *Tx) VaultCard(ctx context.Context, token string) (VaultCard, error) {
	c, made := VaultCard{Token: token}, int64(0)
	found, err := t.one(ctx, "vault card", `SELECT last, bank, type, scheme, made_ms FROM vault_card WHERE token = ?`, []any{token}, &c.Last, &c.Bank, &c.Type, &c.Scheme, &made)
	if err == nil && !found {
		err = fmt.Errorf("vault card %s: %w", token, ErrNotFound)
	}
	if err != nil {
		return VaultCard{}, err
	}
	c.Made = time.UnixMilli(made).UTC()
	return c, nil
}

// DropVaultCard forgets a card. One that is not there is no error.
func (t *Tx) DropVaultCard(ctx context.Context, token string) error {
	_, err := t.exec(ctx, "drop vault card", `DELETE FROM vault_card WHERE token = ?`, token)
	return err
}
