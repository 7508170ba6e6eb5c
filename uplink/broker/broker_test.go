package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

const patience = time.Minute // only to give up at

// start runs a broker whose passwords are the terminals' names, and the backend's connection to it.
func start(t *testing.T, cfg Config) (*Broker, *nats.Conn) {
	cfg.Dir = t.TempDir()
	if cfg.TLS == nil {
		cfg.Password = func(id ids.TerminalID, password string) bool { return password == string(id) }
	}
	b, err := Start(cfg)
	require.NoError(t, err)
	t.Cleanup(b.Stop)
	nc, err := b.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return b, nc
}

// device is a bare MQTT client: what a terminal that does not keep to our rules could be.
func device(b *Broker, id, user, password string, change func(*mqtt.ClientOptions)) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(patience)
	if change != nil {
		change(o)
	}
	c := mqtt.NewClient(o)
	t := c.Connect()
	t.Wait()
	return c, t.Error()
}

// heard listens to everything that devices publish.
func heard(t *testing.T, nc *nats.Conn) <-chan *nats.Msg {
	all := make(chan *nats.Msg, 100)
	_, err := nc.ChanSubscribe("pl.>", all)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return all
}

func next(t *testing.T, all <-chan *nats.Msg) *nats.Msg {
	select {
	case m := <-all:
		return m
	case <-time.After(patience):
		require.Fail(t, "nothing arrives")
		return nil
	}
}

func publish(t *testing.T, c mqtt.Client, topic, body string) {
	token := c.Publish(topic, 1, false, body)
	require.True(t, token.WaitTimeout(patience))
	require.NoError(t, token.Error(), "%s is PUBACKed, allowed or not", topic)
}

func TestADevicePublishesUnderItsOwnTopicsOnlyAndAPUBACKProvesNothing(t *testing.T) {
	b, nc := start(t, Config{})
	all := heard(t, nc)
	c, err := device(b, "bus-1", "bus-1", "bus-1", nil)
	require.NoError(t, err)
	defer c.Disconnect(0)
	for _, topic := range []string{
		"pl/1/bus-2/up", "pl/1/bus-2/hello", "pl/1/bus-2/state", "pl/1/bus-1/down", "pl/1/bus-2/down", "pl/1/bus-1/want",
		"pl/2/bus-1/up", "pl/1/bus-1/up/x", "pl/1/bus-1", "pl/1/bus-11/up",
	} {
		publish(t, c, topic, "forbidden")
	}
	for _, kind := range []string{"up", "hello", "state"} {
		publish(t, c, "pl/1/bus-1/"+kind, kind)
		m := next(t, all)
		require.Equal(t, "pl.1.bus-1."+kind, m.Subject, "of one connection the messages come in order: nothing forbidden came before")
		require.Equal(t, kind, string(m.Data))
	}
	require.Empty(t, all)
}

func TestADeviceHearsItsOwnTopicsOnly(t *testing.T) {
	b, nc := start(t, Config{})
	got := make(chan mqtt.Message, 10)
	c, err := device(b, "bus-1", "bus-1", "bus-1", func(o *mqtt.ClientOptions) {
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- m })
	})
	require.NoError(t, err)
	defer c.Disconnect(0)
	granted := func(topic string) byte {
		token := c.Subscribe(topic, 0, nil)
		require.True(t, token.WaitTimeout(patience))
		return token.(*mqtt.SubscribeToken).Result()[topic]
	}
	for _, topic := range []string{
		"pl/1/bus-2/down", "pl/1/bus-2/want", "pl/1/+/down", "pl/1/#", "pl/#", "#", "+/1/bus-1/down", "pl/1/bus-1/#", "pl/1/bus-1/up", "pl/1/bus-2/up",
		"$MQTT/#", "$SYS/#", "$JS/#",
	} {
		require.EqualValues(t, 0x80, granted(topic), topic)
	}
	granted("$share/x/pl/1/bus-2/down") // the server says yes to shared subscriptions and has none
	require.EqualValues(t, 0, granted("pl/1/bus-1/down"))
	require.EqualValues(t, 0, granted("pl/1/bus-1/want"))
	for _, subject := range []string{"pl.1.bus-2.down", "pl.1.bus-1.up", "$share.x.pl.1.bus-2.down", "pl.1.bus-1.down"} {
		require.NoError(t, nc.Publish(subject, []byte(subject)))
	}
	select {
	case m := <-got:
		require.Equal(t, "pl/1/bus-1/down", m.Topic())
		require.Equal(t, "pl.1.bus-1.down", string(m.Payload()))
	case <-time.After(patience):
		require.Fail(t, "the device hears nothing")
	}
	require.Empty(t, got)
}

