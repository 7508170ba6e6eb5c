package watch

import (
	"encoding/hex"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// factOf reads what the watch needs of a posted record, and what its terminal calls the card. False: it cannot be read, and says nothing.
func factOf(r store.Posted) (f store.Fact, card called, ok bool) {
	var w wire.Record
	if err := proto.Unmarshal(r.Body, &w); err != nil || len(w.GetCardNumber()) != len(card.name) || w.GetTap() == 0 || w.GetTap() > math.MaxInt64 || w.GetDenyVersion() > math.MaxInt64 {
		return f, card, false
	}
	copy(card.name[:], w.GetCardNumber())
	card.alias = w.GetFamily() == "ec" // a bank's card number is sealed
	f = store.Fact{Terminal: r.Terminal, Epoch: r.Epoch, Seq: r.Seq, DenyVersion: w.GetDenyVersion(), Spot: spot(w.GetLine(), w.GetStation()),
		Stamp: shadowaccount.Stamp{Tap: w.GetTap(), AtMS: w.GetTerminalTimeMs(), ErrorMS: int64(w.GetClockErrorMs()), ReceivedMS: r.ReceivedMS}}
	if s := w.GetClockState(); s == wire.ClockState_CLOCK_GOOD || s == wire.ClockState_CLOCK_HOLDOVER {
		f.Sure = shadowaccount.Bounded
	}
	if !f.Proves() {
		f.Sure = shadowaccount.NotSure
	}
	// A TAC is made over the PSAM's numbers: where it is bad they may be anything.
	if sam := w.GetPsamTerminal(); w.GetFamily() == "ep" && len(sam) == 6 && r.Label != shadowaccount.LabelBadMAC {
		f.PSAM, f.Serial = (*[6]byte)(sam), w.GetPsamSerial()
	}
	return f, card, true
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
