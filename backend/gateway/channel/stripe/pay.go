package stripe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Metadata that we write to Stripe's objects.
const (
	ours        = "purselane"    // our number
	ofPayment   = "purselane_of" // of a refund: the payment's number
	contextCode = "purselane_context"
	captured    = "purselane_capture" // of a payment: the number of its capture
	increment   = "inc_"              // and an increment's number: a key has at most 40 characters
)

// Pay charges a card. An answer of Pending has a page for the payer's bank to ask him.
func (c *Channel) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return c.charge(ctx, r, api.PaymentIntentCaptureMethodAutomatic)
}

// charge makes a payment, or finds the one that was made.
func (c *Channel) charge(ctx context.Context, r channel.PayRequest, how api.PaymentIntentCaptureMethod) (channel.Result, error) {
	if err := number(r.Number); err != nil {
		return channel.Result{}, err
	}
	if c.forgotten(r.Sent) {
		pi, err := c.find(ctx, channel.Ref{Number: r.Number, Sent: r.Sent})
		if err != nil {
			return channel.Result{}, err
		}
		if pi != nil {
			if err := same(pi, r.Money); err != nil {
				return channel.Result{}, err
			}
			return result(r.Number, pi)
		}
	}
	p, err := params(r, how)
	if err != nil {
		return channel.Result{}, err
	}
	pi, err := c.client.V1PaymentIntents.Create(ctx, p)
	if err != nil {
		no, err := read(err)
		if err != nil {
			return channel.Result{}, err
		}
		return refused(r.Number, no), nil
	}
	return result(r.Number, pi)
}

// keyKept is for how long Stripe answers an idempotency key with its first answer: "at least 24 hours". The margin is for clocks.
const keyKept = 23 * time.Hour

// forgotten reports that Stripe may have forgotten an attempt's key, so that a second request would charge a second time.
func (c *Channel) forgotten(sent time.Time) bool {
	return sent.IsZero() || c.set.Clock.Now().Sub(sent) > keyKept
}

func params(r channel.PayRequest, how api.PaymentIntentCaptureMethod) (*api.PaymentIntentCreateParams, error) {
	units, err := units(r.Money)
	if err != nil {
		return nil, err
	}
	customer, card, bound := strings.Cut(r.Payer.Token, ":")
	if !bound {
		customer, card = "", customer
	}
	if !strings.HasPrefix(card, "pm_") || bound && !strings.HasPrefix(customer, "cus_") {
		return nil, errors.New("Stripe: a payer's token is a payment method (pm_…) or, bound, a customer and one (cus_…:pm_…)")
	}
	p := &api.PaymentIntentCreateParams{
		Amount: api.Int64(units), Currency: api.String(strings.ToLower(r.Money.Currency)), CaptureMethod: api.String(how), Confirm: api.Bool(true),
		PaymentMethod: api.String(card), PaymentMethodTypes: []*string{api.String("card")}, Expand: []*string{api.String("latest_charge")},
	}
	p.IdempotencyKey = api.String(r.Number)
	p.Metadata = map[string]string{ours: r.Number}
	if r.Context != "" {
		p.Metadata[contextCode] = r.Context
	}
	if r.Subject != "" {
		p.Description = api.String(r.Subject)
	}
	if customer != "" {
		p.Customer = api.String(customer)
	}
	if r.ReturnURL != "" {
		p.ReturnURL = api.String(r.ReturnURL)
	} else {
		p.ErrorOnRequiresAction = api.Bool(true) // nobody could be sent to his bank's page
	}
	if how == api.PaymentIntentCaptureMethodManual {
		p.PaymentMethodOptions = &api.PaymentIntentCreatePaymentMethodOptionsParams{Card: &api.PaymentIntentCreatePaymentMethodOptionsCardParams{
			RequestIncrementalAuthorization: api.String("if_available")}}
	}
	return p, nil
}

func number(n string) error {
	if len(n) < 20 || len(n) > 32 {
		return fmt.Errorf("Stripe: number %q has not 20 to 32 characters", n)
	}
	for _, c := range n {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return fmt.Errorf("Stripe: number %q has other characters than digits and letters", n)
		}
	}
	return nil
}

