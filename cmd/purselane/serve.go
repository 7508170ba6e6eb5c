package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// ServeCmd is `purselane serve`.
type ServeCmd struct {
	schemeFolder
}

// Run serves the backend until ctx ends.
func (c *ServeCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	log := slog.New(slog.NewTextHandler(k.Stderr, nil))
	cfg, err := c.config(ctx, log)
	if err != nil {
		return err
	}
	if err := c.gateway(&cfg); err != nil {
		return err
	}
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if store.IsPostgres(cfg.Database) {
		fmt.Fprintf(k.Stdout, "%-8s %s\n", "store", store.Name(cfg.Database))
	}
	g, ctx := errgroup.WithContext(ctx)
	type web struct {
		field string
		at    node.Listen
		serve http.Handler
	}
	webs := []web{{"api", cfg.Scheme.API, n.API()}, {"console", cfg.Scheme.Console, n.Console()}}
	if cfg.Scheme.Gateway != nil {
		webs = append(webs, web{"gateway", cfg.Scheme.Gateway.Listen, n.GatewayAPI()})
		if cards := cfg.Scheme.Gateway.Cards; cards != nil {
			webs = append(webs, web{"gateway.cards", cards.Listen, n.Vault()})
		}
	}
	for _, web := range webs {
		if web.at.Address == "" {
			continue
		}
		certificate, err := c.tls(web.field, web.at)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", web.at.Address)
		if err != nil {
			return fmt.Errorf("scheme: %s.address: %w", web.field, err)
		}
		scheme := "http"
		if certificate != nil {
			l, scheme = tls.NewListener(l, certificate), "https"
		}
		fmt.Fprintf(k.Stdout, "%-8s %s://%s\n", strings.TrimPrefix(web.field, "gateway."), scheme, l.Addr())
		g.Go(func() error { return serveHTTP(ctx, l, web.serve) })
	}
	g.Go(func() error { return n.Run(ctx) })
	if cfg.Scheme.Gateway != nil {
		g.Go(func() error { return c.reloads(ctx, n, log) })
		g.Go(func() error { return c.asked(ctx, n, log) })
	}
	g.Go(func() error {
		url, err := n.BrokerURL(ctx)
		if err == nil {
			fmt.Fprintf(k.Stdout, "%-8s %s\n", "broker", url)
		}
		return nil // without a broker Run says why
	})
	if !cfg.Scheme.HSM.Used() {
		fmt.Fprintln(k.Stdout, developmentOnly)
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// reloads reads the gateway's rules, plan and BIN table anew whenever the process gets SIGHUP. What is wrong changes nothing, and is logged.
func (c *ServeCmd) reloads(ctx context.Context, n *node.Node, log *slog.Logger) error {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		}
		_ = c.readAnew(ctx, n, log, "SIGHUP") // it is logged
	}
}

// readAnew reloads, and logs what came of it.
func (f schemeFolder) readAnew(ctx context.Context, n *node.Node, log *slog.Logger, by string) error {
	err := f.reload(n)
	if err != nil {
		log.ErrorContext(ctx, "gateway: what was read anew is not used, and everything is as it was", "by", by, "error", err)
		return err
	}
	log.InfoContext(ctx, "gateway: rules, routing plan and BIN table were read anew", "by", by)
	return nil
}

// reload reads the scheme and everything that its gateway names, and has the node take over what may change while it runs.
func (f schemeFolder) reload(n *node.Node) error {
	s, err := f.scheme()
	if err != nil {
		return err
	}
	c := node.Config{Scheme: s}
	if err := f.gateway(&c); err != nil {
		return err
	}
	return n.Reload(c)
}

// serveHTTP serves until ctx ends, and lets what is under way finish for a moment.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }} // an event stream ends with the server
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.Shutdown(late)
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return err
}
