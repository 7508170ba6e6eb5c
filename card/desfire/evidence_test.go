package desfire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

var attempt = desfire.Attempt{
	AID: [3]byte{0x3F, 0x00, 0x01}, UID: [7]byte{0x04, 1, 2, 3, 4, 5, 6},
	TMVersion: 1, ValueFile: 1, RecordFile: 2, WriteRecord: 0x3B,
	Before: money.Minor(1000), Amount: money.Minor(250), TMC: 0x01020304,
	Record: []byte("terminal 7, 0042"),
}

// TestTheInputIsThatOfTheDataSheet spells the input out by the layouts of MF2DLHX0 10.3.4.2, byte for byte.
func TestTheInputIsThatOfTheDataSheet(t *testing.T) {
	want := strings.Join([]string{
		"6C01E8030000" + "00000000000000000000", // GetValue, file 1, 1000
		"3B02000000100000" + "0000000000000000", // WriteRecord, file 2, offset 0, length 16
		"7465726D696E616C20372C2030303432",      // the record
		"DC01FA000000" + "00000000000000000000", // Debit, file 1, 250
	}, "")
	require.Equal(t, strings.ToLower(want), hex.EncodeToString(attempt.TMI()))

	read := attempt
	read.Seen = []byte("terminal 6, 0001")
	seen := "BB02000000010000" + "0000000000000000" + hex.EncodeToString(read.Seen) // ReadRecords, file 2, number 0, one record
	require.Equal(t, strings.ToLower(want[:32]+seen+want[32:]), hex.EncodeToString(read.TMI()))
	read.WriteRecord = 0x8B
	require.Equal(t, "ab02", hex.EncodeToString(read.TMI()[16:18]), "one chaining for both")
}

// TestTheSessionKeyTakesTheCounterAfter spells out MF2DLHX0 10.3.2.3 with the CMAC that RFC 4493 has vectors for.
func TestTheSessionKeyTakesTheCounterAfter(t *testing.T) {
	key := keys.Key{1, 2, 3}
	sv := []byte{0x5A, 0x00, 0x01, 0x00, 0x80, 0x05, 0x03, 0x02, 0x01, 0x04, 1, 2, 3, 4, 5, 6}
	want := desfire.Truncate(desfire.CMAC(desfire.CMAC(key, sv), attempt.TMI()))
	require.Equal(t, want, desfire.TMV(key, attempt.UID, attempt.TMC+1, attempt.TMI()))
}

var system = []byte("purselane")

func evidence(t require.TestingT) (*desfire.SoftHSM, desfire.Evidence) {
	master := keys.Key{9, 9, 9}
	hsm, err := desfire.NewSoftHSM(map[byte]keys.Key{1: master}, system)
	require.NoError(t, err)
	key, err := desfire.Diversify(master, attempt.UID, attempt.AID, system)
	require.NoError(t, err)
	return hsm, desfire.Evidence{Attempt: attempt, TMV: desfire.TMV(key, attempt.UID, attempt.TMC+1, attempt.TMI())}
}

func TestRecheckTakesNothingButTheTruth(t *testing.T) {
	hsm, good := evidence(t)
	require.NoError(t, desfire.Recheck(t.Context(), hsm, good))
	for name, change := range map[string]func(e *desfire.Evidence){
		"another card":         func(e *desfire.Evidence) { e.UID[6]++ },
		"another application":  func(e *desfire.Evidence) { e.AID[0]++ },
		"another value file":   func(e *desfire.Evidence) { e.ValueFile++ },
		"another record file":  func(e *desfire.Evidence) { e.RecordFile++ },
		"another command code": func(e *desfire.Evidence) { e.WriteRecord = 0x8B },
		"a larger amount":      func(e *desfire.Evidence) { e.Amount = money.Minor(251) },
		"another value before": func(e *desfire.Evidence) { e.Before = money.Minor(999) },
		"an older counter":     func(e *desfire.Evidence) { e.TMC-- },
		"a newer counter":      func(e *desfire.Evidence) { e.TMC++ },
		"a counter that wraps": func(e *desfire.Evidence) { e.TMC = math.MaxUint32 },
		"another record":       func(e *desfire.Evidence) { e.Record = []byte("terminal 7, 0043") },
		"a record seen":        func(e *desfire.Evidence) { e.Seen = []byte("terminal 7, 0042") },
		"half a record seen":   func(e *desfire.Evidence) { e.Seen = []byte("terminal") },
		"no record":            func(e *desfire.Evidence) { e.Record = nil },
		"another MAC":          func(e *desfire.Evidence) { e.TMV[7] ^= 1 },
	} {
		e := good
		change(&e)
		require.ErrorIs(t, desfire.Recheck(t.Context(), hsm, e), keys.ErrBadMAC, name)
	}
	good.TMVersion = 2
	require.ErrorIs(t, desfire.Recheck(t.Context(), hsm, good), keys.ErrUnknownKey)
}

func TestAHSMNeedsAUsableSystemIdentifier(t *testing.T) {
	_, err := desfire.NewSoftHSM(nil, []byte("short"))
	require.ErrorContains(t, err, "6 to 21")
}

func TestEvidenceSurvivesItsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := desfire.Evidence{Attempt: desfire.Attempt{
			AID: [3]byte(rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "AID")), UID: [7]byte(rapid.SliceOfN(rapid.Byte(), 7, 7).Draw(t, "UID")),
			TMVersion: rapid.Byte().Draw(t, "version"), ValueFile: rapid.Byte().Draw(t, "value"), RecordFile: rapid.Byte().Draw(t, "records"),
			WriteRecord: rapid.SampledFrom([]byte{0x3B, 0x8B}).Draw(t, "write"),
			Before:      money.Minor(int64(rapid.Int32().Draw(t, "before"))), Amount: money.Minor(int64(rapid.Int32Min(0).Draw(t, "amount"))),
			TMC:    rapid.Uint32Max(math.MaxUint32-1).Draw(t, "TMC"),
			Record: rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "record"),
		}}
		if rapid.Bool().Draw(t, "read before") {
			e.Seen = rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "seen")
		}
		copy(e.TMV[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "TMV"))
		got, err := desfire.ParseEvidence(e.Bytes())
		require.NoError(t, err)
		require.Equal(t, e, got)
	})
}

func TestNothingPrintsAKey(t *testing.T) {
	key := keys.Key{0xDE, 0xAD, 0xBE, 0xEF}
	hsm, err := desfire.NewSoftHSM(map[byte]keys.Key{1: key}, system)
	require.NoError(t, err)
	for _, v := range []any{desfire.NewSession(key, key, [4]byte{}), desfire.NewSoftSAM(key, nil), hsm} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x"} {
			out := strings.ToLower(fmt.Sprintf(verb, v))
			require.True(t, strings.HasPrefix(out, "["), out)
			require.NotContains(t, out, "dead")
			require.NotContains(t, out, "222")
		}
	}
}

func TestStatusWordsHaveTheirKind(t *testing.T) {
	for sw, kind := range map[apdu.SW]error{
		0x910C: desfire.ErrNothingToCommit, 0x911C: desfire.ErrUnsupported, 0x911E: desfire.ErrIntegrity, 0x9140: desfire.ErrKey,
		0x919D: desfire.ErrPermission, 0x91A0: desfire.ErrNoApplication, 0x91AE: desfire.ErrAuthentication, 0x91BE: desfire.ErrBoundary,
		0x91EE: desfire.ErrMemory, 0x91F0: desfire.ErrNotFound, 0x6D00: desfire.ErrNoApplication, 0x6E00: desfire.ErrNoApplication,
	} {
		err := error(&desfire.StatusError{Command: 0xDC, SW: sw})
		require.ErrorIs(t, err, kind)
		require.ErrorContains(t, err, "DC: "+sw.String())
	}
	require.NoError(t, errors.Unwrap(&desfire.StatusError{Command: 0xDC, SW: 0x6F00}))
}

func TestSettingsThatNoCardCanHave(t *testing.T) {
	good := desfire.Settings{ValueFile: 1, ValueMode: desfire.Full, RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC}
	require.NoError(t, good.Check())
	for says, change := range map[string]func(s *desfire.Settings){
		"want mac or full":          func(s *desfire.Settings) { s.ValueMode = "plain" },
		"mode of the mac file":      func(s *desfire.Settings) { s.MACMode = "" },
		"two files with one number": func(s *desfire.Settings) { s.MACFile = 1 },
		"file number above 1F":      func(s *desfire.Settings) { s.MACFile = 0x20 },
		"record size 15":            func(s *desfire.Settings) { s.RecordSize = 15 },
		"record size 32: want 16":   func(s *desfire.Settings) { s.RecordMode = desfire.Full },
	} {
		s := good
		change(&s)
		require.ErrorContains(t, s.Check(), says)
	}
}

// FuzzEvidence: what parses codes back to the same bytes and can be rechecked.
func FuzzEvidence(f *testing.F) {
	hsm, good := evidence(f)
	f.Add(good.Bytes())
	f.Add([]byte{})
	f.Add(good.Bytes()[:30])
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := desfire.ParseEvidence(raw)
		if err != nil {
			return
		}
		require.Equal(t, raw, e.Bytes())
		require.Zero(t, len(e.TMI())%16)
		if err := desfire.Recheck(t.Context(), hsm, e); err == nil {
			require.Equal(t, good.Bytes(), raw, "a MAC was forged")
		}
	})
}

// FuzzAttempt: what parses codes back to the same bytes.
func FuzzAttempt(f *testing.F) {
	f.Add(attempt.Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := desfire.ParseAttempt(raw)
		if err == nil {
			require.True(t, bytes.Equal(raw, a.Bytes()))
		}
	})
}

// FuzzAnswer: no answer that the card did not sign opens.
func FuzzAnswer(f *testing.F) {
	for _, v := range published(f).Messages {
		f.Add(byte(0x91), byte(0x00), []byte(v.Answer), v.Mode == desfire.Full)
	}
	f.Add(byte(0x91), byte(0xAE), []byte{}, false)
	f.Fuzz(func(t *testing.T, sw1, sw2 byte, data []byte, full bool) {
		mode := desfire.MAC
		if full {
			mode = desfire.Full
		}
		s := desfire.NewSession(keys.Key{1}, keys.Key{2}, [4]byte{3})
		_, err := s.Seal(0x6C, mode, []byte{1}, nil)
		require.NoError(t, err)
		_, err = s.Open(0x6C, mode, apdu.Response{Data: data, SW: apdu.SW(sw1)<<8 | apdu.SW(sw2)})
		require.Error(t, err)
	})
}
