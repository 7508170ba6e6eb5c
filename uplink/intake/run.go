package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// stream is the buffer between broker and backend. It need not be durable: what is lost in it has no receipt.
const (
	stream     = "UPLINK"
	consumer   = "intake"
	ackWait    = 10 * time.Second
	maxPending = 2000
	retryWait  = 500 * time.Millisecond
)

// Run pulls messages from the broker and processes them until ctx ends. It returns an error only if it cannot begin; a
// message that fails is tried again.
func Run(ctx context.Context, nc *nats.Conn, p *Processor, c clock.Clock, log *slog.Logger) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{"pl.1.*." + wire.KindUp, "pl.1.*." + wire.KindHello},
		Retention: jetstream.WorkQueuePolicy, MaxBytes: 2 << 30, Discard: jetstream.DiscardNew,
	}); err != nil {
		return fmt.Errorf("intake: stream: %w", err)
	}
	pull, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: maxPending,
	})
	if err != nil {
		return fmt.Errorf("intake: consumer: %w", err)
	}
	run, err := pull.Consume(func(m jetstream.Msg) { handle(ctx, nc, p, c, log, m) })
	if err != nil {
		return fmt.Errorf("intake: consume: %w", err)
	}
	<-ctx.Done()
	run.Drain()
	<-run.Closed()
	return nil
}

func handle(ctx context.Context, nc *nats.Conn, p *Processor, c clock.Clock, log *slog.Logger, m jetstream.Msg) {
	part := strings.Split(m.Subject(), ".")
	if len(part) != 4 {
		_ = m.Term() // cannot happen by the stream's subjects; a redelivery would not help either
		return
	}
	terminal, kind := ids.TerminalID(part[2]), part[3]
	receipt, err := p.Process(ctx, terminal, kind, m.Data(), c.Now())
	switch {
	case errors.Is(err, ErrDropped):
		log.Warn("intake: dropped", "terminal", terminal, "kind", kind, "err", err)
		err = m.Term()
	case err != nil:
		log.Error("intake: not committed", "terminal", terminal, "kind", kind, "err", err)
		err = m.NakWithDelay(retryWait)
	default:
		if err := nc.Publish(wire.Subject(terminal, wire.KindDown), receipt); err != nil {
			log.Warn("intake: receipt not sent", "terminal", terminal, "err", err) // the terminal will ask again
		}
		err = m.Ack()
	}
	if err != nil {
		log.Warn("intake: broker not told", "terminal", terminal, "err", err) // it redelivers; handling again changes nothing
	}
}
