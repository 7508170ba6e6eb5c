package desfiredriver

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/bcd"
	"github.com/purselane/purselane/internal/money"
)

// recordSize is that of the one record layout there is.
const recordSize = 32

// recordVersion stands in the upper three bits of a record. 0 is a record that nobody wrote.
const recordVersion = 1

// kinds are the codes of what wrote a record. 0 is the issuer, who writes the first one.
var kinds = []purse.Kind{0, purse.Sale, purse.BusRide, purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet}

// tripState is where the rider stands. The numbers are on the card.
type tripState byte

const (
	noTrip tripState = iota
	tripOpen
	tripLeft
	tripClosed // by a correction: never left
)

const (
	maxMarked = 1<<24 - 1 // minor units: three bytes
	noRide    = math.MaxUint16
)

// terminal is the terminal number of a driver's SAM.
type terminal [6]byte

// short tells terminals apart where a record has no room for the whole number: it names the terminal of a trip that another debit's
// record carries on. Two terminals may have one; then they would have to have written in one second as well.
func (t terminal) short() uint16 {
	sum := sha256.Sum256(t[:])
	return binary.BigEndian.Uint16(sum[:])
}

// record is what is written with each debit.
type record struct {
	kind     purse.Kind
	terminal terminal
	at       uint32 // Unix time, seconds
	attempt  uint16 // tells two of one terminal in one second apart

	trip      tripState
	tripPlace purse.Place // of the entry while the trip is open, else of the exit
	tripAt    uint32
	tripBy    uint16 // short number of the terminal
	marked    uint32 // while the trip is open: due if it is never left, minor units

	ridePlace purse.Place
	rideAge   uint16 // seconds from the ride to at; noRide: the newest record of a trip or ride is no ride, or an old one
}

// FirstRecord is what the issuer writes before a card goes out: a card without a record is none of the scheme, because nobody signs that
// there is none.
func FirstRecord() []byte { return record{rideAge: noRide}.bytes() }

// bytes is the record as it is on the card (docs/card-desfire.md).
func (r record) bytes() []byte {
	kind := slices.Index(kinds, r.kind)
	out := append(make([]byte, 0, recordSize), recordVersion<<5|byte(kind)<<2|byte(r.trip))
	out = append(out, r.terminal[:]...)
	out = binary.BigEndian.AppendUint32(out, r.at)
	out = binary.BigEndian.AppendUint16(out, r.attempt)
	out = append(append(out, r.tripPlace.Line[:]...), r.tripPlace.Station[:]...)
	out = binary.BigEndian.AppendUint32(out, r.tripAt)
	out = binary.BigEndian.AppendUint16(out, r.tripBy)
	out = append(out, byte(r.marked>>16), byte(r.marked>>8), byte(r.marked))
	out = append(append(out, r.ridePlace.Line[:]...), r.ridePlace.Station[:]...)
	return binary.BigEndian.AppendUint16(out, r.rideAge)
}

// parseRecord reads what bytes wrote.
func parseRecord(raw []byte) (record, error) {
	if len(raw) != recordSize {
		return record{}, fmt.Errorf("desfire record of %d bytes: want %d", len(raw), recordSize)
	}
	kind := int(raw[0] >> 2 & 7)
	if raw[0]>>5 != recordVersion || kind >= len(kinds) {
		return record{}, fmt.Errorf("desfire record that begins with %02X: want version %d, whose layout this terminal knows", raw[0], recordVersion)
	}
	return record{
		kind: kinds[kind], terminal: terminal(raw[1:7]), at: binary.BigEndian.Uint32(raw[7:]), attempt: binary.BigEndian.Uint16(raw[11:]),
		trip: tripState(raw[0] & 3), tripPlace: place(raw[13:]), tripAt: binary.BigEndian.Uint32(raw[17:]), tripBy: binary.BigEndian.Uint16(raw[21:]),
		marked:    uint32(raw[23])<<16 | uint32(raw[24])<<8 | uint32(raw[25]),
		ridePlace: place(raw[26:]), rideAge: binary.BigEndian.Uint16(raw[30:]),
	}, nil
}

func place(raw []byte) purse.Place {
	return purse.Place{Line: [2]byte(raw[:2]), Station: [2]byte(raw[2:4])}
}

