package trace_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/trace"
	"github.com/purselane/purselane/internal/clock"
)

const (
	one = "O01JDXQ4T8M0123456789ABCDEF"
	two = "O01JDXQ4T8M0123456789ABCDEG"
)

var _ gateway.Tracer = (*trace.File)(nil)

func read(t *testing.T, path string) []trace.Span {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var all []trace.Span
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		var s trace.Span
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s), lines.Text())
		all = append(all, s)
	}
	return all
}

func TestASpanIsALine(t *testing.T) {
	at := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	path := filepath.Join(t.TempDir(), "traces", "gateway.jsonl")
	f, err := trace.Open(trace.Config{Path: path, Clock: at})
	require.NoError(t, err)
	ctx, done := f.Step(t.Context(), "call", one, "00010103001002000001")
	at.Advance(3 * time.Millisecond)
	_, inner := f.Step(ctx, "sign", one, "")
	inner(fmt.Errorf("card 4111111111111111: %w", errors.New("whatever a channel said")))
	done(nil)
	for _, err := range []error{context.Canceled, fmt.Errorf("x: %w", context.DeadlineExceeded), channel.ErrNotSent, channel.ErrUnsupported, order.ErrState} {
		_, done := f.Step(t.Context(), "x", two, "")
		done(err)
	}
	for _, id := range []string{"4111111111111111", "O4111111111111111", "", "O01JDXQ4T8M\n0123456789ABCDE", "P01JDXQ4T8M0123456789ABCDEF"} {
		_, done := f.Step(t.Context(), "check", id, "")
		done(nil)
	}
	require.NoError(t, f.Close())
	all := read(t, path)
	for _, s := range all[7:] {
		require.Empty(t, s.Order, "what a caller sent is not an order's number")
		require.Equal(t, trace.TraceOf(""), s.Trace)
	}
	all = all[:7]
	require.Equal(t, trace.Span{Trace: trace.TraceOf(one), ID: all[1].ID, Name: "call", Start: "2026-11-25T12:00:00Z", Micros: 3000, Order: one, Context: "00010103001002000001"}, all[1])
	require.Equal(t, all[1].ID, all[0].Parent)
	require.Equal(t, all[1].Trace, all[0].Trace)
	require.Equal(t, "error", all[0].Error)
	require.Len(t, all[0].Trace, 32)
	require.Len(t, all[0].ID, 16)
	var words []string
	for _, s := range all[2:] {
		words = append(words, s.Error)
	}
	require.Equal(t, []string{"canceled", "timeout", "not-sent", "unsupported", "state"}, words)
}

func TestTheFileTurnsOverAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"trace_id":"half`), 0o600))
	f, err := trace.Open(trace.Config{Path: path, Clock: clock.System{}, Most: 4000})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			_, done := f.Step(t.Context(), "call", fmt.Sprintf("O%026d", i), "")
			done(nil)
		})
	}
	all.Wait()
	require.NoError(t, f.Close())
	_, done := f.Step(t.Context(), "late", one, "")
	done(nil)
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(4000))
		require.Equal(t, os.FileMode(0o600), info.Mode())
		require.NotEmpty(t, read(t, p))
	}
}

func TestPaymentsGoOnWhereSpansCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "traces")
	var log bytes.Buffer
	f, err := trace.Open(trace.Config{Path: filepath.Join(dir, "gateway.jsonl"), Clock: clock.System{}, Most: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	step := func() {
		_, done := f.Step(t.Context(), "call", one, "")
		done(nil)
	}
	step()
	require.NoError(t, os.RemoveAll(dir))
	step()
	step()
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("cannot be written")), log.String())
	require.NoError(t, os.Mkdir(dir, 0o700))
	step()
	require.Len(t, read(t, filepath.Join(dir, "gateway.jsonl")), 1, "it is written again")
	require.NoError(t, f.Close())
	_, err = trace.Open(trace.Config{})
	require.Error(t, err)
}
