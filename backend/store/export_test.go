package store

import "context"

// Setting reads a setting of the connection, by the engine's own words.
func (t *Tx) Setting(ctx context.Context, query string) (string, error) {
	var v string
	_, err := t.one(ctx, query, query, nil, &v)
	return v, err
}
