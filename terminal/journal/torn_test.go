package journal

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

// TestATornCommitIsAllOrNothing puts together the files that a power cut inside a commit can leave. A commit writes its pages,
// syncs, then writes a meta page and syncs: before the first sync any part of its pages may be on the disk, in any order, torn at
// any sector, and the file may have its new size or not.
func TestATornCommitIsAllOrNothing(t *testing.T) {
	const pageSize, sector = 4096, 512
	chance := rand.New(rand.NewPCG(5, 6))
	path := filepath.Join(t.TempDir(), "journal.db")
	write(t, path, worn(t, t.TempDir()))
	o := options()
	o.Keep = 40
	j := open(t, path, o)
	defer func() { j.Close() }()
	torn := filepath.Join(t.TempDir(), "torn.db")
	cases := 0
	// gives opens an image and checks that it holds exactly want.
	gives := func(image []byte, want content, name, cut string) {
		cases++
		write(t, torn, image)
		k, err := Open(torn, o)
		require.NoError(t, err, "%s, %s", name, cut)
		got, err := contentOf(k)
		require.NoError(t, err)
		require.Equal(t, want, got, "%s, %s", name, cut)
		require.NoError(t, k.Verify())
		require.NoError(t, k.Close())
	}
	var tap uint64
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"begin", func() (err error) { tap, err = j.Begin(draft(500)); return err }},
		{"unknown", func() error { return j.MarkUnknown(tap) }},
		{"finish", func() error { return j.Finish(tap, final(500, wire.State_STATE_COMPLETED)) }},
		{"begin again", func() (err error) { tap, err = j.Begin(draft(501)); return err }},
		{"drop", func() error { return j.Drop(tap) }},
		{"ack", func() error { return j.Ack(j.LastSeq()) }},
		{"prune", func() error { _, err := j.Prune(1000); return err }},
		{"begin after prune", func() (err error) { tap, err = j.Begin(draft(502)); return err }},
		{"two readers at once", func() error {
			return inOneCommit(j,
				func() error { _, err := j.Begin(draft(503)); return err },
				func() error { return j.Finish(tap, final(502, wire.State_STATE_COMPLETED)) })
		}},
		{"boot", func() error { _, err := j.RecoverBoot(); return err }},
	} {
		before, err := contentOf(j)
		require.NoError(t, err)
		old := read(t, path)
		require.NoError(t, c.do(), c.name)
		after, err := contentOf(j)
		require.NoError(t, err)
		require.NotEqual(t, before, after, c.name)
		now := read(t, path)
		whole := append(bytes.Clone(old), make([]byte, max(0, len(now)-len(old)))...) // what was not written reads as zeros
		var data []int                                                                // pages of the commit, in the order they are written
		meta := -1
		for at := 0; at < len(now); at += pageSize {
			if bytes.Equal(whole[at:at+pageSize], now[at:at+pageSize]) {
				continue
			}
			if at < 2*pageSize {
				require.Equal(t, -1, meta, "one meta page a commit")
				meta = at
			} else {
				data = append(data, at)
			}
		}
		require.NotEqual(t, -1, meta)
		require.NotEmpty(t, data)

		gives(old, before, c.name, "nothing written")
		image := bytes.Clone(whole)
		for _, at := range data { // cut after each page
			copy(image[at:at+pageSize], now[at:])
			gives(image, before, c.name, "a prefix of its pages")
		}
		for range 12 { // any part of them, any sectors of each
			image := bytes.Clone(whole)
			for _, at := range data {
				for s := at; s < at+pageSize; s += sector {
					if chance.IntN(2) == 0 {
						copy(image[s:s+sector], now[s:])
					}
				}
			}
			gives(image, before, c.name, "some sectors of its pages")
		}
		for s := meta; s < meta+pageSize; s += sector { // then the meta page, whose first sector holds all of it
			copy(image[s:s+sector], now[s:])
			gives(image, after, c.name, "the meta page begun")
		}
		gives(now, after, c.name, "all written")
	}
	require.Greater(t, cases, 200)
}

// TestAMetaPageTornInsideItsSectorIsDamage: no disk does that in a power cut, so it is taken for damage, and not for the state
// before, which would take back what was reported as done.
func TestAMetaPageTornInsideItsSectorIsDamage(t *testing.T) {
	j, path := fresh(t, options())
	sell(t, j, 1, 5)
	old := read(t, path)
	_, err := j.Begin(draft(9))
	require.NoError(t, err)
	now := read(t, path)
	require.NoError(t, j.Close())
	meta := headerSize
	if bytes.Equal(old[:4096], now[:4096]) {
		meta += 4096
	}
	refused := 0
	for n := range metaSize {
		image := bytes.Clone(now)
		copy(image[meta+n:meta+metaSize], old[meta+n:])
		if bytes.Equal(image[meta:meta+metaSize], old[meta:meta+metaSize]) || bytes.Equal(image, now) {
			continue
		}
		write(t, path, image)
		_, err := Open(path, options())
		unchanged(t, path, image, err)
		refused++
	}
	require.Positive(t, refused)
}
