package client_test

import (
	"context"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// bank is a channel that does whatever it is asked, at once.
type bank struct {
	mu   sync.Mutex
	said map[string]channel.Result
}

func (*bank) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.Card, channel.Quick, channel.Agreement, channel.Payout}, Currencies: []string{"CNY"}, Sync: true, Refund: true, RefundWindow: 365 * 24 * time.Hour,
		Authorise: true, Agreements: true, Payout: true}
}

func (b *bank) does(number string, m channel.Money) (channel.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said[number] = channel.Result{Outcome: channel.Succeeded, Number: number, ChannelID: "b-" + number, Money: m, At: time.Now()}
	return b.said[number], nil
}

func (b *bank) knows(number string) (channel.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, known := b.said[number]; known {
		return r, nil
	}
	return channel.Result{Outcome: channel.Missing, Number: number}, nil
}

func (b *bank) Pay(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) Query(_ context.Context, r channel.Ref) (channel.Result, error) {
	return b.knows(r.Number)
}
func (b *bank) Close(_ context.Context, r channel.Ref) (channel.Result, error) {
	return b.knows(r.Number)
}
func (b *bank) Refund(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) QueryRefund(_ context.Context, r channel.RefundRef) (channel.Result, error) {
	return b.knows(r.Number)
}
func (b *bank) Authorise(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) Increment(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) Capture(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) Release(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) Payout(_ context.Context, r channel.PayoutRequest) (channel.Result, error) {
	return b.does(r.Number, r.Money)
}
func (b *bank) QueryPayout(_ context.Context, r channel.Ref) (channel.Result, error) {
	return b.knows(r.Number)
}

func covenant(number string, o channel.Outcome) channel.Signed {
	return channel.Signed{Outcome: o, Number: number, Agreement: "b-" + number}
}
func (*bank) Sign(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return covenant(r.Number, channel.Succeeded), nil
}
func (*bank) QueryAgreement(_ context.Context, number, _ string) (channel.Signed, error) {
	return covenant(number, channel.Succeeded), nil
}
func (*bank) Unsign(_ context.Context, number, _ string) (channel.Signed, error) {
	return covenant(number, channel.Closed), nil
}

// A card is bound at once after its code.
func (*bank) Binds() channel.Binds { return channel.Binds{Typed: true, Code: true, Proves: true} }
func (*bank) BindPage(context.Context, channel.SignRequest) (channel.Signed, error) {
	return channel.Signed{}, channel.ErrUnsupported
}
func (*bank) BindCode(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	return covenant(r.Number, channel.Pending), nil
}
func (*bank) Bind(_ context.Context, r channel.SignRequest, _ string) (channel.Signed, error) {
	return covenant(r.Number, channel.Succeeded), nil
}
func (*bank) QueryBinding(_ context.Context, number string) (channel.Signed, error) {
	return covenant(number, channel.Succeeded), nil
}
func (*bank) Unbind(_ context.Context, number, _ string) (channel.Signed, error) {
	return covenant(number, channel.Closed), nil
}

func (*bank) Notified(context.Context, channel.Notification) ([]channel.Event, error) {
	return nil, &channel.ForgedError{Why: "this bank sends none"}
}
func (*bank) Answer(error) channel.Reply { return channel.Reply{Status: 404} }
func (*bank) Bill(context.Context, string, func(channel.BillRow) error) error {
	return channel.ErrNoBillYet
}
