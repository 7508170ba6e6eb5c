package tlv_test

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/tlv"
)

func unhex(t require.TestingT, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

func TestDecodeAndEncode(t *testing.T) {
	cases := []struct {
		name, raw string
		want      []tlv.Object
	}{
		{"nothing", "", nil},
		{"empty value", "84 00", []tlv.Object{{Tag: 0x84, Value: []byte{}}}},
		{"two objects", "84 01 A0 88 01 01", []tlv.Object{{Tag: 0x84, Value: []byte{0xA0}}, {Tag: 0x88, Value: []byte{1}}}},
		{"two-byte tag", "9F0C 02 0102", []tlv.Object{{Tag: 0x9F0C, Value: []byte{1, 2}}}},
		{"three-byte tag", "9F8101 01 07", []tlv.Object{{Tag: 0x9F8101, Value: []byte{7}}}},
		{"two-byte template", "BF0C 03 4F01A0", []tlv.Object{{Tag: 0xBF0C, Children: []tlv.Object{{Tag: 0x4F, Value: []byte{0xA0}}}}}},
		{"empty template", "A5 00", []tlv.Object{{Tag: 0xA5}}},
		{"127 bytes", "84 7F " + strings.Repeat("AA", 127), []tlv.Object{{Tag: 0x84, Value: bytes.Repeat([]byte{0xAA}, 127)}}},
		{"128 bytes", "84 8180 " + strings.Repeat("AA", 128), []tlv.Object{{Tag: 0x84, Value: bytes.Repeat([]byte{0xAA}, 128)}}},
		{"255 bytes", "84 81FF " + strings.Repeat("AA", 255), []tlv.Object{{Tag: 0x84, Value: bytes.Repeat([]byte{0xAA}, 255)}}},
		{"256 bytes", "84 820100 " + strings.Repeat("AA", 256), []tlv.Object{{Tag: 0x84, Value: bytes.Repeat([]byte{0xAA}, 256)}}},
		{"65535 bytes", "84 82FFFF " + strings.Repeat("AA", 65535), []tlv.Object{{Tag: 0x84, Value: bytes.Repeat([]byte{0xAA}, 65535)}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := tlv.Decode(unhex(t, c.raw))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			raw, err := tlv.Encode(got)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(unhex(t, c.raw)), hex.EncodeToString(raw))
		})
	}
}

