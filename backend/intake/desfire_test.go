package intake_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/uplink/wire"
)

var (
	desfireMaster = keys.Key{0xB0, 4, 5, 6}
	desfireApp    = keys.Key{0xA0, 1, 2, 3}
	desfireSystem = []byte("purselane")
	desfireUID    = [7]byte{0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6}
	desfireNumber = desfiredriver.CardNumber(desfireUID)
	desfireLayout = desfire.Settings{
		AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 1, TMVersion: 1,
		ValueFile: 1, ValueMode: desfire.Full, RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC,
	}
)

// desfireScheme is a scheme with a DESFire card, issued at counter 41 and loaded with 10.00.
type desfireScheme struct {
	*scheme
	chip *sim.Card
	doom error // of the HSM
}

// TMV implements desfire.HSM.
func (s *desfireScheme) TMV(ctx context.Context, card desfire.TMKey, tmc uint32, tmi []byte) ([8]byte, error) {
	if s.doom != nil {
		return [8]byte{}, s.doom
	}
	hsm, err := desfire.NewSoftHSM(map[byte]keys.Key{1: desfireMaster}, desfireSystem)
	require.NoError(s.t, err)
	return hsm.TMV(ctx, card, tmc, tmi)
}

func startDESFire(t *testing.T) *desfireScheme {
	s := &desfireScheme{scheme: start(t, store.Options{})}
	s.opt.DESFire = s
	require.NoError(t, s.store.Close())
	s.open(store.Options{})
	key, err := desfire.Diversify(desfireMaster, desfireUID, desfireLayout.AID, desfireSystem)
	require.NoError(t, err)
	m := sim.Image{
		UID: image.Bytes(desfireUID[:]), Settings: desfireLayout, Key: image.Key{Key: desfireApp}, TMKey: image.Key{Key: key},
		Upper: money.Minor(100_000), Value: money.Minor(10_00), TMC: 41, TMCLimit: 0xFFFFFFFF, TMV: image.Bytes(make([]byte, 8)),
	}
	m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	s.chip, err = sim.New(m, rand.NewChaCha8([32]byte{1}))
	require.NoError(t, err)
	s.update(func(tx *store.Tx) error {
		require.NoError(t, tx.IssueCard(s.ctx, store.Card{Number: desfireNumber, Token: store.Token(tokenKey, desfireNumber), Family: "desfire", OpeningCounter: 41}))
		s.loadOf(tx, desfireNumber, 0, 10_00)
		return nil
	})
	return s
}

// Acquire implements desfiredriver.SAMs.
func (s *desfireScheme) Acquire(context.Context) (desfire.SAM, func(), error) {
	return desfire.NewSoftSAM(desfireApp, rand.NewChaCha8([32]byte{2})), func() {}, nil
}

// debit taps the card at a terminal.
func (s *desfireScheme) debit(terminal ids.TerminalID, tap uint64, minor int64) told {
	d, err := desfiredriver.New(desfiredriver.Settings{Card: desfireLayout, Terminal: psam(terminal), Location: time.UTC, ReadBack: true}, s, rand.NewChaCha8([32]byte{3, byte(tap)}))
	require.NoError(s.t, err)
	c, err := d.Open(s.ctx, s.chip)
	require.NoError(s.t, err)
	defer c.Close()
	out := told{terminal: terminal, tap: tap}
	out.attempt, err = c.Begin(s.ctx, purse.Order{Kind: purse.Sale, Amount: money.Minor(minor), At: noon.Add(time.Duration(tap) * time.Second)})
	require.NoError(s.t, err)
	require.NoError(s.t, c.Stage(s.ctx))
	require.NoError(s.t, c.Commit(s.ctx))
	out.evidence, err = c.Evidence(s.ctx)
	require.NoError(s.t, err)
	return out
}

func TestADESFireDebitIsPostedAndTheMerchantIsPaid(t *testing.T) {
	s := startDESFire(t)
	require.Empty(t, s.tell(s.debit("bus-1", 1, 2_00)))
	require.Empty(t, s.tell(s.debit("gate-3", 1, 3_00)))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "accepted", "gate-3/1@42": "accepted"}, s.statusesOf(desfireNumber))
	require.Empty(t, s.codes())
	c := s.cardOf(desfireNumber)
	require.Equal(t, "5.00", c.Shadow.String())
	require.Equal(t, s.chip.Image().Value, c.Shadow)
	require.EqualValues(t, 43, c.Next)
	s.proveBooks()
	s.pay("5.00", "25.00")
	require.Equal(t, "5.00", s.cardOf(desfireNumber).Shadow.String())
}

// TestADESFireCounterPassesTwoBytes: its chain has no end at 65535, and transactions between that were no debits are no gap.
func TestADESFireCounterPassesTwoBytes(t *testing.T) {
	s := startDESFire(t)
	require.Empty(t, s.tell(s.debit("bus-1", 1, 2_00)))
	m := s.chip.Image()
	m.TMC = 70_000
	var err error
	s.chip, err = sim.New(m, rand.NewChaCha8([32]byte{1}))
	require.NoError(t, err)
	require.Empty(t, s.tell(s.debit("bus-1", 2, 2_00)))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "accepted", "bus-1/2@70000": "accepted"}, s.statusesOf(desfireNumber))
	require.Empty(t, s.codes())
	require.Zero(t, s.cardOf(desfireNumber).Missing)
	s.proveBooks()
}

