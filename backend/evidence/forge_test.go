package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	_ "embed" // the sample
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/evidence"
)

func base64Text(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// TestWhoHasTheKeyCannotTellAStoryThatDoesNotHoldTogether changes a file in each place and signs it anew.
func TestWhoHasTheKeyCannotTellAStoryThatDoesNotHoldTogether(t *testing.T) {
	s := start(t)
	s.busyDay()
	s.close()
	file, _ := s.export()
	again, err := evidence.Forge(file, backend, func(_ string, body []byte) []byte { return body })
	require.NoError(t, err)
	require.Equal(t, file, again, "the forger makes the same file")

	line := func(body []byte, n int) (before, it, after []byte) {
		all := bytes.SplitAfter(body, []byte("\n"))
		return bytes.Join(all[:n], nil), all[n], bytes.Join(all[n+1:], nil)
	}
	for name, c := range map[string]struct {
		member string
		change func(body []byte) []byte
		says   string
	}{
		"a record left out": {"records", func(b []byte) []byte { _, _, after := line(b, 0); return after }, "not those"},
		"a record twice": {"records", func(b []byte) []byte {
			_, it, after := line(b, 0)
			return bytes.Join([][]byte{it, it, after}, nil)
		}, "stands twice"},
		"records in another order": {"records", func(b []byte) []byte {
			_, first, rest := line(b, 0)
			_, second, after := line(rest, 0)
			return bytes.Join([][]byte{second, first, after}, nil)
		}, "out of order"},
		"a record's bytes":         {"records", func(b []byte) []byte { return bytes.Replace(b, []byte(`"record":"C`), []byte(`"record":"D`), 1) }, "another hash"},
		"a verdict":                {"records", func(b []byte) []byte { return bytes.Replace(b, []byte(`"bad-tac"`), []byte(`"accepted"`), 1) }, "figures"},
		"an unknown field":         {"records", func(b []byte) []byte { return bytes.Replace(b, []byte(`"seq"`), []byte(`"Seq"`), 1) }, "one form"},
		"an epoch in capitals":     {"records", func(b []byte) []byte { return bytes.Replace(b, []byte("fedc"), []byte("FEDC"), 1) }, "16 hexadecimal digits"},
		"a batch's epoch":          {"batches", func(b []byte) []byte { return bytes.Replace(b, []byte("fedc"), []byte("fed"), 1) }, "16 hexadecimal digits"},
		"a batch left out":         {"batches", func(b []byte) []byte { _, _, after := line(b, 0); return after }, "figures"},
		"a line that does not end": {"batches", func(b []byte) []byte { return b[:len(b)-1] }, "does not end"},
		"money in an entry":        {"entries", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("100.00"), []byte("200.00")) }, "another digest"},
		"money on one side":        {"entries", func(b []byte) []byte { return bytes.Replace(b, []byte("100.00"), []byte("200.00"), 1) }, "entry"},
		"an account":               {"entries", func(b []byte) []byte { return bytes.Replace(b, []byte(`"trust"`), []byte(`"float"`), 1) }, "another digest"},
		"an entry left out":        {"entries", func(b []byte) []byte { _, _, after := line(b, 0); return after }, "its entry is another one"},
		"an entry twice": {"entries", func(b []byte) []byte {
			_, it, after := line(b, 0)
			return bytes.Join([][]byte{it, it, after}, nil)
		}, "stands twice"},
		"a group's hash": {"groups", func(b []byte) []byte { return bytes.Replace(b, []byte(`"number":1`), []byte(`"number":9`), 1) }, "its hash"},
		"a group left out": {"groups", func(b []byte) []byte {
			before, _, after := line(b, 1)
			return append(before, after...)
		}, "posting groups"},
		"a group twice": {"groups", func(b []byte) []byte {
			_, it, after := line(b, 0)
			return bytes.Join([][]byte{it, it, after}, nil)
		}, "chain is broken"},
		"the report":  {"settlement/settlement-2026-11-24.json", func(b []byte) []byte { return append(b, ' ') }, "not the report"},
		"not JSON":    {"groups", func([]byte) []byte { return []byte("hello\n") }, "groups/000000.jsonl, line 1"},
		"no batches":  {"batches", func([]byte) []byte { return []byte("\n") }, "batches/000000.jsonl, line 1"},
		"null as row": {"groups", func([]byte) []byte { return []byte("null\n") }, "one form"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := false
			forged, err := evidence.Forge(file, backend, func(member string, body []byte) []byte {
				if !strings.HasPrefix(member, c.member) || changed {
					return body
				}
				out := c.change(bytes.Clone(body))
				changed = !bytes.Equal(out, body)
				return out
			})
			require.NoError(t, err)
			require.True(t, changed)
			_, err = evidence.Verify(bytes.NewReader(forged), public)
			require.ErrorIs(t, err, evidence.ErrContent)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// closedFile is the evidence of a small closed day as version 1 wrote it. It is never made again: what was exported once must always verify.
//
//go:embed testdata/closed-1.tar
var closedFile []byte

func TestAFileOfThisVersionAlwaysVerifies(t *testing.T) {
	m, err := evidence.Verify(bytes.NewReader(closedFile), public)
	require.NoError(t, err)
	require.True(t, m.Closed)
	require.Equal(t, 4, m.Batches)
	require.Equal(t, map[string]int{"accepted": 3, "bad-tac": 1, "unknown": 1, "unreadable": 1}, m.Verdicts)
}

func FuzzVerify(f *testing.F) {
	f.Add(closedFile)
	f.Add(closedFile[:1024])
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := evidence.Verify(bytes.NewReader(raw), public); err == nil {
			require.Equal(t, closedFile, raw, "nobody signed this")
		}
		// The same content under a good signature, so that what lies behind it is reached too.
		forged, err := evidence.Forge(raw, backend, func(_ string, body []byte) []byte { return body })
		if err != nil {
			return
		}
		_, _, _ = evidence.VerifyDevices(bytes.NewReader(forged), public, evidence.Devices{"bus-1": {device.Public().(ed25519.PublicKey)}})
	})
}
