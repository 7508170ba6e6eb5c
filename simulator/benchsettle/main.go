// Command benchsettle measures what closing a clearing day takes as the day grows: taps a second, and memory.
//
// It makes two days, one with a quarter of the other's taps. Each is filled by one process and closed by another: that one's greatest resident memory, as
// Linux notes it (VmHWM), is the close's own. Closing is everything that 'purselane settle close' does: freeze, charge, net, post, prove, and write the CSV
// files of three acquirers. 'purselane settle files' is measured beside it, in a process of its own.
//
// The last line is for programs; ratio is how many times the memory four times the taps take. One that is near 1 says that a day of any size can be closed:
//
//	BENCH settle ratio=1.02 own=98MB floor=96MB
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

func main() {
	taps := flag.Int("taps", 100_000, "taps of the larger day")
	step := flag.String("step", "", "what a child process does: fill, close or sign")
	folder := flag.String("folder", "", "where a child process works")
	flag.Parse()
	if err := run(context.Background(), *step, *folder, *taps); err != nil {
		fmt.Fprintln(os.Stderr, "benchsettle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, step, folder string, taps int) error {
	if step == "" {
		return bench(ctx, taps)
	}
	s, err := store.Open(ctx, filepath.Join(folder, "scheme.db"), store.Options{})
	if err != nil {
		return err
	}
	begun := time.Now()
	switch step {
	case "fill":
		err = fill(ctx, s, taps)
	case "close":
		err = closeDay(ctx, s, folder)
	case "sign":
		err = sign(ctx, s, folder)
	default:
		err = fmt.Errorf("step %q: want fill, close or sign", step)
	}
	took := time.Since(begun)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	peak, err := peakRSS()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figure{took, peak})
}

// figure is what a step took.
type figure struct {
	Took time.Duration
	Peak int64 // bytes
}

func bench(ctx context.Context, taps int) error {
	if taps < 4 {
		return fmt.Errorf("%d taps: want 4 or more", taps)
	}
	var peaks []int64
	for _, n := range []int{taps / 4, taps} {
		closed, err := day(ctx, n)
		if err != nil {
			return fmt.Errorf("%d taps: %w", n, err)
		}
		peaks = append(peaks, closed.Peak)
	}
	fmt.Printf("BENCH settle ratio=%.2f own=%dMB floor=%dMB\n", float64(peaks[1])/float64(peaks[0]), peaks[1]>>20, peaks[0]>>20)
	return nil
}

// day fills a store with a day of so many taps, closes it and signs its files, each in a process of its own.
func day(ctx context.Context, taps int) (figure, error) {
	dir, err := os.MkdirTemp(".", "benchsettle-") // not under /tmp, which may be no disk
	if err != nil {
		return figure{}, err
	}
	defer os.RemoveAll(dir) // a folder of our own
	figures := map[string]figure{}
	for _, step := range []string{"fill", "close", "sign"} {
		f, err := child(ctx, step, dir, taps)
		if err != nil {
			return figure{}, fmt.Errorf("%s: %w", step, err)
		}
		figures[step] = f
		fmt.Printf("settle %s: %d taps, %.0f a second, %d MB at most\n", step, taps, float64(taps)/f.Took.Seconds(), f.Peak>>20)
	}
	return figures["close"], nil
}

func child(ctx context.Context, step, dir string, taps int) (figure, error) {
	self, err := os.Executable()
	if err != nil {
		return figure{}, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "-step", step, "-folder", dir, "-taps", fmt.Sprint(taps))
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return figure{}, err
	}
	var f figure
	err = json.Unmarshal(out.Bytes(), &f)
	return f, err
}

// closeDay closes the day and writes its files.
func closeDay(ctx context.Context, s *store.Store, folder string) error {
	if _, err := settlement.CloseDay(ctx, s, clearing, settlement.Options{Now: noon, Location: time.UTC}); err != nil {
		return err
	}
	head, err := settlement.Write(ctx, s, clearing, func(name string) (io.WriteCloser, error) { return os.Create(filepath.Join(folder, name)) })
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, head.JSON.Name), head.JSON.Body, 0o644)
}

// sign writes what each acquirer gets.
func sign(ctx context.Context, s *store.Store, folder string) error {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // of a scheme that ends with the run
	return settlement.EachSignedFile(ctx, s, clearing, key, func(f settlement.AcquirerFile) error {
		return os.WriteFile(filepath.Join(folder, f.Name), f.Body, 0o644)
	})
}

// peakRSS is the greatest resident memory of this process so far, in bytes.
func peakRSS() (int64, error) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return peakIn(string(raw))
}

// peakIn reads VmHWM from the status of a process: proc_pid_status(5).
func peakIn(status string) (int64, error) {
	for line := range strings.Lines(status) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("the process's status has no line VmHWM: Linux is needed")
}
