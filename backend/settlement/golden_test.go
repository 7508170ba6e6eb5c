package settlement_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/shadowaccount"
)

var update = flag.Bool("update", false, "write the samples anew; a change needs a new format version")

// The files of one small day, byte for byte: the outside contract, in the versions there have been. A day that was closed in
// version 1 is still rendered as it was then.
func TestTheFilesAreThoseOfTheContract(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	w.load(1, monday, "20.00", "acquirer:bus:sold-loads")
	w.tap(monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	w.close(monday)
	w.tap(tuesday, good(1, metro, "5.00"), tap{card: 1, at: bus, amount: "9.00", said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofBad})
	now := w.close(tuesday)
	require.Len(t, now.Files(), 6)
	asFiles(t, filepath.Join("testdata", "v3"), now)

	frozen, err := settlement.FrozenOf(w.ctx, w.store, tuesday)
	require.NoError(t, err)
	for version, dir := range map[int]string{1: "testdata", 2: filepath.Join("testdata", "v2")} {
		frozen.Version = version
		old, err := frozen.Output()
		require.NoError(t, err)
		require.Len(t, old.Files(), 2+2*version)
		asFiles(t, dir, old)
	}
}

func asFiles(t *testing.T, dir string, out settlement.Output) {
	for _, f := range out.Files() {
		path := filepath.Join(dir, f.Name)
		if *update {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(path, f.Body, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(f.Body), f.Name)
	}
}
