package intake_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/broker"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

const patience = time.Minute // only to give up at

// running is an intake that runs on a broker of its own.
type running struct {
	broker *broker.Broker
	nc     *nats.Conn
	stop   context.CancelFunc
	ended  chan error
	// receipts are those of bus-1.
	receipts chan *nats.Msg
}

func run(t *testing.T, h intake.Handler) *running {
	b, err := broker.Start(broker.Config{Dir: t.TempDir(), Password: func(ids.TerminalID, string) bool { return false }})
	require.NoError(t, err)
	t.Cleanup(b.Stop)
	nc, err := b.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	r := &running{broker: b, nc: nc, ended: make(chan error, 1), receipts: make(chan *nats.Msg, 100)}
	_, err = nc.ChanSubscribe(wire.Subject("bus-1", wire.KindDown), r.receipts)
	require.NoError(t, err)
	r.start(t, h)
	return r
}

func (r *running) start(t *testing.T, h intake.Handler) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r.stop = cancel
	go func() { r.ended <- intake.Run(ctx, r.nc, processor(h), clock.System{}, slog.New(slog.DiscardHandler)) }()
	// The stream may not be there yet: what is published before it is nobody's.
	r.until(t, wire.KindHello, hello(t, deviceKey, "bus-1"))
}

// until publishes a message until it has a receipt.
func (r *running) until(t *testing.T, kind string, raw []byte) (receipt *wire.Receipt) {
	require.Eventually(t, func() bool {
		require.NoError(t, r.nc.Publish(wire.Subject("bus-1", kind), raw))
		select {
		case m := <-r.receipts:
			receipt = opened(t, m.Data)
			return true
		default:
			return false
		}
	}, patience, 20*time.Millisecond)
	return receipt
}

func TestRunStopsAlsoWhenTheBrokerIsGone(t *testing.T) {
	r := run(t, uplinktest.NewLedger())
	r.broker.Stop()
	r.stop()
	require.NoError(t, <-r.ended)
}

func TestRunSaysThatItCannotBegin(t *testing.T) {
	r := run(t, uplinktest.NewLedger())
	r.stop()
	require.NoError(t, <-r.ended)
	r.nc.Close()
	require.ErrorIs(t, intake.Run(t.Context(), r.nc, processor(uplinktest.NewLedger()), clock.System{}, slog.New(slog.DiscardHandler)), nats.ErrConnectionClosed)
}

func TestRunEndsWhenItsConnectionIsClosed(t *testing.T) {
	r := run(t, uplinktest.NewLedger())
	r.nc.Close()
	require.Error(t, <-r.ended, "nobody would notice otherwise")
}

// What is dropped does not come again, and what is not committed does, also after a restart.
func TestAMessageLeavesTheBufferOnlyWhenItIsDroppedOrCommitted(t *testing.T) {
	l := uplinktest.NewLedger()
	refused := make(chan struct{}, 1000)
	l.Set(func(l *uplinktest.Ledger) {
		l.Fail = func(intake.Accepted) error { refused <- struct{}{}; return errDisk }
	})
	r := run(t, l)
	require.NoError(t, r.nc.Publish(wire.Subject("bus-1", wire.KindUp), []byte("noise")))
	require.NoError(t, r.nc.Publish(wire.Subject("bus-1", wire.KindUp), envelope(t, deviceKey, "bus-1", 3, 1, "one")))
	<-refused
	<-refused // it came again
	r.stop()
	require.NoError(t, <-r.ended)
	require.False(t, l.Has("bus-1", epoch, 1))

	l.Set(func(l *uplinktest.Ledger) { l.Fail = nil })
	r.start(t, l)
	require.Eventually(t, func() bool { return l.Holds("bus-1", epoch, 1, []byte("one")) }, patience, time.Millisecond)
	js, err := jetstream.New(r.nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c, err := js.Consumer(t.Context(), "UPLINK", "intake")
		require.NoError(t, err)
		i := c.CachedInfo()
		return i.NumPending == 0 && i.NumAckPending == 0
	}, patience, 20*time.Millisecond)
}