func TestALastWillIsBoundToTheDevicesTopicsToo(t *testing.T) {
	b, nc := start(t, Config{})
	all := heard(t, nc)
	for _, c := range []struct{ id, topic string }{{"bus-1", "pl/1/bus-2/state"}, {"bus-3", "pl/1/bus-3/state"}} {
		before := b.srv.NumClients()
		var line net.Conn
		_, err := device(b, c.id, c.id, c.id, func(o *mqtt.ClientOptions) {
			o.SetWill(c.topic, "gone", 0, true)
			o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
				var err error
				line, err = net.Dial("tcp", u.Host)
				return line, err
			})
		})
		require.NoError(t, err)
		require.Equal(t, before+1, b.srv.NumClients())
		require.NoError(t, line.Close())
		require.Eventually(t, func() bool { return b.srv.NumClients() == before }, patience, time.Millisecond)
	}
	require.Equal(t, "pl.1.bus-3.state", next(t, all).Subject)
	require.Empty(t, all)
}

func TestWhoIsNotADeviceIsRefused(t *testing.T) {
	b, _ := start(t, Config{})
	for name, c := range map[string]struct{ id, user, password string }{
		"a wrong password":               {"bus-1", "bus-1", "bus-2"},
		"no password":                    {"bus-1", "bus-1", ""},
		"no name":                        {"bus-1", "", ""},
		"a name that is no terminal id":  {"bus.1", "bus.1", "bus.1"},
		"the backend's name":             {backendUser, backendUser, backendUser},
		"the backend's name alone":       {backendUser, backendUser, ""},
		"another terminal's client id":   {"bus-2", "bus-1", "bus-1"},
		"a client id that ends likewise": {"x-bus-1", "bus-1", "bus-1"},
		"a client id of its own choice":  {`x" - "bus-1`, "bus-1", "bus-1"},
	} {
		_, err := device(b, c.id, c.user, c.password, nil)
		require.Error(t, err, name)
	}
	c, err := device(b, "bus-1", "bus-1", "bus-1", nil)
	require.NoError(t, err)
	c.Disconnect(0)
}

// A second connection of the same terminal takes the place of the first, so that a half-open line does not lock it out.
func TestANewConnectionOfATerminalReplacesTheOldOne(t *testing.T) {
	b, _ := start(t, Config{})
	lost := make(chan error, 1)
	first, err := device(b, "bus-1", "bus-1", "bus-1", func(o *mqtt.ClientOptions) {
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	})
	require.NoError(t, err)
	defer first.Disconnect(0)
	second, err := device(b, "bus-1", "bus-1", "bus-1", nil)
	require.NoError(t, err)
	defer second.Disconnect(0)
	select {
	case <-lost:
	case <-time.After(patience):
		require.Fail(t, "the first connection stays")
	}
	require.True(t, second.IsConnectionOpen())
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	allow := func(ids.TerminalID, string) bool { return true }
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"no folder":               {Config{Password: allow}, "Dir"},
		"neither TLS nor check":   {Config{Dir: t.TempDir()}, "password check"},
		"TLS without authorities": {Config{Dir: t.TempDir(), TLS: &tls.Config{}}, "ClientCAs"},
		"a port that is taken":    {Config{Dir: t.TempDir(), Password: allow, Port: taken.Addr().(*net.TCPAddr).Port}, "in use"},
		"a folder that is a file": {Config{Dir: file, Password: allow}, "JetStream"},
	} {
		b, err := Start(c.cfg)
		require.Nil(t, b, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	made := a.issue("authority", true)
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *authority) issue(name string, ca bool) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(raw)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestWithTLSTheCertificateSaysWhoADeviceIs(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	b, nc := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{ours.issue("broker", false)}, ClientCAs: ours.pool()}})
	require.Regexp(t, "^tls://127.0.0.1:", b.URL())
	all := heard(t, nc)
	dial := func(id string, certs ...tls.Certificate) (mqtt.Client, error) {
		return device(b, id, "bus-2", "bus-2", func(o *mqtt.ClientOptions) { // a name in the message counts for nothing
			o.SetTLSConfig(&tls.Config{RootCAs: ours.pool(), Certificates: certs})
		})
	}
	for name, c := range map[string]struct {
		id    string
		certs []tls.Certificate
	}{
		"no certificate":                  {"bus-1", nil},
		"of another authority":            {"bus-1", []tls.Certificate{theirs.issue("bus-1", false)}},
		"of another terminal":             {"bus-1", []tls.Certificate{ours.issue("bus-3", false)}},
		"of something that is no device":  {"bus-1", []tls.Certificate{ours.issue("www.example.org", false)}},
		"the backend's name on the paper": {backendUser, []tls.Certificate{ours.issue(backendUser, false)}},
	} {
		_, err := dial(c.id, c.certs...)
		require.Error(t, err, name)
	}
	c, err := dial("bus-1", ours.issue("bus-1", false))
	require.NoError(t, err)
	defer c.Disconnect(0)
	publish(t, c, "pl/1/bus-2/up", "forbidden")
	publish(t, c, wire.Topic("bus-1", wire.KindUp), "mine")
	require.Equal(t, "pl.1.bus-1.up", next(t, all).Subject)

	_, err = device(b, "bus-1", "bus-1", "bus-1", func(o *mqtt.ClientOptions) {
		o.Servers[0].Scheme = "tcp" // and without TLS
	})
	require.Error(t, err)
}
