package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/purselane/purselane/backend/store"
)

const enginePostgres = "postgres"

// ErrTool says that PostgreSQL's own program for the work is not on this machine, or is too old for the server.
var ErrTool = errors.New("PostgreSQL's own program is missing or too old")

// dumpOut has pg_dump write the database to a file, and reads what the manifest says of it. Both see one snapshot, which a transaction of ours
// holds open: the manifest speaks of the moment that is in the file.
func dumpOut(ctx context.Context, at, to string) (m Manifest, err error) {
	db, err := sql.Open("pgx", at)
	if err != nil {
		return m, fmt.Errorf("open %s", store.Name(at)) // the driver's error may repeat the password
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return m, err
	}
	defer tx.Rollback() // it only reads
	var snapshot string
	if err := tx.QueryRowContext(ctx, `SELECT pg_export_snapshot(), current_setting('server_version_num')`).Scan(&snapshot, &m.Server); err != nil {
		return m, fmt.Errorf("take a snapshot: %w", err)
	}
	if err := facts(ctx, tx, &m); err != nil {
		return m, err
	}
	if err := runTool(ctx, at, "pg_dump", m.Server, "--format=custom", "--no-owner", "--no-privileges", "--no-password", "--lock-wait-timeout=60000", "--snapshot="+snapshot, "--file="+to); err != nil {
		return m, err
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return m, err
	}
	m.Bytes, m.SHA256, err = digest(to, io.Discard)
	return m, err
}

// CheckPostgres proves a backup of a PostgreSQL database: its bytes are those of the manifest, it restores, and its books are sound. It restores
// it into a database of its own on the server at that address, whose user must be allowed to make one, and drops that database again.
// Errors: those of [Check], [ErrTool].
func CheckPostgres(ctx context.Context, file, server string) (Manifest, error) {
	m, err := readManifest(file)
	if err == nil {
		err = checkScratch(ctx, file, server, m)
	}
	if err != nil {
		return m, fmt.Errorf("check %s: %w", file, err)
	}
	return m, nil
}

func checkScratch(ctx context.Context, file, server string, m Manifest) (err error) {
	if err := known(m, enginePostgres); err != nil {
		return err
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return fmt.Errorf("open %s", store.Name(server))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	name := "purselane_check_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, `CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
		return fmt.Errorf("make a database to check in: %w", err)
	}
	defer func() {
		if _, dropErr := db.ExecContext(context.WithoutCancel(ctx), `DROP DATABASE `+name); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("database %s is left over: drop it: %w", name, dropErr))
		}
	}()
	u, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("the address of %s cannot be read", store.Name(server))
	}
	u.Path = "/" + name
	return restoreInto(ctx, file, u.String(), m)
}

// RestorePostgres puts a backup into an empty PostgreSQL database, and proves it there. If it is not sound, or cannot be restored whole, the database is
// left empty. Errors: those of [Restore], [ErrTool].
func RestorePostgres(ctx context.Context, file, at string) (Manifest, error) {
	m, err := readManifest(file)
	if err == nil {
		err = restoreInto(ctx, file, at, m)
	}
	if err != nil {
		return m, fmt.Errorf("restore %s: %w", file, err)
	}
	return m, nil
}

// restoreInto fills an empty database and proves it.
func restoreInto(ctx context.Context, file, at string, m Manifest) (err error) {
	if err := known(m, enginePostgres); err != nil {
		return err
	}
	n, sum, err := digest(file, io.Discard)
	if err != nil {
		return err
	}
	if n != m.Bytes || sum != m.SHA256 {
		return fmt.Errorf("%w: %d bytes with SHA-256 %s, the manifest says %d with %s", ErrDamaged, n, sum, m.Bytes, m.SHA256)
	}
	db, err := sql.Open("pgx", at)
	if err != nil {
		return fmt.Errorf("open %s", store.Name(at))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var server string
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')`).Scan(&server); err != nil {
		return err
	}
	if major(server) < major(m.Server) {
		return fmt.Errorf("%w: it comes from a PostgreSQL %d, and %s is %d", ErrNewer, major(m.Server), store.Name(at), major(server))
	}
	have, err := tables(ctx, db)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fmt.Errorf("%w: %s is not empty (%s): make a new database", ErrExists, store.Name(at), have[0])
	}
	// One transaction: nobody sees a part of it, and nothing is left of what does not go in whole.
	if err := runTool(ctx, at, "pg_restore", m.Server, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password", "--dbname="+withoutPassword(at), file); err != nil {
		return err
	}
	err = same(ctx, db, m)
	if err == nil {
		err = sound(ctx, at)
	}
	if err != nil {
		return errors.Join(err, empty(context.WithoutCancel(ctx), db))
	}
	return nil
}

// tables lists the tables of a database, each with its schema, quoted.
func tables(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// empty takes away what was restored into a database that had nothing.
func empty(ctx context.Context, db *sql.DB) error {
	all, err := tables(ctx, db)
	if err != nil || len(all) == 0 {
		return err
	}
	_, err = db.ExecContext(ctx, `DROP TABLE `+strings.Join(all, ", ")+` CASCADE`)
	return err
}

// runTool runs one of PostgreSQL's programs against a database. A password goes by the environment: whoever is on the machine can read arguments.
func runTool(ctx context.Context, at, name, server string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%w: %s is not on the PATH: install PostgreSQL's client programs, version %d or newer", ErrTool, name, major(server))
	}
	said, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", name, err)
	}
	has := toolMajor(string(said))
	if has < major(server) {
		return fmt.Errorf("%w: %s says %q, and the server is a PostgreSQL %d: install its version or a newer one", ErrTool, path, strings.TrimSpace(string(said)), major(server))
	}
	if name == "pg_dump" {
		args = append(args, "--dbname="+withoutPassword(at))
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = os.Environ()
	if password := passwordOf(at); password != "" {
		cmd.Env = append(cmd.Env, "PGPASSWORD="+password)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, errors.Join(err, ctx.Err()), strings.TrimSpace(stderr.String()))
	}
	return nil
}

var versionOf = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// toolMajor reads "pg_dump (PostgreSQL) 15.18 (…)"; 0 for what cannot be read.
func toolMajor(said string) int {
	m := versionOf.FindStringSubmatch(said)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits, by the expression; too many of them are no version
	return n
}

// major is the first part of a server_version_num: 15 of 150018. 0 for what cannot be read.
func major(num string) int {
	n, _ := strconv.Atoi(num)
	return n / 10000
}

// libpq are the parameters of an address that PostgreSQL's programs know and that say which server is meant, and how it is spoken to.
var libpq = []string{"host", "hostaddr", "port", "dbname", "user", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "connect_timeout", "target_session_attrs", "options"}

// withoutPassword is an address as it may stand in an argument. What only our driver knows is left out: those programs refuse it.
func withoutPassword(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return store.Name(at)
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for key := range q {
		if !slices.Contains(libpq, key) {
			q.Del(key)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func passwordOf(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	if password, has := u.User.Password(); has {
		return password
	}
	return u.Query().Get("password")
}

// makePostgres is [Make] for a PostgreSQL database.
func makePostgres(ctx context.Context, at, temp string) (string, Manifest, error) {
	to := filepath.Join(temp, "copy.dump")
	m, err := dumpOut(ctx, at, to)
	m.Engine = enginePostgres
	return to, m, err
}
