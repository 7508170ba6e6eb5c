package journal

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

const childPath = "PURSELANE_TEST_JOURNAL"

// TestChild is not a test of its own: it sells until it is killed, and says each thing that is done.
func TestChild(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		return // run by TestKilledAtAnyMoment alone
	}
	j, err := Open(path, Options{Terminal: "bus-1"})
	require.NoError(t, err)
	_, err = j.RecoverBoot()
	require.NoError(t, err)
	for n := int(j.LastSeq()) + 1000; ; n++ {
		tap, err := j.Begin(draft(n))
		require.NoError(t, err)
		fmt.Printf("begun %d %d\n", n, tap)
		require.NoError(t, j.Finish(tap, final(n, wire.State_STATE_COMPLETED)))
		fmt.Printf("done %d %d\n", n, tap)
		if n%7 == 0 {
			require.NoError(t, j.Roll())
		}
	}
}

// TestKilledAtAnyMoment kills a selling process, again and again on one file: what it said is done is there.
func TestKilledAtAnyMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	chance := rand.New(rand.NewPCG(9, 10))
	done := map[uint64]bool{}  // tap numbers
	begun := map[uint64]bool{} // of taps that were not said to be done
	for range 10 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
		child.Env = append(os.Environ(), childPath+"="+path)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for left := 1 + chance.IntN(30); lines.Scan(); left-- {
			if left == 0 {
				require.NoError(t, child.Process.Kill()) // and read on: what it said before it died counts
			}
			var n, tap uint64
			word := lines.Text()
			if _, err := fmt.Sscanf(strings.TrimPrefix(strings.TrimPrefix(word, "begun"), "done"), "%d %d", &n, &tap); err != nil {
				t.Fatalf("the child says %q", word)
			}
			if strings.HasPrefix(word, "done") {
				done[tap] = true
				delete(begun, tap)
			} else {
				require.False(t, begun[tap] || done[tap], "tap %d was given twice", tap)
				begun[tap] = true
			}
		}
		require.Error(t, child.Wait(), "it was killed")

		j, err := Open(path, Options{Terminal: "bus-1"})
		require.NoError(t, err)
		require.NoError(t, j.Verify())
		completed, still := map[uint64]bool{}, map[uint64]bool{}
		for _, r := range records(t, j) {
			completed[r.GetTap()] = completed[r.GetTap()] || r.GetState() == wire.State_STATE_COMPLETED
		}
		open, err := j.OpenIntents()
		require.NoError(t, err)
		for _, d := range open {
			still[d.GetTap()] = true
		}
		for tap := range done {
			require.True(t, completed[tap] && !still[tap], "tap %d was done", tap)
		}
		for tap := range begun { // its Finish may have stood before it could say so
			require.True(t, completed[tap] != still[tap], "tap %d was begun", tap)
		}
		require.NoError(t, j.Close())
	}
	require.NotEmpty(t, done)
}

func TestALargeJournalHasPagesOfEveryKind(t *testing.T) {
	o := options()
	o.Keep = 10
	j, _ := fresh(t, o)
	for n := range 3000 {
		tap, err := j.Begin(draft(n))
		require.NoError(t, err)
		large := final(n, wire.State_STATE_COMPLETED)
		large.Merchant = strings.Repeat("m", 1000)
		require.NoError(t, j.Finish(tap, large))
	}
	require.NoError(t, j.Verify())
	require.NoError(t, j.Ack(3000))
	n, err := j.Prune(10_000)
	require.NoError(t, err)
	require.Equal(t, 2990, n)
	require.Greater(t, j.db.Stats().FreePageN+j.db.Stats().PendingPageN, 600, "a freelist of more than a page")
	require.NoError(t, j.Verify())
	j = reopen(t, j, o)
	s, err := j.Stats()
	require.NoError(t, err)
	sell(t, j, 7000, 500)
	after, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, s.FileBytes, after.FileBytes, "what is pruned is used again before the file grows")
	require.NoError(t, j.Verify())
}
