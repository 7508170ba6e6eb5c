package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// transactionTypes are the types of purse facts 6.1.
var transactionTypes = map[byte]string{
	byte(ep.TypeEDLoad): "ED load", byte(ep.TypeLoad): "load", byte(ep.TypeUnload): "unload", byte(ep.TypeEDCash): "ED cash withdrawal",
	byte(ep.TypeEDPurchase): "ED purchase", byte(ep.TypePurchase): "purchase", byte(ep.TypeEDLimit): "overdraft limit", byte(ep.TypeComposite): "composite purchase",
}

// maxRecords bounds the records asked for of one file: a card that answers for ever is not asked for ever. Logs have 10, trip histories 30.
const maxRecords = 60

// readLog reads EF 18, newest first, up to the first record that was never written or is not there.
func readLog(ctx context.Context, card *ep.Card) ([]ep.LogRecord, error) {
	var out []ep.LogRecord
	for n := byte(1); n <= maxRecords; n++ {
		l, err := card.ReadLog(ctx, n)
		if errors.Is(err, ep.ErrNotFound) && n > 1 {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if l.Empty() {
			return out, nil
		}
		out = append(out, l)
	}
	return out, nil
}

// CardHistoryCmd is `purselane card history`.
type CardHistoryCmd struct{ cardTool }

type cardHistory struct {
	Number  string      `json:"card_number"`
	Records []logRecord `json:"records"` // newest first
}

type logRecord struct {
	Counter   uint16       `json:"counter"` // before or after the transaction: cards differ
	Type      string       `json:"type"`
	Amount    money.Amount `json:"amount"`
	Overdraft money.Amount `json:"overdraft_limit"`
	Terminal  string       `json:"terminal"`
	At        string       `json:"at"`
}

// Run prints the card's own log.
func (c *CardHistoryCmd) Run(ctx context.Context, k *kong.Kong) error {
	h := cardHistory{Records: []logRecord{}}
	var cash *ecHistory
	if err := c.meet(ctx, func(ctx context.Context, t apdu.Transmitter) error {
		card, _, err := selectPurse(ctx, t)
		if noPurse(err) {
			card, err := c.selectEC(ctx, t, err)
			if err != nil {
				return err
			}
			read, err := c.readCash(ctx, card)
			cash = &read
			return err
		}
		if err != nil {
			return err
		}
		public, err := card.ReadPublic(ctx)
		if err != nil {
			return err
		}
		h.Number = shownNumber(public.CardNumber, c.Reveal)
		log, err := readLog(ctx, card)
		for _, l := range log {
			h.Records = append(h.Records, logRecord{l.Counter, named(transactionTypes, byte(l.Type)), l.Amount, money.Minor(int64(l.Overdraft)), l.Terminal.String(), purseTime(l.At)})
		}
		return err
	}); err != nil {
		return err
	}
	p := &printer{out: k.Stdout}
	switch {
	case c.JSON && cash != nil:
		return json.NewEncoder(k.Stdout).Encode(cash)
	case c.JSON:
		return json.NewEncoder(k.Stdout).Encode(h)
	case cash != nil:
		cash.print(p)
		return p.err
	}
	p.line("card %s: %d transactions in its log, newest first", h.Number, len(h.Records))
	for _, l := range h.Records {
		p.line("  %5d  %s  %-21s %9v  terminal %s  overdraft limit %v", l.Counter, l.At, l.Type, l.Amount, l.Terminal, l.Overdraft)
	}
	return p.err
}
