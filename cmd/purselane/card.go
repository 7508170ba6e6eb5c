package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

// sampleIssuer is who issues the sample scheme's cards and PSAMs (EF 15 bytes 0 to 7: Beijing's city code, as published).
var sampleIssuer = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}

// CardCmd are the commands on cards.
type CardCmd struct {
	Issue CardIssueCmd `cmd:"" help:"Make a simulated card of any family with the scheme's keys, and register it."`
	Block CardBlockCmd `cmd:"" help:"Block a card at the backend: no loads, and debits from now on are findings."`
	Show  CardShowCmd  `cmd:"" help:"Show a card's shadow account."`
	Load  KioskLoadCmd `cmd:"" help:"Load the card in a reader: the same as kiosk load."`
	End   CardEndCmd   `cmd:"" help:"Lost, broken, given back or forgotten cards: block them and move what is left."`

	Register CardRegisterCmd `cmd:"" help:"Register a card of another family that its issuer has made: electronic cash, or DESFire."`

	Read    CardReadCmd    `cmd:"" help:"Read the card in a reader: files, balance, trip state."`
	History CardHistoryCmd `cmd:"" help:"Read the card's own log of transactions."`
	Trips   CardTripsCmd   `cmd:"" help:"Read the trips that the card remembers."`
	Verify  CardVerifyCmd  `cmd:"" help:"Check the card's log by its proofs, the scheme's keys and the backend's books."`
}

