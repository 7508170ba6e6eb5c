package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// pgGroups is how many groups follow one second of pgbench.
const pgGroups = 5

// postgres is a server that the scheme and the floor share.
type postgres struct {
	url   string // of an empty database
	floor string // of one that `pgbench -i` has filled; the environment says where
}

// pgLine is PostGroup on PostgreSQL with one poster; its floor is pgbench's simple-update by one client on the same server.
func (p postgres) pgLine(ctx context.Context, _ string, cards int) (line, error) {
	if err := p.empty(ctx); err != nil {
		return line{}, err
	}
	s, err := newSchemeAt(ctx, p.url, cards)
	if err != nil {
		return line{}, err
	}
	if err := p.settle(ctx); err != nil {
		return line{}, err
	}
	l := line{records: size, own: averaged(s.posted(s.draw)), end: s.end, floor: func() (time.Duration, error) { return p.simpleUpdate(ctx, 1) }}
	err = p.meter(ctx, &l, []meterOf{{"own", &s.timed}})
	return l, err
}

// pipelineLine is a whole step of the intake on PostgreSQL; its floor is the bare set statement on the same server.
func (p postgres) pipelineLine(ctx context.Context, _ string, cards int) (line, error) {
	if err := p.empty(ctx); err != nil {
		return line{}, err
	}
	s, err := newSchemeAt(ctx, p.url, cards)
	if err != nil {
		return line{}, err
	}
	f, err := newBareSet(ctx, p.url, cards)
	if err != nil {
		return line{}, err
	}
	if err := p.settle(ctx); err != nil {
		return line{}, err
	}
	l := line{records: size, own: s.stepped, floor: func() (time.Duration, error) { return f.post(ctx) }, end: func() error { return errors.Join(s.end(), f.db.Close()) }}
	err = p.meter(ctx, &l, []meterOf{{"own", &s.timed}, {"floor", &f.timed}})
	return l, err
}

// sqliteLine is PostGroup on SQLite; its floor is the same on PostgreSQL.
func (p postgres) sqliteLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	if err := p.empty(ctx); err != nil {
		return line{}, err
	}
	f, err := newSchemeAt(ctx, p.url, cards)
	if err != nil {
		return line{}, err
	}
	if err := p.settle(ctx); err != nil {
		return line{}, err
	}
	l := line{records: size, own: s.posted(s.draw), floor: f.posted(f.draw), end: func() error { return errors.Join(s.end(), f.end()) }}
	err = p.meter(ctx, &l, []meterOf{{"own", &s.timed}, {"floor", &f.timed}})
	return l, err
}

// meterOf is a side of a line to be metered.
type meterOf struct {
	side string
	at   *timer
}

// meter has a line tell the CPU time of its sides.
func (p postgres) meter(ctx context.Context, l *line, sides []meterOf) error {
	meters := make([]*meter, len(sides))
	for i, side := range sides {
		m, err := newMeter(ctx, p.url)
		if err != nil {
			return err
		}
		meters[i], *side.at = m, m.timed
	}
	end := l.end
	l.end = func() error {
		err := end()
		for _, m := range meters {
			err = errors.Join(err, m.db.Close())
		}
		return err
	}
	l.spent = func() string {
		var out []string
		for i, m := range meters {
			out = append(out, sides[i].side+" "+m.String())
		}
		return strings.Join(out, ", ")
	}
	return nil
}

func averaged(group func() (time.Duration, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		var total time.Duration
		for range pgGroups {
			d, err := group()
			if err != nil {
				return 0, err
			}
			total += d
		}
		return total / pgGroups, nil
	}
}

// do runs a statement on the scheme's database.
func (p postgres) do(ctx context.Context, query string) error {
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, query)
	return errors.Join(err, db.Close())
}

// settle lets the planner know the tables, as the server does by itself in a minute.
func (p postgres) settle(ctx context.Context) error { return p.do(ctx, `VACUUM ANALYZE`) }

func (p postgres) empty(ctx context.Context) error {
	return p.do(ctx, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// simpleUpdate runs pgbench for a second and returns the time of as many transactions as a group has records.
func (p postgres) simpleUpdate(ctx context.Context, clients int) (time.Duration, error) {
	n := strconv.Itoa(clients)
	out, err := exec.CommandContext(ctx, "pgbench", "-n", "-b", "simple-update", "-c", n, "-j", n, "-T", "1", p.floor).CombinedOutput()
	found := tps.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w: %s", errors.Join(err, errors.New("no rate in what it printed")), out)
	}
	rate, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil || rate <= 0 {
		return 0, fmt.Errorf("pgbench: rate %q", found[1])
	}
	return time.Duration(size / rate * float64(time.Second)), nil
}