func TestWhatIsMalformed(t *testing.T) {
	cases := []struct{ name, raw, says string }{
		{"tag alone", "84", "no length"},
		{"tag is cut", "9F", "tag is cut"},
		{"long tag is cut", "9F81", "tag is cut"},
		{"four-byte tag", "9F818101 00", "longer than three bytes"},
		{"tag with a leading zero", "9F8001 00", "leading zero"},
		{"padding before", "00 8400", "tag byte 00"},
		{"padding after", "8400 FF", "tag byte FF"},
		{"value is cut", "84 02 A0", "length 2, 1 bytes left"},
		{"value announced and not there", "84 82FFFF", "length 65535, 0 bytes left"},
		{"length is cut", "84 81", "length byte 81"},
		{"longer length is cut", "84 8201", "length byte 82"},
		{"indefinite length", "6F 80 8400 0000", "length byte 80"},
		{"three length bytes", "84 83000001 AA", "length byte 83"},
		{"four length bytes of 2^32-1", "84 84FFFFFFFF", "length byte 84"},
		{"length FF", "84 FF", "length byte FF"},
		{"5 in two bytes", "84 8105 0102030405", "longer than needed"},
		{"128 in three bytes", "84 820080 " + strings.Repeat("AA", 128), "longer than needed"},
		{"child longer than its template", "6F 03 8402A0 A1", "tag 6F: tag 84"},
		{"child is cut", "6F 01 84", "tag 6F"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := tlv.Decode(unhex(t, c.raw))
			require.ErrorIs(t, err, tlv.ErrMalformed)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// nested is a template in a template and so on, n deep, empty at the bottom.
func nested(n int) ([]byte, []tlv.Object) {
	var raw []byte
	var objects []tlv.Object
	for range n {
		raw = append([]byte{0x6F, byte(len(raw))}, raw...)
		objects = []tlv.Object{{Tag: 0x6F, Children: objects}}
	}
	return raw, objects
}

func TestTemplatesAreBounded(t *testing.T) {
	raw, objects := nested(8)
	got, err := tlv.Decode(raw)
	require.NoError(t, err)
	require.Equal(t, objects, got)

	raw, objects = nested(9)
	_, err = tlv.Decode(raw)
	require.ErrorIs(t, err, tlv.ErrMalformed)
	_, err = tlv.Encode(objects)
	require.Error(t, err, "what cannot be read back is not written")
	raw, _ = nested(60)
	_, err = tlv.Decode(raw)
	require.ErrorIs(t, err, tlv.ErrMalformed)
}

func TestWhatCannotBeReadBackIsNotWritten(t *testing.T) {
	cases := []struct {
		name string
		o    tlv.Object
	}{
		{"tag 0", tlv.Object{}},
		{"tag FF", tlv.Object{Tag: 0xFF}},
		{"half a long tag", tlv.Object{Tag: 0x9F}},
		{"two tags in one", tlv.Object{Tag: 0x8401}},
		{"a long tag and more", tlv.Object{Tag: 0x9F0C01}},
		{"a long tag with a leading zero", tlv.Object{Tag: 0x9F8001}},
		{"four bytes", tlv.Object{Tag: 0x9F818101}},
		{"65536 bytes", tlv.Object{Tag: 0x84, Value: make([]byte, 65536)}},
		{"a template with a value", tlv.Object{Tag: 0x6F, Value: []byte{1}}},
		{"a primitive with children", tlv.Object{Tag: 0x84, Children: []tlv.Object{{Tag: 0x84}}}},
		{"in a template", tlv.Object{Tag: 0x6F, Children: []tlv.Object{{Tag: 0}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := tlv.Encode([]tlv.Object{c.o})
			require.Error(t, err)
		})
	}
}

func TestFind(t *testing.T) {
	objects, err := tlv.Decode(unhex(t, "6F 0E 84 01 A0 A5 07 88 01 01 9F0C 01 AA A5 00 84 01 B0"))
	require.NoError(t, err)
	cases := []struct {
		name string
		path []tlv.Tag
		want string
		ok   bool
	}{
		{"top", []tlv.Tag{0x84}, "b0", true},
		{"in a template", []tlv.Tag{0x6F, 0x84}, "a0", true},
		{"deeper", []tlv.Tag{0x6F, 0xA5, 0x9F0C}, "aa", true},
		{"not there", []tlv.Tag{0x6F, 0x50}, "", false},
		{"the template is not there", []tlv.Tag{0x70, 0x84}, "", false},
		{"through a primitive", []tlv.Tag{0x84, 0x84}, "", false},
		{"a template is no value", []tlv.Tag{0x6F, 0xA5}, "", false},
		{"no path", nil, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := tlv.Find(objects, c.path...)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.want, hex.EncodeToString(got))
		})
	}
}

func TestConstructed(t *testing.T) {
	for tag, want := range map[tlv.Tag]bool{0x6F: true, 0xA5: true, 0xBF0C: true, 0x61: true, 0x84: false, 0x9F0C: false, 0x5F20: false, 0x7F8101: true} {
		require.Equal(t, want, tag.Constructed(), "%X", uint32(tag))
	}
}

// objects draws lists of valid objects, at most depth deep.
func objects(depth int) *rapid.Generator[[]tlv.Object] {
	primitive := rapid.SampledFrom([]tlv.Tag{0x01, 0x50, 0x84, 0x88, 0xDF01, 0x9F08, 0x9F0C, 0x9F8101, 0xDF7F})
	template := rapid.SampledFrom([]tlv.Tag{0x61, 0x6F, 0xA5, 0xBF0C, 0x7F8101})
	size := rapid.SampledFrom([]int{0, 1, 2, 126, 127, 128, 255, 256, 300})
	one := rapid.Custom(func(t *rapid.T) tlv.Object {
		if depth > 0 && rapid.Bool().Draw(t, "template") {
			return tlv.Object{Tag: template.Draw(t, "tag"), Children: objects(depth-1).Draw(t, "children")}
		}
		return tlv.Object{Tag: primitive.Draw(t, "tag"), Value: bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, size.Draw(t, "size"))}
	})
	return rapid.Custom(func(t *rapid.T) []tlv.Object {
		if all := rapid.SliceOfN(one, 0, 3).Draw(t, "objects"); len(all) > 0 {
			return all
		}
		return nil
	})
}

func TestObjectsSurviveTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := objects(4).Draw(t, "objects")
		raw, err := tlv.Encode(all)
		require.NoError(t, err)
		got, err := tlv.Decode(raw)
		require.NoError(t, err)
		require.Equal(t, all, got)
		// A cut anywhere is found, or leaves whole objects.
		cut := rapid.IntRange(0, len(raw)).Draw(t, "cut")
		if part, err := tlv.Decode(raw[:cut]); err == nil {
			again, err := tlv.Encode(part)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(raw[:cut]), hex.EncodeToString(again))
		}
	})
}

// TestNothingIsAllocatedByAnAnnouncedLength decodes lengths of 65535 with nothing behind them.
func TestNothingIsAllocatedByAnAnnouncedLength(t *testing.T) {
	raw := unhex(t, "84 82FFFF")
	const runs = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		_, err := tlv.Decode(raw)
		if err == nil {
			t.Fatal("decoded")
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(4096), "bytes a run")
}

// FuzzDecode: nothing panics, and what decodes codes back to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"6F318408A000000632010105A5259F0801029F0C1E01011000FFFFFFFF02010310517007010479138120190718204012310000",
		"6F15840E315041592E5359532E4444463031A503880101", "84820080", "9F8101017F", "6F80", "8400", "9F",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := tlv.Decode(raw)
		if err != nil {
			require.ErrorIs(t, err, tlv.ErrMalformed)
			return
		}
		again, err := tlv.Encode(got)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(raw), hex.EncodeToString(again))
		tlv.Find(got, 0x6F, 0x84)
	})
}
