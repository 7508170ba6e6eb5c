package intake

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// debit is a record of an EP purse, every field of it checked for its form and none for its truth.
type debit struct {
	card      ids.CardNumber
	issuer    ep.Factor
	levels    int
	version   byte
	algorithm byte
	kind      ep.Type
	counter   uint16
	amount    money.Amount
	before    money.Amount
	after     money.Amount
	sam       ep.TerminalNumber
	serial    uint32
	at        ep.DateTime
	tac       *ep.MAC // nil: none came
	said      shadowaccount.Said
	wantsTAC  bool // it says that it was debited and gives a TAC as the reason
	tap, seq  uint64
	timeMS    int64
	what      wire.Kind
	rule      string
}

// errForm says that a record cannot be read. Its text is for the receipt and the result file.
var errForm = errors.New("unreadable")

func badForm(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errForm, fmt.Errorf(format, args...))
}

// read parses the stored bytes of the record that stands at a place in a terminal's journal.
func read(body []byte, terminal ids.TerminalID, epoch, seq uint64) (debit, error) {
	var r wire.Record
	if err := proto.Unmarshal(body, &r); err != nil {
		return debit{}, badForm("these bytes are no record") // the library's own text differs from build to build
	}
	if r.GetVersion() != wire.Version {
		return debit{}, badForm("record version %d: want %d", r.GetVersion(), wire.Version)
	}
	if r.GetTerminal() != string(terminal) || r.GetEpoch() != epoch || r.GetSeq() != seq {
		return debit{}, badForm("record says it is %q/%x/%d: it stands as %s/%x/%d", r.GetTerminal(), r.GetEpoch(), r.GetSeq(), terminal, epoch, seq)
	}
	if r.GetFamily() != "ep" {
		return debit{}, badForm("purse family %q: want ep", r.GetFamily())
	}
	d := debit{
		levels: int(r.GetKeyLevels()), version: byte(r.GetKeyVersion()), algorithm: byte(r.GetAlgorithm()), kind: ep.Type(r.GetTxnType()),
		counter: uint16(r.GetOfflineCounter()), amount: money.Minor(r.GetAmount()), before: money.Minor(r.GetBalanceBefore()),
		after: money.Minor(r.GetBalanceAfter()), serial: r.GetPsamSerial(), tap: r.GetTap(), seq: seq, timeMS: r.GetTerminalTimeMs(),
		what: r.GetKind(), rule: r.GetFareRule(),
	}
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"tap", d.tap > 0 && d.tap <= math.MaxInt64},
		{"kind", d.what > wire.Kind_KIND_UNSPECIFIED && d.what <= wire.Kind_KIND_CORRECTION},
		{"card_number", copy(d.card[:], r.GetCardNumber()) == len(d.card) && len(r.GetCardNumber()) == len(d.card)},
		{"issuer", copy(d.issuer[:], r.GetIssuer()) == len(d.issuer) && len(r.GetIssuer()) == len(d.issuer)},
		{"key_levels", d.levels == 1 || d.levels == 2},
		{"key_version", r.GetKeyVersion() <= 0xFF},
		{"algorithm", r.GetAlgorithm() <= 0xFF},
		{"txn_type", d.kind == ep.TypePurchase || d.kind == ep.TypeComposite},
		{"offline_counter", r.GetOfflineCounter() <= 0xFFFF},
		{"amount", fits4(r.GetAmount())},
		{"balance_before", fits4(r.GetBalanceBefore())},
		{"balance_after", r.GetBalanceAfter() <= math.MaxUint32 && r.GetBalanceAfter() >= -math.MaxUint32}, // an overdrawn purse goes below zero
		{"psam_terminal", copy(d.sam[:], r.GetPsamTerminal()) == len(d.sam) && len(r.GetPsamTerminal()) == len(d.sam)},
		{"purse_time", copy(d.at[:], r.GetPurseTime()) == len(d.at) && len(r.GetPurseTime()) == len(d.at)},
	} {
		if !f.ok {
			return debit{}, badForm("field %s is out of its range", f.name)
		}
	}
	var ok bool
	if d.said, d.wantsTAC, ok = said(r.GetState(), r.GetEvidence()); !ok {
		return debit{}, badForm("state %d with evidence %d says nothing", r.GetState(), r.GetEvidence())
	}
	if raw := r.GetTac(); d.wantsTAC && len(raw) == len(ep.MAC{}) {
		d.tac = (*ep.MAC)(raw)
	}
	return d, nil
}

func fits4(n int64) bool { return n >= 0 && n <= math.MaxUint32 }

// said reads what a terminal says of a tap, and whether a TAC must come with it.
func said(s wire.State, e wire.Evidence) (what shadowaccount.Said, wantsTAC, ok bool) {
	switch s {
	case wire.State_STATE_UNKNOWN:
		return shadowaccount.SaidUnknown, false, true
	case wire.State_STATE_AGED:
		return shadowaccount.SaidAged, false, true
	case wire.State_STATE_VOIDED:
		return shadowaccount.SaidVoided, false, true
	case wire.State_STATE_COMPLETED:
		switch e {
		case wire.Evidence_EVIDENCE_CARD_LOG:
			return shadowaccount.SaidCardLog, false, true
		case wire.Evidence_EVIDENCE_REPLY, wire.Evidence_EVIDENCE_PROVE:
			return shadowaccount.SaidCompleted, true, true
		}
	}
	return 0, false, false
}
