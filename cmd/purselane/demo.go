package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"github.com/purselane/purselane/simulator/city"
)

// DemoCmd is `purselane demo`.
type DemoCmd struct {
	Taps    int    `default:"2000" help:"Visits of riders to readers in the day."`
	Seed    uint64 `default:"1" help:"The same seed gives the same figures."`
	JSON    bool   `name:"json" help:"Print the story as one JSON object, and nothing else."`
	Serve   bool   `help:"After the day keep the city tapping, with the page at --address."`
	Address string `default:"127.0.0.1:8080" help:"With --serve: where the page and the API are. It asks nobody who is looking: keep it on this machine."`
	Dir     string `placeholder:"FOLDER" type:"path" help:"Where databases and journals go: an empty folder, kept afterwards. Default: a temporary one."`
	Verbose bool   `short:"v" help:"Show the logs of backend and terminals."`
}

// tapEvery is how often somebody taps with --serve, once the day is over.
const tapEvery = 400 * time.Millisecond

// Run runs the day, and then with --serve goes on until ctx ends.
func (d *DemoCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	if d.Taps < 1 {
		return fmt.Errorf("--taps %d: want 1 or more", d.Taps)
	}
	dir, done, err := d.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	cfg := city.Config{Dir: dir, Seed: d.Seed, Taps: d.Taps}
	if d.Serve {
		cfg.Page = d.Address
	}
	if d.Verbose {
		cfg.Log = slog.New(slog.NewTextHandler(k.Stderr, nil))
	}
	news := io.Discard
	if !d.JSON {
		news = k.Stdout
	}
	progress, finish := follow(news, d.Taps)
	cfg.Progress = progress
	c, err := city.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	fmt.Fprintln(news, "DEVELOPMENT KEYS: all keys of this scheme are drawn from the seed. The PSAMs and cards are simulated.")
	if d.Serve {
		fmt.Fprintf(news, "The page is at %s\n", c.URL())
	}
	story, err := c.Day(ctx)
	finish()
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before the day was over")
		}
		return err
	}
	if err := d.tell(k.Stdout, story); err != nil {
		return err
	}
	if !story.Sound() {
		return errors.New("the day did not go as it must: the story above says where")
	}
	if !d.Serve {
		return nil
	}
	fmt.Fprintf(news, "\nThe city goes on, a tap every %v, at %s. Ctrl-C ends it.\n", tapEvery, c.URL())
	return c.Keep(ctx, tapEvery)
}

func (d *DemoCmd) tell(out io.Writer, s city.Story) error {
	if !d.JSON {
		return s.Print(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// folder is where everything goes, and what to do with it in the end.
func (d *DemoCmd) folder() (string, func() error, error) {
	if d.Dir == "" {
		dir, err := os.MkdirTemp("", "purselane-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return "", nil, err
	}
	have, err := os.ReadDir(d.Dir)
	if err == nil && len(have) > 0 {
		err = fmt.Errorf("--dir %s: the folder is not empty: the story of a day begins with nothing", d.Dir)
	}
	return d.Dir, func() error { return nil }, err
}

// follow shows how far the day is: a bar on a terminal, else a line every tenth.
func follow(out io.Writer, taps int) (func(city.Progress), func()) {
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		bar := progressbar.NewOptions(taps, progressbar.OptionSetWriter(f), progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
			progressbar.OptionSetDescription("loading cards"), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond))
		return func(p city.Progress) {
			switch {
			case p.Of == 0: // the city goes on after the day
			case p.Note != "":
				_ = bar.Clear() // a bar that cannot be drawn is no reason to stop
				fmt.Fprintf(f, "%s  %s\n", p.At.Format("15:04"), p.Note)
			default:
				bar.Describe(fmt.Sprintf("%s  %4d waiting", p.At.Format("15:04"), p.Backlog))
				_ = bar.Set(p.Tap)
			}
		}, func() { _ = bar.Finish() }
	}
	step := max(1, taps/10)
	return func(p city.Progress) {
		switch {
		case p.Of == 0:
		case p.Note != "":
			fmt.Fprintf(out, "%s  %s\n", p.At.Format("15:04"), p.Note)
		case p.Tap%step == 0:
			fmt.Fprintf(out, "%s  %d of %d taps, %d records wait for a receipt\n", p.At.Format("15:04"), p.Tap, p.Of, p.Backlog)
		}
	}, func() {}
}
