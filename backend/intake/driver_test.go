package intake_test

import (
	"bytes"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// told is one record of a tap that a driver made at a terminal.
type told struct {
	terminal ids.TerminalID
	tap      uint64
	attempt  purse.Attempt
	evidence purse.Evidence
	state    wire.State // 0: completed, by what the evidence says
	change   func(*wire.Record)
}

// record is a tap's record as terminals write it (docs/card-evidence.md), with the next number of its terminal.
func (d told) record(s *scheme) []byte {
	s.seq[d.terminal]++
	a, e := d.attempt, d.evidence
	r := &wire.Record{
		Version: 1, Terminal: string(d.terminal), Epoch: 7, Seq: s.seq[d.terminal], PrevHash: make([]byte, 32), Tap: d.tap,
		Kind: wire.Kind_KIND_PURCHASE, State: d.state, Family: a.Family, Application: a.Application,
		CardNumber: bytes.Clone(a.Card[:]), KeyVersion: uint32(a.KeyVersion), Algorithm: uint32(a.Algorithm), TxnType: uint32(a.Type),
		OfflineCounter: a.Counter, Amount: a.Amount.Minor(), BalanceBefore: a.Before.Minor(), BalanceAfter: a.After.Minor(),
		PsamTerminal: a.SAM, PsamSerial: a.Serial, PurseTime: a.Time, SealedCard: e.Sealed,
		Merchant: "line1", TerminalTimeMs: noon.UnixMilli() + int64(d.tap)*1000,
	}
	if r.State == 0 {
		r.State = wire.State_STATE_COMPLETED
		r.Evidence = map[purse.How]wire.Evidence{purse.Reply: wire.Evidence_EVIDENCE_REPLY, purse.Prove: wire.Evidence_EVIDENCE_PROVE,
			purse.CardLog: wire.Evidence_EVIDENCE_CARD_LOG}[e.How]
		r.EvidenceKind, r.EvidenceData, r.BalanceAfter = e.Kind, e.Data, e.Balance.Minor()
	}
	if d.change != nil {
		d.change(r)
	}
	raw, err := proto.Marshal(r)
	require.NoError(s.t, err)
	return raw
}

// pay closes and pays the day: the acquirer is owed its merchants' debits, and gets them from the trust account, which held 30.00.
func (s *scheme) pay(owed, trust string) {
	s.clock.Advance(24 * time.Hour)
	_, err := settlement.Close(s.ctx, s.store, "2026-11-24", settlement.Options{Now: s.clock.Now(), Location: time.UTC})
	require.NoError(s.t, err)
	require.Equal(s.t, "-"+owed, s.balances()["acquirer:bus:clearing"])
	p, err := settlement.ProposePay(s.ctx, s.store, "2026-11-24", "bank-1", "ann", "paid by hand", s.clock.Now())
	require.NoError(s.t, err)
	_, _, err = settlement.Approve(s.ctx, s.store, p.ID, "ben", settlement.BankOptions{Now: s.clock.Now()})
	require.NoError(s.t, err)
	require.NotContains(s.t, s.balances(), "acquirer:bus:clearing")
	require.Equal(s.t, trust, s.balances()["trust"])
	s.proveBooks()
}

// tell accepts a record that its terminal made just now.
func (s *scheme) tell(d told) []string {
	first := s.seq[d.terminal] + 1
	c, err := s.accept(d.terminal, first, d.record(s))
	require.NoError(s.t, err)
	var unreadable []string
	for _, u := range c.Unreadable {
		unreadable = append(unreadable, u.Reason)
	}
	return unreadable
}
