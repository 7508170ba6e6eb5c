package vpcdproto_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

func TestReadTellsTheEndFromACut(t *testing.T) {
	cases := []struct {
		name string
		raw  string
		err  error
	}{
		{"the end between messages", "", io.EOF},
		{"a cut in the length", "\x00", io.ErrUnexpectedEOF},
		{"a cut in the body", "\x00\x0a1234", io.ErrUnexpectedEOF},
		{"a body that never came", "\x00\x02", io.ErrUnexpectedEOF},
		{"an empty message", "\x00\x00", vpcdproto.ErrEmpty},
		{"a message", "\x00\x01\x04", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := vpcdproto.Read(bytes.NewReader([]byte(c.raw)))
			require.Equal(t, c.err == nil, err == nil)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestWriteRefusesWhatTheProtocolCannotCarry(t *testing.T) {
	require.ErrorIs(t, vpcdproto.Write(io.Discard, nil), vpcdproto.ErrEmpty)
	require.Error(t, vpcdproto.Write(io.Discard, make([]byte, 65536)))
	require.NoError(t, vpcdproto.Write(io.Discard, make([]byte, 65535)))
}

// FuzzRead: what is read is written back to the same bytes.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"\x00\x01\x04", "\x00\x02\x90\x00", "\x00\x00", "\x00", "\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := vpcdproto.Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var out bytes.Buffer
		require.NoError(t, vpcdproto.Write(&out, body))
		require.Equal(t, raw[:out.Len()], out.Bytes())
	})
}
