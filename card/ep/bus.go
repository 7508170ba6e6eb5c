package ep

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/internal/money"
)

// BusPlace is where and when a rider got on or off a bus. Operator, line and stop are the city's own.
type BusPlace struct {
	City        [2]byte
	Institution [8]byte
	Operator    [2]byte
	Line        [2]byte
	Stop        byte
	Vehicle     [8]byte // ASCII
	Terminal    [8]byte
	At          DateTime
}

// BusTrip is record 2 of EF 1A, 128 bytes (purse facts 2.6): the segment of a bus line that is ridden.
type BusTrip struct {
	Flag      byte // interoperable transaction flag
	Lock      byte // 00 free
	Serial    [8]byte
	State     byte // TripInitial, TripEntered or TripLeft
	Boarding  BusPlace
	Marked    money.Amount // charged if the trip is never closed
	Direction byte         // AB or BA
	Alighting BusPlace
	Amount    money.Amount
	Distance  uint16
	Reserved  [26]byte
}

// Open reports a rider who got on and not off.
func (b BusTrip) Open() bool { return b.State == TripEntered }

// busHead is the record's identifier, the length of what follows it, and the valid flag. The identifier is 2702 (conflict C4).
var busHead = []byte{0x27, BusRecordID, 0x7D, 0x01}

// BusRecordID is the last byte of the bus record's identifier, for [Card.CacheTripState].
const BusRecordID = 0x02

// ParseBusTrip reads record 2 of EF 1A. A record never written (all zero) or not valid reads as TripInitial. One source prints its
// identifier as 2701 (conflict C4): as record 2 of the file it is read all the same.
func ParseBusTrip(raw []byte) (BusTrip, error) {
	if len(raw) != 128 {
		return BusTrip{}, fmt.Errorf("EF 1A: %w: record of %d bytes, want 128", ErrMalformed, len(raw))
	}
	if [4]byte(raw[:4]) == [4]byte{} {
		return BusTrip{}, nil
	}
	head := bytes.Clone(raw[:4])
	if head[1] == metroHead[1] {
		head[1] = BusRecordID
	}
	switch {
	case bytes.Equal(head[:3], busHead[:3]) && head[3] == 0:
		return BusTrip{}, nil
	case !bytes.Equal(head, busHead):
		return BusTrip{}, fmt.Errorf("EF 1A: %w: record head %X, want %X", ErrMalformed, raw[:4], busHead)
	}
	return BusTrip{
		Flag: raw[4], Lock: raw[5], Serial: [8]byte(raw[6:14]), State: raw[14],
		Boarding: parseBusPlace(raw[15:53]), Marked: GetAmount(raw[53:57]), Direction: raw[57],
		Alighting: parseBusPlace(raw[58:96]), Amount: GetAmount(raw[96:100]), Distance: binary.BigEndian.Uint16(raw[100:102]),
		Reserved: [26]byte(raw[102:128]),
	}, nil
}

func parseBusPlace(raw []byte) BusPlace {
	return BusPlace{
		City: [2]byte(raw[0:2]), Institution: [8]byte(raw[2:10]), Operator: [2]byte(raw[10:12]), Line: [2]byte(raw[12:14]), Stop: raw[14],
		Vehicle: [8]byte(raw[15:23]), Terminal: [8]byte(raw[23:31]), At: DateTime(raw[31:38]),
	}
}

func (p BusPlace) bytes() []byte {
	return cat(p.City[:], p.Institution[:], p.Operator[:], p.Line[:], []byte{p.Stop}, p.Vehicle[:], p.Terminal[:], p.At[:])
}

// Bytes codes the record with its head 2702 7D 01.
func (b BusTrip) Bytes() [128]byte {
	return [128]byte(cat(busHead, []byte{b.Flag, b.Lock}, b.Serial[:], []byte{b.State}, b.Boarding.bytes(), amount4(b.Marked), []byte{b.Direction},
		b.Alighting.bytes(), amount4(b.Amount), be16(b.Distance), b.Reserved[:]))
}

// ReadBusTrip reads the bus trip state: EF 1A record 2.
func (c *Card) ReadBusTrip(ctx context.Context) (BusTrip, error) {
	raw, err := c.ReadRecord(ctx, SFITripState, 2, 128)
	if err != nil {
		return BusTrip{}, err
	}
	return ParseBusTrip(raw)
}
