package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/evidence"
)

func TestDevicesSignedWhatCame(t *testing.T) {
	s := start(t)
	s.busyDay()
	s.close()
	file, m := s.export()
	key := device.Public().(ed25519.PublicKey)
	old := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	got, signed, err := evidence.VerifyDevices(bytes.NewReader(file), public, evidence.Devices{"bus-1": {old, key}})
	require.NoError(t, err)
	require.Equal(t, m, got)
	require.Equal(t, evidence.Signed{Batches: 4, Unreadable: 1, Records: 6}, signed)

	for name, devices := range map[string]evidence.Devices{"another key": {"bus-1": {old}}, "another terminal": {"bus-2": {key}}, "none": nil} {
		_, _, err := evidence.VerifyDevices(bytes.NewReader(file), public, devices)
		require.ErrorIs(t, err, evidence.ErrContent, name)
		require.ErrorContains(t, err, "a batch of bus-1", name)
	}

	// Who has the scheme's key cannot give a terminal's batch to another, nor show a record that no batch has as one that came.
	forged, err := evidence.Forge(file, backend, func(_ string, body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(`{"terminal":"bus-1"`), []byte(`{"terminal":"bus-9"`))
	})
	require.NoError(t, err)
	_, _, err = evidence.VerifyDevices(bytes.NewReader(forged), public, evidence.Devices{"bus-9": {key}})
	require.ErrorContains(t, err, "a batch of bus-9 is signed as one of bus-1")
}

// TestARecordOfAnotherDaysBatchIsCounted takes its batch away, as if that had come the day before.
func TestARecordOfAnotherDaysBatchIsCounted(t *testing.T) {
	s := start(t)
	s.send(s.tap(1_00, nil))
	s.send(s.tap(1_00, nil))
	file, _ := s.export()
	forged, err := evidence.Forge(file, backend, func(name string, body []byte) []byte {
		if name != "batches/000000.jsonl" {
			return body
		}
		first, _, _ := bytes.Cut(body, []byte("\n"))
		return bytes.Repeat(append(first, '\n'), 2) // as many as the manifest says
	})
	require.NoError(t, err)
	_, signed, err := evidence.VerifyDevices(bytes.NewReader(forged), public, evidence.Devices{"bus-1": {device.Public().(ed25519.PublicKey)}})
	require.NoError(t, err)
	require.Equal(t, evidence.Signed{Batches: 2, Records: 1, Elsewhere: 1}, signed)
}

func TestParseDevices(t *testing.T) {
	a, b := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	got, err := evidence.ParseDevices([]byte("# keys\n\nbus-1 " + a + "\nbus-1 " + b + "\nbus-1 " + a + "\ngate-3\t" + a))
	require.NoError(t, err)
	require.Len(t, got["bus-1"], 2)
	require.Equal(t, a, hex.EncodeToString(got["gate-3"][0]))
	for _, bad := range []string{"bus-1", "bus-1 " + a + " x", "bus/1 " + a, "bus-1 abcd", "bus-1 " + a + "zz"} {
		_, err := evidence.ParseDevices([]byte("\n" + bad))
		require.ErrorContains(t, err, "line 2")
	}
}

func FuzzParseDevices(f *testing.F) {
	f.Add([]byte("bus-1 " + strings.Repeat("ab", 32)))
	f.Add([]byte("#\n \nbus-1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := evidence.ParseDevices(raw)
		if err != nil {
			return
		}
		for id, keys := range all {
			require.NotEmpty(t, id)
			for _, k := range keys {
				require.Len(t, k, ed25519.PublicKeySize)
			}
		}
	})
}
