package ecdriver

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Family is the family's name in records.
const Family = "ec"

// Driver implements purse.Driver. From visit to visit it keeps which record had the number of an application's cards, and nothing else.
type Driver struct {
	s        Settings
	rand     io.Reader
	numberAt map[string]ec.Place // by AID; of no use but for EarlyDebit
}

var _ purse.Driver = (*Driver)(nil)

// New makes a driver. From rand it draws the unpredictable number of each debit: the card's signature proves nothing else. The settings must not be
// changed afterwards.
func New(s Settings, rand io.Reader) (*Driver, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return &Driver{s: s, rand: rand, numberAt: map[string]ec.Place{}}, nil
}

// Family implements purse.Driver.
func (d *Driver) Family() string { return Family }

// Format prints no key.
func (d *Driver) Format(f fmt.State, _ rune) { io.WriteString(f, "[EC driver]") }

// Open implements purse.Driver: SELECT of the directory and of the best application that both sides accept.
func (d *Driver) Open(ctx context.Context, t apdu.Transmitter) (purse.Card, error) {
	v := &visit{d: d, s: &d.s, t: t}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// visit is an opened card.
type visit struct {
	d     *Driver
	s     *Settings
	t     apdu.Transmitter
	card  *ec.Card
	asked bool                   // GET PROCESSING OPTIONS was sent: the card takes one a selection
	seen  map[ec.Place]ec.Record // records read before that, for Recover
	// transit is the operator's transit record, of this selection: the card writes the one that was read last.
	transit *ec.TransitRecord

	// Of the debit that is under way.
	tap    *ec.Tap
	token  ids.CardNumber
	sealed []byte       // the number that the token stands for
	after  money.Amount // what it leaves
}

var _ purse.Card = (*visit)(nil)

func (v *visit) open(ctx context.Context) (err error) {
	if v.card, err = ec.Select(ctx, v.t, v.s.Accepted); err != nil {
		return openTold(err)
	}
	v.asked, v.seen, v.transit = false, map[ec.Place]ec.Record{}, nil
	return nil
}

// fresh is the card as it must be for Begin and Recover: selected, and not asked since.
func (v *visit) fresh(ctx context.Context) error {
	if !v.asked {
		return nil
	}
	return v.open(ctx)
}

// Read implements purse.Card. Who the card is, it tells only when it is asked for a debit.
func (v *visit) Read(ctx context.Context, n purse.Need) (r purse.Reading, err error) {
	if n.Balance {
		if r.Balance, err = v.balance(ctx); err != nil {
			return r, told(err)
		}
	}
	if v.s.Transit == nil || !n.Trip && !n.Ride {
		return r, nil
	}
	record, err := v.readTransit(ctx)
	if errors.Is(err, errNoRecord) {
		return r, nil
	}
	if err != nil {
		return r, told(err)
	}
	if n.Trip {
		r.Trip = record.tripTold(v.s.Location)
	}
	if n.Ride {
		r.Ride = record.rideTold(v.s.Location)
	}
	return r, nil
}

// balance reads the balance that the card tells, signed by nobody.
func (v *visit) balance(ctx context.Context) (a money.Amount, err error) {
	raw, err := v.card.GetData(ctx, ec.TagBalance)
	if err != nil {
		return a, err
	}
	return ec.ParseAmount(raw)
}

// Close implements purse.Card. A visit holds nothing of the terminal's.
func (v *visit) Close() {}

// Format prints no more than that it is a card: fmt would reach the records in the fields.
func (v *visit) Format(f fmt.State, _ rune) { io.WriteString(f, "[EC card]") }
