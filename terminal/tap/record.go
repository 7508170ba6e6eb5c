package tap

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/uplink/wire"
)

// Bits of wire.Record.flags.
const (
	flagNoReadback  = 1 << 0 // the card left before its new balance was read
	flagBadReadback = 1 << 1 // it reads other than the debit should have made it
)

// Values of wire.Record.industry.
const (
	industryMetro = 1
	industryBus   = 2
)

var industries = map[Mode]uint32{BusFlat: industryBus, MetroEntry: industryMetro, MetroExit: industryMetro}

// draft is the record as far as it is known before the debit: the intent.
func (v *visit) draft(o order, a purse.Attempt) *wire.Record {
	return &wire.Record{
		Version: 1, Kind: o.kind, Family: a.Family, Application: a.Application,
		CardNumber: bytes.Clone(a.Card[:]), Issuer: a.Issuer, KeyLevels: uint32(a.KeyLevels),
		KeyVersion: uint32(a.KeyVersion), Algorithm: uint32(a.Algorithm), TxnType: uint32(a.Type),
		OfflineCounter: a.Counter, Amount: a.Amount.Minor(), BalanceBefore: a.Before.Minor(), BalanceAfter: a.After.Minor(),
		PsamTerminal: a.SAM, PsamSerial: a.Serial, PurseTime: a.Time, Mac1: a.MAC1, Attempt: a.State, SealedCard: a.Sealed,
		Merchant: string(v.t.Merchant), Industry: industries[v.r.Mode], Line: bytes.Clone(v.r.Line[:]),
		Station: bytes.Clone(v.r.Station[:]), EntryStation: bytes.Clone(o.entry), FareRule: o.rule,
		ProfileVersion: v.t.Profile.Version, RequestId: v.r.RequestID,
		TerminalTimeMs: v.r.Now.UnixMilli(), ClockErrorMs: uint32(v.r.ClockErr.Milliseconds()), ClockState: v.r.Clock,
		MonotonicNs: v.r.Monotonic.Nanoseconds(), BootId: v.t.BootID, DenyVersion: v.list,
	}
}

// attemptOf is the attempt that a draft was made of.
func attemptOf(r *wire.Record) purse.Attempt {
	a := purse.Attempt{
		Family: r.GetFamily(), Application: r.GetApplication(), Issuer: r.GetIssuer(), KeyLevels: int(r.GetKeyLevels()),
		KeyVersion: byte(r.GetKeyVersion()), Algorithm: byte(r.GetAlgorithm()), Type: byte(r.GetTxnType()),
		Counter: r.GetOfflineCounter(), Amount: money.Minor(r.GetAmount()), Before: money.Minor(r.GetBalanceBefore()),
		After: money.Minor(r.GetBalanceAfter()), SAM: r.GetPsamTerminal(), Serial: r.GetPsamSerial(), Time: r.GetPurseTime(),
		MAC1: r.GetMac1(), State: r.GetAttempt(), Sealed: r.GetSealedCard(),
	}
	a.Card = numberOf(r)
	return a
}

func numberOf(r *wire.Record) (n ids.CardNumber) {
	copy(n[:], r.GetCardNumber())
	return n
}

var evidences = map[purse.How]wire.Evidence{
	purse.Reply: wire.Evidence_EVIDENCE_REPLY, purse.Prove: wire.Evidence_EVIDENCE_PROVE, purse.CardLog: wire.Evidence_EVIDENCE_CARD_LOG,
}

var verdicts = map[purse.Verdict]wire.State{
	purse.Completed: wire.State_STATE_COMPLETED, purse.Voided: wire.State_STATE_VOIDED, purse.Aged: wire.State_STATE_AGED,
}

// finalOf is a draft's last record.
func finalOf(draft *wire.Record, became purse.Verdict, e purse.Evidence) *wire.Record {
	final := proto.Clone(draft).(*wire.Record)
	final.State, final.Attempt = verdicts[became], nil
	if len(e.Sealed) > 0 {
		final.SealedCard = e.Sealed
	}
	if became != purse.Voided && len(e.Data) > 0 { // of a tap that is given up the backend may still find out whose the card's word is
		final.EvidenceKind, final.EvidenceData = e.Kind, e.Data
	}
	if became != purse.Completed {
		return final
	}
	final.Evidence, final.Mac2, final.Tac = evidences[e.How], e.MAC2, e.TAC
	final.BalanceAfter = e.Balance.Minor()
	if e.Unread {
		final.Flags |= flagNoReadback
	}
	if e.Mismatch != "" {
		final.Flags |= flagBadReadback
	}
	return final
}
