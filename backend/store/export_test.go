package store

import "context"

// Pragma reads a setting of the connection.
func (t *Tx) Pragma(ctx context.Context, name string) (string, error) {
	var v string
	_, err := t.one(ctx, "pragma "+name, `PRAGMA `+name, nil, &v)
	return v, err
}
