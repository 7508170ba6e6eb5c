package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

func TestAClientRefusesWhatItCannotRunWith(t *testing.T) {
	s := newRig(t, 0, nil).sender
	for _, good := range []client.Config{{Broker: "tcp://127.0.0.1:1883"}, {Broker: "mqtts://broker:8883", TLS: &tls.Config{}}} {
		_, err := client.New(good, s)
		require.NoError(t, err)
	}
	_, err := client.New(client.Config{Broker: "tcp://127.0.0.1:1883"}, nil)
	require.Error(t, err)
	for name, c := range map[string]client.Config{
		"no broker":          {},
		"no host":            {Broker: "tcp://"},
		"no scheme":          {Broker: "127.0.0.1:1883"},
		"another scheme":     {Broker: "http://127.0.0.1"},
		"TLS and no TLS":     {Broker: "tcp://127.0.0.1:1883", TLS: &tls.Config{}},
		"no TLS and TLS":     {Broker: "tls://127.0.0.1:8883"},
		"a jitter below 0":   {Broker: "tcp://127.0.0.1:1883", ConnectJitter: -1},
		"a wait below 0":     {Broker: "tcp://127.0.0.1:1883", ConnectRetry: -1},
		"a wait below 0 too": {Broker: "tcp://127.0.0.1:1883", RetryMax: -1},
	} {
		_, err := client.New(c, s)
		require.Error(t, err, name)
	}
}

func TestRecordsArriveOverMQTT(t *testing.T) {
	s := newSite(t, nil)
	one, two := s.terminal("bus-1", 500, nil), s.terminal("bus-2", 0, nil)
	one.arrived()
	require.Eventually(t, func() bool { return two.client.Stats().State == client.Sending }, patience, time.Millisecond)
	two.sell(30)
	one.sell(1)
	two.arrived()
	one.arrived()
	require.Zero(t, one.client.Stats().Forged+one.client.Stats().Foreign)
}

func TestRestartsOfBrokerAndBackendLoseNothing(t *testing.T) {
	s := newSite(t, nil)
	m := s.terminal("bus-1", 200, nil)
	for round := range 2 {
		for name, restart := range map[string]func(){
			"the intake alone": func() {
				s.stopIntake()
				m.sell(100)
				s.startIntake()
			},
			"the broker, and the intake's connection with it": func() {
				s.stopBroker()
				s.stopIntake()
				m.sell(100)
				s.startBroker()
				s.startIntake()
			},
			"the broker, and the intake comes back long after": func() {
				s.stopIntake()
				s.stopBroker()
				s.startBroker()
				before := m.client.Stats()
				m.sell(100)
				require.Eventually(t, func() bool { // greets or sends into the broker, and nobody answers
					now := m.client.Stats()
					return now.State == client.Greeting || now.Resends > before.Resends
				}, patience, time.Millisecond)
				s.startIntake()
			},
		} {
			m.sell(50) // on their way while it happens
			restart()
			m.sell(50)
			m.arrived()
			t.Log(round, name, "done")
		}
	}
}

func TestAStreamThatIsLostIsMadeAgain(t *testing.T) {
	s := newSite(t, nil)
	m := s.terminal("bus-1", 100, nil)
	m.arrived()
	js, err := jetstream.New(s.nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "UPLINK"))
	m.sell(100)
	m.arrived()
}

func TestADeadLinkAcknowledgesNothingAndLosesNothing(t *testing.T) {
	s := newSite(t, nil)
	p := newProxy(t, s.broker.URL())
	m := s.terminal("bus-1", 50, func(c *client.Config) { c.Broker = p.url() })
	m.arrived()

	p.set(true, false) // the line is dead, and the terminal does not know
	m.sell(100)
	resent := m.client.Stats().Resends
	require.Eventually(t, func() bool { return m.client.Stats().Resends > resent+2 }, patience, time.Millisecond)
	require.EqualValues(t, 50, m.journal.AckedSeq())
	p.set(true, true)
	p.cut() // it finds out, and cannot get through
	require.Eventually(t, func() bool { return m.client.Stats().State == client.Offline }, patience, time.Millisecond)
	m.sell(100)
	p.set(false, false)
	m.arrived()

	for range 3 { // a bad line
		m.sell(40)
		p.cut()
	}
	m.arrived()
}

func TestAWrongPasswordSendsNothing(t *testing.T) {
	s := newSite(t, nil)
	m := s.terminal("bus-1", 50, func(c *client.Config) { c.Password = "guess" })
	for range 3 {
		require.Equal(t, ids.TerminalID("bus-1"), <-s.tries)
	}
	require.Equal(t, client.Offline, m.client.Stats().State)
	require.Zero(t, m.journal.AckedSeq())
	news, _, batches, hellos := s.ledger.Counts()
	require.Zero(t, news+batches+hellos)
}

