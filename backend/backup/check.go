package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/purselane/purselane/backend/store"
)

// Check proves a backup of an SQLite database: its bytes are those of the manifest, the database is whole, and its books are sound. It works on a copy
// beside the file, which needs as much room again, because opening a database may write to it.
func Check(ctx context.Context, file string) (Manifest, error) {
	m, err := check(ctx, file, filepath.Dir(file))
	if err != nil {
		return m, fmt.Errorf("check %s: %w", file, err)
	}
	return m, nil
}

func check(ctx context.Context, file, room string) (Manifest, error) {
	m, err := readManifest(file)
	if err != nil {
		return m, err
	}
	if err := known(m, engineSQLite); err != nil {
		return m, err
	}
	temp, err := os.MkdirTemp(room, ".check-*")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(temp)
	path := filepath.Join(temp, "copy.db")
	if err := copyChecked(file, path, m); err != nil {
		return m, err
	}
	if err := withDatabase(path, frozen, func(db *sql.DB) error { return whole(ctx, db, m) }); err != nil {
		return m, err
	}
	return m, sound(ctx, path)
}

// known refuses a backup of another engine, and one whose schema this program does not know.
func known(m Manifest, engine string) error {
	if m.Engine != engine {
		return fmt.Errorf("%w: it is of engine %q, want %q", ErrEngine, m.Engine, engine)
	}
	newest, err := store.NewestSchema()
	if err != nil {
		return err
	}
	if m.Schema > newest {
		return fmt.Errorf("%w: its schema is %d, this program knows %d", ErrNewer, m.Schema, newest)
	}
	return nil
}

// copyChecked copies a backup to a new file and compares its bytes with the manifest.
func copyChecked(file, to string, m Manifest) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, sum, err := digest(file, out)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if n != m.Bytes || sum != m.SHA256 {
		return fmt.Errorf("%w: %d bytes with SHA-256 %s, the manifest says %d with %s", ErrDamaged, n, sum, m.Bytes, m.SHA256)
	}
	return nil
}

// whole has SQLite look at every page, and compares the content with the manifest.
func whole(ctx context.Context, db *sql.DB, m Manifest) error {
	var said string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&said); err != nil {
		return fmt.Errorf("%w: integrity_check: %w", ErrDamaged, err)
	}
	if said != "ok" {
		return fmt.Errorf("%w: integrity_check: %s", ErrDamaged, said)
	}
	return same(ctx, db, m)
}

// same compares what the manifest says of the content with the content.
func same(ctx context.Context, db *sql.DB, m Manifest) error {
	has := m
	has.LastGroup, has.LastGroupHash = 0, ""
	if err := facts(ctx, db, &has); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if has != m {
		return fmt.Errorf("%w: schema %d and posting group %d (%s), the manifest says %d and %d (%s)", ErrDamaged,
			has.Schema, has.LastGroup, has.LastGroupHash, m.Schema, m.LastGroup, m.LastGroupHash)
	}
	return nil
}

// sound proves the books of a database that may be written to. An older schema is brought up to date on the way, as serving it would.
func sound(ctx context.Context, path string) error {
	s, err := store.Open(ctx, path, store.Options{NoSync: true})
	if err != nil {
		return err
	}
	var faults []string
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		faults, err = tx.VerifyBooks(ctx)
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %d faults, the first: %s", ErrUnsound, len(faults), faults[0])
	}
	return nil
}
