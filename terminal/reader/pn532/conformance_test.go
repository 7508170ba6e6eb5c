//go:build linux

package pn532_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	chip "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/reader/readertest"
)

// stand is a reader at an emulated chip.
type stand struct {
	t    testing.TB
	chip *chip.Chip
	r    *pn532.Reader
	as   chip.Target
}

func newStand(t testing.TB, o chip.Options, change func(*pn532.Options)) *stand {
	if o.Link == "" {
		o.Link = filepath.Join(t.TempDir(), "pn532")
	}
	c, err := chip.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	options := pn532.Options{Port: c.Path()}
	if change != nil {
		change(&options)
	}
	r, err := pn532.Open(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return &stand{t: t, chip: c, r: r}
}

func (s *stand) Reader() reader.Reader { return s.r }

func (s *stand) Insert(c *readertest.Chip) { s.chip.Put(c, s.as) }

func (s *stand) Withdraw() { s.chip.Take() }

func TestConformance(t *testing.T) {
	cases := []struct {
		name string
		o    chip.Options
		as   chip.Target
	}{
		{"type A", chip.Options{}, chip.Target{}},
		{"type B", chip.Options{}, chip.Target{TypeB: true}},
		{"a phone", chip.Options{}, chip.Target{UID: []byte{0x08, 1, 2, 3}}},
		{"answers in parts", chip.Options{Part: 7}, chip.Target{}},
		{"paced", chip.Options{Paced: true}, chip.Target{}},
		{"a chip that keeps its first speed", chip.Options{MaxBaud: 115200, LazyWake: 2}, chip.Target{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, c.o, nil)
			s.as = c.as
			readertest.Run(t, s)
		})
	}
}

func TestCloseWithOpenCard(t *testing.T) {
	readertest.CloseWithOpenCard(t, newStand(t, chip.Options{}, nil))
}
