package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/ids"
)

// CardRegisterCmd is `purselane card register`.
type CardRegisterCmd struct {
	schemeFolder
	EC       string `name:"ec" xor:"family" required:"" placeholder:"DIGITS" help:"Number of an electronic cash card, 8 to 19 digits."`
	DESFire  string `name:"desfire" xor:"family" required:"" placeholder:"HEX" help:"UID of a DESFire card, 14 hexadecimal digits."`
	Sequence string `default:"00" placeholder:"DIGITS" help:"Sequence number of an electronic cash card, two digits."`
	Counter  uint32 `placeholder:"N" help:"Counter of its next debit: ATC or TMC."`
}

// named is the card to register; alias is nil if terminals know its number.
func (c *CardRegisterCmd) named(tokenKey []byte) (card store.Card, alias *ids.CardNumber, err error) {
	card = store.Card{Status: store.CardActive, OpeningCounter: c.Counter}
	if c.DESFire != "" {
		raw, err := hex.DecodeString(c.DESFire)
		if err != nil || len(raw) != 7 {
			return card, nil, errors.New("--desfire: want the 7 bytes of a UID, 14 hexadecimal digits")
		}
		card.Number, card.Family = desfiredriver.CardNumber([7]byte(raw)), desfiredriver.Family
		return card, nil, nil
	}
	pan, err := ec.NewPAN(c.EC)
	if err != nil {
		return card, nil, fmt.Errorf("--ec: %w", err)
	}
	psn, err := hex.DecodeString(c.Sequence)
	if err != nil || len(psn) != 1 {
		return card, nil, errors.New("--sequence: want two digits")
	}
	key, _, err := node.ECTerminalKeys(tokenKey)
	if err != nil {
		return card, nil, err
	}
	token := ecdriver.Token(key, pan, psn[0])
	card.Number, card.Family = ids.CardNumber(pan), ecdriver.Family
	return card, &token, nil
}

// Run registers the card, with no money on it: value reaches a card by a load. Registered again it stays as it is.
func (c *CardRegisterCmd) Run(ctx context.Context, k *kong.Kong) error {
	card, err := c.register(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "card %v of family %s is registered, token %s\n", card.Number, card.Family, card.Token)
	return err
}

func (c *CardRegisterCmd) register(ctx context.Context) (store.Card, error) {
	ring, err := c.ring()
	if err != nil {
		return store.Card{}, err
	}
	tokenKey, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return store.Card{}, err
	}
	card, alias, err := c.named(tokenKey)
	if err != nil {
		return store.Card{}, err
	}
	scheme, err := c.scheme()
	if err != nil {
		return store.Card{}, err
	}
	card.Token = store.Token(tokenKey, card.Number)
	return card, c.withNode(ctx, func(n *node.Node) error {
		return n.Store().Update(ctx, func(tx *store.Tx) error {
			if err := tx.IssueCard(ctx, card); err != nil || alias == nil {
				return err
			}
			day, err := tx.ClearingDay(ctx, time.Now().In(scheme.Location()))
			if err != nil {
				return err
			}
			return tx.NameCard(ctx, *alias, card.Number, day)
		})
	})
}
