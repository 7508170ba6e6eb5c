//go:build !pcsc

package pcsc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/reader/pcsc"
)

func TestWithoutTheTagOpenSaysHowToGetIt(t *testing.T) {
	require.False(t, pcsc.Available)
	_, err := pcsc.Open(pcsc.Options{Name: "any"})
	require.ErrorIs(t, err, pcsc.ErrNotBuilt)
	require.ErrorContains(t, err, "-tags pcsc")
	_, err = pcsc.List()
	require.ErrorIs(t, err, pcsc.ErrNotBuilt)
}
