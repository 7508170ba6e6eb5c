package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/uplink/wire"
)

const (
	bootDays = 14 // files of the journal in days
	bootRuns = 5  // openings, of which the median counts
)

// benchBoot measures how a journal of so many bytes opens, in one file and in files of a day, against reading the same bytes. All are in the
// machine's memory: what is compared is the work.
func benchBoot(out io.Writer, dir string, size int64) error {
	work, err := os.MkdirTemp(dir, "benchboot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, k := range []struct {
		line  string
		files int
	}{{"boot-one-file", 1}, {"boot", bootDays}} {
		path := filepath.Join(work, k.line, "terminal.journal")
		o := journal.Options{Terminal: "bench-1", MaxBytes: 2 * size, NoSync: true}
		stats, err := fillJournal(path, o, size, k.files)
		if err != nil {
			return fmt.Errorf("%s: %w", k.line, err)
		}
		var opens, reads []time.Duration
		for range bootRuns {
			took, err := timeOf(func() error { return openClose(path, o) })
			if err != nil {
				return err
			}
			opens = append(opens, took)
			if took, err = timeOf(func() error { return readAll(filepath.Dir(path)) }); err != nil {
				return err
			}
			reads = append(reads, took)
		}
		fmt.Fprintf(out, "%s: %d records, %.0f MiB in %d files\n", k.line, stats.Backlog, mib(stats.FileBytes), stats.Files)
		fmt.Fprintln(out, line(k.line, median(opens), median(reads)))
	}
	return nil
}

func timeOf(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

func openClose(path string, o journal.Options) error {
	j, err := journal.Open(path, o)
	if err != nil {
		return err
	}
	_, err = j.RecoverBoot() // as every boot does
	return errors.Join(err, j.Close())
}

// readAll reads the files of a folder from end to end.
func readAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// fillJournal makes a journal of so many bytes in so many files, with records without a receipt.
func fillJournal(path string, o journal.Options, size int64, files int) (stats journal.Stats, err error) {
	j, err := journal.Open(path, o)
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for n := 0; ; n++ {
		if n%1000 == 0 {
			if stats, err = j.Stats(); err != nil || stats.FileBytes >= size {
				return stats, err
			}
			if stats.Files < files && stats.FileBytes >= size/int64(files)*int64(stats.Files) {
				if err := j.Roll(); err != nil {
					return stats, err
				}
			}
		}
		if err := fillOne(j, n); err != nil {
			return stats, fmt.Errorf("record %d: %w", n, err)
		}
	}
}

// fillOne writes one tap, as large as a bus ride's.
func fillOne(j *journal.Journal, n int) error {
	draft := func() *wire.Record {
		return &wire.Record{
			Kind: wire.Kind_KIND_PURCHASE, Family: "ep", CardNumber: cardOf(n), Issuer: make([]byte, 8), KeyLevels: 2, KeyVersion: 1, Amount: 200, BalanceBefore: 100_00,
			BalanceAfter: 98_00, PsamTerminal: make([]byte, 6), PurseTime: make([]byte, 7), Merchant: "city-bus", TerminalTimeMs: int64(n) * 1000, OfflineCounter: uint32(n),
			Mac1: make([]byte, 4), BootId: make([]byte, 16), FareRule: "bus-flat", Line: make([]byte, 2), Station: make([]byte, 2), MonotonicNs: int64(n) * 1e9,
		}
	}
	tap, err := j.Begin(draft())
	if err != nil {
		return err
	}
	final := draft()
	final.State, final.Evidence, final.Mac2, final.Tac = wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_REPLY, make([]byte, 4), make([]byte, 4)
	return j.Finish(tap, final)
}

// cardOf is a card number of its own for each tap.
func cardOf(n int) []byte { return append([]byte{0, 1}, key8(uint64(n))...) }
