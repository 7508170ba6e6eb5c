package ep_test

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestThePageHasEveryCommand looks for each command of the package in docs/card-ep.md.
func TestThePageHasEveryCommand(t *testing.T) {
	page, err := os.ReadFile("../../docs/card-ep.md")
	require.NoError(t, err)
	source, err := os.ReadFile("errors.go")
	require.NoError(t, err)
	names := regexp.MustCompile(`CommandName = "([A-Z ]+)"`).FindAllSubmatch(source, -1)
	require.Greater(t, len(names), 30)
	for _, name := range names {
		require.True(t, bytes.Contains(page, name[1]), "%s is not in the page", name[1])
	}
}
