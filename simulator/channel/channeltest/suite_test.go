package channeltest_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/channel/channeltest"
)

const planted = "PURSELANE_CHANNELTEST_BUG"

// TestMemory runs the suite on the channel in memory, which passes; with a bug by its environment, which another test wants to see fail.
func TestMemory(t *testing.T) { channeltest.Run(t, bench(os.Getenv(planted))) }

func TestEveryPlantedBugFails(t *testing.T) {
	for bug, where := range map[string]string{
		"charges twice":            "success",
		"lost is failed":           "request_lost",
		"trouble is failure":       "done,_but_answered_with_an_error",
		"missing is failed":        "query_of_unknown",
		"unreachable is missing":   "unreachable",
		"wrong amount":             "success",
		"believes anybody":         "forged_changes_nothing",
		"accepts what is not kept": "not_accepted_comes_again",
		"closed can be paid":       "close,_then_nobody_can_pay",
		"closes what is paid":      "close_of_a_paid_one",
		"refunds twice":            "same_refund_again",
		"refunds too much":         "over-refund",
		"captures too much":        "capture_too_much",
		"releases nothing":         "release",
		"bill leaves out refunds":  "bill_of_the_day",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemory$")
			cmd.Env = append(os.Environ(), planted+"="+bug)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the suite has not seen it:\n%s", out)
			require.Regexp(t, `--- FAIL: TestMemory/[^ ]*`+where, string(out))
		})
	}
}
