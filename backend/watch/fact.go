package watch

import (
	"encoding/hex"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// fact is what the watch needs of a record.
type fact struct {
	terminal   ids.TerminalID
	epoch, seq uint64
	shadowaccount.Stamp
	amount money.Amount
	psam   *[6]byte // nil: the family has none
	serial uint32   // the PSAM's own number of the purchase
}

// factOf reads what the watch needs of a posted record, and what its terminal calls the card. False: it cannot be read, and says nothing.
func factOf(r store.Posted) (f fact, card called, ok bool) {
	w, ok := readRecord(r.Body)
	if !ok || len(w.card) != len(card.name) || w.tap == 0 || w.tap > math.MaxInt64 || w.denyVersion > math.MaxInt64 {
		return f, card, false
	}
	copy(card.name[:], w.card)
	card.alias = string(w.family) == "ec" // a bank's card number is sealed
	f = fact{terminal: r.Terminal, epoch: r.Epoch, seq: r.Seq, amount: money.Minor(w.amount),
		Stamp: shadowaccount.Stamp{Tap: w.tap, AtMS: w.atMS, ErrorMS: int64(w.errorMS), Sure: w.sure(), ReceivedMS: r.ReceivedMS}}
	// A TAC is made over the PSAM's numbers: where it is bad they may be anything.
	if len(w.psam) == 6 && string(w.family) == "ep" && r.Label != shadowaccount.LabelBadMAC {
		f.psam, f.serial = (*[6]byte)(w.psam), w.serial
	}
	return f, card, true
}

// sightOf is what the stored record of a claim says beside the money.
func sightOf(body []byte) store.Sight {
	w, ok := readRecord(body)
	if !ok || w.denyVersion > math.MaxInt64 {
		return store.Sight{}
	}
	return store.Sight{ErrorMS: int64(w.errorMS), Sure: w.sure(), Spot: spot(w.line, w.station), DenyVersion: w.denyVersion}
}

// sure says whether the terminal's time proves anything.
func (r raw) sure() shadowaccount.Sure {
	known := r.clock == wire.ClockState_CLOCK_GOOD || r.clock == wire.ClockState_CLOCK_HOLDOVER
	if s := (shadowaccount.Stamp{AtMS: r.atMS, Sure: shadowaccount.Bounded}); known && s.Proves() {
		return shadowaccount.Bounded
	}
	return shadowaccount.NotSure
}

// raw is what the watch reads of a record, as it stands in it. Slices are of its bytes.
type raw struct {
	family, card, line, station, psam []byte
	tap, denyVersion                  uint64
	amount, atMS                      int64
	errorMS, serial                   uint32
	clock                             wire.ClockState
}

// readRecord reads a wire.Record as the protobuf library does, a few fields of many and without a copy: the watch reads every record that is posted. False: the library would not
// read it.
func readRecord(in []byte) (r raw, ok bool) {
	for len(in) > 0 {
		field, kind, n := protowire.ConsumeTag(in)
		if n < 0 || field > protowire.MaxValidNumber {
			return r, false
		}
		in = in[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(in)
		case protowire.Fixed32Type:
			var fixed uint32
			fixed, n = protowire.ConsumeFixed32(in)
			number = uint64(fixed)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(in)
		default:
			n = protowire.ConsumeFieldValue(field, kind, in)
		}
		if n < 0 {
			return r, false
		}
		in = in[n:]
		switch kind {
		case protowire.VarintType:
			r.number(field, number)
		case protowire.Fixed32Type:
			if field == 22 {
				r.serial = uint32(number)
			}
		case protowire.BytesType:
			if !r.bytes(field, bytes) {
				return r, false
			}
		}
	}
	return r, true
}

func (r *raw) number(field protowire.Number, n uint64) {
	switch field {
	case 6:
		r.tap = n
	case 18:
		r.amount = int64(n)
	case 40:
		r.atMS = int64(n)
	case 41:
		r.errorMS = uint32(n)
	case 42:
		r.clock = wire.ClockState(int32(n))
	case 51:
		r.denyVersion = n
	}
}

// bytes takes a field of bytes. False: it is a text, and is none.
func (r *raw) bytes(field protowire.Number, b []byte) bool {
	switch field {
	case 2, 30, 35, 38, 47: // texts that the watch does not need
		return utf8.Valid(b)
	case 10:
		r.family = b
		return utf8.Valid(b)
	case 11:
		r.card = b
	case 21:
		r.psam = b
	case 32:
		r.line = b
	case 33:
		r.station = b
	}
	return true
}

// called is how a terminal names a card.
type called struct {
	name  ids.CardNumber
	alias bool // it stands for a number that the terminal may not keep
}

// spot is how settings name where a tap was taken: line and station as four hexadecimal digits each.
func spot(line, station []byte) string {
	if len(line) != 2 || len(station) != 2 || station[0] == 0 && station[1] == 0 {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(line) + "/" + hex.EncodeToString(station))
}
