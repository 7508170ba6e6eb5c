// Package broker is the embedded broker: a NATS server with its MQTT 3.1.1 listener and JetStream, in the backend's own process.
//
// Start with [Start]. A device may publish and subscribe only under its own topics; who it is comes from its certificate, or
// from a password where there is no TLS. Nothing of value lives in the broker: a lost message is sent again, because
// only a receipt prunes.
package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Config of a broker.
type Config struct {
	// Dir holds JetStream's files. Required.
	Dir string
	// Host and Port of the MQTT listener. Port 0 takes a free one; Addr tells which. Default 127.0.0.1.
	Host string
	Port int
	// TLS, when set, asks each device for a certificate; its common name is the terminal id. ClientCAs must be set: with the
	// machine's own authorities anybody's certificate would do.
	TLS *tls.Config
	// Password checks a device's password where there is no TLS. Required then.
	Password func(terminal ids.TerminalID, password string) bool
	// Log gets the server's warnings and errors. Default: none.
	Log *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	srv *server.Server
	url string
}

// backendUser is the in-process connection's name. No network client can use it: it is accepted from the pipe only.
const backendUser = "purselane-backend"

// Start starts a broker and waits until it serves.
func Start(cfg Config) (*Broker, error) {
	if cfg.Dir == "" {
		return nil, errors.New("broker: Dir is empty")
	}
	if cfg.TLS == nil && cfg.Password == nil {
		return nil, errors.New("broker: without TLS a password check is needed")
	}
	if cfg.TLS != nil {
		if cfg.TLS.ClientCAs == nil {
			return nil, errors.New("broker: TLS without ClientCAs: whose device certificates count?")
		}
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	port := cfg.Port
	if port == 0 {
		port = -1
	}
	o := &server.Options{
		ServerName: "purselane", DontListen: true, JetStream: true, StoreDir: cfg.Dir, NoSigs: true, NoLog: true,
		MaxPayload: 1 << 20, JetStreamMaxStore: 4 << 30,
		MQTT: server.MQTTOpts{Host: cfg.Host, Port: port, TLSConfig: cfg.TLS, AckWait: 30 * time.Second},
	}
	if cfg.TLS != nil {
		o.MQTT.TLSTimeout = 10
	}
	o.CustomClientAuthentication = &devices{cfg}
	srv, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	told := &logger{log: cfg.Log, fatal: make(chan error, 1)}
	srv.SetLogger(told, false, false)
	srv.Start()
	if err := ready(srv, told.fatal); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, fmt.Errorf("broker: MQTT at %s:%d, files in %s: %w", cfg.Host, cfg.Port, cfg.Dir, err)
	}
	scheme, host := "tcp", cfg.Host
	if cfg.TLS != nil {
		scheme = "tls"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	// With port −1 the server writes the port it took back into its options.
	return &Broker{srv: srv, url: scheme + "://" + net.JoinHostPort(host, strconv.Itoa(o.MQTT.Port))}, nil
}

// ready waits until the server serves. Of a fault while starting the server tells its log only.
func ready(srv *server.Server, fatal <-chan error) error {
	const patience, look = 20 * time.Second, 50 * time.Millisecond
	for range patience / look {
		select {
		case err := <-fatal:
			return err
		default:
		}
		if srv.ReadyForConnections(look) {
			return nil
		}
	}
	return fmt.Errorf("not ready after %v", patience)
}

// URL is what a client's Broker setting takes, on the same machine.
func (b *Broker) URL() string { return b.url }

// Connect makes the backend's own connection, without a port.
func (b *Broker) Connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(b.srv), nats.UserInfo(backendUser, ""), nats.Name("backend"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("broker: connect in process: %w", err)
	}
	return nc, nil
}

// Stop shuts the broker down and waits until it has.
func (b *Broker) Stop() {
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
}

// devices decides who a client is and what it may do.
type devices struct{ cfg Config }

// Check implements server.Authentication.
func (d *devices) Check(c server.ClientAuthentication) bool {
	if c.Kind() == server.CLIENT && c.GetOpts().Username == backendUser && c.RemoteAddress() != nil && c.RemoteAddress().Network() == "pipe" {
		c.RegisterUser(&server.User{Username: backendUser})
		return true
	}
	id, ok := d.identify(c)
	if !ok || id == backendUser || !isClientID(c, id) {
		return false
	}
	c.RegisterUser(&server.User{Username: string(id), Permissions: permissions(id)})
	return true
}

func (d *devices) identify(c server.ClientAuthentication) (ids.TerminalID, bool) {
	if d.cfg.TLS != nil {
		state := c.GetTLSConnectionState()
		if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
			return "", false
		}
		id, err := ids.ParseTerminalID(state.PeerCertificates[0].Subject.CommonName)
		return id, err == nil
	}
	o := c.GetOpts()
	id, err := ids.ParseTerminalID(o.Username)
	if err != nil {
		return "", false
	}
	return id, d.cfg.Password(id, o.Password)
}

// isClientID reports whether a device's MQTT client id is its terminal id. A connection with a client id that is in use ends the older
// one, so with a free choice each device could cut off any other. The server shows the client id in a client's name only.
func isClientID(c server.ClientAuthentication, id ids.TerminalID) bool {
	named, ok := c.(fmt.Stringer)
	return ok && strings.HasSuffix(named.String(), fmt.Sprintf(" - %q", string(id))) // a client id has no space: see the server's isValidName
}

// permissions let a device publish and hear only what is its own.
func permissions(id ids.TerminalID) *server.Permissions {
	var pub, sub []string
	for _, k := range []string{wire.KindUp, wire.KindHello, wire.KindState} {
		pub = append(pub, wire.Subject(id, k))
	}
	for _, k := range []string{wire.KindDown, wire.KindWant} {
		sub = append(sub, wire.Subject(id, k))
	}
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: pub}, Subscribe: &server.SubjectPermission{Allow: sub}}
}
