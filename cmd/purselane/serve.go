package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
			webs = append(webs, web{"cards", cards.Listen, n.Vault()})
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
		fmt.Fprintf(k.Stdout, "%-8s %s://%s\n", web.field, scheme, l.Addr())
		g.Go(func() error { return serveHTTP(ctx, l, web.serve) })
	}
	g.Go(func() error { return n.Run(ctx) })
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
