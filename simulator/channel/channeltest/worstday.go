package channeltest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// badAnswer is what stands between us and a channel on its worst day.
type badAnswer struct {
	name   string
	proof  bool // a channel that signs its answers is told from this by its signature, and another is not
	status int
	header http.Header
	body   func() io.Reader
	err    error
}

// cut is a body whose connection breaks.
type cut struct{ r io.Reader }

func (c cut) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// endless is a body that does not end; who reads all of it never comes back.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	if e.read > 160<<20 {
		panic("160 MiB of an answer were read")
	}
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// Do implements [channel.Doer].
func (a badAnswer) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if a.err != nil {
		return nil, a.err
	}
	h := a.header
	if h == nil {
		h = http.Header{"Content-Type": {"text/html"}}
	}
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Header: h, Body: io.NopCloser(a.body()), ContentLength: -1, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// RoundTrip lets an *http.Client use it.
func (a badAnswer) RoundTrip(r *http.Request) (*http.Response, error) { return a.Do(r) }

// Wire is how an adapter reaches its channel, as a client or under one.
type Wire interface {
	channel.Doer
	http.RoundTripper
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func badAnswers(success string) []badAnswer {
	text := func(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }
	page := "<html><head><title>502 Bad Gateway</title></head><body>upstream</body></html>"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(success))
	_ = z.Close()
	json := http.Header{"Content-Type": {"application/json"}}
	return []badAnswer{
		{name: "a page of a proxy", status: 502, body: text(page)},
		{name: "a page that says 200", status: 200, body: text(page)},
		{name: "nothing", status: 200, body: text("")},
		{name: "nothing, and 204", status: 204, body: text("")},
		{name: "a redirect", status: 302, header: http.Header{"Location": {"https://login.example/"}}, body: text("")},
		{name: "a success without a signature, and 500", status: 500, header: json, body: text(success)},
		{name: "a success that nobody has signed", proof: true, status: 200, header: json, body: text(success)},
		{name: "half a success", status: 200, header: json, body: text(success[:len(success)/2])},
		{name: "a success that breaks off", status: 200, header: json, body: func() io.Reader { return cut{strings.NewReader(success[:len(success)/2])} }},
		{name: "a success that was packed and not unpacked", status: 200, header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, body: func() io.Reader { return bytes.NewReader(packed.Bytes()) }},
		{name: "an answer without end", status: 200, header: json, body: func() io.Reader { return &endless{} }},
		{name: "an error without end", status: 503, body: func() io.Reader { return &endless{} }},
		{name: "another kind of JSON", status: 200, header: json, body: text(`[[["`)},
		{name: "numbers for names, and names twice", status: 200, header: json, body: text(`{"code":1,"code":"SUCCESS","trade_state":7,"id":{},"status":[]}`)},
		{name: "an empty object", status: 200, header: json, body: text(`{}`)},
		{name: "nothing of JSON", status: 200, header: json, body: text(`null`)},
		{name: "an empty list of somebody's", status: 200, header: json, body: text(`{"object":"other","data":[],"items":[],"code":"0"}`)},
		{name: "a route that a gateway does not know", status: 404, header: json, body: text(`{"message":"no Route matched with those values","error":{"message":"no route"}}`)},
		{name: "a request that a gateway does not like", status: 400, header: json, body: text(`{"error":{"message":"bad request"},"code":400}`)},
		{name: "no answer in time", err: timeout{}},
		{name: "too many requests", status: 429, body: text("slow down")},
		{name: "not here", status: 404, body: text(page)},
		{name: "not allowed by a proxy", status: 403, body: text(page)},
	}
}

// Worst is what [WorstDay] needs of an adapter.
type Worst struct {
	Channel func(Wire) channel.Channel // reaches nothing but the wire
	Pay     channel.PayRequest
	Payout  channel.PayoutRequest // where the channel has pay-outs
	Signs   bool                  // the channel signs its answers
	Success string                // an answer to a payment as the channel writes it, without its proof
}

