package api

import (
	"context"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/internal/ids"
)

// SignAgreement has a payer agree to be debited.
func (s *server) SignAgreement(ctx context.Context, r SignAgreementRequestObject) (SignAgreementResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	b := r.Body
	n := gateway.NewAgreement{Key: b.Key, Product: code.Product(b.Product), Merchant: ids.MerchantID(b.Merchant), Payer: b.Payer, Currency: b.Currency, Subject: b.Subject, Attach: orDefault(b.Attach),
		By: channel.Payer{OpenID: orDefault(b.OpenId), Token: orDefault(b.Token), Bank: orDefault(b.Bank)}, ReturnURL: orDefault(b.ReturnUrl)}
	if p := b.Recurs; p != nil {
		n.Recurs = &gateway.Recurring{Months: p.Months, Trial: recurring.Trial{Days: orDefault(p.TrialDays), Months: orDefault(p.TrialMonths)}, Amount: p.Amount, TopUp: orDefault(p.TopUp)}
	}
	if r := b.Reload; r != nil {
		n.Reload = &gateway.NewReload{Card: r.Card, Below: r.Below, Amount: r.Amount, Days: r.Days}
	}
	if !c.Terms.For(n.Merchant) {
		return nil, errMerchant
	}
	a, err := s.Gateway.Sign(ctx, c.App, n)
	return SignAgreement200JSONResponse(agreementOf(a)), err
}

// ListAgreements lists the app's agreements.
func (s *server) ListAgreements(ctx context.Context, r ListAgreementsRequestObject) (ListAgreementsResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Gateway.Agreements(ctx, c.App, order.AgreementState(orDefault(r.Params.State)), 100)
	out := Agreements{Agreements: []Agreement{}}
	for _, a := range all {
		out.Agreements = append(out.Agreements, agreementOf(a))
	}
	return ListAgreements200JSONResponse(out), err
}

// GetAgreement is an agreement.
func (s *server) GetAgreement(ctx context.Context, r GetAgreementRequestObject) (GetAgreementResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.Gateway.Agreement(ctx, c.App, r.Agreement)
	return GetAgreement200JSONResponse(agreementOf(a)), err
}

// GetAgreementTimeline is what happened to an agreement.
func (s *server) GetAgreementTimeline(ctx context.Context, r GetAgreementTimelineRequestObject) (GetAgreementTimelineResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Gateway.AgreementTimeline(ctx, c.App, r.Agreement)
	return GetAgreementTimeline200JSONResponse(timelineOf(all)), err
}

// EndAgreement ends an agreement.
func (s *server) EndAgreement(ctx context.Context, r EndAgreementRequestObject) (EndAgreementResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.Gateway.EndAgreement(ctx, c.App, r.Agreement)
	return EndAgreement200JSONResponse(agreementOf(a)), err
}

// SetPrice gives what recurs another price.
func (s *server) SetPrice(ctx context.Context, r SetPriceRequestObject) (SetPriceResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.Gateway.SetPrice(ctx, c.App, r.Agreement, r.Body.From, r.Body.Amount)
	return SetPrice200JSONResponse(agreementOf(a)), err
}

// Consent says that the payer agrees to the last price.
func (s *server) Consent(ctx context.Context, r ConsentRequestObject) (ConsentResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.Gateway.Consent(ctx, c.App, r.Agreement, r.Body.Amount)
	return Consent200JSONResponse(agreementOf(a)), err
}

func agreementOf(a gateway.Agreement) Agreement {
	out := Agreement{Number: a.Number, Key: a.Key, Merchant: string(a.Merchant), Payer: a.Payer, Account: a.Account, Context: a.Context, Currency: a.Currency, Subject: a.Subject, Attach: unlessEmpty(a.Attach),
		State: string(a.State), Action: actionOf(a.Action), Code: unlessEmpty(a.Code), Message: unlessEmpty(a.Message), Created: a.Created.UTC(), Changed: a.Changed.UTC(), Signed: moment(a.Signed),
		Standing: unlessEmpty(string(a.Standing)), NextDue: moment(a.NextDue), LastOrder: unlessEmpty(a.LastOrder)}
	if r := a.Reload; r != nil {
		out.Reload = &Reload{Card: r.Card, Below: r.Below, Amount: r.Amount, Days: r.Days, State: string(r.State), Charges: r.Charges, Refusals: unlessEmpty(r.Refusals), Paid: moment(r.Paid)}
	}
	if t := a.Recurs; t != nil {
		last := t.Prices[len(t.Prices)-1]
		out.Recurs = &Recurs{Months: t.Months, TrialDays: unlessEmpty(t.Trial.Days), TrialMonths: unlessEmpty(t.Trial.Months), Amount: last.Amount, TopUp: unlessEmpty(t.TopUp)}
		prices := []Price{}
		for _, p := range t.Prices {
			prices = append(prices, Price{From: p.From.UTC(), Amount: p.Amount, Agreed: p.Agreed})
		}
		out.Prices = &prices
	}
	return out
}
