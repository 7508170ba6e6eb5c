package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCPUTimeOfARecordIsTold(t *testing.T) {
	require.Equal(t, "nothing measured", (&meter{}).String())
	require.Equal(t, "12.0 µs here and 30.5 µs at the server", (&meter{groups: 2, here: 24 * time.Millisecond, there: 61 * time.Millisecond}).String())
	spent, err := cpuOf(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, spent)
	_, err = cpuOf(-1)
	require.ErrorIs(t, err, os.ErrNotExist)
}
