package eccard

import (
	"maps"
	"slices"
)

// Clone is another card with the same keys and memory, out of the field: keys take a while to make, and a test that breaks cards wants a fresh one
// each time. The personalised records are shared: a script that updates one changes both cards.
func (c *Card) Clone() *Card {
	n := *c
	n.data = maps.Clone(c.data)
	n.log, n.loads = slices.Clone(c.log), slices.Clone(c.loads)
	n.files = map[byte]*transitFile{}
	for sfi, f := range c.files {
		file := *f
		file.records = slices.Clone(f.records)
		n.files[sfi] = &file
	}
	n.TearAt = nil
	n.Insert()
	n.gone = true
	return &n
}
