//go:build pkcs11

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHSMLines is run by scripts/hsm-test.sh.
func TestHSMLines(t *testing.T) {
	all, end, err := hsmLines()
	require.NoError(t, err)
	defer func() { require.NoError(t, end()) }()
	require.Len(t, all, 1)
	r, err := all[0].measure(0)
	require.NoError(t, err)
	require.Positive(t, r.ratio())
}
