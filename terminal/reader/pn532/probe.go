package pn532

import (
	"context"
	"errors"
	"time"
)

// Info is what a reader says of itself.
type Info struct {
	Firmware string        // of the chip, e.g. "1.6"
	Baud     int           // of the line, as it was raised to
	Exchange time.Duration // a short command and its response
	Held     int           // milliseconds for which a USB adapter holds received bytes; 0 where it has no such setting
}

// Probe opens the reader, brings it up, tests the line and closes it again. Nothing else may have the port.
func Probe(ctx context.Context, o Options) (info Info, err error) {
	r, err := Open(o)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ctx, done, err := r.take(ctx)
	if err != nil {
		return Info{}, err
	}
	defer done()
	if err := r.chip.mend(ctx); err != nil {
		return Info{}, err
	}
	start := time.Now()
	if err := r.chip.echo(ctx); err != nil {
		return Info{}, err
	}
	info = Info{Firmware: r.chip.firmware, Baud: r.chip.line.baud, Exchange: time.Since(start)}
	info.Held, _ = lowLatency(ttyClass, r.o.Port) // told in the log when it cannot be set
	return info, nil
}
