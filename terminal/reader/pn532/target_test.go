package pn532

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

func TestTargets(t *testing.T) {
	cases := []struct {
		name string
		kind byte
		data string
		n    int
		uid  string
		dep  bool
		says string // the error
	}{
		{"none", typeA, "00", 0, "", false, ""},
		{"a card", typeA, "01 01 03 44 20 07 04 A1 B2 C3 D4 E5 80 0A 78 80 70 02 20 63 CB A3 A0", 1, "04A1B2C3D4E580", true, ""},
		{"an old ticket", typeA, "01 01 00 04 08 04 DE AD BE EF", 1, "DEADBEEF", false, ""},
		{"two cards", typeA, "02 01 00 04 08 04 DE AD BE EF 02 00 04 08 04 DE AD BE EE", 2, "DEADBEEF", false, ""},
		{"type B", typeB, "01 01 50 11 22 33 44 00 00 00 00 00 81 71 01 00", 1, "11223344", true, ""},
		{"type B without 14443-4", typeB, "01 01 50 11 22 33 44 00 00 00 00 00 80 71 01 00", 1, "11223344", false, ""},
		{"nothing", typeA, "", 0, "", false, "empty"},
		{"three", typeA, "03 01", 0, "", false, "at most 2"},
		{"cut", typeA, "01 01 03 44", 0, "", false, "3 bytes"},
		{"a UID that is cut", typeA, "01 01 03 44 20 07 04", 0, "", false, "6 bytes"},
		{"type B cut", typeB, "01 01 50 11", 0, "", false, "3 bytes"},
		{"type B without ATQB", typeB, "01 01 51 11 22 33 44 00 00 00 00 00 81 71 01 00", 0, "", false, "type B"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, n, err := parseTargets(c.kind, unhex(t, c.data))
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.n, n)
			if n > 0 {
				require.Equal(t, unhex(t, c.uid), got.uid)
				require.Equal(t, c.dep, got.isoDEP)
				require.Equal(t, byte(1), got.number)
			}
		})
	}
}

func TestAUIDOnlyTellsASwap(t *testing.T) {
	fixed := func(s string) target { return target{kind: typeA, uid: unhex(t, s)} }
	require.False(t, fixed("04A1B2C3D4E580").surelyOther(fixed("04A1B2C3D4E580")))
	require.True(t, fixed("04A1B2C3D4E580").surelyOther(fixed("04A1B2C3D4E581")))
	require.False(t, fixed("08000001").surelyOther(fixed("08000002")), "a phone makes a new one each time")
	require.True(t, fixed("08000001").surelyOther(target{kind: typeB, uid: []byte{8, 0, 0, 1}}))
}

func FuzzTargets(f *testing.F) {
	f.Add(typeA, unhex(f, "01 01 03 44 20 07 04 A1 B2 C3 D4 E5 80 0A 78 80 70 02 20 63 CB A3 A0"))
	f.Add(typeB, unhex(f, "01 01 50 11 22 33 44 00 00 00 00 00 81 71 01 00"))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		found, n, err := parseTargets(kind, data)
		if err != nil || n == 0 {
			require.Equal(t, target{}, found)
			return
		}
		require.LessOrEqual(t, n, 2)
		require.Equal(t, kind, found.kind)
	})
}

func TestStatusSaysWhatItIs(t *testing.T) {
	require.ErrorContains(t, status(0x01), "did not answer")
	require.ErrorContains(t, status(0x3E), "status 3E")
	require.True(t, tooHot.overloaded())
	require.False(t, status(0x01).overloaded())
}