// WorstDay holds an adapter to the one rule while what stands before its channel answers anything: nobody has said what became of it.
func WorstDay(t *testing.T, w Worst) {
	if w.Pay.Sent.IsZero() {
		w.Pay.Sent = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	}
	r := w.Pay
	ref := channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent}
	back := channel.RefundRequest{Number: r.Number + "R", Of: ref, Money: r.Money, Sent: r.Sent, Reason: "returned"}
	back.Of.ChannelID = "4200000000000000000000000001"
	type call struct {
		name string
		do   func(context.Context) (channel.Result, error)
	}
	callsOf := func(c channel.Channel) []call {
		does := c.Capabilities()
		calls := []call{
			{"pay", func(ctx context.Context) (channel.Result, error) { return c.Pay(ctx, r) }},
			{"query", func(ctx context.Context) (channel.Result, error) { return c.Query(ctx, ref) }},
			{"refund", func(ctx context.Context) (channel.Result, error) { return c.Refund(ctx, back) }},
			{"query of a refund", func(ctx context.Context) (channel.Result, error) {
				return c.QueryRefund(ctx, channel.RefundRef{Number: back.Number, Of: back.Of, Money: r.Money, Sent: r.Sent})
			}},
			{"query of a refund by its name there", func(ctx context.Context) (channel.Result, error) {
				return c.QueryRefund(ctx, channel.RefundRef{Number: back.Number, ChannelID: "re_4200000001", Of: back.Of, Money: r.Money, Sent: r.Sent})
			}},
		}
		if does.Close {
			calls = append(calls, call{"close", func(ctx context.Context) (channel.Result, error) { return c.Close(ctx, ref) }})
		}
		if does.Void {
			v := c.(channel.Voider)
			calls = append(calls, call{"void", func(ctx context.Context) (channel.Result, error) { return v.Void(ctx, back) }})
		}
		if does.Authorise {
			a := c.(channel.Authoriser)
			calls = append(calls, call{"authorise", func(ctx context.Context) (channel.Result, error) { return a.Authorise(ctx, r) }},
				call{"capture", func(ctx context.Context) (channel.Result, error) { return a.Capture(ctx, back) }},
				call{"release", func(ctx context.Context) (channel.Result, error) { return a.Release(ctx, back) }})
		}
		if does.Payout {
			p := c.(channel.Payouts)
			calls = append(calls, call{"pay-out", func(ctx context.Context) (channel.Result, error) { return p.Payout(ctx, w.Payout) }},
				call{"query of a pay-out", func(ctx context.Context) (channel.Result, error) {
					return p.QueryPayout(ctx, channel.Ref{Number: w.Payout.Number, Money: w.Payout.Money, Sent: w.Payout.Sent})
				}})
		}
		return calls
	}
	for _, a := range badAnswers(w.Success) {
		if a.proof && !w.Signs {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			c := w.Channel(a)
			for _, one := range callsOf(c) {
				res, err := one.do(t.Context())
				require.Contains(t, []channel.Outcome{channel.Unknown, channel.Pending}, res.Outcome, "%s: %v", one.name, err)
				require.NotErrorIs(t, err, channel.ErrNotSent, "%s has left", one.name)
				if err != nil {
					require.Less(t, len(err.Error()), 1000, "%s: an error that is a page", one.name)
					require.NotContains(t, err.Error(), w.Success[:20], "%s: an answer in an error: payers are in answers", one.name)
					require.NotContains(t, err.Error(), "<html>", "%s: a page in an error", one.name)
				} else {
					require.NotEqual(t, channel.Pending, res.Outcome, "%s: nobody has said that it is under way", one.name)
				}
			}
			if c.Capabilities().Bill {
				require.Error(t, c.Bill(t.Context(), "2026-03-01", func(channel.BillRow) error { return nil }), "a bill that is none")
			}
		})
	}
}
