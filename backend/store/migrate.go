package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql migrations/postgres/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Each migration is one transaction with its number, so that of two processes that start at once
// one does it, and the other, whose transaction fails on what is there already, looks again.
func (s *Store) migrate(ctx context.Context) error {
	p, err := s.migrator()
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	version := int64(-1)
	for run := 1; ; run++ {
		_, err := p.Up(ctx)
		if err == nil {
			return nil
		}
		now, lookErr := p.GetDBVersion(ctx)
		switch {
		case lookErr == nil && now > version:
			version, run = now, 1 // it got on, by us or by another
		case !otherMigrates(err) || run == maxRuns:
			return fmt.Errorf("bring the schema up to date: %w", err)
		}
		if err := s.opt.Wait(ctx, pause(run, s.opt.Chance())); err != nil {
			return err
		}
	}
}

func (s *Store) migrator() (*goose.Provider, error) {
	if s.dialect == postgres {
		dir, err := fs.Sub(migrations, "migrations/postgres")
		if err != nil {
			return nil, err
		}
		return goose.NewProvider(goose.DialectCustom, s.writer, dir, goose.WithStore(versions{}))
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, s.writer, dir)
}

// otherMigrates reports whether a migration's error may come from another process that does the same, and has not got on yet: a collision, a row or an object
// that is there already, one that is gone already.
func otherMigrates(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case serializationFailure, deadlockDetected,
		uniqueViolation, // of the version or of the catalogue
		"42P07",         // duplicate_table, or index
		"42701",         // duplicate_column
		"42710",         // duplicate_object
		"42P01",         // undefined_table
		"42703",         // undefined_column
		"XX000":         // "tuple concurrently updated" has no code of its own
		return true
	}
	return false
}

// versions is the table of the migrations done, as goose wants it. Goose's own one numbers its rows by a sequence, which not every engine
// has, and takes one number twice.
type versions struct{}

const versionTable = "goose_db_version"

func (versions) Tablename() string { return versionTable }

func (versions) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var there bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1)`, versionTable).Scan(&there)
	return there, err
}

func (versions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE `+versionTable+` (version_id BIGINT PRIMARY KEY)`)
	return err
}

func (versions) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	_, err := db.ExecContext(ctx, `INSERT INTO `+versionTable+` (version_id) VALUES ($1)`, r.Version)
	return err
}

func (versions) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	_, err := db.ExecContext(ctx, `DELETE FROM `+versionTable+` WHERE version_id = $1`, version)
	return err
}

func (versions) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	var n int64
	err := db.QueryRowContext(ctx, `SELECT version_id FROM `+versionTable+` WHERE version_id = $1`, version).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("migration %d: %w", version, database.ErrVersionNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &database.GetMigrationResult{Timestamp: time.Time{}, IsApplied: true}, nil
}

func (versions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var n sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT MAX(version_id) FROM `+versionTable).Scan(&n); err != nil {
		return 0, err
	}
	if !n.Valid {
		return 0, fmt.Errorf("no migration: %w", database.ErrVersionNotFound)
	}
	return n.Int64, nil
}

func (versions) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, `SELECT version_id FROM `+versionTable+` ORDER BY version_id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*database.ListMigrationsResult
	for rows.Next() {
		r := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&r.Version); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
