package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	emulator "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

const (
	warmUp = 100
	// sleptEvery is how many exchanges go by before one with fixed sleeps: those take all the time.
	sleptEvery = 30
)

// The sleeps of a driver that waits by the clock.
const (
	firstSleep  = 6 * time.Millisecond
	secondSleep = 5 * time.Millisecond
)

var (
	command = []byte{0x00, 0xB0, 0x95, 0x00, 0x0E}
	answer  = append(make([]byte, 14), 0x90, 0x00)
	awaken  = append([]byte{0x55, 0x55}, make([]byte, 14)...)
)

// card answers at once.
type card struct{}

func (card) Power(bool) {}
func (card) Reset()     {}

// Transmit implements apdu.Transmitter.
func (card) Transmit(context.Context, []byte) ([]byte, error) { return answer, nil }

// times of the same rounds, in order; slept has fewer.
type times struct{ own, bare, slept []time.Duration }

// measure measures n rounds.
func measure(ctx context.Context, n int) (m times, err error) {
	session, shut, err := openReader(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, shut()) }()
	b, err := openBare()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for round := range warmUp + n {
		var own, bare, slept time.Duration
		parts := []func() error{
			func() error { own, err = timed(func() error { return exchange(ctx, session) }); return err },
			func() error { bare, err = timed(b.exchange); return err },
		}
		if round%2 == 1 {
			slices.Reverse(parts)
		}
		if round%sleptEvery == 0 {
			parts = append(parts, func() error { slept, err = timed(b.withSleeps); return err })
		}
		for _, part := range parts {
			if err := part(); err != nil {
				return m, err
			}
		}
		if round < warmUp {
			continue
		}
		m.own, m.bare = append(m.own, own), append(m.bare, bare)
		if slept > 0 {
			m.slept = append(m.slept, slept)
		}
	}
	return m, nil
}

func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

func exchange(ctx context.Context, c reader.Card) error {
	got, err := c.Transmit(ctx, command)
	if err == nil && !bytes.Equal(got, answer) {
		err = fmt.Errorf("the card answered % X", got)
	}
	return err
}

// openReader opens a session through the reader.
func openReader(ctx context.Context) (reader.Card, func() error, error) {
	chip, err := emulator.New(emulator.Options{})
	if err != nil {
		return nil, nil, err
	}
	chip.Put(card{}, emulator.Target{})
	r, err := pn532.Open(pn532.Options{Port: chip.Path()})
	if err != nil {
		return nil, nil, errors.Join(err, chip.Close())
	}
	session, err := r.Wait(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close(), chip.Close())
	}
	return session, func() error { return errors.Join(r.Close(), chip.Close()) }, nil
}

// bare is the host's end of a chip of its own, with a card that is active and frames that were made before. It is read by Go's poller, the
// quickest way there is for a program in Go.
type bare struct {
	chip    *emulator.Chip
	port    *os.File
	request []byte
	want    int // bytes of ACK and response
	buf     []byte
}

func openBare() (*bare, error) {
	chip, err := emulator.New(emulator.Options{})
	if err != nil {
		return nil, err
	}
	chip.Put(card{}, emulator.Target{})
	b := &bare{chip: chip, buf: make([]byte, 512)}
	if b.port, err = os.OpenFile(chip.Path(), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, errors.Join(err, chip.Close())
	}
	if err := b.start(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// start wakes the chip and activates the card.
func (b *bare) start() error {
	// Once for all: an exchange that hangs must end, and a deadline for each would be in the floor.
	if err := b.port.SetReadDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		return err
	}
	_, err := b.port.Write(awaken)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		command []byte
		want    int // bytes of the response's frame
	}{{[]byte{0x14, 0x01}, 9}, {[]byte{0x32, 0x01, 0x01}, 9}, {[]byte{0x4A, 0x01, 0x00}, 10 + 17}} {
		if b.request, err = frame.Info(frame.ToChip, step.command); err != nil {
			return err
		}
		b.want = len(frame.AckFrame()) + step.want
		if err := b.exchange(); err != nil {
			return fmt.Errorf("command % X: %w", step.command, err)
		}
	}
	if b.request, err = frame.Info(frame.ToChip, append([]byte{0x40, 0x01}, command...)); err != nil {
		return err
	}
	response, err := frame.Info(frame.ToHost, append([]byte{0x41, 0x00}, answer...))
	b.want = len(frame.AckFrame()) + len(response)
	return err
}

// exchange writes the command and reads until ACK and response are there.
func (b *bare) exchange() error {
	if _, err := b.port.Write(b.request); err != nil {
		return err
	}
	return b.read(b.want)
}

func (b *bare) read(want int) error {
	for got := 0; got < want; {
		n, err := b.port.Read(b.buf)
		if err != nil {
			return fmt.Errorf("%d of %d bytes came: %w", got, want, err)
		}
		got += n
	}
	return nil
}

// withSleeps is the exchange of a driver that wakes the chip each time and waits by the clock: once before it looks for the ACK, once before the
// response.
func (b *bare) withSleeps() error {
	if _, err := b.port.Write(append(slices.Clone(awaken), b.request...)); err != nil {
		return err
	}
	time.Sleep(firstSleep)
	time.Sleep(secondSleep)
	return b.read(b.want)
}

func (b *bare) close() error { return errors.Join(b.port.Close(), b.chip.Close()) }
