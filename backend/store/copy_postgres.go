package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5/stdlib"
)

// copyRows are new rows of a table in PostgreSQL's binary COPY format. Of many rows with many columns a server reads them for less than the arrays of an INSERT, and it writes them to
// its log a page at a time.
type copyRows struct{ raw []byte }

// newCopyRows has room for rows of some bytes each.
func newCopyRows(rows, bytesEach int) *copyRows {
	c := &copyRows{make([]byte, 0, rows*bytesEach+64)}
	c.raw = append(c.raw, "PGCOPY\n\xff\r\n\x00"...)
	c.raw = append(c.raw, 0, 0, 0, 0, 0, 0, 0, 0) // no flags, no extension
	return c
}

// begin begins a row. Its columns follow in their order.
func (c *copyRows) begin(columns int) { c.raw = binary.BigEndian.AppendUint16(c.raw, uint16(columns)) }

func (c *copyRows) bigint(values ...int64) {
	for _, v := range values {
		c.raw = append(c.raw, 0, 0, 0, 8)
		c.raw = binary.BigEndian.AppendUint64(c.raw, uint64(v))
	}
}

func (c *copyRows) bytea(v []byte) {
	c.raw = binary.BigEndian.AppendUint32(c.raw, uint32(len(v)))
	c.raw = append(c.raw, v...)
}

func (c *copyRows) text(v string) {
	v = storable(v)
	c.raw = binary.BigEndian.AppendUint32(c.raw, uint32(len(v)))
	c.raw = append(c.raw, v...)
}

// bytes are the rows with their end.
func (c *copyRows) bytes() []byte { return binary.BigEndian.AppendUint16(c.raw, 0xffff) }

// copyIn writes rows: "COPY table (columns) FROM STDIN BINARY". One that is there already fails as in an INSERT.
func (t *Tx) copyIn(ctx context.Context, what, query string, rows *copyRows) error {
	raw := rows.bytes()
	err := t.conn.Raw(func(c any) error {
		pg, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the connection is not of the PostgreSQL driver")
		}
		_, err := pg.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(raw), query)
		return err
	})
	if err != nil {
		return t.failed(what, err)
	}
	return nil
}
