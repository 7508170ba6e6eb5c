package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowsToCopyHaveTheServersForm: the bytes are those of PostgreSQL's manual, "COPY", file format "Binary".
func TestRowsToCopyHaveTheServersForm(t *testing.T) {
	rows := newCopyRows(2, 16)
	rows.begin(3)
	rows.bytea([]byte{0xde, 0xad})
	rows.bigint(-2)
	rows.text("a\x00\xff")
	rows.begin(1)
	rows.bytea(nil)
	require.Equal(t, "PGCOPY\n\xff\r\n\x00"+"\x00\x00\x00\x00"+"\x00\x00\x00\x00"+
		"\x00\x03"+"\x00\x00\x00\x02\xde\xad"+"\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xfe"+"\x00\x00\x00\x07a\uFFFD\uFFFD"+
		"\x00\x01"+"\x00\x00\x00\x00"+
		"\xff\xff", string(rows.bytes()), "no bytes are not NULL, and text is what PostgreSQL can hold")
}
