package ecdriver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/bcd"
	"github.com/purselane/purselane/internal/money"
)

// Transit is how the operator's records stand on cards with the transit extension (EC facts 16), and the door to their keys.
type Transit struct {
	File     byte    // its file
	ID       [2]byte // its record there, of TransitRecordSize bytes
	Operator ec.Operator
	Terminal [6]byte // the number that stands in the records; no two terminals have one
}

// TransitRecordSize is that of the one record layout there is: what an issuer opens it with is the ID and zeros.
const TransitRecordSize = 58

const transitVersion = 1

type tripState byte

const (
	noTrip tripState = iota
	tripOpen
	tripLeft
	tripClosed // by a correction: never left
)

// point is one end of a trip as it stands in the record.
type point struct {
	purse.Place
	at       [7]byte // YYYYMMDDhhmmss, packed decimal
	terminal [6]byte
}

const pointSize = 17

// transitRecord is where the rider stands: the newest trip and the newest bus ride (docs/card-evidence.md).
type transitRecord struct {
	trip        tripState
	rode        bool // the newest debit of a trip or ride was a ride
	entry, exit point
	marked      uint32 // while the trip is open: due if it is never left, minor units
	ride        point
}

func (r transitRecord) bytes(id [2]byte) []byte {
	head := byte(transitVersion<<4) | byte(r.trip)
	if r.rode {
		head |= 0x08
	}
	out := append(make([]byte, 0, TransitRecordSize), id[0], id[1], head)
	out = append(out, byte(r.marked>>24), byte(r.marked>>16), byte(r.marked>>8), byte(r.marked))
	for _, p := range []point{r.entry, r.exit, r.ride} {
		out = append(append(append(append(out, p.Line[:]...), p.Station[:]...), p.at[:]...), p.terminal[:]...)
	}
	return out
}

func parseTransit(raw []byte) (r transitRecord, err error) {
	if len(raw) != TransitRecordSize {
		return r, fmt.Errorf("transit record of %d bytes: want %d", len(raw), TransitRecordSize)
	}
	head, rest := raw[2], raw[7:]
	if head == 0 {
		return r, nil // as it was opened
	}
	if head>>4 != transitVersion || head&0x04 != 0 {
		return r, fmt.Errorf("transit record that begins with %02X: want version %d, whose layout this terminal knows", head, transitVersion)
	}
	r.trip, r.rode = tripState(head&3), head&0x08 != 0
	r.marked = uint32(raw[3])<<24 | uint32(raw[4])<<16 | uint32(raw[5])<<8 | uint32(raw[6])
	for _, p := range []*point{&r.entry, &r.exit, &r.ride} {
		copy(p.Line[:], rest)
		copy(p.Station[:], rest[2:])
		copy(p.at[:], rest[4:])
		copy(p.terminal[:], rest[11:])
		rest = rest[pointSize:]
	}
	return r, nil
}

// next is the record of an order. Entries and exits end what is known of a ride; a sale writes nothing.
func (r transitRecord) next(o purse.Order, here point) (transitRecord, error) {
	if o.Marked.Sign() < 0 || o.Marked.Minor() > 0xFFFFFFFF {
		return r, fmt.Errorf("marked fare of %v: a record holds 0.00 to %v", o.Marked, money.Minor(0xFFFFFFFF))
	}
	switch o.Kind {
	case purse.BusRide:
		r.rode, r.ride = true, here
		return r, nil
	case purse.Enter:
		return transitRecord{trip: tripOpen, entry: here, marked: uint32(o.Marked.Minor()), exit: r.exit, ride: r.ride}, nil
	case purse.Leave, purse.LeaveUnmet:
		r.trip = tripLeft
	case purse.CloseTrip:
		r.trip = tripClosed
	default:
		return r, fmt.Errorf("order of kind %d writes no transit record", o.Kind)
	}
	r.rode, r.exit, r.marked = false, here, 0
	return r, nil
}

func (p point) told(zone *time.Location) purse.Point {
	out := purse.Point{Place: p.Place, Mark: purse.MarkOf(p.terminal[:], p.at[:])}
	if n, err := bcd.Get(p.at[:]); err == nil {
		if at, err := time.ParseInLocation("20060102150405", fmt.Sprintf("%014d", n), zone); err == nil {
			out.At = at
		}
	}
	return out
}

func (r transitRecord) tripTold(zone *time.Location) purse.Trip {
	switch r.trip {
	case tripOpen:
		return purse.Trip{Open: true, Entry: r.entry.told(zone), Marked: money.Minor(int64(r.marked))}
	case tripLeft, tripClosed:
		return purse.Trip{Left: r.trip == tripLeft, Exit: r.exit.told(zone)}
	}
	return purse.Trip{}
}

func (r transitRecord) rideTold(zone *time.Location) purse.Ride {
	if !r.rode {
		return purse.Ride{}
	}
	return purse.Ride{Bus: true, Point: r.ride.told(zone)}
}

// errNoRecord is of a card that makes no trips here.
var errNoRecord = errors.New("the card has no transit extension, or the terminal takes no trips")

// readTransit reads the operator's record. Its MAC is checked when the card has told its number: see [ec.Card.BeginTransit].
func (v *visit) readTransit(ctx context.Context) (r transitRecord, err error) {
	t := v.s.Transit
	if support := v.card.FCI.Rest[ec.TagTransitSupport]; t == nil || len(support) != 1 || support[0]&0x01 == 0 {
		return r, errNoRecord
	}
	if v.transit == nil {
		var random [8]byte
		if err := draw(v.d.rand, random[:]); err != nil {
			return r, fmt.Errorf("%w: %w", purse.ErrTerminal, err)
		}
		raw, err := v.card.ReadTransit(ctx, t.File, t.ID, false, &random)
		if errors.Is(err, ec.ErrNotFound) { // nobody signs that: it must not make an open trip vanish
			return r, fmt.Errorf("%w: its transit record was never opened: %w", purse.ErrNoPurse, err)
		}
		if err != nil {
			return r, err
		}
		v.transit = &raw
	}
	return parseTransit(v.transit.Data)
}

// askTransit is ask for an order that writes a record: GET PROCESSING OPTIONS, the record into the card's cache, and all records but the last.
func (v *visit) askTransit(ctx context.Context, o purse.Order, terminal ec.Terminal) (*ec.Tap, error) {
	was, err := v.readTransit(ctx)
	if err != nil {
		return nil, err
	}
	next, err := was.next(o, point{Place: o.Place, at: [7]byte(purseTime(o, v.s)), terminal: v.s.Transit.Terminal})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", purse.ErrDeclined, err)
	}
	v.asked = true
	return v.card.BeginTransit(ctx, terminal, operator{v.s.Transit.Operator}, *v.transit, next.bytes(v.s.Transit.ID))
}

// operator is the operator's SAM, its own faults told apart from the card's.
type operator struct{ ec.Operator }

func (o operator) RecordMAC(ctx context.Context, r ec.RecordName, blocks []byte) ([4]byte, error) {
	mac, err := o.Operator.RecordMAC(context.WithoutCancel(ctx), r, blocks)
	switch {
	case err == nil:
		return mac, nil
	case errors.Is(err, keys.ErrUnknownKey):
		return mac, fmt.Errorf("%w: %w", purse.ErrKey, err)
	case errors.Is(err, keys.ErrSAMBusy):
		return mac, fmt.Errorf("%w: %w", purse.ErrBusy, err)
	}
	return mac, fmt.Errorf("%w: SAM: %w", purse.ErrTerminal, err)
}
