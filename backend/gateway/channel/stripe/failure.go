package stripe

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// classes are Stripe's decline codes, and those of its errors that a payer, bank or operator can do something about. A code that is not
// here is the issuer's, as "generic_decline" is.
var classes = map[string]channel.Class{
	"insufficient_funds": channel.ByPayer, "expired_card": channel.ByPayer, "incorrect_number": channel.ByPayer, "incorrect_cvc": channel.ByPayer,
	"incorrect_pin": channel.ByPayer, "incorrect_zip": channel.ByPayer, "invalid_cvc": channel.ByPayer, "invalid_expiry_month": channel.ByPayer,
	"invalid_expiry_year": channel.ByPayer, "invalid_number": channel.ByPayer, "invalid_pin": channel.ByPayer, "invalid_account": channel.ByPayer,
	"pin_try_exceeded": channel.ByPayer, "authentication_required": channel.ByPayer, "payment_intent_authentication_failure": channel.ByPayer,
	"card_velocity_exceeded": channel.ByPayer, "withdrawal_count_limit_exceeded": channel.ByPayer, "stop_payment_order": channel.ByPayer,
	"revocation_of_authorization": channel.ByPayer, "revocation_of_all_authorizations": channel.ByPayer, "new_account_information_available": channel.ByPayer,

	"fraudulent": channel.ByRisk, "lost_card": channel.ByRisk, "stolen_card": channel.ByRisk, "pickup_card": channel.ByRisk,
	"merchant_blacklist": channel.ByRisk, "security_violation": channel.ByRisk, "restricted_card": channel.ByRisk, "duplicate_transaction": channel.ByRisk,
	"highest_risk_level": channel.ByRisk,

	"card_not_supported": channel.NotSupported, "currency_not_supported": channel.NotSupported, "transaction_not_allowed": channel.NotSupported,
	"service_not_allowed": channel.NotSupported, "not_permitted": channel.NotSupported, "offline_pin_required": channel.NotSupported,
	"online_or_offline_pin_required": channel.NotSupported,

	"processing_error": channel.ByChannel, "testmode_decline": channel.BySetting,
}

// problem is an answer of Stripe's that is no result. The library's own error is never passed on: it prints the whole answer, with
// the payer's name and the secret of the payment in it.
type problem struct {
	Status  int
	Code    string
	Request string // Stripe's number of the request, for its support
	Say     string
}

func (p *problem) Error() string {
	return fmt.Sprintf("Stripe: HTTP %d %s (request %s): %s", p.Status, p.Code, p.Request, p.Say)
}

// read sorts the library's error: a refusal that is final for this request, or a problem after which nobody knows.
func read(err error) (no *api.Error, unknown error) {
	var e *api.Error
	if !errors.As(err, &e) {
		if channel.Opening(err) { // redirects are not followed, so it is the dial of our own request
			return nil, fmt.Errorf("Stripe: %w: %w", channel.ErrNotSent, err)
		}
		var of *url.Error
		if errors.As(err, &of) {
			return nil, fmt.Errorf("Stripe: %w", err)
		}
		return nil, errors.New("Stripe: the answer broke off, or something on the way has answered in Stripe's place: nobody knows what was done")
	}
	p := &problem{Status: e.HTTPStatusCode, Code: code(e), Request: e.RequestID}
	switch {
	case e.Type != api.ErrorTypeIdempotency && e.Type != api.ErrorTypeCard && e.Type != api.ErrorTypeInvalidRequest && p.Status < 500:
		p.Say = "the answer is no error of Stripe's: something on the way has answered in its place, and the request may have been done"
	case e.Type == api.ErrorTypeIdempotency:
		p.Say = "this number was sent before with other content: nothing was done, and somebody must look"
	case p.Status == http.StatusUnauthorized:
		p.Say = "the API key is not accepted: it is of another account or mode, or was rolled"
	case p.Status == http.StatusForbidden:
		p.Say = "the API key may not do this: give the restricted key the permission"
	case p.Status == http.StatusTooManyRequests || p.Code == string(api.ErrorCodeRateLimit):
		p.Say = "too many requests: ask again later"
	case p.Status == http.StatusConflict || p.Code == string(api.ErrorCodeLockTimeout) || p.Code == string(api.ErrorCodeIdempotencyKeyInUse):
		p.Say = "another request has it in hand: ask again"
	case p.Status >= 400 && p.Status < 500:
		return e, nil
	default:
		p.Say = "Stripe is in trouble, and the request may have been done"
	}
	return nil, p
}

// code is the most exact of the codes in an error.
func code(e *api.Error) string {
	switch {
	case e.DeclineCode != "":
		return string(e.DeclineCode)
	case e.Code != "":
		return string(e.Code)
	}
	return string(e.Type)
}

// refused is the result of a request that Stripe refused.
func refused(number string, e *api.Error) channel.Result {
	r := channel.Result{Outcome: channel.Failed, Number: number, Code: code(e), Class: class(e), Message: message(e)}
	if e.PaymentIntent != nil {
		r.ChannelID = e.PaymentIntent.ID
	}
	return r
}

func class(e *api.Error) channel.Class {
	if c, known := classes[code(e)]; known {
		return c
	}
	if e.Type == api.ErrorTypeCard {
		return channel.ByIssuer
	}
	return channel.BySetting
}

// message is Stripe's text where it is one of a decline. Other texts repeat what we sent.
func message(e *api.Error) string {
	if e.Type == api.ErrorTypeCard {
		return e.Msg
	}
	if e.Param != "" {
		return "refused for " + e.Param
	}
	return ""
}