// CardIssueCmd is `purselane card issue`.
type CardIssueCmd struct {
	schemeFolder
	Family string `enum:"ep,ec,desfire" default:"ep" help:"ep, a purse; ec, electronic cash; or desfire. The last two want what purselane family makes."`
	Number string `required:"" placeholder:"DIGITS" help:"Card number, 20 digits. Of electronic cash 8 to 19 digits, of DESFire the UID, 14 hexadecimal digits."`
	File   string `required:"" placeholder:"FILE" type:"path" help:"The card's memory, a new file; purselane simulate card puts it into a reader."`
	Issuer string `default:"01011000FFFFFFFF" help:"Issuer, 16 hexadecimal digits."`
	Kind   byte   `default:"1" help:"1 normal, 2 student, 3 senior."`

	Sequence string       `default:"01" placeholder:"DIGITS" help:"Of electronic cash: sequence number, two digits."`
	Value    money.Amount `default:"0.00" placeholder:"AMOUNT" help:"Of DESFire: value on it from the start, since nothing loads such cards yet. The backend does not know of it: its first tap is a finding."`

	Profile string `placeholder:"FILE" type:"path" help:"The profile that says what the scheme's cards are, plain or signed. Default: profile.yaml in the folder."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// profile reads what the scheme's cards are. A folder without a profile has the sample's.
func (c *CardIssueCmd) profile() (*firmwareconfig.Profile, error) {
	file := profileFile{File: c.Profile}
	if c.Profile == "" {
		file.File = c.path(fileProfile)
		if _, err := os.Stat(file.File); errors.Is(err, os.ErrNotExist) {
			return firmwareconfig.Sample(), nil
		}
	}
	p, _, err := file.open()
	return p, err
}

// Run makes the card, with no money on it: value reaches a card by a load.
func (c *CardIssueCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Family != "desfire" && !c.Value.IsZero() {
		return errors.New("--value: value reaches a card by a load, but for DESFire")
	}
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s exists; it was not touched", c.File)
	}
	switch c.Family {
	case "ec":
		return c.issueEC(ctx, k)
	case "desfire":
		return c.issueDESFire(ctx, k)
	}
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
	profile, err := c.profile()
	if err != nil {
		return err
	}
	spec, err := personalise.CardSpec{Number: number, Issuer: issuer, Kind: c.Kind}.For(profile.Card)
	if err != nil {
		return err
	}
	img, err := personalise.Card(ring.ForNewWork(), spec)
	if err != nil {
		return err
	}
	return c.withNode(ctx, func(n *node.Node) error {
		// Registered first: a card that the backend does not know yet would be an alarm at its first tap. The same card again
		// changes nothing.
		token := store.Token(tokenKey, number)
		err := n.Store().Update(ctx, func(tx *store.Tx) error {
			return tx.IssueCard(ctx, store.Card{Number: number, Token: token, Issuer: issuer, Levels: spec.Keys.Levels, Status: store.CardActive})
		})
		if err != nil {
			return err
		}
		card, err := epcard.CreateFile(c.File, img, rand.Reader)
		if err != nil {
			return err
		}
		if err := card.Close(); err != nil {
			return err
		}
		return c.tell(k.Stdout, number, token)
	})
}

func (c *CardIssueCmd) tell(out io.Writer, number ids.CardNumber, token string) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(map[string]any{"simulated": true, "family": c.Family, "card_number": number.String(), "token": token, "file": c.File})
	}
	_, err := fmt.Fprintf(out, "SIMULATED card %v, token %s, in %s\n", number, token, c.File)
	return err
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
	JSON bool `name:"json" help:"Print JSON."`
}

// Run blocks the card.
func (c *CardBlockCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		var card store.Card
		if err := s.Update(ctx, func(tx *store.Tx) (err error) {
			if card, err = c.find(ctx, tx); err != nil {
				return err
			}
			return tx.BlockCard(ctx, card.Number, time.Now())
		}); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(k.Stdout).Encode(map[string]any{"card_number": card.Number.String(), "token": card.Token, "blocked": true})
		}
		_, err := fmt.Fprintf(k.Stdout, "card %v is blocked at the backend; terminals learn of it with their next deny list\n", card.Number)
		return err
	})
}

// CardShowCmd is `purselane card show`.
type CardShowCmd struct {
	schemeFolder
	cardName
	JSON bool `name:"json" help:"Print JSON."`
}

// cardShow is the JSON form.
type cardShow struct {
	Number   string        `json:"card_number"`
	Token    string        `json:"token"`
	Status   string        `json:"status"`
	Shadow   money.Amount  `json:"shadow_balance"`
	Next     uint32        `json:"next_counter"` // of the next debit
	Missing  int           `json:"records_missing"`
	Taps     []shownTap    `json:"taps"`
	Findings []shownRemark `json:"findings"`
}

type shownTap struct {
	Counter  uint32       `json:"counter"`
	At       time.Time    `json:"at"`
	Terminal string       `json:"terminal"`
	Amount   money.Amount `json:"amount"`
	Before   money.Amount `json:"before"`
	After    money.Amount `json:"after"`
	Status   string       `json:"status"`
}

type shownRemark struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Counter  uint32 `json:"counter"`
	Detail   string `json:"detail"`
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
			taps, err := tx.CardTaps(ctx, card.Number)
			if err != nil {
				return err
			}
			found, err := tx.Findings(ctx, card.Token, 100)
			if err != nil {
				return err
			}
			show := cardShow{card.Number.String(), card.Token, card.Status, card.Shadow, card.Next, card.Missing, []shownTap{}, []shownRemark{}}
			for _, t := range taps {
				show.Taps = append(show.Taps, shownTap{uint32(t.Counter), time.UnixMilli(t.AtMS).In(at), string(t.Tap.Terminal), t.Amount, t.Before, t.After, t.Status.String()})
			}
			for _, f := range found {
				show.Findings = append(show.Findings, shownRemark{string(f.Severity), string(f.Code), uint32(f.Counter), f.Detail})
			}
			if c.JSON {
				return json.NewEncoder(k.Stdout).Encode(show)
			}
			return show.print(k.Stdout)
		})
	})
}

func (s cardShow) print(out io.Writer) error {
	p := &printer{out: out}
	p.line("card %s  token %s  %s", s.Number, s.Token, s.Status)
	p.line("shadow balance %v; next debit's counter %d; %d records missing", s.Shadow, s.Next, s.Missing)
	for _, t := range s.Taps {
		p.line("  %5d  %s  %-12s %8v  %8v -> %-8v %s", t.Counter, t.At.Format(time.DateTime), t.Terminal, t.Amount, t.Before, t.After, t.Status)
	}
	for _, f := range s.Findings {
		p.line("  %s %s at counter %d: %s", f.Severity, f.Code, f.Counter, f.Detail)
	}
	return p.err
}
