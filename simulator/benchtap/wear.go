package main

import (
	"fmt"
	"os"
	"strings"
)

// wrote is what a process has written, in bytes.
type wrote struct {
	calls   int64 // in calls to write
	dirtied int64 // in whole pages on a disk, those in which the file system keeps its own books among them: what syncs send to it
}

func (w wrote) since(before wrote) wrote {
	return wrote{w.calls - before.calls, w.dirtied - before.dirtied}
}

// written is what this process has written so far. Of a file system in memory nothing counts as dirtied.
func written() (wrote, error) {
	raw, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return wrote{}, fmt.Errorf("count what is written: %w", err)
	}
	return parseIO(string(raw))
}

func parseIO(text string) (w wrote, err error) {
	found := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		to := map[string]*int64{"wchar": &w.calls, "write_bytes": &w.dirtied}[name]
		if to == nil {
			continue
		}
		if _, err := fmt.Sscanf(value, "%d", to); err != nil {
			return wrote{}, fmt.Errorf("/proc/self/io: %q: %w", strings.TrimSpace(line), err)
		}
		found++
	}
	if found != 2 {
		return wrote{}, fmt.Errorf("/proc/self/io has %d of wchar and write_bytes", found)
	}
	return w, nil
}

// perYear is how many gigabytes a year are that many bytes a tap.
func perYear(bytesATap float64, tapsADay int) float64 {
	return bytesATap * float64(tapsADay) * 365 / 1e9
}
