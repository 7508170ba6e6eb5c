package stripe

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// intent is a PaymentIntent with its one charge.
type intent struct {
	id, currency, method, status string
	manual                       bool
	amount, received, refunded   int64
	created                      time.Time
	charged                      time.Time // when the charge was made
	charge                       string    // its id, "" for none
	metadata                     map[string]string
	copied                       map[string]string // metadata as the charge has it
	card                         card
	lastCode                     string
	returnURL                    string
}

// card is what a payment method does.
type card struct {
	decline string // decline code
	asks    bool   // the issuer wants to ask the payer
	noMore  bool   // no incremental authorisation
}

// cards are test cards of Stripe's own test mode, by its names.
var cards = map[string]card{
	"pm_card_visa":                {},
	"pm_card_mastercard":          {},
	"pm_card_amex":                {noMore: true},
	"pm_card_visa_chargeDeclined": {decline: "generic_decline"},
	"pm_card_visa_chargeDeclinedInsufficientFunds": {decline: "insufficient_funds"},
	"pm_card_visa_chargeDeclinedStolenCard":        {decline: "stolen_card"},
	"pm_card_authenticationRequired":               {asks: true},
}

func (m *Simulator) createIntent(r request) answer {
	f := r.form
	n, err := strconv.ParseInt(f.Get("amount"), 10, 64)
	if err != nil || n <= 0 || n > 99999999 {
		return invalid("amount", "Invalid integer")
	}
	meta, ok := metadata(f)
	if !ok {
		return invalid("metadata", "metadata is too long")
	}
	currency := f.Get("currency")
	if len(currency) != 3 || strings.ToLower(currency) != currency {
		return invalid("currency", "Invalid currency")
	}
	if how := f.Get("capture_method"); how != "automatic" && how != "manual" || f.Get("confirm") != "true" || f.Get("payment_method_types[0]") != "card" {
		return invalid("capture_method", "only confirmed card payments are simulated")
	}
	card, known := cards[f.Get("payment_method")]
	if !known {
		return missing("PaymentMethod", f.Get("payment_method"))
	}
	if r.fate.Error != "" {
		card.decline = r.fate.Error
	}
	i := &intent{id: m.id("pi"), currency: currency, amount: n, method: f.Get("payment_method"), manual: f.Get("capture_method") == "manual", created: m.clock.Now(),
		metadata: meta, card: card, returnURL: f.Get("return_url")}
	m.intents = append(m.intents, i)
	if card.asks && f.Get("error_on_requires_action") == "true" {
		card.decline = "authentication_required"
	}
	switch {
	case card.decline != "":
		i.status, i.lastCode = "requires_payment_method", card.decline
		m.tell("payment_intent.payment_failed", i.json(true))
		a := failure(http.StatusPaymentRequired, "card_error", "card_declined", "Your card was declined.")
		e := a.body.(map[string]any)["error"].(map[string]any)
		e["decline_code"], e["payment_intent"], a.kept = card.decline, i.json(false), true
		return a
	case card.asks:
		i.status = "requires_action"
		m.tell("payment_intent.requires_action", i.json(true))
	default:
		m.charge(i)
	}
	return answer{status: http.StatusOK, body: i.json(false)}
}

// charge has the issuer say yes.
func (m *Simulator) charge(i *intent) {
	i.charge, i.charged, i.copied = m.id("ch"), m.clock.Now(), i.metadata
	if i.manual {
		i.status = "requires_capture"
		m.tell("payment_intent.amount_capturable_updated", i.json(true))
		return
	}
	m.take(i, i.amount)
}

// take moves the money.
func (m *Simulator) take(i *intent, amount int64) {
	i.status, i.received = "succeeded", amount
	m.move("charge", i, nil, amount)
	m.tell("payment_intent.succeeded", i.json(true))
}

func (m *Simulator) find(id string) *intent {
	at := slices.IndexFunc(m.intents, func(i *intent) bool { return i.id == id })
	if at < 0 {
		return nil
	}
	return m.intents[at]
}

func (m *Simulator) readIntent(r request) answer {
	i := m.find(r.id)
	if i == nil {
		return missing("payment_intent", r.id)
	}
	return answer{status: http.StatusOK, body: i.json(false)}
}

func (m *Simulator) cancelIntent(r request) answer {
	i := m.find(r.id)
	if i == nil {
		return missing("payment_intent", r.id)
	}
	if i.status == "succeeded" || i.status == "canceled" {
		return state("payment_intent_unexpected_state", "You cannot cancel this PaymentIntent because it has a status of "+i.status)
	}
	i.status = "canceled"
	m.tell("payment_intent.canceled", i.json(true))
	return answer{status: http.StatusOK, body: i.json(false)}
}

