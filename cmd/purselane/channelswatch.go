package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
)

// ChannelsWatchCmd is `purselane channels watch`.
type ChannelsWatchCmd struct {
	schemeFolder
	Every  time.Duration `default:"1s" help:"How often it looks."`
	Window time.Duration `default:"5m" help:"How much of the past the plots show."`
	Once   bool          `help:"Print one picture and end."`
	Lines  bool          `help:"Print lines, also on a terminal: all at first and once a minute, between them those that changed."`
}

// watchPoints is how many points a plot has: enough to see a ramp, and narrow enough for a phone's terminal.
const watchPoints = 54

// linesEvery is how often lines of channels that have not changed are printed.
const linesEvery = time.Minute

// Run watches until ctx ends.
func (c *ChannelsWatchCmd) Run(ctx context.Context, k *kong.Kong) error {
	if c.Every < 100*time.Millisecond || c.Window < time.Minute || c.Window > 7*24*time.Hour {
		return errors.New("want --every of 100ms or more and --window from 1m to 168h")
	}
	names, err := c.channelNames()
	if err != nil {
		return err
	}
	screen, isFile := k.Stdout.(*os.File)
	onScreen := isFile && isatty.IsTerminal(screen.Fd()) && !c.Lines
	return c.withStore(ctx, func(s *store.Store) error {
		look := func() (p panel.Panel, err error) {
			err = s.View(ctx, func(tx *store.Tx) (err error) {
				p, err = panel.Read(ctx, tx, names, now(), c.Window, watchPoints)
				return err
			})
			return p, err
		}
		switch {
		case c.Once:
			p, err := look()
			if err != nil {
				return err
			}
			_, err = io.WriteString(k.Stdout, watchPicture(p, onScreen))
			return err
		case onScreen:
			return c.onScreen(ctx, screen, look)
		}
		return c.lines(ctx, k.Stdout, look)
	})
}

// onScreen draws in the terminal's second screen, so that what was there before comes back.
func (c *ChannelsWatchCmd) onScreen(ctx context.Context, out *os.File, look func() (panel.Panel, error)) error {
	const begin, end = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	if _, err := io.WriteString(out, begin); err != nil {
		return err
	}
	defer io.WriteString(out, end) //nolint:errcheck // the terminal has gone
	t := time.NewTicker(c.Every)
	defer t.Stop()
	for {
		picture := ""
		switch p, err := look(); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			picture = fmt.Sprintf("%s  the database does not answer: %v\n", now().Format(time.TimeOnly), err) // it may come back
		default:
			picture = watchPicture(p, true)
		}
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		if _, err := io.WriteString(out, frameOf(picture, width, height)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// frameOf is a picture that takes the place of the one before it without flicker: each line is drawn over the old one and its rest is cleared.
func frameOf(picture string, width, height int) string {
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := strings.Split(strings.TrimSuffix(picture, "\n"), "\n")
	if height > 1 && len(lines) > height-1 {
		lines = append(lines[:height-2], fmt.Sprintf("… %d lines more: a taller window shows them", len(lines)-height+2))
	}
	for _, l := range lines {
		b.WriteString(cut(l, width) + "\x1b[0m\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// cut keeps the first columns of a line; colours take none.
func cut(line string, columns int) string {
	for i, n := 0, 0; i < len(line); {
		if line[i] == 0x1b {
			end := strings.IndexByte(line[i:], 'm')
			if end < 0 {
				return line[:i]
			}
			i += end + 1
			continue
		}
		if n == columns {
			return line[:i]
		}
		_, size := utf8.DecodeRuneInString(line[i:])
		i, n = i+size, n+1
	}
	return line
}

// lines prints for those who keep a log.
func (c *ChannelsWatchCmd) lines(ctx context.Context, out io.Writer, look func() (panel.Panel, error)) error {
	t := time.NewTicker(c.Every)
	defer t.Stop()
	seen := map[health.Cell]health.Status{}
	var all time.Time
	for {
		p, err := look()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		var b bytes.Buffer
		whole := p.At.Sub(all) >= linesEvery
		for _, x := range p.Channels {
			if was, there := seen[x.Cell]; whole || !there || was != x.Status {
				fmt.Fprintf(&b, "%s  %s  %v, takes %.0f %%; %s\n", p.At.Format(time.DateTime), printable(x.Cell), x.State, 100*x.Share, successOf(x))
			}
			seen[x.Cell] = x.Status
		}
		if whole && len(p.Channels) == 0 {
			b.WriteString(noChannels)
		}
		if whole {
			all = p.At
		}
		if _, err := out.Write(b.Bytes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// printable is a cell without what would move a terminal's cursor: banks are named by apps.
func printable(c health.Cell) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, c.String())
}

// successOf tells success with its bound.
func successOf(x panel.Channel) string {
	if x.Payments == 0 {
		return "no payments"
	}
	return fmt.Sprintf("success %.1f %% (%.1f to %.1f) of %d", 100*x.Success, 100*x.Lo, 100*x.Hi, x.Payments)
}

// watchPicture draws every channel with plots of its success and share, and the faults that are not closed.
func watchPicture(p panel.Panel, colours bool) string {
	paint := func(code, s string) string {
		if !colours {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s, the last %v\n\n", paint("1", "payment channels"), p.At.Format(time.DateTime), p.Window)
	for _, x := range p.Channels {
		sign, code := "●", "32"
		switch x.State {
		case health.Unavailable:
			sign, code = "✕", "31"
		case health.Ramping:
			sign, code = "◐", "33"
		}
		fmt.Fprintf(&b, "%s %-16s %s %3.0f %%  %s\n", paint(code, sign), printable(x.Cell), paint(code, fmt.Sprintf("%-11s", x.State)), 100*x.Share, successOf(x))
		success, share := make([]float64, len(x.Points)), make([]float64, len(x.Points))
		for i, at := range x.Points {
			success[i], share[i] = -1, at.Share
			if at.Payments > 0 {
				success[i] = float64(at.Payments-at.Failed) / float64(at.Payments)
			}
		}
		pace := ""
		if x.Payments > 0 {
			pace = fmt.Sprintf("  %.1f/s %d ms", float64(x.Payments)/p.Window.Seconds(), x.Took.Milliseconds())
		}
		fmt.Fprintf(&b, "  success %s%s\n  share   %s\n", paint("36", plot(success)), pace, paint(code, plot(share)))
	}
	if len(p.Channels) == 0 {
		b.WriteString(noChannels)
	}
	if len(p.Incidents) > 0 {
		fmt.Fprintf(&b, "\n%s\n", paint("1", "faults that are not closed"))
	}
	for _, i := range p.Incidents {
		end := paint("31", "LASTS")
		if !i.Ended.IsZero() {
			end = fmt.Sprintf("took %v, wants a cause", i.Ended.Sub(i.Began).Round(time.Second))
		}
		fmt.Fprintf(&b, "  %s  incident %d, from %s: %s\n", printable(i.Cell), i.Incident, i.Began.Format(time.DateTime), end)
	}
	return b.String()
}

// plot draws values from 0 to 1 as columns; below 0 there is none.
func plot(values []float64) string {
	const columns = "▁▂▃▄▅▆▇█"
	all := []rune(columns)
	var b strings.Builder
	for _, v := range values {
		if v < 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(all[min(int(v*float64(len(all))), len(all)-1)])
	}
	return b.String()
}
