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
// floor is cards that have 10, in the same store.
//
// With a PostgreSQL server (scripts/bench-posting.sh makes one) there are two more. posting-pg-1 is PostGroup on it, its floor is pgbench's simple-update by one client;
// posting-sqlite is PostGroup on SQLite, its floor is PostGroup on PostgreSQL.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	limit := flag.Duration("limit", 5*time.Second, "time to measure each line")
	cards := flag.Int("cards", 20_000, "cards that tap at random")
	var pg postgres
	flag.StringVar(&pg.url, "pg", "", "URL of an empty PostgreSQL database: its lines are measured too")
	flag.StringVar(&pg.floor, "pgbench", "", "name of a database that pgbench has filled, on the same server")
	flag.Parse()
	if err := bench(context.Background(), *limit, *cards, pg); err != nil {
		fmt.Fprintln(os.Stderr, "benchposting:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, limit time.Duration, cards int, pg postgres) error {
	dir, err := os.MkdirTemp(".", "benchposting-") // not under /tmp, which may be no disk
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a folder of our own
	var all []result
	lines := []func(context.Context, string, int) (line, error){bareLine, pipelineLine, acceptLine, duplicatesLine, hotLine, growthLine}
	if pg.url != "" {
		lines = append(lines, pg.pgLine, pg.sqliteLine)
	}
	for _, make := range lines {
		l, err := make(ctx, dir, cards)
		if err != nil {
			return err
		}
		r, err := l.measure(limit)
		if err := endOf(l, err); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Println(r.says())
		all = append(all, r)
	}
	for _, r := range all {
		fmt.Println(r)
	}
	return nil
}
