package stripe

import (
	"context"
	"fmt"
	"net/http"
	"time"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// indexed is after what time an object is found by searching for certain: Stripe names a minute, and up to an hour when it is in trouble.
// slack is for the difference of the clocks.
const (
	indexed = time.Hour
	slack   = 5 * time.Minute
)

// find looks for a payment of ours, nil if Stripe does not know it. Searching finds what is older than some minutes, and a list of what is
// newer than that is complete at every moment; so nothing falls between them.
func (c *Channel) find(ctx context.Context, r channel.Ref) (*api.PaymentIntent, error) {
	if err := number(r.Number); err != nil {
		return nil, err
	}
	if r.ChannelID != "" {
		return c.get(ctx, r.ChannelID)
	}
	var found *api.PaymentIntent
	take := func(pi *api.PaymentIntent) error {
		if pi.Metadata[ours] != r.Number || found != nil && found.ID == pi.ID {
			return nil
		}
		if found != nil {
			return fmt.Errorf("Stripe: %s and %s have both the number %s: one is too many, and somebody must look", found.ID, pi.ID, r.Number)
		}
		found = pi
		return nil
	}

	search := &api.PaymentIntentSearchParams{Expand: []*string{api.String("data.latest_charge")}}
	search.Query = fmt.Sprintf("metadata['%s']:'%s'", ours, r.Number)
	for pi, err := range c.client.V1PaymentIntents.Search(ctx, search).All(ctx) {
		if err != nil {
			return nil, unread(err)
		}
		if err := take(pi); err != nil {
			return nil, err
		}
	}
	if found != nil {
		return c.get(ctx, found.ID) // what is searched may be behind
	}

	now := c.set.Clock.Now()
	from := now.Add(-indexed - slack)
	if sent := r.Sent.Add(-slack); sent.After(from) && !r.Sent.After(now) { // a time to come is of a clock that was wrong
		from = sent
	}
	list := &api.PaymentIntentListParams{CreatedRange: &api.RangeQueryParams{GreaterThanOrEqual: from.Unix()}, Expand: []*string{api.String("data.latest_charge")}}
	list.Limit = api.Int64(100)
	for pi, err := range c.client.V1PaymentIntents.List(ctx, list).All(ctx) {
		if err != nil {
			return nil, unread(err)
		}
		if err := take(pi); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// get reads one payment, nil if there is none.
func (c *Channel) get(ctx context.Context, id string) (*api.PaymentIntent, error) {
	pi, err := c.client.V1PaymentIntents.Retrieve(ctx, id, &api.PaymentIntentRetrieveParams{Expand: []*string{api.String("latest_charge")}})
	if err == nil {
		return pi, nil
	}
	no, err := read(err)
	if err != nil {
		return nil, err
	}
	if missing(no) {
		return nil, nil
	}
	return nil, unread(no)
}

// missing reports that Stripe does not know the object that was asked for.
func missing(no *api.Error) bool {
	return no.HTTPStatusCode == http.StatusNotFound && no.Code == api.ErrorCodeResourceMissing
}

// unread is the error of a question: whatever Stripe says to it, nothing is known of what was asked about.
func unread(err error) error {
	no, err := read(err)
	if no != nil {
		return &problem{Status: no.HTTPStatusCode, Code: code(no), Request: no.RequestID, Say: "the question was refused"}
	}
	return err
}
