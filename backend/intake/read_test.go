package intake

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/uplink/wire"
)

var onlyEP = readersOf(doors{})

func good() *wire.Record {
	return &wire.Record{
		Version: 1, Terminal: "bus-1", Epoch: 7, Seq: 3, Tap: 2, Kind: wire.Kind_KIND_PURCHASE, State: wire.State_STATE_COMPLETED, Evidence: wire.Evidence_EVIDENCE_REPLY,
		Family: "ep", CardNumber: make([]byte, 10), Issuer: make([]byte, 8), KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypeComposite), OfflineCounter: 9,
		Amount: 2_00, BalanceBefore: 10_00, BalanceAfter: 8_00, PsamTerminal: make([]byte, 6), PurseTime: make([]byte, 7), Tac: []byte{1, 2, 3, 4},
	}
}

func marshal(t testing.TB, r *wire.Record) []byte {
	raw, err := proto.Marshal(r)
	require.NoError(t, err)
	return raw
}

func TestARecordIsReadOnlyIfEveryFieldIsInItsRange(t *testing.T) {
	_, err := read(onlyEP, marshal(t, good()), "bus-1", 7, 3)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*wire.Record){
		"a version to come":                   func(r *wire.Record) { r.Version = 2 },
		"another terminal's record":           func(r *wire.Record) { r.Terminal = "bus-2" },
		"a record of another epoch":           func(r *wire.Record) { r.Epoch = 8 },
		"a record of another place":           func(r *wire.Record) { r.Seq = 4 },
		"another purse family":                func(r *wire.Record) { r.Family = "ec" },
		"no tap number":                       func(r *wire.Record) { r.Tap = 0 },
		"a tap number no store can hold":      func(r *wire.Record) { r.Tap = 1 << 63 },
		"no kind":                             func(r *wire.Record) { r.Kind = 0 },
		"a kind to come":                      func(r *wire.Record) { r.Kind = 99 },
		"a short card number":                 func(r *wire.Record) { r.CardNumber = r.CardNumber[1:] },
		"a long card number":                  func(r *wire.Record) { r.CardNumber = make([]byte, 11) },
		"no issuer":                           func(r *wire.Record) { r.Issuer = nil },
		"three key levels":                    func(r *wire.Record) { r.KeyLevels = 3 },
		"a key version of two bytes":          func(r *wire.Record) { r.KeyVersion = 256 },
		"an algorithm of two bytes":           func(r *wire.Record) { r.Algorithm = 256 },
		"a load":                              func(r *wire.Record) { r.TxnType = uint32(ep.TypeLoad) },
		"a counter of three bytes":            func(r *wire.Record) { r.OfflineCounter = 0x10000 },
		"a negative amount":                   func(r *wire.Record) { r.Amount = -1 },
		"an amount that no purse can hold":    func(r *wire.Record) { r.Amount = 1 << 32 },
		"a negative balance before":           func(r *wire.Record) { r.BalanceBefore = -1 },
		"a balance after beyond all":          func(r *wire.Record) { r.BalanceAfter = -1 << 62 },
		"a PSAM number of five bytes":         func(r *wire.Record) { r.PsamTerminal = r.PsamTerminal[1:] },
		"no time":                             func(r *wire.Record) { r.PurseTime = nil },
		"no state":                            func(r *wire.Record) { r.State = 0 },
		"a completed debit without any proof": func(r *wire.Record) { r.Evidence = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			spoil(r)
			_, err := read(onlyEP, marshal(t, r), "bus-1", 7, 3)
			require.ErrorIs(t, err, ErrUnreadable)
		})
	}
	_, err = read(onlyEP, []byte{0xFF}, "bus-1", 7, 3)
	require.ErrorIs(t, err, ErrUnreadable)
}

// FuzzRead: whatever a device sends is read or refused, and what is read can be verified: no amount, counter or length in
// it is beyond what the TAC's input can hold.
func FuzzRead(f *testing.F) {
	f.Add(marshal(f, good()))
	unknown := good()
	unknown.State, unknown.Evidence, unknown.Tac = wire.State_STATE_UNKNOWN, 0, nil
	f.Add(marshal(f, unknown))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := read(onlyEP, raw, "bus-1", 7, 3)
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			return
		}
		require.Len(t, d.evidence.(epDebit).input(), 22)
		_, err = d.before.Sub(d.amount)
		require.NoError(t, err)
	})
}
