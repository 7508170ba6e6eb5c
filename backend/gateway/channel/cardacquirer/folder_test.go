package cardacquirer_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
)

func TestAFolderHasOneFileADay(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "2026-11-24.txt"), []byte("H|1"), 0o600))
	f := cardacquirer.Folder(dir)
	r, err := f.Open(t.Context(), "2026-11-24")
	require.NoError(t, err)
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "H|1", string(raw))
	_, err = f.Open(t.Context(), "2026-11-25")
	require.ErrorIs(t, err, channel.ErrNoBillYet)
	_, err = f.Open(t.Context(), "../2026-11-24")
	require.ErrorContains(t, err, "no day")
}