// same holds a payment that was found to what is asked now.
func same(pi *api.PaymentIntent, m channel.Money) error {
	got, err := amount(pi.Amount, pi.Currency)
	if err != nil {
		return err
	}
	if got != m {
		return fmt.Errorf("Stripe: payment %s is over %v %s, and the same number is asked for with %v %s", pi.ID, got.Amount, got.Currency, m.Amount, m.Currency)
	}
	return nil
}

// result is what a payment's state means. An authorisation that was not captured yet has succeeded as what it is.
func result(number string, pi *api.PaymentIntent) (channel.Result, error) {
	if pi.Metadata[ours] != number {
		return channel.Result{}, fmt.Errorf("Stripe: payment %s has number %q and was taken for %q", pi.ID, pi.Metadata[ours], number)
	}
	r := channel.Result{Outcome: channel.Pending, Number: number, ChannelID: pi.ID}
	paid := int64(0)
	switch pi.Status {
	case api.PaymentIntentStatusSucceeded:
		r.Outcome, paid = channel.Succeeded, pi.AmountReceived
	case api.PaymentIntentStatusRequiresCapture:
		r.Outcome, paid = channel.Succeeded, pi.AmountCapturable
	case api.PaymentIntentStatusCanceled:
		r.Outcome = channel.Closed
	case api.PaymentIntentStatusRequiresPaymentMethod:
		// The card was refused. Another card could be tried by whoever has the payment's secret, and nobody was given that.
		if e := pi.LastPaymentError; e != nil {
			no := refused(number, e)
			no.ChannelID = pi.ID
			return no, nil
		}
	case api.PaymentIntentStatusRequiresAction:
		if a := pi.NextAction; a != nil && a.RedirectToURL != nil {
			r.Action.URL = a.RedirectToURL.URL
		}
	case api.PaymentIntentStatusProcessing, api.PaymentIntentStatusRequiresConfirmation:
	default:
		return channel.Result{}, fmt.Errorf("Stripe: payment %s is %q, which version %s does not know", pi.ID, pi.Status, Version)
	}
	if r.Outcome != channel.Succeeded {
		return r, nil
	}
	var err error
	if r.Money, err = amount(paid, pi.Currency); err != nil {
		return channel.Result{}, err
	}
	r.At = time.Unix(pi.Created, 0)
	if pi.LatestCharge != nil && pi.LatestCharge.Created > 0 {
		r.At = time.Unix(pi.LatestCharge.Created, 0)
	}
	return r, nil
}

// Query asks what became of a payment.
func (c *Channel) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	pi, err := c.find(ctx, r)
	if err != nil {
		return channel.Result{}, err
	}
	if pi == nil {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	return result(r.Number, pi)
}

// Close cancels a payment that the payer's bank still waits for.
func (c *Channel) Close(ctx context.Context, r channel.Ref) (channel.Result, error) {
	pi, err := c.find(ctx, r)
	if err != nil {
		return channel.Result{}, err
	}
	if pi == nil {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	if pi.Status == api.PaymentIntentStatusRequiresCapture { // closing must not release what was reserved
		return result(r.Number, pi)
	}
	return c.cancel(ctx, r.Number, pi)
}

// cancel ends a payment, or says what it has become instead. It has no idempotency key of ours: a payment is cancelled once by its nature,
// and a refusal that Stripe remembered for the key would outlive its reason.
func (c *Channel) cancel(ctx context.Context, number string, pi *api.PaymentIntent) (channel.Result, error) {
	if pi.Status == api.PaymentIntentStatusCanceled || pi.Status == api.PaymentIntentStatusSucceeded {
		return result(number, pi)
	}
	p := &api.PaymentIntentCancelParams{Expand: []*string{api.String("latest_charge")}}
	after, err := c.client.V1PaymentIntents.Cancel(ctx, pi.ID, p)
	if err == nil {
		return result(number, after)
	}
	no, err := read(err)
	if err != nil {
		return channel.Result{}, err
	}
	if no.Code != api.ErrorCodePaymentIntentUnexpectedState {
		return channel.Result{}, fmt.Errorf("Stripe: payment %s cannot be cancelled: %s", pi.ID, code(no))
	}
	return c.Query(ctx, channel.Ref{Number: number, ChannelID: pi.ID}) // somebody was faster
}
