package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/store" // brings the drivers too
)

const engineSQLite = "sqlite"

// Make copies the database at path, or at a postgres:// address, to a new file out, and writes the manifest beside it. Others may write to
// the database meanwhile; the copy is the state of one moment after Make was called. When it returns without an error both files are on the disk.
// Errors of PostgreSQL's tools are [ErrTool].
func Make(ctx context.Context, path, out string, now time.Time) (Manifest, error) {
	if !store.IsPostgres(path) {
		if _, err := os.Stat(path); err != nil {
			return Manifest{}, fmt.Errorf("backup: %w", err)
		}
	}
	for _, name := range []string{out, ManifestPath(out)} {
		if err := absent(name); err != nil {
			return Manifest{}, fmt.Errorf("backup: %w; it was not touched", err)
		}
	}
	temp, err := os.MkdirTemp(filepath.Dir(out), ".backup-*") // nobody else may read it before it is whole, and on the same disk
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	defer os.RemoveAll(temp)
	engine := makeSQLite
	if store.IsPostgres(path) {
		engine = makePostgres
	}
	whole, m, err := engine(ctx, path, temp)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	m.Format, m.MadeAt, m.File = Format, now.UTC().Truncate(time.Second), filepath.Base(out)
	if err := place(whole, out); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	raw, err := m.encode()
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	side := filepath.Join(temp, "manifest")
	if err := os.WriteFile(side, raw, 0o600); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	if err := place(side, ManifestPath(out)); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

func makeSQLite(ctx context.Context, path, temp string) (string, Manifest, error) {
	to := filepath.Join(temp, "copy.db")
	m, err := copyOut(ctx, path, to)
	m.Engine = engineSQLite
	return to, m, err
}

// copyOut writes the copy and reads what the manifest says of it from the copy itself.
func copyOut(ctx context.Context, path, to string) (Manifest, error) {
	// One read transaction: it sees one moment, and the writer, which has its own log, does not wait for it.
	err := withDatabase(path, "mode=rw&_pragma=busy_timeout(10000)", func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, `VACUUM INTO ?`, to)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("copy the database: %w", err)
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if m.Bytes, m.SHA256, err = digest(to, io.Discard); err != nil {
		return Manifest{}, err
	}
	err = withDatabase(to, frozen, func(db *sql.DB) error { return facts(ctx, db, &m) })
	return m, err
}

// frozen opens a file that nobody writes, without a log beside it: not a byte of it changes.
const frozen = "mode=ro&immutable=1"

func withDatabase(path, how string, do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+how)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(do(db), db.Close())
}

// reader is a database, or a transaction of one.
type reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// facts reads schema and newest posting group.
func facts(ctx context.Context, db reader, m *Manifest) error {
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&m.Schema); err != nil {
		return fmt.Errorf("read the schema's number: %w", err)
	}
	err := db.QueryRowContext(ctx, `SELECT number, hash FROM posting_group ORDER BY number DESC LIMIT 1`).Scan(&m.LastGroup, &m.LastGroupHash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil // nothing is posted yet
	}
	if err != nil {
		return fmt.Errorf("read the newest posting group: %w", err)
	}
	return nil
}

// digest reads a file to its end, writing it to another on the way.
func digest(path string, to io.Writer) (n int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close() // it was only read
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(h, to), f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}
