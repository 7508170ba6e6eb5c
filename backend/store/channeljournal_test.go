package store_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

func journalled(t *testing.T, j store.ChannelJournal) map[string]string {
	t.Helper()
	out, last := map[string]string{}, ""
	require.NoError(t, j.Each(t.Context(), func(key string, value []byte) error {
		require.Greater(t, key, last, "by key")
		out[key], last = string(value), key
		return nil
	}))
	return out
}

func TestAChannelJournalKeepsWhatItWasGiven(t *testing.T) {
	s, _ := fresh(t)
	a, b := s.ChannelJournal("card-1"), s.ChannelJournal("card-2")
	require.NoError(t, a.Put(t.Context(), "saf/2", []byte("two")))
	require.NoError(t, a.Put(t.Context(), "saf/1", []byte("one")))
	require.NoError(t, a.Put(t.Context(), "saf/1", []byte("one again")))
	require.NoError(t, a.Put(t.Context(), "z", nil))
	require.NoError(t, b.Put(t.Context(), "saf/1", []byte("another account's")))
	require.Equal(t, map[string]string{"saf/1": "one again", "saf/2": "two", "z": ""}, journalled(t, a))
	require.NoError(t, a.Delete(t.Context(), "saf/2"))
	require.NoError(t, a.Delete(t.Context(), "saf/2"))
	require.Equal(t, map[string]string{"saf/1": "one again", "z": ""}, journalled(t, a))
	require.Equal(t, map[string]string{"saf/1": "another account's"}, journalled(t, b))
}

func TestWhoReadsAChannelJournalMayWriteIt(t *testing.T) {
	s, _ := fresh(t)
	j := s.ChannelJournal("card-1")
	require.NoError(t, j.Put(t.Context(), "a", []byte("1")))
	require.NoError(t, j.Put(t.Context(), "b", []byte("2")))
	require.NoError(t, j.Each(t.Context(), func(key string, _ []byte) error { return j.Delete(t.Context(), key) }))
	require.Empty(t, journalled(t, j))
	require.NoError(t, j.Put(t.Context(), "c", []byte("3")))
	stop := errors.New("enough")
	require.ErrorIs(t, j.Each(t.Context(), func(string, []byte) error { return stop }), stop)
}
