package broker

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/wire"
)

// TestTheConfigurationInTheDocumentationRuns starts a server with what docs/uplink.md shows for one's own broker.
func TestTheConfigurationInTheDocumentationRuns(t *testing.T) {
	page, err := os.ReadFile("../../docs/uplink.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```conf\n")
	require.True(t, ok)
	conf, _, ok := strings.Cut(rest, "```\n")
	require.True(t, ok)

	dir := t.TempDir()
	ca := newAuthority(t)
	write := func(name, kind string, raw []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
	}
	own := ca.issue("broker", false)
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	write("broker.pem", "CERTIFICATE", own.Certificate[0])
	write("broker-key.pem", "PRIVATE KEY", key)
	write("device-authority.pem", "CERTIFICATE", ca.cert.Raw)
	for _, change := range [][2]string{
		{"/etc/purselane/", dir + "/"}, {"/var/lib/purselane/nats", filepath.Join(dir, "nats")}, {"127.0.0.1:4222", "127.0.0.1:-1"}, {"0.0.0.0:8883", "127.0.0.1:-1"},
	} {
		require.Contains(t, conf, change[0])
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	file := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(patience))

	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("purselane-backend", "a long random word"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	all := heard(t, nc)
	b := &Broker{url: "tls://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(o.MQTT.Port))}
	dial := func(cn string) (mqtt.Client, error) {
		return device(b, "bus-1", "bus-1", "", func(o *mqtt.ClientOptions) {
			o.SetTLSConfig(&tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue(cn, false)}})
		})
	}
	_, err = dial("bus-2")
	require.Error(t, err, "not in the list")
	c, err := dial("bus-1")
	require.NoError(t, err)
	defer c.Disconnect(0)
	publish(t, c, "pl/1/bus-2/up", "forbidden")
	publish(t, c, wire.Topic("bus-1", wire.KindUp), "mine")
	require.Equal(t, "pl.1.bus-1.up", next(t, all).Subject)
	for topic, want := range map[string]byte{"pl/1/bus-1/down": 0, "pl/1/bus-2/down": 0x80, "pl/#": 0x80} {
		token := c.Subscribe(topic, 0, nil)
		require.True(t, token.WaitTimeout(patience))
		require.Equal(t, want, token.(*mqtt.SubscribeToken).Result()[topic], topic)
	}
}
