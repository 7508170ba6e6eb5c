package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// Password goes with the terminal id as user name where the broker has no device certificates (loopback, tests).
	Password string
	// TLS holds the device certificate and the broker's authority. Nil: no TLS.
	TLS *tls.Config
	// ConnectJitter spreads the first connect and each reconnect of a fleet over this long. Default 1 s; a depot wants
	// minutes.
	ConnectJitter time.Duration
	Log           *slog.Logger
	Clock         clock.Clock // default: the machine's
}

// Client runs a Sender over MQTT 3.1.1.
type Client struct {
	cfg    Config
	sender *Sender
	wake   chan struct{}
}

// New starts nothing; Run does.
func New(cfg Config, s *Sender) (*Client, error) {
	if cfg.Broker == "" {
		return nil, errors.New("uplink: broker URL is empty")
	}
	if cfg.ConnectJitter == 0 {
		cfg.ConnectJitter = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	return &Client{cfg: cfg, sender: s, wake: make(chan struct{}, 1)}, nil
}

// Notify tells that there are new records: they are sent right away when the link is up.
func (c *Client) Notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run connects, sends and reconnects until ctx ends. It returns nil then; no failure of the link ends it.
func (c *Client) Run(ctx context.Context) error {
	id := c.sender.cfg.Terminal
	link := mqtt.NewClient(c.options(ctx))
	if !sleep(ctx, jitter(c.cfg.ConnectJitter)) {
		return nil
	}
	link.Connect() // ConnectRetry: it goes on trying; its token would never tell
	defer func() {
		if link.IsConnectionOpen() {
			if raw, err := proto.Marshal(&wire.DeviceState{Terminal: string(id), AtMs: c.cfg.Clock.Now().UnixMilli()}); err == nil {
				link.Publish(wire.Topic(id, wire.KindState), 0, true, raw).WaitTimeout(time.Second)
			}
		}
		link.Disconnect(250)
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
		next := c.pump(link)
		timer.Reset(next)
	}
}

// pump publishes what is due and returns when to look again.
func (c *Client) pump(link mqtt.Client) time.Duration {
	const idle = 30 * time.Second
	if !link.IsConnectionOpen() { // IsConnected would say yes while reconnecting
		return time.Second
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
	return max(next.Sub(now), 10*time.Millisecond)
}

func (c *Client) options(ctx context.Context) *mqtt.ClientOptions {
	id := c.sender.cfg.Terminal
	o := mqtt.NewClientOptions().AddBroker(c.cfg.Broker).SetClientID(string(id)).SetUsername(string(id)).SetPassword(c.cfg.Password)
	o.SetProtocolVersion(4).SetCleanSession(true).SetOrderMatters(false)
	o.SetAutoReconnect(true).SetMaxReconnectInterval(time.Minute).SetConnectRetry(true).SetConnectRetryInterval(2 * time.Second)
	o.SetWriteTimeout(10 * time.Second).SetKeepAlive(30 * time.Second).SetPingTimeout(10 * time.Second).SetConnectTimeout(10 * time.Second)
	if c.cfg.TLS != nil {
		o.SetTLSConfig(c.cfg.TLS)
	}
	if will, err := proto.Marshal(&wire.DeviceState{Terminal: string(id), AtMs: c.cfg.Clock.Now().UnixMilli()}); err == nil {
		o.SetBinaryWill(wire.Topic(id, wire.KindState), will, 0, true)
	}
	o.SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {})
	o.SetReconnectingHandler(func(mqtt.Client, *mqtt.ClientOptions) { sleep(ctx, jitter(c.cfg.ConnectJitter)) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		c.cfg.Log.Info("uplink: link lost", "terminal", id, "err", err)
		c.sender.OnDisconnect()
	})
	o.SetOnConnectHandler(func(link mqtt.Client) { go c.onConnect(link) })
	return o
}

// onConnect subscribes and greets. A clean session has no subscriptions, so this comes with every connect.
func (c *Client) onConnect(link mqtt.Client) {
	id := c.sender.cfg.Terminal
	topic := wire.Topic(id, wire.KindDown)
	token := link.Subscribe(topic, 0, func(_ mqtt.Client, m mqtt.Message) {
		if err := c.sender.OnReceipt(c.cfg.Clock.Now(), m.Payload()); err != nil {
			c.cfg.Log.Warn("uplink: receipt refused", "terminal", id, "err", err)
		}
		c.Notify()
	})
	if err := subscribed(token, topic); err != nil {
		c.cfg.Log.Error("uplink: cannot hear receipts", "terminal", id, "err", err)
		return // nothing is sent without a way to be answered; the next connect tries again
	}
	if raw, err := proto.Marshal(&wire.DeviceState{Terminal: string(id), Online: true, AtMs: c.cfg.Clock.Now().UnixMilli()}); err == nil {
		link.Publish(wire.Topic(id, wire.KindState), 0, true, raw)
	}
	c.sender.OnConnect(c.cfg.Clock.Now())
	c.Notify()
}

// subscribed checks the SUBACK itself: a refusal (128) leaves the token without an error.
func subscribed(token mqtt.Token, topic string) error {
	if !token.WaitTimeout(10 * time.Second) {
		return errors.New("no SUBACK in 10 s")
	}
	if err := token.Error(); err != nil {
		return err
	}
	if t, ok := token.(*mqtt.SubscribeToken); ok && t.Result()[topic] >= 128 {
		return fmt.Errorf("the broker refuses to let %s be subscribed", topic)
	}
	return nil
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d) + 1)) }

// sleep waits and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
