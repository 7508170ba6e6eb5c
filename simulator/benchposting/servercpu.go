package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// meter times groups like timed, and adds up the CPU time that they take of this process and of a PostgreSQL server on the same machine, all its processes together. On a machine
// that others use too it says more than the clock.
type meter struct {
	ctx    context.Context
	db     *sql.DB
	groups int
	here   time.Duration
	there  time.Duration
}

func newMeter(ctx context.Context, url string) (*meter, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &meter{ctx: ctx, db: db}, nil
}

// timed runs f for one group and says how long it took.
func (m *meter) timed(f func() error) (time.Duration, error) {
	there, err := m.server()
	if err != nil {
		return 0, err
	}
	here, err := cpu()
	if err != nil {
		return 0, err
	}
	took, err := timed(f)
	if err != nil {
		return 0, err
	}
	hereAfter, err := cpu()
	if err != nil {
		return 0, err
	}
	thereAfter, err := m.server()
	if err != nil {
		return 0, err
	}
	m.groups++
	m.here += hereAfter - here
	for pid, spent := range thereAfter {
		m.there += spent - there[pid] // all of one that has come since
	}
	return took, nil
}

// server is the CPU time of each process of the server but that which is asked.
func (m *meter) server() (map[int]time.Duration, error) {
	rows, err := m.db.QueryContext(m.ctx, `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`)
	if err != nil {
		return nil, fmt.Errorf("processes of the server: %w", err)
	}
	defer rows.Close()
	out := map[int]time.Duration{}
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			return nil, err
		}
		spent, err := cpuOf(pid)
		if errors.Is(err, os.ErrNotExist) { // it has ended
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("CPU time of the server's process %d: %w", pid, err)
		}
		out[pid] = spent
	}
	return out, rows.Err()
}

// cpuOf is the CPU time of a process so far.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, err
	}
	spent, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(spent, 10, 64)
	return time.Duration(n), err
}

// String is what a record took.
func (m *meter) String() string {
	if m.groups == 0 {
		return "nothing measured"
	}
	of := float64(m.groups) * size * float64(time.Microsecond)
	return fmt.Sprintf("%.1f µs here and %.1f µs at the server", float64(m.here)/of, float64(m.there)/of)
}
