//go:build pcsc

package pcsc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseAReaderByName(t *testing.T) {
	pair := []string{"Virtual PCD 00 00", "Virtual PCD 00 01"}
	cases := []struct {
		name  string
		names []string
		want  string
		found string
	}{
		{"the whole name", pair, "Virtual PCD 00 01", "Virtual PCD 00 01"},
		{"a part that one has", pair, "00 01", "Virtual PCD 00 01"},
		{"a part that two have", pair, "Virtual", ""},
		{"a part that none has", pair, "ACR122U", ""},
		{"nothing, with one reader", pair[:1], "", "Virtual PCD 00 00"},
		{"nothing, with two readers", pair, "", ""},
		{"no reader at all", nil, "", ""},
		{"the whole name of one that is part of another's", []string{"Gate 1", "Gate 11"}, "Gate 1", "Gate 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found, err := choose(c.names, c.want)
			require.Equal(t, c.found, found)
			require.Equal(t, c.found == "", err != nil)
		})
	}
}
