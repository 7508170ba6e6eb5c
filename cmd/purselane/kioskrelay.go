package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/terminal/kiosk/relay"
	"github.com/purselane/purselane/terminal/reader"
)

// KioskRelayCmd are the two sides of a load whose card lies elsewhere.
type KioskRelayCmd struct {
	Load KioskRelayLoadCmd `cmd:"" help:"The loading side: wait for a far card, and load it."`
	Card KioskRelayCardCmd `cmd:"" help:"The card's side: carry the loading side's commands to the card in a reader."`
}

// KioskRelayLoadCmd is `purselane kiosk relay load`.
type KioskRelayLoadCmd struct {
	kioskSale
	At             string `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Where the card's side calls."`
	SecretFile     string `required:"" placeholder:"FILE" type:"path" help:"File with the relay's token; it is made if it is not there. The card's side wants the same."`
	TLSCertificate string `name:"tls-certificate" and:"tls" placeholder:"FILE" type:"path" help:"Certificate chain (PEM), for calls over a network."`
	TLSKey         string `name:"tls-key" and:"tls" placeholder:"FILE" type:"path" help:"Its private key (PEM)."`
}

// Run loads one far card.
func (c *KioskRelayLoadCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.sell(ctx, k, func() (reader.Reader, func() error, error) { return c.open(ctx, k) })
}

// open serves the relay. done ends it once the card's side has heard the end.
func (c *KioskRelayLoadCmd) open(ctx context.Context, k *kong.Kong) (reader.Reader, func() error, error) {
	token, err := c.secret()
	if err != nil {
		return nil, nil, err
	}
	s, err := relay.NewServer(token, relay.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("--secret-file: %w", err)
	}
	host, _, err := net.SplitHostPort(c.At)
	if err != nil {
		return nil, nil, fmt.Errorf("--at: %w", err)
	}
	if ip := net.ParseIP(host); c.TLSKey == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, nil, fmt.Errorf("--at %s: in clear the relay serves this machine alone: give --tls-certificate and --tls-key", c.At)
	}
	var own *tls.Config
	if c.TLSKey != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCertificate, c.TLSKey)
		if err != nil {
			return nil, nil, fmt.Errorf("--tls-certificate, --tls-key: %w", err)
		}
		own = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", c.At)
	if err != nil {
		return nil, nil, fmt.Errorf("--at: %w", err)
	}
	scheme := "http"
	if own != nil {
		l, scheme = tls.NewListener(l, own), "https"
	}
	fmt.Fprintf(k.Stderr, "waiting for a card: purselane kiosk relay card --to %s://%s --secret-file %s\n", scheme, l.Addr(), c.SecretFile)
	ctx, end := context.WithCancel(context.WithoutCancel(ctx)) // an interrupted load still tells the card's side
	served := make(chan error, 1)
	go func() { served <- serveHTTP(ctx, l, s) }()
	return s, func() error {
		err := s.Close()
		end()
		return errors.Join(err, <-served)
	}, nil
}

// secret reads the token, or makes one.
func (c *KioskRelayLoadCmd) secret() (string, error) {
	raw, err := os.ReadFile(c.SecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		token := relay.NewToken()
		return token, writeNew(c.SecretFile, []byte(token+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("--secret-file: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// KioskRelayCardCmd is `purselane kiosk relay card`.
type KioskRelayCardCmd struct {
	To         string `required:"" placeholder:"URL" help:"The loading side: https://host[:port], or http on this machine."`
	SecretFile string `required:"" placeholder:"FILE" type:"path" help:"File with the relay's token."`
	cardReader
	Patience time.Duration `default:"1m" help:"How long a card is waited for."`
}

// Run carries commands until the loading side has done with the card.
func (c *KioskRelayCardCmd) Run(ctx context.Context, k *kong.Kong) (err error) {
	raw, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return fmt.Errorf("--secret-file: %w", err)
	}
	client, err := relay.NewClient(c.To, strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	r, done, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for {
		wait, cancel := context.WithTimeout(ctx, c.Patience)
		card, err := r.Wait(wait)
		cancel()
		if err != nil {
			return fmt.Errorf("wait for a card: %w", err)
		}
		end, err := client.Carry(ctx, card)
		if errors.Is(err, relay.ErrNoServer) {
			err = fmt.Errorf("%w. Whether the card is loaded, it tells at its next presentation", err)
		}
		if err != nil {
			return errors.Join(err, card.Close(reader.Reset))
		}
		if err := card.Close(reader.Reset); err != nil {
			return err
		}
		switch end {
		case relay.Done:
			fmt.Fprintln(k.Stdout, "the kiosk has finished with the card: its side tells what came of it")
			return nil
		case relay.Failed:
			return errors.New("the kiosk has given up: its side tells why")
		}
		fmt.Fprintln(k.Stdout, "the card or the line was lost: present the same card again")
	}
}
