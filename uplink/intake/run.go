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

// Run pulls messages from the broker and processes them until ctx ends. It returns an error if it cannot begin, or if nc
// is closed; a message that fails is tried again, and a stream that is lost is made again.
func Run(ctx context.Context, nc *nats.Conn, p *Processor, c clock.Clock, log *slog.Logger) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	for began := false; ; {
		ran, err := consume(ctx, js, func(m jetstream.Msg) { handle(ctx, nc, p, c, log, m) })
		began = began || ran
		switch {
		case ctx.Err() != nil:
			return nil
		case !began || nc.IsClosed():
			return fmt.Errorf("intake: %w", err)
		}
		log.Error("intake: the broker gives nothing, trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryWait):
		}
	}
}

// consume makes the stream if it is not there, and takes from it until ctx ends or the broker gives no more.
func consume(ctx context.Context, js jetstream.JetStream, each jetstream.MessageHandler) (ran bool, err error) {
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{"pl.1.*." + wire.KindUp, "pl.1.*." + wire.KindHello, "pl.1.*." + wire.KindState},
		Retention: jetstream.WorkQueuePolicy, MaxBytes: 2 << 30, Discard: jetstream.DiscardNew,
	}); err != nil {
		return false, fmt.Errorf("stream: %w", err)
	}
	pull, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: maxPending,
	})
	if err != nil {
		return false, fmt.Errorf("consumer: %w", err)
	}
	lost := make(chan error, 1)
	run, err := pull.Consume(each, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		select {
		case lost <- err:
		default: // the first one is enough
		}
	}))
	if err != nil {
		return false, fmt.Errorf("consume: %w", err)
	}
	select {
	case <-ctx.Done():
	case err = <-lost:
	}
	run.Drain() // what was pulled goes back: see handle
	<-run.Closed()
	return true, err
}

func handle(ctx context.Context, nc *nats.Conn, p *Processor, c clock.Clock, log *slog.Logger, m jetstream.Msg) {
	if ctx.Err() != nil {
		_ = m.Nak() // for whoever runs next; without this it would wait for ackWait
		return
	}
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
		if receipt != nil {
			if err := nc.Publish(wire.Subject(terminal, wire.KindDown), receipt); err != nil {
				log.Warn("intake: receipt not sent", "terminal", terminal, "err", err) // the terminal will ask again
			}
		}
		err = m.Ack()
	}
	if err != nil {
		log.Warn("intake: broker not told", "terminal", terminal, "err", err) // it redelivers; handling again changes nothing
	}
}
