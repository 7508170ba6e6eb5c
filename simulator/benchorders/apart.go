package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// processorTime is what this process has used of processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // not of this process
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// apart measures an order's way over the channel with nobody who keeps anything, one after the other: processor time that the simulator takes for one, and our side of
// the same messages.
func apart(ctx context.Context) (simulator, ours time.Duration, err error) {
	c := clock.NewManual(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC))
	s := wechat.New(wechat.Options{Clock: c, Seed: 1, Mode: wechat.ByPublicKey})
	set := s.Settings()
	answers := set.HTTP
	set.HTTP = doer(func(r *http.Request) (*http.Response, error) {
		before := processorTime()
		defer func() { simulator += processorTime() - before }()
		return answers.Do(r)
	})
	ch, err := adapter.New(set)
	if err != nil {
		return 0, 0, err
	}
	heard := 0
	var unsure error
	s.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		before := processorTime()
		events, err := ch.Notified(ctx, n)
		unsure = errors.Join(unsure, err)
		heard += len(events)
		reply := ch.Answer(err)
		ours += processorTime() - before
		return reply
	})
	begin := processorTime()
	for i := range alone {
		number := fmt.Sprintf("P%031d", i)
		if _, err := ch.Pay(ctx, channel.PayRequest{Number: number, Product: channel.QR, Money: channel.Money{Amount: money.Minor(amount), Currency: "CNY"}, Subject: "a ride",
			Sent: c.Now(), Expires: c.Now().Add(time.Hour), NotifyURL: "https://gateway.example/wechat"}); err != nil {
			return 0, 0, err
		}
		if err := s.Pay(number, wechat.Payer{Bank: "CMB_DEBIT"}); err != nil {
			return 0, 0, err
		}
	}
	ours += processorTime() - begin - simulator
	answered := ours
	begin = processorTime()
	s.Run(ctx)
	simulator += processorTime() - begin - (ours - answered)
	if heard != alone {
		return 0, 0, fmt.Errorf("%d of %d notifications came: %w", heard, alone, unsure)
	}
	return simulator / alone, ours / alone, unsure
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