func TestTheStateTopicTellsWhetherATerminalIsThere(t *testing.T) {
	s := newSite(t, nil)
	p := newProxy(t, s.broker.URL())
	m := s.terminal("bus-1", 7, func(c *client.Config) { c.Broker = p.url() })
	online := func(d *wire.DeviceState) bool { return d.GetOnline() }
	offline := func(d *wire.DeviceState) bool { return !d.GetOnline() }
	retained := func() bool {
		js, err := jetstream.New(s.nc)
		require.NoError(t, err)
		st, err := js.Stream(t.Context(), "$MQTT_rmsgs") // where this server keeps what is retained
		require.NoError(t, err)
		raw, err := st.GetLastMsgForSubject(t.Context(), "$MQTT.rmsgs.pl.1.bus-1.state")
		if err != nil {
			return false
		}
		var d wire.DeviceState
		require.NoError(t, proto.Unmarshal(raw.Data, &d))
		return d.GetOnline()
	}
	d := s.state(online)
	require.Equal(t, "bus-1", d.GetTerminal())
	require.EqualValues(t, 7, d.GetBacklog())
	require.NotZero(t, d.GetAtMs())
	m.arrived()
	require.Eventually(t, retained, patience, time.Millisecond)

	p.set(false, true)
	p.cut()
	require.Zero(t, s.state(offline).GetAtMs(), "the last will knows no time")
	require.Eventually(t, func() bool { return !retained() }, patience, time.Millisecond)

	p.set(false, false)
	s.state(online)
	m.stop()
	require.NotZero(t, s.state(offline).GetAtMs(), "it left in order")
}

func TestAHaltedTerminalSendsNoRecord(t *testing.T) {
	s := newSite(t, nil)
	m := s.terminal("bus-1", 30, nil)
	m.arrived()
	m.stop()
	other := s.terminal("bus-1", 10, nil) // an old copy
	require.Eventually(t, func() bool { return other.client.Stats().State == client.Halted }, patience, time.Millisecond)
	require.Zero(t, other.journal.AckedSeq())
	require.Zero(t, other.client.Stats().Sent)
}

func TestABackendThatCannotCommitGivesNoReceiptAndTriesAgain(t *testing.T) {
	s := newSite(t, nil)
	asked := make(chan struct{}, 1000)
	s.ledger.Set(func(l *uplinktest.Ledger) {
		l.Fail = uplinktest.FailFirst(3, func() { asked <- struct{}{} }, fmt.Errorf("disk full"))
	})
	m := s.terminal("bus-1", 100, nil)
	for range 3 {
		<-asked
	}
	m.arrived()
}

func TestWithACertificateATerminalNeedsNoPassword(t *testing.T) {
	ca, caKey := newCA(t)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	of := func(name string) *tls.Config {
		return &tls.Config{RootCAs: pool, ClientCAs: pool, Certificates: []tls.Certificate{certificate(t, name, ca, caKey)}}
	}
	s := newSite(t, of("broker"))
	m := s.terminal("bus-1", 100, func(c *client.Config) { c.TLS, c.Password = of("bus-1"), "" })
	p := newProxy(t, s.broker.URL())
	refused := s.terminal("bus-2", 100, func(c *client.Config) { c.Broker, c.TLS, c.Password = "tls"+p.url()[len("tcp"):], of("bus-1"), "" })
	m.arrived()
	m.sell(20)
	m.arrived()
	require.Eventually(t, func() bool { return p.count() >= 3 }, patience, time.Millisecond)
	require.Equal(t, client.Offline, refused.client.Stats().State)
	require.False(t, s.ledger.Has("bus-2", epoch, 1), "a certificate speaks for one terminal")
}

func newCA(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	c := certificate(t, "authority", nil, nil)
	return c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
}

// certificate is good for server and device. Without an authority it is one.
func certificate(t *testing.T, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if ca == nil {
		ca, caKey = c, key
	}
	raw, err := x509.CreateCertificate(crand.Reader, c, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// A client that is told to stop before it ever got through stops.
func TestAClientStopsAtAnyMoment(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // it accepts, and never answers
	for _, cfg := range []client.Config{
		{Broker: "tcp://127.0.0.1:1", ConnectJitter: time.Hour},
		{Broker: "tcp://127.0.0.1:1", ConnectJitter: 1, ConnectRetry: time.Millisecond},
		{Broker: "tcp://" + l.Addr().String(), ConnectJitter: 1},
	} {
		c, err := client.New(cfg, newRig(t, 5, nil).sender)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		cancel()
		require.NoError(t, <-ended)
	}
}
