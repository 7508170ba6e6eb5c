package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

// sampleIssuer is who issues the sample scheme's cards and PSAMs (EF 15 bytes 0 to 7: Beijing's city code, as published).
var sampleIssuer = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}

// CardCmd are the commands on cards.
type CardCmd struct {
	Issue CardIssueCmd `cmd:"" help:"Make a simulated card with the scheme's keys, and register it."`
	Block CardBlockCmd `cmd:"" help:"Block a card at the backend: no loads, and debits from now on are findings."`
	Show  CardShowCmd  `cmd:"" help:"Show a card's shadow account."`

	Read    CardReadCmd    `cmd:"" help:"Read the card in a reader: files, balance, trip state."`
	History CardHistoryCmd `cmd:"" help:"Read the card's own log of transactions."`
	Trips   CardTripsCmd   `cmd:"" help:"Read the trips that the card remembers."`
	Verify  CardVerifyCmd  `cmd:"" help:"Check the card's log by its proofs, the scheme's keys and the backend's books."`
}

// CardIssueCmd is `purselane card issue`.
type CardIssueCmd struct {
	schemeFolder
	Number string `required:"" placeholder:"DIGITS" help:"Card number, 20 digits."`
	File   string `required:"" placeholder:"FILE" type:"path" help:"The card's memory, a new file; purselane simulate card puts it into a reader."`
	Issuer string `default:"01011000FFFFFFFF" help:"Issuer, 16 hexadecimal digits."`
	Kind   byte   `default:"1" help:"1 normal, 2 student, 3 senior."`
}

// Run makes the card, with no money on it: value reaches a card by a load.
func (c *CardIssueCmd) Run(ctx context.Context, k *kong.Kong) error {
	number, err := ids.ParseCardNumber(c.Number)
	if err != nil {
		return fmt.Errorf("--number: %w", err)
	}
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		return err
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	tokenKey, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return err
	}
	spec := personalise.CardSpec{Number: number, Issuer: issuer, Kind: c.Kind}
	img, err := personalise.Card(ring.Masters, spec)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s exists; it was not touched", c.File)
	}
	return c.withNode(ctx, func(n *node.Node) error {
		// Registered first: a card that the backend does not know yet would be an alarm at its first tap. The same card again
		// changes nothing.
		token := store.Token(tokenKey, number)
		err := n.Store().Update(ctx, func(tx *store.Tx) error {
			return tx.IssueCard(ctx, store.Card{Number: number, Token: token, Issuer: issuer, Levels: 2, Status: store.CardActive})
		})
		if err != nil {
			return err
		}
		card, err := epcard.CreateFile(c.File, img, rand.Reader)
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "SIMULATED card %v, token %s, in %s\n", number, token, c.File)
		return card.Close()
	})
}

// cardName names a card the way a desk has it: by token, or by the number in hand.
type cardName struct {
	Token  string `xor:"card" required:"" placeholder:"HEX" help:"The card's token."`
	Number string `xor:"card" required:"" placeholder:"DIGITS" help:"The card's number, 20 digits."`
}

func (c cardName) find(ctx context.Context, tx *store.Tx) (store.Card, error) {
	var card store.Card
	var err error
	if c.Token != "" {
		card, err = tx.CardByToken(ctx, c.Token)
	} else {
		var n ids.CardNumber
		if n, err = ids.ParseCardNumber(c.Number); err != nil {
			return card, fmt.Errorf("--number: %w", err)
		}
		card, err = tx.CardByNumber(ctx, n)
	}
	if errors.Is(err, store.ErrNotFound) {
		return card, errors.New("no such card in this scheme: purselane card issue registers one")
	}
	return card, err
}

// CardBlockCmd is `purselane card block`.
type CardBlockCmd struct {
	schemeFolder
	cardName
}

// Run blocks the card.
func (c *CardBlockCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		return s.Update(ctx, func(tx *store.Tx) error {
			card, err := c.find(ctx, tx)
			if err != nil {
				return err
			}
			if err := tx.BlockCard(ctx, card.Number, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(k.Stdout, "card %v is blocked at the backend; terminals learn of it with their next deny list\n", card.Number)
			return nil
		})
	})
}

// CardShowCmd is `purselane card show`.
type CardShowCmd struct {
	schemeFolder
	cardName
}

// Run prints the shadow account, its taps and what is suspicious.
func (c *CardShowCmd) Run(ctx context.Context, k *kong.Kong) error {
	s, err := c.scheme()
	if err != nil {
		return err
	}
	at := s.Location()
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			card, err := c.find(ctx, tx)
			if err != nil {
				return err
			}
			fmt.Fprintf(k.Stdout, "card %v  token %s  %s\nshadow balance %v; next debit's counter %d; %d records missing\n",
				card.Number, card.Token, card.Status, card.Shadow, card.Next, card.Missing)
			taps, err := tx.CardTaps(ctx, card.Number)
			if err != nil {
				return err
			}
			for _, t := range taps {
				fmt.Fprintf(k.Stdout, "  %5d  %s  %-12s %8v  %8v -> %-8v %s\n", t.Counter, time.UnixMilli(t.AtMS).In(at).Format(time.DateTime), t.Tap.Terminal,
					t.Amount, t.Before, t.After, t.Status)
			}
			found, err := tx.Findings(ctx, card.Token, 100)
			for _, f := range found {
				fmt.Fprintf(k.Stdout, "  %s %s at counter %d: %s\n", f.Severity, f.Code, f.Counter, f.Detail)
			}
			return err
		})
	})
}
