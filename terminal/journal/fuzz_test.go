package journal

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

func FuzzStoredRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add(seal(nil))
	f.Add(seal([]byte{0x08, 0x01}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := ParseStored(raw); err == nil {
			require.NotNil(t, r)
			require.GreaterOrEqual(t, len(raw), 4)
		}
		// The body alone, so that the fuzzer need not find a CRC.
		_, _ = ParseStored(seal(raw))
	})
}

func FuzzStoredIntent(f *testing.F) {
	d := intent{phaseIntent, draft(1)}
	raw, err := d.bytes()
	require.NoError(f, err)
	f.Add(raw)
	f.Add(raw[4:])
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, raw := range [][]byte{raw, seal(raw)} {
			i, err := parseIntent(raw)
			if err != nil {
				continue
			}
			require.Contains(t, []phase{phaseIntent, phaseUnknown}, i.phase)
			again, err := i.bytes()
			if err != nil {
				continue // a string that is no UTF-8 cannot be coded
			}
			back, err := parseIntent(again)
			require.NoError(t, err)
			require.Equal(t, i.phase, back.phase)
		}
	})
}

func FuzzStoredMeta(f *testing.F) {
	f.Add(meta{terminal: "bus-1", epoch: 7, nextSeq: 3, nextTap: 4, firstSeq: 2, acked: 1}.bytes())
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := parseMeta(raw); err == nil {
			require.Equal(t, raw, m.bytes())
			require.Less(t, m.acked, m.nextSeq)
			require.LessOrEqual(t, m.firstSeq, m.nextSeq)
		}
	})
}

// patch changes a file: five bytes a patch, offset and what to put there. With mend the meta pages get good checksums, so that the
// patches are tried on what lies behind them.
func patch(raw, patches []byte, mend bool) {
	for ; len(patches) >= 5; patches = patches[5:] {
		raw[binary.BigEndian.Uint32(patches)%uint32(len(raw))] = patches[4]
	}
	for _, at := range []int{headerSize, 4096 + headerSize} {
		if mend {
			sum := fnv.New64a()
			sum.Write(raw[at : at+metaSize-8])
			order.PutUint64(raw[at+metaSize-8:], sum.Sum64())
		}
	}
}

// FuzzPages tries the check of a file's form alone: it ends, whatever the file says.
func FuzzPages(f *testing.F) {
	whole := worn(f, f.TempDir())
	f.Add([]byte{0, 0, 0, 32, 9, 0, 0, 0x10, 32, 9}, true, uint32(len(whole)))
	f.Add([]byte{0, 0, 0x40, 10, 0xFF, 0, 0, 0x40, 11, 0xFF}, false, uint32(len(whole)))
	f.Fuzz(func(t *testing.T, patches []byte, mend bool, size uint32) {
		raw := append([]byte(nil), whole...)
		patch(raw, patches, mend)
		raw = raw[:min(int(size), len(raw))]
		_ = checkPages(bytes.NewReader(raw), int64(len(raw)))
	})
}

// FuzzOpen opens a file that was changed and does with it what a terminal does: the program lives, and a file that is refused is
// not changed.
func FuzzOpen(f *testing.F) {
	whole := worn(f, f.TempDir())
	f.Add([]byte{0, 0, 0, 20, 1}, false, uint32(len(whole)))
	f.Add([]byte{0, 0, 0, 32, 9, 0, 0, 0x10, 32, 9}, true, uint32(len(whole)))
	f.Add([]byte{0, 0, 0, 48, 0xFF}, true, uint32(0x9000))
	f.Add([]byte{0, 0, 0x30, 10, 0xFF, 0, 0, 0x30, 11, 0xFF}, true, uint32(len(whole)))
	f.Fuzz(func(t *testing.T, patches []byte, mend bool, size uint32) {
		raw := append([]byte(nil), whole...)
		patch(raw, patches, mend)
		raw = raw[:min(int(size), len(raw))]
		path := filepath.Join(t.TempDir(), "journal.db")
		write(t, path, raw)
		j, err := Open(path, options())
		if err != nil {
			if len(raw) > 0 {
				require.True(t, string(raw) == string(read(t, path)), "a file that is refused must not be changed")
			}
			return
		}
		defer j.closeQuietly()
		_ = j.Verify()
		_, _ = contentOf(j)
		_, _ = j.RecoverBoot()
		if tap, err := j.Begin(draft(900)); err == nil {
			_ = j.Finish(tap, final(900, wire.State_STATE_COMPLETED))
		}
		_ = j.Ack(j.LastSeq())
		_, _ = j.Prune(1000)
		_ = j.Verify()
	})
}
