package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesAreWrittenOnceAndTogether(t *testing.T) {
	dir := t.TempDir()
	write := func(texts map[string]string) (*onceFiles, error) {
		var o onceFiles
		for name, text := range texts {
			w, err := o.create(filepath.Join(dir, name))
			require.NoError(t, err)
			_, err = io.WriteString(w, text)
			require.NoError(t, err)
			require.NoError(t, w.Close())
		}
		err := o.keep()
		o.drop()
		return &o, err
	}
	_, err := write(map[string]string{"a": "one", "b": "two"})
	require.NoError(t, err)
	_, err = write(map[string]string{"a": "one", "b": "two"})
	require.NoError(t, err, "the same again")
	_, err = write(map[string]string{"a": "one", "b": "other", "c": "new"})
	require.ErrorContains(t, err, "b exists with other content")
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, all, 2, "neither a part nor a file more")
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	require.NoError(t, err)
	require.Equal(t, "two", string(b))
}
