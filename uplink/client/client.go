package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/uplink/wire"
)

// Config of a client.
type Config struct {
	// Broker is its URL, such as tcp://127.0.0.1:1883 or tls://broker:8883.
	Broker string
	// Password goes with the terminal id as user name where the broker asks for no device certificate (loopback, tests).
	Password string
	// TLS holds the device certificate and the broker's authority. With it the URL must say tls (or ssl, mqtts, wss).
	// Nil: none, and the URL must say tcp (or mqtt, ws).
	TLS *tls.Config
	// ConnectJitter spreads the first connect and each later attempt of a fleet evenly over this long. Default 1 s; a
	// depot wants minutes.
	ConnectJitter time.Duration
	// ConnectRetry is the wait after a failed first connect, and RetryMax the longest one while reconnecting, where the
	// wait doubles from 1 s; the jitter comes on top. Default 2 s and 1 min.
	ConnectRetry, RetryMax time.Duration

	Log   *slog.Logger // default: none
	Clock clock.Clock  // default: the machine's
}

const (
	keepAlive    = 30 * time.Second
	patience     = 10 * time.Second // for one handshake, write, or answer of the broker
	idle         = 30 * time.Second // between two looks at the journal when nobody calls Notify
	farewell     = 250 * time.Millisecond
	shortestLook = 10 * time.Millisecond
)

var (
	plainSchemes = []string{"tcp", "mqtt", "ws"}
	tlsSchemes   = []string{"tls", "ssl", "mqtts", "wss"}
)

func (c *Config) check() error {
	u, err := url.Parse(c.Broker)
	if err != nil || u.Host == "" {
		return fmt.Errorf("uplink: broker %q: want a URL such as tls://broker:8883", c.Broker)
	}
	switch {
	case slices.Contains(plainSchemes, u.Scheme):
		if c.TLS != nil {
			return fmt.Errorf("uplink: broker %q has no TLS, and TLS is configured", c.Broker)
		}
	case slices.Contains(tlsSchemes, u.Scheme):
		if c.TLS == nil {
			return fmt.Errorf("uplink: broker %q wants TLS, and none is configured", c.Broker)
		}
	default:
		return fmt.Errorf("uplink: broker %q: want one of %v or %v", c.Broker, plainSchemes, tlsSchemes)
	}
	if c.ConnectJitter < 0 || c.ConnectRetry < 0 || c.RetryMax < 0 {
		return errors.New("uplink: ConnectJitter, ConnectRetry and RetryMax cannot be negative")
	}
	setDefault(&c.ConnectJitter, time.Second)
	setDefault(&c.ConnectRetry, 2*time.Second)
	setDefault(&c.RetryMax, time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	return nil
}

// Client runs a Sender over MQTT 3.1.1.
type Client struct {
	cfg    Config
	sender *Sender
	wake   chan struct{}
}

// New checks the settings. It starts nothing; Run does.
func New(cfg Config, s *Sender) (*Client, error) {
	if s == nil {
		return nil, errors.New("uplink: a sender is needed")
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, sender: s, wake: make(chan struct{}, 1)}, nil
}

// Notify tells that there are new records: they are sent right away when the link is up. It never blocks.
func (c *Client) Notify() {
	select {
	case c.wake <- struct{}{}:
	default: // a look is due already; it will see these too
	}
}

// Stats reads the sender's figures.
func (c *Client) Stats() Stats { return c.sender.Stats() }

// Run connects, sends and reconnects until ctx ends. It returns nil then; no failure of the link ends it. Run it once.
func (c *Client) Run(ctx context.Context) error {
	link := mqtt.NewClient(c.options(ctx))
	link.Connect() // with ConnectRetry its token never tells; the handlers do
	defer func() {
		c.sayGoodbye(link)
		c.sender.OnDisconnect()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		timer.Reset(c.pump(link))
	}
}

// pump publishes what is due and returns when to look again.
func (c *Client) pump(link mqtt.Client) time.Duration {
	if !link.IsConnectionOpen() { // IsConnected would say yes while reconnecting, and a publish be lost
		return idle // the next connect wakes us
	}
	now := c.cfg.Clock.Now()
	out, next, err := c.sender.Due(now)
	if err != nil {
		c.cfg.Log.Error("uplink: cannot send", "terminal", c.sender.cfg.Terminal, "err", err)
	}
	for _, m := range out {
		// The token is not waited for: it may say yes to what never arrives. The receipt decides.
		link.Publish(wire.Topic(c.sender.cfg.Terminal, m.Kind), 1, false, m.Raw)
	}
	if next.IsZero() {
		return idle
	}
	return min(max(next.Sub(now), shortestLook), idle)
}

// options are those that measurements and the library's known faults ask for.
func (c *Client) options(ctx context.Context) *mqtt.ClientOptions {
	id := c.sender.cfg.Terminal
	o := mqtt.NewClientOptions().AddBroker(c.cfg.Broker).SetClientID(string(id)).SetUsername(string(id)).SetPassword(c.cfg.Password)
	o.SetProtocolVersion(4)  // or each refusal is followed by a second try as MQTT 3.1
	o.SetCleanSession(true)  // a session kept by the broker costs it, and receipts heal what a session would
	o.SetOrderMatters(false) // or a handler blocks the reader
	o.SetAutoReconnect(true) //
	o.SetConnectRetry(true)  // the first connect is tried for ever too
	o.SetConnectRetryInterval(c.cfg.ConnectRetry)
	o.SetMaxReconnectInterval(c.cfg.RetryMax)
	o.SetConnectTimeout(patience).SetWriteTimeout(patience).SetPingTimeout(patience).SetKeepAlive(keepAlive)
	if c.cfg.TLS != nil {
		o.SetTLSConfig(c.cfg.TLS)
	}
	o.SetBinaryWill(wire.Topic(id, wire.KindState), c.deviceState(false, time.Time{}), 0, true)
	o.SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {}) // without any handler messages are never acknowledged

	// The library has no jitter, and its first attempt after a loss is at once. This handler is called before every
	// attempt, first or later, and is waited for.
	o.SetConnectionAttemptHandler(func(_ *url.URL, t *tls.Config) *tls.Config {
		wait(ctx, time.Duration(rand.Int64N(int64(c.cfg.ConnectJitter)+1)))
		return t
	})
	// Not the connection-lost handler: that one runs beside the reconnect and may come after the next OnConnect.
	o.SetReconnectingHandler(func(mqtt.Client, *mqtt.ClientOptions) { c.sender.OnDisconnect() })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.cfg.Log.Info("uplink: link lost", "terminal", id, "err", err) })
	o.SetOnConnectHandler(func(link mqtt.Client) { c.onConnect(ctx, link) }) // the library gives it a goroutine of its own
	return o
}

