package intake

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// desfireDoors verify with a well-known key.
func desfireDoors(t require.TestingT) doors {
	hsm, err := desfire.NewSoftHSM(map[byte]keys.Key{1: {1}}, []byte("purselane"))
	require.NoError(t, err)
	return doors{desfire: hsm}
}

// goodDESFire is a record that verifies by them.
func goodDESFire(t require.TestingT) *wire.Record {
	a := desfire.Attempt{AID: [3]byte{1}, UID: [7]byte{4, 1}, TMVersion: 1, ValueFile: 1, RecordFile: 2, WriteRecord: 0x8D,
		Before: money.Minor(10_00), Amount: money.Minor(2_00), TMC: 41, Record: append([]byte{0x24, 1, 2, 3, 4, 5, 6}, make([]byte, 25)...)}
	key, err := desfire.Diversify(keys.Key{1}, a.UID, a.AID, []byte("purselane"))
	require.NoError(t, err)
	e := desfire.Evidence{Attempt: a, TMV: desfire.TMV(key, a.UID, a.TMC+1, a.TMI())}
	r, n := good(), desfiredriver.CardNumber(a.UID)
	r.Family, r.CardNumber, r.OfflineCounter, r.PsamTerminal = "desfire", n[:], a.TMC, a.Record[1:7]
	r.EvidenceKind, r.EvidenceData, r.Tac, r.Issuer = desfire.EvidenceKind, e.Bytes(), nil, nil
	return r
}

func TestADESFireRecordIsReadOnlyIfEveryFieldIsInItsRange(t *testing.T) {
	readers := readersOf(desfireDoors(t))
	_, err := read(readers, marshal(t, goodDESFire(t)), "bus-1", 7, 3)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*wire.Record){
		"a family to come":                         func(r *wire.Record) { r.Family = "calypso" },
		"a family without keys":                    func(r *wire.Record) { r.Family = "ec" },
		"a short card number":                      func(r *wire.Record) { r.CardNumber = r.CardNumber[1:] },
		"no terminal number":                       func(r *wire.Record) { r.PsamTerminal = nil },
		"the counter after which no debit follows": func(r *wire.Record) { r.OfflineCounter = 0xFFFFFFFF },
		"an amount that no value file can hold":    func(r *wire.Record) { r.Amount = 1 << 31 },
		"a balance that no value file can hold":    func(r *wire.Record) { r.BalanceBefore = -1<<31 - 1 },
		"a balance after that none can hold":       func(r *wire.Record) { r.BalanceAfter = 1 << 31 },
	} {
		r := goodDESFire(t)
		spoil(r)
		_, err := read(readers, marshal(t, r), "bus-1", 7, 3)
		require.ErrorIs(t, err, ErrUnreadable, name)
	}
}

// FuzzReadDESFire: whatever a device sends is refused, or read and judged without an error; and what is proved is what the record says.
func FuzzReadDESFire(f *testing.F) {
	f.Add(marshal(f, goodDESFire(f)))
	aged := goodDESFire(f)
	aged.State, aged.Evidence = wire.State_STATE_AGED, 0
	f.Add(marshal(f, aged))
	none := goodDESFire(f)
	none.EvidenceData = nil
	f.Add(marshal(f, none))
	k := desfireDoors(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := read(readersOf(k), raw, "bus-1", 7, 3)
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			return
		}
		if d.family != "desfire" {
			return
		}
		whose, err := d.evidence.whose(k)
		require.NoError(t, err)
		v, err := d.evidence.verify(context.Background(), k, &d)
		require.NoError(t, err)
		if v.proof != shadowaccount.ProofGood {
			require.Empty(t, v.debit)
			return
		}
		require.NotEmpty(t, v.debit)
		require.Equal(t, desfiredriver.CardNumber([7]byte{4, 1}), *whose.number, "the seeds' card is the only one whose MACs are at hand")
		require.EqualValues(t, 41, d.counter)
		require.Equal(t, money.Minor(2_00), d.amount)
	})
}

func TestAStoredRecordIsRechecked(t *testing.T) {
	hsm := keys.NewSoft(map[keys.ID]keys.Key{{Purpose: keys.TAC, Version: 1}: {1}})
	r := good()
	key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: ep.Public{}.Factors(2)}
	tac, err := hsm.TAC(t.Context(), key, ep.PurchaseTAC(money.Minor(2_00), ep.TypeComposite, ep.TerminalNumber{}, 0, ep.DateTime{}))
	require.NoError(t, err)
	r.Tac = tac[:]
	got, err := Recheck(t.Context(), hsm, marshal(t, r), "bus-1", 7, 3)
	require.NoError(t, err)
	require.True(t, got.Good, got.Reason)
	require.EqualValues(t, 9, got.Counter)
	require.Equal(t, ep.MAC(tac), *got.TAC)
	r.Amount = 3_00
	got, err = Recheck(t.Context(), hsm, marshal(t, r), "bus-1", 7, 3)
	require.NoError(t, err)
	require.False(t, got.Good)
	require.Equal(t, reasonBadTAC, got.Reason)
	r.KeyVersion = 2
	got, err = Recheck(t.Context(), hsm, marshal(t, r), "bus-1", 7, 3)
	require.NoError(t, err)
	require.Equal(t, reasonNoKey, got.Reason)
	r.State, r.Evidence = wire.State_STATE_UNKNOWN, 0
	got, err = Recheck(t.Context(), hsm, marshal(t, r), "bus-1", 7, 3)
	require.NoError(t, err)
	require.Nil(t, got.TAC)
	require.Equal(t, reasonNoTAC, got.Reason)
	_, err = Recheck(t.Context(), hsm, marshal(t, r), "bus-2", 7, 3)
	require.ErrorIs(t, err, ErrUnreadable)
}
