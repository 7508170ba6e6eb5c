package settlement_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/shadowaccount"
)

var update = flag.Bool("update", false, "write the samples anew; a change needs a new format version")

// The files of one small day, byte for byte: version 1 of the outside contract.
func TestTheFilesAreThoseOfTheContract(t *testing.T) {
	w := opened(t)
	w.workedExample(monday)
	w.load(1, monday, "20.00", "acquirer:bus:sold-loads")
	w.tap(monday, tap{card: 1, at: bus, amount: "2.00", said: shadowaccount.SaidUnknown})
	w.close(monday)
	w.tap(tuesday, good(1, metro, "5.00"), tap{card: 1, at: bus, amount: "9.00", said: shadowaccount.SaidCompleted, proof: shadowaccount.ProofBad})
	out := w.close(tuesday)
	require.Len(t, out.Files(), 4)
	for _, f := range out.Files() {
		path := filepath.Join("testdata", f.Name)
		if *update {
			require.NoError(t, os.WriteFile(path, f.Body, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(f.Body), f.Name)
	}
}