// onConnect subscribes and greets. A clean session has no subscriptions, so this comes with every connect. Without a way to
// be answered nothing is sent, so a refused subscription is tried again while the connection lasts.
func (c *Client) onConnect(ctx context.Context, link mqtt.Client) {
	id := c.sender.cfg.Terminal
	for tries := 1; ; tries++ {
		err := c.subscribe(link)
		if err == nil {
			break
		}
		c.cfg.Log.Error("uplink: cannot hear receipts", "terminal", id, "err", err)
		if !wait(ctx, min(time.Duration(tries)*c.cfg.ConnectRetry, c.cfg.RetryMax)) || !link.IsConnectionOpen() {
			return
		}
	}
	now := c.cfg.Clock.Now()
	link.Publish(wire.Topic(id, wire.KindState), 0, true, c.deviceState(true, now))
	c.sender.OnConnect(now)
	c.Notify()
}

func (c *Client) subscribe(link mqtt.Client) error {
	topic := wire.Topic(c.sender.cfg.Terminal, wire.KindDown)
	return subscribed(link.Subscribe(topic, 0, func(_ mqtt.Client, m mqtt.Message) {
		switch err := c.sender.OnReceipt(c.cfg.Clock.Now(), m.Payload()); {
		case errors.Is(err, ErrJournalOlder):
			c.cfg.Log.Error("uplink: halted; the terminal needs a new journal", "terminal", c.sender.cfg.Terminal, "err", err)
		case err != nil:
			c.cfg.Log.Warn("uplink: receipt refused", "terminal", c.sender.cfg.Terminal, "err", err)
		}
		c.Notify()
	}), topic)
}

// subscribed checks the SUBACK itself: a refusal (128) leaves the token without an error.
func subscribed(token mqtt.Token, topic string) error {
	if !token.WaitTimeout(patience) {
		return fmt.Errorf("subscribe %s: no SUBACK in %v", topic, patience)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe %s: %w", topic, err)
	}
	t, ok := token.(*mqtt.SubscribeToken)
	if !ok {
		return fmt.Errorf("subscribe %s: token of type %T", topic, token)
	}
	if granted, ok := t.Result()[topic]; !ok || granted >= 128 {
		return fmt.Errorf("subscribe %s: the broker refuses", topic)
	}
	return nil
}

// sayGoodbye says that the terminal left in order; the last will says so when it did not.
func (c *Client) sayGoodbye(link mqtt.Client) {
	if link.IsConnectionOpen() {
		id := c.sender.cfg.Terminal
		link.Publish(wire.Topic(id, wire.KindState), 0, true, c.deviceState(false, c.cfg.Clock.Now())).WaitTimeout(farewell)
	}
	link.Disconnect(uint(farewell.Milliseconds()))
}

// deviceState is the content of the state topic; at is zero for the last will, which is written before its moment is known.
func (c *Client) deviceState(online bool, at time.Time) []byte {
	m := &wire.DeviceState{Terminal: string(c.sender.cfg.Terminal), Online: online}
	if !at.IsZero() {
		m.AtMs, m.Backlog = at.UnixMilli(), uint32(min(c.sender.Stats().Backlog, 1<<32-1))
	}
	raw, err := proto.Marshal(m)
	if err != nil { // a checked name and numbers can be marshalled
		c.cfg.Log.Error("uplink: device state", "err", err)
	}
	return raw
}

// wait waits and reports whether ctx is still on.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