func (m *Simulator) captureIntent(r request) answer {
	i := m.find(r.id)
	if i == nil {
		return missing("payment_intent", r.id)
	}
	if i.status != "requires_capture" {
		return state("payment_intent_unexpected_state", "This PaymentIntent could not be captured because it has a status of "+i.status)
	}
	n, err := strconv.ParseInt(r.form.Get("amount_to_capture"), 10, 64)
	if err != nil || n <= 0 {
		return invalid("amount_to_capture", "Invalid integer")
	}
	if n > i.amount {
		return state("amount_too_large", "The amount to capture is greater than the amount that is capturable")
	}
	if !i.add(r.form) {
		return invalid("metadata", "metadata is too long")
	}
	m.take(i, n)
	return answer{status: http.StatusOK, body: i.json(false)}
}

func (m *Simulator) incrementIntent(r request) answer {
	i := m.find(r.id)
	if i == nil {
		return missing("payment_intent", r.id)
	}
	n, err := strconv.ParseInt(r.form.Get("amount"), 10, 64)
	switch {
	case err != nil || n <= i.amount:
		return invalid("amount", "the amount must be greater than the current one")
	case i.status != "requires_capture":
		return state("payment_intent_unexpected_state", "This PaymentIntent cannot be incremented because it has a status of "+i.status)
	case i.card.noMore:
		return state("incremental_authorization_not_supported", "This card does not support incremental authorization")
	case !i.add(r.form):
		return invalid("metadata", "metadata is too long")
	}
	i.amount = n
	m.tell("payment_intent.amount_capturable_updated", i.json(true))
	return answer{status: http.StatusOK, body: i.json(false)}
}

// add merges metadata.
func (i *intent) add(form url.Values) bool {
	more, ok := metadata(form)
	for k, v := range i.metadata {
		if _, set := more[k]; !set {
			more[k] = v
		}
	}
	i.metadata = more
	return ok && len(more) <= 50
}

// errNotLetThrough says that a payer could not pay.
var errNotLetThrough = errors.New("the payment is cancelled")

// Act lets the payer of a number answer his bank, if it has asked him.
func (m *Simulator) Act(number string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.intents {
		if i.metadata["purselane"] != number {
			continue
		}
		switch i.status {
		case "canceled":
			if !m.Weather.Faults().LateSuccess {
				return errNotLetThrough
			}
			m.charge(i)
		case "requires_action":
			m.charge(i)
		}
		return nil
	}
	return errors.New("no such payment")
}

// Count is what was taken and given back under a number.
func (m *Simulator) Count(number string) (charges int, paid, refunded int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.intents {
		if i.metadata["purselane"] == number && i.received > 0 {
			charges, paid, refunded = charges+1, paid+i.received, refunded+i.refunded
		}
	}
	return charges, paid, refunded
}

// json is the object as Stripe shows it; events have ids in place of what may be expanded.
func (i *intent) json(event bool) map[string]any {
	o := map[string]any{"id": i.id, "object": "payment_intent", "amount": i.amount, "amount_capturable": 0, "amount_received": i.received, "capture_method": "automatic",
		"client_secret": i.id + "_secret_" + digest(i.id), "created": i.created.Unix(), "currency": i.currency, "last_payment_error": nil, "latest_charge": nil,
		"livemode": false, "metadata": clone(i.metadata), "next_action": nil, "payment_method": i.method, "payment_method_types": []string{"card"}, "status": i.status}
	if i.manual {
		o["capture_method"] = "manual"
	}
	if i.status == "requires_capture" {
		o["amount_capturable"] = i.amount
	}
	if i.lastCode != "" {
		o["last_payment_error"] = map[string]any{"type": "card_error", "code": "card_declined", "decline_code": i.lastCode, "message": "Your card was declined."}
	}
	if i.status == "requires_action" {
		o["next_action"] = map[string]any{"type": "redirect_to_url", "redirect_to_url": map[string]any{"url": "https://hooks.stripe.example/3d_secure_2/" + i.id, "return_url": i.returnURL}}
	}
	if i.charge != "" {
		o["latest_charge"] = i.charge
		if !event {
			o["latest_charge"] = i.chargeJSON()
		}
	}
	return o
}

func (i *intent) chargeJSON() map[string]any {
	return map[string]any{"id": i.charge, "object": "charge", "amount": i.amount, "amount_captured": i.received, "amount_refunded": i.refunded, "captured": i.received > 0,
		"created": i.charged.Unix(), "currency": i.currency, "livemode": false, "metadata": clone(i.copied), "paid": true, "payment_intent": i.id, "status": "succeeded",
		"payment_method_details": map[string]any{"type": "card", "card": map[string]any{"brand": "visa", "last4": "4242"}}}
}

func clone(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	return out
}
