package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAShortBoot(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, benchBoot(&out, t.TempDir(), 4<<20))
	require.Regexp(t, `(?m)^boot-one-file: \d+ records, 4 MiB in 1 files$`, out.String())
	require.Regexp(t, `(?m)^boot: \d+ records, [45] MiB in \d+ files$`, out.String())
	for _, name := range []string{"boot", "boot-one-file"} {
		require.Regexp(t, `(?m)^BENCH `+name+` ratio=\d+\.\d{3} own=\d+\.\d{3}ms floor=\d+\.\d{3}ms$`, out.String())
	}
}