// next is the record of an order on a card whose newest record is r. Entries and exits end what is known of a ride, as a newer
// record of it would; a sale ends nothing.
func (r record) next(o purse.Order, by terminal, attempt uint16) (record, error) {
	code := slices.Index(kinds, o.Kind)
	now := o.At.Unix()
	switch {
	case code < 1:
		return record{}, fmt.Errorf("desfire: order of kind %d is not known", o.Kind)
	case now < 1 || now > math.MaxUint32:
		return record{}, fmt.Errorf("desfire: %v is no time of a record", o.At)
	case o.Kind == purse.Enter && (o.Marked.Sign() < 0 || o.Marked.Minor() > maxMarked):
		return record{}, fmt.Errorf("desfire: marked fare of %v: a record holds 0.00 to %v", o.Marked, money.Minor(maxMarked))
	}
	n := record{
		kind: o.Kind, terminal: by, at: uint32(now), attempt: attempt,
		trip: r.trip, tripPlace: r.tripPlace, tripAt: r.tripAt, tripBy: r.tripBy, marked: r.marked, rideAge: noRide,
	}
	switch o.Kind {
	case purse.Sale:
		n.ridePlace, n.rideAge = r.ridePlace, r.agedRide(n.at)
		return n, nil
	case purse.BusRide:
		n.ridePlace, n.rideAge = o.Place, 0
		return n, nil
	}
	n.tripPlace, n.tripAt, n.tripBy, n.marked = o.Place, n.at, by.short(), 0
	switch o.Kind {
	case purse.Enter:
		n.trip, n.marked = tripOpen, uint32(o.Marked.Minor())
	case purse.CloseTrip:
		n.trip = tripClosed
	default:
		n.trip = tripLeft
	}
	return n, nil
}

// agedRide is the age of the ride at another time. A terminal whose clock is behind makes it no younger than nothing.
func (r record) agedRide(now uint32) uint16 {
	if r.rideAge == noRide {
		return noRide
	}
	return uint16(min(max(int64(now)-int64(r.at)+int64(r.rideAge), 0), noRide))
}

// wroteTrip reports that the record's own debit is the one that its trip tells of.
func (r record) wroteTrip() bool {
	switch r.kind {
	case purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet:
		return true
	}
	return false
}

// tripTold is the trip in the words of package purse, as the terminal with that number reads it.
func (r record) tripTold(zone *time.Location, own terminal) purse.Trip {
	p := purse.Point{Place: r.tripPlace, At: time.Unix(int64(r.tripAt), 0).In(zone)}
	switch at := purseTime(p.At); {
	case r.wroteTrip():
		p.Mark = purse.MarkOf(r.terminal[:], at)
	case r.tripBy == own.short():
		p.Mark = purse.MarkOf(own[:], at)
	default:
		p.Mark = purse.MarkOf(binary.BigEndian.AppendUint16(nil, r.tripBy), at)
	}
	switch r.trip {
	case tripOpen:
		return purse.Trip{Open: true, Entry: p, Marked: money.Minor(int64(r.marked))}
	case tripLeft, tripClosed:
		return purse.Trip{Left: r.trip == tripLeft, Exit: p}
	}
	return purse.Trip{}
}

// rideTold is the newest ride. Once a sale has followed it, the terminal that wrote it is not known any more.
func (r record) rideTold(zone *time.Location) purse.Ride {
	if r.rideAge == noRide {
		return purse.Ride{}
	}
	out := purse.Ride{Bus: true, Point: purse.Point{Place: r.ridePlace, At: time.Unix(int64(r.at)-int64(r.rideAge), 0).In(zone)}}
	if r.kind == purse.BusRide {
		out.Mark = purse.MarkOf(r.terminal[:], purseTime(out.At))
	}
	return out
}

// purseTime is a time as YYYYMMDDhhmmss in packed decimal, as attempts of all families have it.
func purseTime(t time.Time) []byte {
	y, m, d := t.Date()
	n := uint64(y)*1e10 + uint64(m)*1e8 + uint64(d)*1e6 + uint64(t.Hour())*1e4 + uint64(t.Minute())*1e2 + uint64(t.Second())
	out := make([]byte, 7)
	if err := bcd.Put(out, n); err != nil {
		panic(err) // a record's times are of 1970 to 2106
	}
	return out
}
