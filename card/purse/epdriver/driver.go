package epdriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
)

// Family is the family's name in records.
const Family = "ep"

// evidenceKind is the form of its evidence: MAC2 and TAC, in fields of their own.
const evidenceKind = "ep-tac/1"

// Readback is how much of the card is read after a debit.
type Readback int

// Readbacks.
const (
	ReadNothing Readback = iota
	ReadBalance
	ReadBalanceAndLog
)

// Settings say how the purse of this scheme differs from others (purse facts chapter 12), and who accepts.
type Settings struct {
	AIDs       [][]byte // tried in order
	KeyIndex   byte     // of the purchase key
	KeyLevels  int      // 1: serial; 2: issuer, then serial
	LogsAfter  bool     // the card's log has the counter after its increment, where the log itself does not tell (C1)
	Management bool     // read EF 17 (T-Union)
	Readback   Readback
	// CityCode: the cards are a city union's, whose MAC1 covers what they say to GET MESSAGE (C13).
	CityCode bool

	Location *time.Location // of the times on the card

	// Who accepts, as written into trip records.
	City        [2]byte
	Institution [8]byte
	Operator    [2]byte
}

// Driver implements purse.Driver. It keeps nothing from visit to visit.
type Driver struct {
	settings Settings
	sams     keys.SAMs
}

var _ purse.Driver = (*Driver)(nil)

// New makes a driver that draws on sams. The settings' AIDs must not be changed afterwards.
func New(s Settings, sams keys.SAMs) *Driver { return &Driver{settings: s, sams: sams} }

// Family implements purse.Driver.
func (d *Driver) Family() string { return Family }

// Open implements purse.Driver by SELECT.
func (d *Driver) Open(ctx context.Context, t apdu.Transmitter) (purse.Card, error) {
	err := purse.ErrNoPurse
	for _, aid := range d.settings.AIDs {
		var card *ep.Card
		if card, _, err = ep.Select(ctx, t, aid); err == nil {
			return &visit{d: d, s: &d.settings, card: card, aid: aid}, nil
		}
		if !errors.Is(err, ep.ErrNoPurse) {
			break
		}
	}
	return nil, told(err)
}

// visit is an opened card: what was read of it, and the debit that is under way.
type visit struct {
	d    *Driver
	s    *Settings
	card *ep.Card
	aid  []byte

	public ep.Public
	code   []byte // of a city-union card, once it was asked
	trip   ep.MetroTrip

	sam     keys.SAM
	release func() // gives sam back; nil: none is held
	debit   debit
}

var _ purse.Card = (*visit)(nil)

// Format prints no card.
func (v *visit) Format(f fmt.State, _ rune) { io.WriteString(f, "[EP card]") }

// Close implements purse.Card.
func (v *visit) Close() { v.giveBack() }

func (v *visit) giveBack() {
	if v.release != nil {
		v.release()
	}
	v.sam, v.release = nil, nil
}
