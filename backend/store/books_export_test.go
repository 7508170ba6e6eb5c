package store

import "context"

// SQL changes the database past every rule, as somebody with SQL access could.
func (t *Tx) SQL(ctx context.Context, query string, args ...any) error {
	_, err := t.exec(ctx, query, query, args...)
	return err
}
