package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/eccard"
	"github.com/purselane/purselane/simulator/epcard"
)

// chip is a simulated card of any family, in its file.
type chip interface {
	apdu.Transmitter
	Power(on bool)
	Reset()
	Close() error
	tells() string // who it is, masked, and what is on it
}

type (
	epChip      struct{ *epcard.Card }
	ecChip      struct{ *eccard.Chip }
	desfireChip struct{ *desfire.Card }
)

func (c epChip) tells() string {
	return fmt.Sprintf("card %v: balance %v, %d debits, %d loads", c.Number(), c.Balance(), c.OfflineCounter(), c.OnlineCounter())
}

func (c ecChip) tells() string {
	return fmt.Sprintf("electronic cash card %v: balance %v, counter %d", c.PAN(), c.Balance(), c.ATC())
}

func (c desfireChip) tells() string {
	m := c.Image()
	return fmt.Sprintf("DESFire card %v: value %v, %d transactions", desfiredriver.CardNumber([7]byte([]byte(m.UID))), m.Value, m.TMC)
}

// openChip takes up the card in a file. Its family is told by what only its files have.
func openChip(path string) (chip, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w (purselane card issue makes a card)", err)
	}
	if err != nil {
		return nil, err
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil {
		return nil, fmt.Errorf("%s is no card's file: %w", path, err)
	}
	switch {
	case has["pan"] != nil:
		c, err := eccard.OpenFile(path, rand.Reader)
		return ecChip{c}, err
	case has["tm_key"] != nil:
		c, err := desfire.OpenFile(path, rand.Reader)
		return desfireChip{c}, err
	}
	c, err := epcard.OpenFile(path, rand.Reader)
	return epChip{c}, err
}
