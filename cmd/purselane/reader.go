package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/trace"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/socket"
)

// cardReader names where the card is, and where what is said to it is written down.
type cardReader struct {
	Card   string `xor:"reader" required:"" placeholder:"FILE" type:"path" help:"The simulated card in this file."`
	Listen string `xor:"reader" required:"" placeholder:"ADDRESS" help:"Wait for a simulated card at this address (purselane simulate card --connect)."`
	Reader string `xor:"reader" required:"" placeholder:"NAME" help:"PC/SC reader, by a part of its name (built with -tags pcsc)."`

	Trace  string `placeholder:"FILE" type:"path" help:"Write what is said to the card into this new file, with every field by its name (docs/card-tools.md)."`
	Reveal bool   `help:"Show the card's whole number, and keep it in the trace: only such a trace can be replayed."`
}

// open opens the reader. done closes it and writes the trace, also of a command that failed.
func (c cardReader) open() (reader.Reader, func() error, error) {
	if c.Trace != "" {
		// Before a card is touched: after it there is nothing to be had again.
		if _, err := os.Lstat(c.Trace); err == nil {
			return nil, nil, fmt.Errorf("--trace: %s exists; it was not touched", c.Trace)
		}
	}
	r, shut, err := c.door()
	if err != nil || c.Trace == "" {
		return r, shut, err
	}
	rec := &trace.Recorder{Now: time.Now}
	return tracedReader{r, rec}, func() error {
		t := rec.Transcript()
		if !c.Reveal {
			if hasCash(t) {
				return errors.Join(shut(), errCashTrace)
			}
			t = t.Masked()
		}
		err := writeNew(c.Trace, t.Text(), 0o600)
		if err != nil {
			err = fmt.Errorf("--trace: %w", err)
		}
		return errors.Join(shut(), err)
	}, nil
}

func (c cardReader) door() (reader.Reader, func() error, error) {
	switch {
	case c.Reader != "":
		r, err := pcsc.Open(pcsc.Options{Name: c.Reader})
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	case c.Listen != "":
		r, err := socket.Listen(c.Listen, socket.Options{})
		if err != nil {
			return nil, nil, fmt.Errorf("--listen: %w", err)
		}
		return r, r.Close, nil
	}
	card, err := openChip(c.Card)
	if err != nil {
		return nil, nil, fmt.Errorf("--card: %w", err)
	}
	r := inproc.New("card file")
	r.Present(card)
	return r, func() error { return errors.Join(r.Close(), card.Close()) }, nil
}

// tracedReader is a reader whose cards are written down.
type tracedReader struct {
	reader.Reader
	rec *trace.Recorder
}

// Wait implements reader.Reader.
func (r tracedReader) Wait(ctx context.Context) (reader.Card, error) {
	card, err := r.Reader.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return tracedCard{card, r.rec.Card(card)}, nil
}

type tracedCard struct {
	reader.Card
	said apdu.Transmitter
}

// Transmit implements apdu.Transmitter.
func (c tracedCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return c.said.Transmit(ctx, command)
}

// cardTool is what every command that looks at a card in a reader has.
type cardTool struct {
	cardReader
	Patience time.Duration `default:"1m" help:"How long a card is waited for."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// meet waits for a card and looks at it once.
func (c cardTool) meet(ctx context.Context, look func(context.Context, apdu.Transmitter) error) (err error) {
	r, done, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	wait, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	card, err := r.Wait(wait)
	if err != nil {
		return fmt.Errorf("wait for a card: %w", err)
	}
	if err := look(ctx, card); err != nil {
		return errors.Join(err, card.Close(reader.Reset))
	}
	return card.Close(reader.Reset) // what was begun only to look is forgotten
}

// printer prints the lines of people's form and remembers the first failure.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}
