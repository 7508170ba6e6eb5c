//go:build postgres

package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// server is a PostgreSQL server of this test binary's own.
type server struct {
	port     int
	password string
	alive    io.Closer // the watcher ends the server when this end of its pipe is gone: with this process at the latest
}

// watch runs the server and ends it, and removes its folder, when its input ends: when the test binary is gone, however it went.
const watch = `"$1/postgres" -D "$2/data" >"$2/log" 2>&1 & pid=$!; read -r _; kill -INT $pid; wait $pid; rm -rf "$2"`

// start makes a cluster and runs its server. PostgreSQL does not run as root: then it is run as the user postgres.
func start() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	as, err := runAs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "purselane-pg-")
	if err != nil {
		return nil, err
	}
	s := &server{password: rand.Text()}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password), 0o600); err != nil {
		return nil, err
	}
	if as != nil {
		for _, p := range []string{dir, passwordFile} {
			if err := os.Chown(p, int(as.Uid), int(as.Gid)); err != nil {
				return nil, err
			}
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "purselane", "-A", "scram-sha-256", "--pwfile", passwordFile,
		"-E", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, out), os.RemoveAll(dir))
	}
	conf, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conf, "listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nmax_connections = 200\nshared_buffers = 32MB\nautovacuum = off\nfsync = off\nfull_page_writes = off\nmax_wal_size = 256MB\n", s.port)
	if err := errors.Join(err, conf.Close()); err != nil {
		return nil, err
	}
	run := exec.Command("/bin/sh", "-c", watch, "sh", bin, dir)
	run.Dir, run.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if s.alive, err = run.StdinPipe(); err != nil {
		return nil, err
	}
	if err := run.Start(); err != nil {
		return nil, err
	}
	if err := s.ready(dir); err != nil {
		return nil, errors.Join(err, s.alive.Close(), run.Wait())
	}
	return s, nil
}

// binaries finds the newest PostgreSQL server on this machine.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		if at, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(at), nil
		}
		return "", errors.New("no PostgreSQL server: want /usr/lib/postgresql/VERSION/bin/initdb, or initdb on the PATH; scripts/setup.sh pg installs it")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // another name counts as the oldest
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// runAs is the user that the server runs as, nil for this one.
func runAs() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("the server does not run as root, and there is no user postgres to run it as: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// ready waits until the server answers.
func (s *server) ready(dir string) error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log")) // what there is of it
			return fmt.Errorf("the server did not come up: %w\n%s", err, log)
		}
	}
}
