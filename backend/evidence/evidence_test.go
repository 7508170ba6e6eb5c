package evidence_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/evidence"
	"github.com/purselane/purselane/backend/settlement"
)

func TestAClosedDayIsTheSameBytesWhateverHappensSince(t *testing.T) {
	s := start(t)
	s.busyDay()
	open, m := s.export()
	require.False(t, m.Closed)
	require.Empty(t, m.Report)
	_, err := evidence.Verify(bytes.NewReader(open), public)
	require.NoError(t, err)

	s.close()
	first, m := s.export()
	require.True(t, m.Closed)
	require.Equal(t, 4, m.Batches, "the one that cannot be read too")
	require.Equal(t, 6, m.Records)
	require.Equal(t, map[string]int{"accepted": 3, "bad-tac": 1, "unknown": 1, "unreadable": 1}, m.Verdicts)
	require.NotZero(t, m.Groups)
	got, err := evidence.Verify(bytes.NewReader(first), public)
	require.NoError(t, err)
	require.Equal(t, m, got)

	paid, err := settlement.ProposePay(s.ctx, s.store, day, "bank-1", "ann", "paid by hand", s.clock.Now())
	require.NoError(t, err)
	_, _, err = settlement.Approve(s.ctx, s.store, paid.ID, "ben", settlement.BankOptions{Now: s.clock.Now()})
	require.NoError(t, err)
	require.Equal(t, "quarantined", s.verdict(7))
	require.Equal(t, "unknown", s.status(4))
	s.clock.Set(noon.AddDate(0, 0, 1))
	s.receive(s.send(s.tap(1_00, nil))) // has the quarantined number, shows what became of the unknown tap, and comes twice
	require.Equal(t, "accepted", s.verdict(7))
	require.Equal(t, "inferred", s.status(4))
	second, _ := s.export()
	require.Equal(t, first, second)
}

func TestAnyTarReadsIt(t *testing.T) {
	s := start(t)
	raw := s.tap(1_00, nil)
	envelope := s.send(raw)
	s.close()
	file, m := s.export()
	var names []string
	r := tar.NewReader(bytes.NewReader(file))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Equal(t, int64(0o644), h.Mode)
		require.True(t, h.ModTime.Equal(time.Unix(0, 0)))
		names = append(names, h.Name)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		if h.Name == "batches/000000.jsonl" {
			require.Contains(t, string(body), base64Text(envelope))
		}
		if h.Name == "records/000000.jsonl" {
			require.Contains(t, string(body), base64Text(raw))
			require.Contains(t, string(body), `"epoch":"fedcba9876543210"`)
		}
	}
	require.Equal(t, []string{"batches/000000.jsonl", "records/000000.jsonl", "entries/000000.jsonl", "groups/000000.jsonl",
		"settlement/settlement-2026-11-24.json", "settlement/settlement-2026-11-24.csv", "settlement/result-2026-11-24-bus.csv", "settlement/fees-2026-11-24-bus.csv",
		"manifest.json", "manifest.sig"}, names)
	require.Len(t, m.Members, len(names)-2)
}

func TestADayOfManyRecordsIsCutIntoParts(t *testing.T) {
	s := start(t)
	huge := bytes.Repeat([]byte("no record"), 60_000)
	for range 9 {
		s.seq++
		s.send(append([]byte{byte(s.seq)}, huge...))
	}
	file, m := s.export()
	require.Equal(t, 9, m.Records)
	require.Equal(t, "records/000001.jsonl", m.Members[2].Name)
	got, err := evidence.Verify(bytes.NewReader(file), public)
	require.NoError(t, err)
	require.Equal(t, m, got)
}

func TestAnEmptyDay(t *testing.T) {
	s := start(t)
	var b bytes.Buffer
	m, err := evidence.Export(s.ctx, s.store, "2026-11-20", backend, &b)
	require.NoError(t, err)
	require.Empty(t, m.Members)
	_, err = evidence.Verify(&b, public)
	require.NoError(t, err)
	_, err = evidence.Export(s.ctx, s.store, "yesterday", backend, io.Discard)
	require.ErrorContains(t, err, "yesterday")
}

// TestNoByteCanBeChanged flips a bit of every eleventh byte, which comes to each place of a block in turn, and every byte from the signature on.
func TestNoByteCanBeChanged(t *testing.T) {
	s := start(t)
	s.send(s.tap(1_00, nil))
	s.close()
	file, _ := s.export()
	named := map[error]int{evidence.ErrForm: 0, evidence.ErrSignature: 0, evidence.ErrChanged: 0}
	for i := range file {
		if i%11 != 0 && i < len(file)-4*512 {
			continue
		}
		file[i] ^= 1 << (i % 8)
		_, err := evidence.Verify(bytes.NewReader(file), public)
		file[i] ^= 1 << (i % 8)
		known := false
		for name := range named {
			if errors.Is(err, name) {
				named[name]++
				known = true
			}
		}
		require.True(t, known, "byte %d: %v", i, err)
	}
	for name, n := range named {
		require.NotZero(t, n, name)
	}
	_, err := evidence.Verify(bytes.NewReader(file), public)
	require.NoError(t, err)
}

func TestNothingCanBeAddedOrLeftOut(t *testing.T) {
	s := start(t)
	s.busyDay()
	s.close()
	file, m := s.export()
	_, err := evidence.Verify(strings.NewReader(""), public)
	require.ErrorIs(t, err, evidence.ErrForm)
	for cut := 0; cut < len(file); cut += 500 {
		_, err := evidence.Verify(bytes.NewReader(file[:cut]), public)
		require.ErrorIs(t, err, evidence.ErrForm, "cut to %d", cut)
	}
	_, err = evidence.Verify(bytes.NewReader(append(bytes.Clone(file), 0)), public)
	require.ErrorIs(t, err, evidence.ErrForm)
	first := 512 + (m.Members[0].Bytes+511)/512*512
	_, err = evidence.Verify(bytes.NewReader(file[first:]), public)
	require.ErrorIs(t, err, evidence.ErrChanged)
	_, err = evidence.Verify(bytes.NewReader(append(bytes.Clone(file[:first]), file...)), public)
	require.ErrorIs(t, err, evidence.ErrChanged)

	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, err = evidence.Verify(bytes.NewReader(file), other)
	require.ErrorIs(t, err, evidence.ErrSignature)
	_, err = evidence.Verify(bytes.NewReader(file), nil)
	require.ErrorIs(t, err, evidence.ErrSignature)
}

var errDisk = errors.New("the disk is gone")

// failing fails after so many bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *failing) Read(p []byte) (int, error) { return f.Write(p) }

func TestAFaultOfTheDiskIsTold(t *testing.T) {
	s := start(t)
	s.busyDay()
	file, _ := s.export()
	for room := 0; room < len(file); room += 512 {
		_, err := evidence.Export(s.ctx, s.store, day, backend, &failing{room})
		require.ErrorIs(t, err, errDisk, "room for %d of %d", room, len(file))
		_, err = evidence.Verify(io.MultiReader(bytes.NewReader(file[:room]), &failing{}), public)
		require.ErrorIs(t, err, errDisk)
	}
}