func TestDESFireEvidenceThatIsNotTheRecords(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(r *wire.Record)
		reason string
	}{
		"a forged MAC":       {func(r *wire.Record) { r.EvidenceData[len(r.EvidenceData)-1]++ }, "its transaction MAC does not verify"},
		"another amount":     {func(r *wire.Record) { r.Amount, r.BalanceAfter = 1_00, 9_00 }, "its evidence names another amount"},
		"another counter":    {func(r *wire.Record) { r.OfflineCounter++ }, "its evidence names another counter"},
		"another card":       {func(r *wire.Record) { n := number(1); r.CardNumber = n[:] }, "its evidence names another card"},
		"another before":     {func(r *wire.Record) { r.BalanceBefore++ }, "its evidence shows another balance"},
		"another after":      {func(r *wire.Record) { r.BalanceAfter++ }, "its evidence shows another balance"},
		"another terminal":   {func(r *wire.Record) { r.PsamTerminal = []byte{4: 1, 5: '1'} }, "its evidence names another terminal"},
		"no evidence":        {func(r *wire.Record) { r.EvidenceData = nil }, "no evidence of its family came with it"},
		"another kind of it": {func(r *wire.Record) { r.EvidenceKind = "ec-field55/1" }, "no evidence of its family came with it"},
		"half of it":         {func(r *wire.Record) { r.EvidenceData = r.EvidenceData[:40] }, "its evidence cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startDESFire(t)
			d := s.debit("bus-1", 1, 2_00)
			d.change = c.spoil
			require.Empty(t, s.tell(d))
			s.drain()
			require.Equal(t, "BAD_MAC/bad-tac", s.label("bus-1", 1))
			s.view(func(tx *store.Tx) error {
				v, err := tx.RecordVerdict(s.ctx, "bus-1", 7, 1)
				require.Equal(t, c.reason, v.Reason)
				return err
			})
			require.Equal(t, "10.00", s.cardOf(desfireNumber).Shadow.String())
			require.Contains(t, s.balances(), "suspense:bad-tac")
			s.proveBooks()
		})
	}
}

func TestADESFireDebitTwiceIsCountedOnce(t *testing.T) {
	s := startDESFire(t)
	d := s.debit("bus-1", 1, 2_00)
	require.Empty(t, s.tell(d))
	replay := d
	replay.terminal = "gate-3"
	require.Empty(t, s.tell(replay))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "accepted", "gate-3/1@41": "void"}, s.statusesOf(desfireNumber))
	require.Equal(t, []string{"REPLAY@41", "WRONG_SAM@41"}, s.codes())
	require.Equal(t, "8.00", s.cardOf(desfireNumber).Shadow.String())
	s.proveBooks()
}

func TestATornDESFireTap(t *testing.T) {
	s := startDESFire(t)
	d := s.debit("bus-1", 1, 2_00)
	torn := d
	torn.state = wire.State_STATE_UNKNOWN
	require.Empty(t, s.tell(torn))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "unknown"}, s.statusesOf(desfireNumber))
	// The terminal gives it up, with a transaction MAC of which it cannot tell whose it is.
	aged := d
	aged.state = wire.State_STATE_AGED
	other := s.debit("gate-3", 1, 1_00)
	aged.change = func(r *wire.Record) { r.EvidenceKind, r.EvidenceData = other.evidence.Kind, other.evidence.Data }
	require.Empty(t, s.tell(aged))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "unknown"}, s.statusesOf(desfireNumber), "another debit's says nothing")
	require.Empty(t, s.codes())
	// The card's next debit shows the balance fallen by it.
	require.Empty(t, s.tell(other))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "inferred", "gate-3/1@42": "accepted"}, s.statusesOf(desfireNumber))
	aged.change = func(r *wire.Record) { r.EvidenceKind, r.EvidenceData = d.evidence.Kind, d.evidence.Data }
	require.Empty(t, s.tell(aged))
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@41": "accepted", "gate-3/1@42": "accepted"}, s.statusesOf(desfireNumber))
	s.proveBooks()
}

func TestAnHSMThatFailsDecidesNothing(t *testing.T) {
	s := startDESFire(t)
	require.Empty(t, s.tell(s.debit("bus-1", 1, 2_00)))
	s.doom = context.DeadlineExceeded
	_, err := s.pipe.Step(s.ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, "/", s.label("bus-1", 1))
	s.doom = nil
	s.drain()
	require.Equal(t, "OK/accepted", s.label("bus-1", 1))
}

func TestAFamilyWithoutKeysIsUnreadable(t *testing.T) {
	s := start(t, store.Options{})
	with := startDESFire(t)
	d := with.debit("bus-1", 1, 2_00)
	require.Equal(t, []string{`unreadable: purse family "desfire": this backend has keys of ep`}, s.tell(d))
	s.drain()
	require.Equal(t, "/unreadable", s.label("bus-1", 1))
}
