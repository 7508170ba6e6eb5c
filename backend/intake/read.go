package intake

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// debit is a record of any family, every field of it checked for its form and none for its truth.
type debit struct {
	family     string
	evidence   evidence
	called     ids.CardNumber // the card's number, or what terminals call it; zero if that is none
	counter    uint32
	amount     money.Amount
	before     money.Amount
	after      money.Amount
	sam        *[6]byte // nil: the family has none
	said       shadowaccount.Said
	wantsProof bool // it says that it was debited and gives the card's word as the reason
	unlike     bool // it says that the card read back was not as the debit should have left it
	tap, seq   uint64
	timeMS     int64
	what       wire.Kind
	rule       string

	issuer [8]byte // of an EP purse
	levels int
}

// ErrUnreadable says that a record cannot be read. Its text is for the receipt and the result file.
var ErrUnreadable = errors.New("unreadable")

func badForm(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnreadable, fmt.Errorf(format, args...))
}

// flagUnlike is bit 1 of a record's flags.
const flagUnlike = 1 << 1

// read parses the stored bytes of the record that stands at a place in a terminal's journal.
func read(readers map[string]reader, body []byte, terminal ids.TerminalID, epoch, seq uint64) (debit, error) {
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
	own := readers[r.GetFamily()]
	if own == nil {
		return debit{}, unknownFamily(r.GetFamily(), readers)
	}
	d := debit{
		family: r.GetFamily(), counter: r.GetOfflineCounter(), amount: money.Minor(r.GetAmount()), before: money.Minor(r.GetBalanceBefore()),
		after: money.Minor(r.GetBalanceAfter()), unlike: r.GetFlags()&flagUnlike != 0, tap: r.GetTap(), seq: seq, timeMS: r.GetTerminalTimeMs(),
		what: r.GetKind(), rule: r.GetFareRule(),
	}
	if err := (fields{
		{"tap", d.tap > 0 && d.tap <= math.MaxInt64},
		{"kind", d.what > wire.Kind_KIND_UNSPECIFIED && d.what <= wire.Kind_KIND_CORRECTION},
		{"amount", r.GetAmount() >= 0 && r.GetAmount() <= maxMinor},
		{"balance_before", r.GetBalanceBefore() >= -maxMinor && r.GetBalanceBefore() <= maxMinor},
		{"balance_after", r.GetBalanceAfter() >= -maxMinor && r.GetBalanceAfter() <= maxMinor}, // an overdrawn purse goes below zero
	}).check(); err != nil {
		return debit{}, err
	}
	take(d.called[:], r.GetCardNumber())
	var ok bool
	if d.said, d.wantsProof, ok = said(r.GetState(), r.GetEvidence()); !ok {
		return debit{}, badForm("state %d with evidence %d says nothing", r.GetState(), r.GetEvidence())
	}
	var err error
	d.evidence, err = own(&r, &d)
	return d, err
}

// maxMinor is more than any family's purse can show: twelve decimal digits.
const maxMinor = 999_999_999_999

// fields are a record's fields and whether each is in its range.
type fields []struct {
	name string
	ok   bool
}

func (all fields) check() error {
	for _, f := range all {
		if !f.ok {
			return badForm("field %s is out of its range", f.name)
		}
	}
	return nil
}

// take fills dst from a field that must be as long.
func take(dst, field []byte) bool { return copy(dst, field) == len(dst) && len(field) == len(dst) }

// said reads what a terminal says of a tap, and whether the card's own word must come with it.
func said(s wire.State, e wire.Evidence) (what shadowaccount.Said, wantsProof, ok bool) {
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
