package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/terminal/kiosk"
	kioskpage "github.com/purselane/purselane/terminal/kiosk/page"
	"github.com/purselane/purselane/terminal/kiosk/session"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pn532"
)

// KioskCmd is `purselane-terminal kiosk`.
type KioskCmd struct {
	Config  string `required:"" placeholder:"FILE" type:"path" help:"The kiosk's configuration (docs/kiosk.md)."`
	Verbose bool   `short:"v" help:"Log more."`
}

// Run serves riders until ctx ends.
func (c *KioskCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(k.Stderr, &slog.HandlerOptions{Level: level}))
	raw, err := os.ReadFile(c.Config)
	if err != nil {
		return err
	}
	cfg, err := parseKiosk(raw, filepath.Dir(c.Config))
	if err != nil {
		return fmt.Errorf("%s:\n%w", c.Config, err)
	}
	token, err := readPassword(cfg.path(cfg.TokenFile))
	if err != nil {
		return fmt.Errorf("token_file: %w", err)
	}
	host, err := kiosk.NewHTTPHost(cfg.Backend, token)
	if err != nil {
		return err
	}
	journal, err := session.OpenJournal(cfg.path(cfg.Journal))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	r, err := cfg.open(log)
	if err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	riders, err := session.New(session.Config{Reader: r, Host: host, Journal: journal, Amounts: cfg.amounts, Request: cfg.request, Patience: cfg.patience(), Log: log})
	if err != nil {
		return err
	}
	screens, err := kioskpage.New(riders, cfg.Language, kioskpage.Default())
	if err != nil {
		return err
	}
	listen, err := kioskpage.Listen(cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(k.Stdout, "kiosk page http://%s/ reader %s\n", listen.Addr(), r.Name())
	all, life := errgroup.WithContext(ctx)
	all.Go(func() error { return riders.Run(life) })
	all.Go(func() error { return servePage(life, listen, screens) })
	return all.Wait()
}

// open opens the kiosk's reader.
func (c *kioskConfig) open(log *slog.Logger) (reader.Reader, error) {
	l := c.Reader
	switch l.Kind {
	case "pn532":
		return pn532.Open(pn532.Options{Port: c.path(l.Port), Baud: l.Baud, Log: log})
	case "pcsc":
		return pcsc.Open(pcsc.Options{Name: l.Reader, Signals: l.Signals, Log: log})
	}
	return openReader(l.Kind, l.Reader, l.Listen, log)
}

// servePage serves until ctx ends. Streams end with it.
func servePage(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("kiosk page: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		_ = server.Close()
	}
	<-done
	return nil
}
