// Command benchposting measures how fast the backend posts records, against the least that any posting must do, written by hand for the same engine: for each
// record one insert that skips duplicates and one update of its card, for each group one of its merchant, and one durable commit.
//
// Start with [bench]. Own and floor take turns, group by group, so that other work of the machine hits them alike; each figure is the middle of many groups.
// The last lines are for programs; ratio is how many times the floor's speed:
//
//	BENCH posting-bare ratio=0.62 own=21000/s floor=34000/s
//
// posting-bare is PostGroup in groups of 1,000. posting-pipeline is a whole step of the intake: read accepted records, decode, verify, post. The floor of both is
// the bare statements. posting-accept is keeping a batch, its floor is posting it; posting-duplicates is keeping again what is posted, its floor is accepting and posting
// it the first time; posting-hot is groups that all pay one merchant, its floor is groups over many; posting-growth is cards that have 2,000 taps behind them, its
// floor is cards that have 10, in the same store. posting-rows is PostGroup with as many posted taps in the tables as -rows says last, its floor is with as many as it says first; it prints the rate at
// each size. posting-flags is a step of the intake with the watch's look at what it posted, its floor is the step alone; both are CPU time, so that 0.87 is 1.15 times as much.
//
// posting-journal-first is groups posted journal-first, each with its share of writing the journal out; its floor is groups posted strictly, in a store of their own.
// posting-journal-burst is the same while nothing is written out.
//
// With a PostgreSQL server (scripts/bench-posting.sh makes one) there are five more. posting-pg-1 is PostGroup on it, its floor is pgbench's simple-update by one client;
// posting-sqlite is PostGroup on SQLite, its floor is PostGroup on PostgreSQL; posting-pg-pipeline is a whole step of the intake on PostgreSQL, its floor is the least
// that posting must do there: one statement a group, written by hand. posting-pg-2 is two posters side by side, its floor is one with as many groups; posting-pg-hot is four whose
// groups all pay one merchant, its floor is four whose groups pay many. The first three print the CPU time of a record as well, of this process and of the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

func main() {
	limit := flag.Duration("limit", 5*time.Second, "time to measure each line")
	cards := flag.Int("cards", 20_000, "cards that tap at random")
	only := flag.String("only", "", "measure these lines alone, by name with commas between")
	profile := flag.String("cpuprofile", "", "file to write a CPU profile to")
	rows := flag.String("rows", "50000,200000", "posted taps at which posting-rows measures, with commas between")
	var pg postgres
	flag.StringVar(&pg.url, "pg", "", "URL of an empty PostgreSQL database: its lines are measured too")
	flag.StringVar(&pg.floor, "pgbench", "", "name of a database that pgbench has filled, on the same server")
	flag.Parse()
	if err := profiled(*profile, func() error { return bench(context.Background(), *limit, *cards, *rows, *only, pg) }); err != nil {
		fmt.Fprintln(os.Stderr, "benchposting:", err)
		os.Exit(1)
	}
}

// profiled runs f, and writes a CPU profile of it to a file if one is named.
func profiled(file string, f func() error) (err error) {
	if file == "" {
		return f()
	}
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(to); err != nil {
		return errors.Join(err, to.Close())
	}
	defer func() {
		pprof.StopCPUProfile()
		err = errors.Join(err, to.Close())
	}()
	return f()
}

// lineMaker makes a line by its name; dir is a folder for its databases.
type lineMaker struct {
	name string
	make func(ctx context.Context, dir string, cards int) (line, error)
}

func bench(ctx context.Context, limit time.Duration, cards int, rows, only string, pg postgres) error {
	sizes, err := sizesOf(rows)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(".", "benchposting-") // not under /tmp, which may be no disk
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a folder of our own
	all := []lineMaker{{"posting-bare", bareLine}, {"posting-pipeline", pipelineLine}, {"posting-accept", acceptLine}, {"posting-duplicates", duplicatesLine},
		{"posting-hot", hotLine}, {"posting-growth", growthLine}, {"posting-rows", rowsLine(sizes)}, {"posting-flags", flagsLine}, {"posting-journal-first", journalFirstLine}, {"posting-journal-burst", burstLine}}
	if pg.url != "" {
		all = append(all, lineMaker{"posting-pg-1", pg.pgLine}, lineMaker{"posting-sqlite", pg.sqliteLine}, lineMaker{"posting-pg-pipeline", pg.pipelineLine},
			lineMaker{"posting-pg-2", pg.postersLine}, lineMaker{"posting-pg-hot", pg.hotLine})
	}
	lines, err := chosen(all, only)
	if err != nil {
		return err
	}
	var results []result
	for _, m := range lines {
		l, err := m.make(ctx, dir, cards)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		l.name = m.name
		r, err := l.measure(limit)
		if err := endOf(l, err); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Println(r.says())
		if l.spent != nil {
			fmt.Println(l.name + ": CPU time of a record: " + l.spent())
		}
		results = append(results, r)
	}
	for _, r := range results {
		fmt.Println(r)
	}
	return nil
}

// chosen are the lines that are named, with commas between; all if none is.
func chosen(all []lineMaker, only string) ([]lineMaker, error) {
	if only == "" {
		return all, nil
	}
	var out []lineMaker
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(l lineMaker) bool { return l.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no line %q is measured here", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}
