package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/socket"
)

// simulate runs `purselane simulate …` until ctx ends and returns what it printed.
func simulate(ctx context.Context, args ...string) (string, error) {
	var cli struct {
		Simulate SimulateCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return "", err
	}
	k, err := parser.Parse(append([]string{"simulate"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

// TestSimulatedChipsPlugIntoASocketReader makes a card and a PSAM, has a terminal find them, and takes them out again.
func TestSimulatedChipsPlugIntoASocketReader(t *testing.T) {
	dir := t.TempDir()
	city := filepath.Join(dir, "city.yaml") // a city union's cards
	text := strings.Replace(must(t, "profile", "sample"), "card:\n", "card:\n  variant: {mac1_code: city, psam_application: \"1001\"}\n", 1)
	require.NoError(t, os.WriteFile(city, []byte(text), 0o600))
	cases := []struct {
		name string
		args []string
		meet func(ctx context.Context, c reader.Card) error
		says string
	}{
		{"card", []string{"card", "--file", filepath.Join(dir, "card.json"), "--new", "--test-keys", "--number", "00010203040506070809"},
			func(ctx context.Context, c reader.Card) error {
				_, _, err := ep.Select(ctx, c, ep.AIDTUnion)
				return err
			}, "****0809"},
		{"the same card again", []string{"card", "--file", filepath.Join(dir, "card.json")},
			func(ctx context.Context, c reader.Card) error {
				_, _, err := ep.Select(ctx, c, ep.AIDTUnion)
				return err
			}, "balance 0.00"},
		{"PSAM", []string{"psam", "--file", filepath.Join(dir, "psam.json"), "--new", "--test-keys", "--terminal", "112233445566"},
			func(ctx context.Context, c reader.Card) error {
				_, err := ep.OpenPSAM(ctx, c, ep.PSAMTUnion)
				return err
			}, "SIMULATED PSAM 112233445566"},
		{"a card of a profile", []string{"card", "--file", filepath.Join(dir, "city.json"), "--new", "--test-keys", "--number", "00010203040506070809", "--profile", city},
			func(ctx context.Context, c reader.Card) error {
				card, _, err := ep.Select(ctx, c, ep.AIDTUnion)
				if err == nil {
					_, err = card.CityCode(ctx)
				}
				return err
			}, "****0809"},
		{"a PSAM of a profile", []string{"psam", "--file", filepath.Join(dir, "city-psam.json"), "--new", "--test-keys", "--terminal", "112233445566", "--profile", city},
			func(ctx context.Context, c reader.Card) error {
				_, err := ep.OpenPSAM(ctx, c, ep.PSAMFID)
				return err
			}, "SIMULATED PSAM 112233445566"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := socket.Listen("127.0.0.1:0", socket.Options{})
			require.NoError(t, err)
			defer r.Close()
			ctx, cancel := context.WithCancel(t.Context())
			type result struct {
				out string
				err error
			}
			done := make(chan result, 1)
			go func() {
				out, err := simulate(ctx, append(c.args, "--connect", r.Addr().String())...)
				done <- result{out, err}
			}()
			chip, err := r.Wait(t.Context())
			require.NoError(t, err)
			require.NoError(t, c.meet(t.Context(), chip))
			cancel()
			got := <-done
			require.NoError(t, got.err)
			require.Contains(t, got.out, c.says)
			require.NotContains(t, got.out, "00010203040506070809")
		})
	}
}

func TestWhatSimulateRefuses(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.json")
	f, err := image.Create(taken, struct{}{})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	missing := filepath.Join(dir, "missing.json")
	cases := []struct {
		name string
		args string
		says string
	}{
		{"a card that was never made", "card --file " + missing, "--new makes a card without a scheme"},
		{"a PSAM that was never made", "psam --file " + missing, "--new makes a PSAM"},
		{"a new card without keys", "card --new --file " + missing, "--new wants"},
		{"a card over another", "card --new --test-keys --number 00010203040506070809 --file " + taken, "exists"},
		{"a card with a short number", "card --new --test-keys --number 1234 --file " + missing, "--number"},
		{"a card with a bad issuer", "card --new --test-keys --number 00010203040506070809 --issuer x --file " + missing, "--issuer"},
		{"a PSAM without terminal number", "psam --new --test-keys --file " + missing, "--terminal"},
		{"no file", "card", "--file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := simulate(t.Context(), strings.Fields(c.args)...)
			require.ErrorContains(t, err, c.says)
			_, err = os.Stat(missing)
			require.ErrorIs(t, err, os.ErrNotExist, "a refusal makes no file")
		})
	}
}
