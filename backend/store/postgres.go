package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// What a connection asks of the server unless the URL says otherwise.
const (
	applicationName = "purselane"
	idleSetting     = "idle_in_transaction_session_timeout"
	// A process that hangs or lost its network in a transaction must not hold the others up for ever.
	idleInTransaction = "300000" // ms
)

// idlePoster is idleInTransaction for a poster's transaction. It asks nothing but the database, and one that hangs holds lanes that others wait to take.
const idlePoster = "30000" // ms

// postgresReaders is how many snapshots are read at once.
const postgresReaders = 8

// openPostgres opens a database of a PostgreSQL server.
func openPostgres(ctx context.Context, at string, opt Options) (*Store, error) {
	cfg, err := pgx.ParseConfig(at)
	if err != nil {
		// The driver's error repeats the URL, and its password with it where it cannot tell it from the rest.
		return nil, errors.New("open store: the PostgreSQL URL cannot be read: want postgres://USER@HOST:PORT/DATABASE, with special characters percent-encoded")
	}
	setDefault(cfg.RuntimeParams, "application_name", applicationName)
	if opt.NoSync {
		cfg.RuntimeParams["synchronous_commit"] = "off"
	}
	forPosters := cfg.Copy()
	setDefault(forPosters.RuntimeParams, idleSetting, idlePoster)
	setDefault(cfg.RuntimeParams, idleSetting, idleInTransaction)
	writer, reader, posters := stdlib.OpenDB(*cfg), stdlib.OpenDB(*cfg), stdlib.OpenDB(*forPosters)
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(postgresReaders)
	posters.SetMaxOpenConns(Lanes) // there are never more posters
	posters.SetMaxIdleConns(Lanes)
	s := &Store{dialect: postgres, writer: writer, reader: reader, posters: posters, opt: opt}
	if err := s.checkDurable(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store %s: %w", Name(at), err)
	}
	return s, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}

// checkDurable refuses a server that would acknowledge a commit before it is on disk. An engine that does not know these settings has no
// such mode.
func (s *Store) checkDurable(ctx context.Context) error {
	if err := s.writer.PingContext(ctx); err != nil {
		return err
	}
	if s.opt.NoSync {
		return nil
	}
	for _, name := range []string{"synchronous_commit", "fsync"} {
		var value sql.NullString
		if err := s.writer.QueryRowContext(ctx, `SELECT current_setting($1, true)`, name).Scan(&value); err != nil {
			return fmt.Errorf("read setting %s: %w", name, err)
		}
		if value.String == "off" {
			return fmt.Errorf("the server runs with %s off: a power cut would lose records whose receipt has left; turn it on", name)
		}
	}
	return nil
}

// postgresName is how a database is called in errors and logs: who, where and which, and no password.
func postgresName(at string) string {
	cfg, err := pgx.ParseConfig(at)
	if err != nil {
		return "postgres"
	}
	return "postgres://" + cfg.User + "@" + net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))) + "/" + cfg.Database
}
