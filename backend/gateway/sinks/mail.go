package sinks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
	"unicode"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/store"
)

// Mail sends each notice by e-mail. Off loopback the server must offer STARTTLS.
type Mail struct {
	Server   string // host:port
	From     string
	To       []string
	User     string // "": the server asks for none
	Password string
	Filter   Filter
}

// Check reports the first setting that makes no sense.
func (s Mail) Check() error {
	if _, _, err := net.SplitHostPort(s.Server); err != nil {
		return fmt.Errorf("smtp: want host:port: %w", err)
	}
	if len(s.To) == 0 {
		return errors.New("to: want at least one address")
	}
	for _, a := range append([]string{s.From}, s.To...) {
		if p, err := mail.ParseAddress(a); err != nil || p.Address != a {
			return fmt.Errorf("%q: want an address such as ops@example.org", a)
		}
	}
	return nil
}

// Handler of its topic.
func (s Mail) Handler() (outbox.Handler, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return filtered(s.Filter, func(ctx context.Context, m store.OutboxMessage, n keeper.Notice) error {
		if err := s.send(ctx, s.letter(m, n)); err != nil {
			return fmt.Errorf("mail: %w", err)
		}
		return nil
	}), nil
}

// letter is the message as it goes over the wire. Nothing in it can begin a header: banks are named by apps.
func (s Mail) letter(m store.OutboxMessage, n keeper.Notice) []byte {
	cell := plain(health.Cell{Channel: n.Channel, Bank: n.Bank, Card: n.Card}.String())
	what := fmt.Sprintf("%s is %s, takes %.0f %% of its payments", cell, n.State, 100*n.Share)
	if n.Alarm {
		what = cell + " fails: switch it off by hand if that is right"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", s.From)
	line("To: <%s>", strings.Join(s.To, ">, <"))
	line("Subject: %s", mime.QEncoding.Encode("utf-8", "[purselane] "+what))
	line("Date: %s", n.At.UTC().Format(time.RFC1123Z))
	line("Message-ID: <%x.%x@purselane>", m.Key, m.ID)
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=utf-8")
	line("")
	line("%s.", what)
	line("At %s.", n.At.UTC().Format(time.RFC3339))
	if n.Payments > 0 {
		line("%d of the last %d payments failed.", n.Failed, n.Payments)
	}
	if n.By != "" {
		line("By %s: %s", plain(n.By), plain(n.Reason))
	}
	if n.Incident > 0 {
		line("Incident %d. When it is over it wants a cause: purselane channels close.", n.Incident)
		line("What to do: docs/runbook-channels.md, also linked from the console's page of channels.")
	}
	return []byte(b.String())
}

// plain is a text without what ends a line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func (s Mail) send(ctx context.Context, letter []byte) error {
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.Server)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // Quit has said whether the letter was taken
	if at, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(at); err != nil {
			return err
		}
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("the server offers no STARTTLS")
	}
	if s.User != "" {
		if err := c.Auth(smtp.PlainAuth("", s.User, s.Password, host)); err != nil {
			return errors.New("the server does not take user and password") // its text may quote them
		}
	}
	if err := c.Mail(s.From); err != nil {
		return err
	}
	for _, to := range s.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(letter); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // here the server takes it
		return err
	}
	_ = c.Quit() // it has it
	return nil
}
