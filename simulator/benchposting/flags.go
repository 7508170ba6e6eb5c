package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/clock"
)

// flagsLine is a step of the intake with the watch's look at the group that it posted, all finders on; its floor is the step alone. It is the CPU time of the process, with the
// engine's: the watch works beside posting, so it costs no time but what it takes of the machine.
func flagsLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	w, err := watch.New(s.store, clock.NewManual(noon), watch.Settings{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return line{}, err
	}
	if _, err := w.Catch(ctx); err != nil {
		return line{}, err
	}
	look := func() error {
		r, err := w.Catch(ctx)
		if err == nil && r.Records != size {
			err = fmt.Errorf("the watch looked at %d of %d records", r.Records, size)
		}
		return err
	}
	own := func() (time.Duration, error) { return s.spent(func() error { return errors.Join(s.step(), look()) }) }
	floor := func() (time.Duration, error) {
		d, err := s.spent(s.step)
		return d, errors.Join(err, look())
	}
	return line{records: size, own: own, floor: floor, end: s.end}, nil
}

// spent is the CPU time that f takes over a batch that is kept; that it is kept is not counted.
func (s *scheme) spent(f func() error) (time.Duration, error) {
	b, err := s.draw()
	if err != nil {
		return 0, err
	}
	if err := s.keep(b); err != nil {
		return 0, err
	}
	begin, err := cpu()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	end, err := cpu()
	return end - begin, err
}

// cpu is the CPU time of the process so far.
func cpu() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
