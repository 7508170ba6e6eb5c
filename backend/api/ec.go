package api

import (
	"context"
	"encoding/hex"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ec"
)

// hexOf reads hexadecimal digits of any length. The gate has checked their form; the error is for a document that has changed.
func hexOf(digits string) ([]byte, error) {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return nil, refusal{codeRequest, "a value is not hexadecimal"}
	}
	return raw, nil
}

func ecCardOf(c ECCard) (topup.ECCard, error) {
	out := topup.ECCard{Sequence: c.Sequence}
	raw, err := hexOf(c.CardNumber)
	if err == nil {
		out.PAN, err = ec.ParsePAN(raw)
	}
	if err != nil {
		return out, refusal{codeRequest, "card_number is no card number"}
	}
	out.ChipData, err = hexOf(c.ChipData)
	return out, err
}

// LookupECCard says what is known of the electronic cash card in the field.
func (s *server) LookupECCard(ctx context.Context, r LookupECCardRequestObject) (LookupECCardResponseObject, error) {
	c, err := ecCardOf(*r.Body)
	if err != nil {
		return nil, err
	}
	info, err := s.TopUp.LookupEC(ctx, agentOf(ctx), c)
	if err != nil {
		return nil, err
	}
	return LookupECCard200JSONResponse{Token: info.Token, Balance: info.Balance, Blocked: unlessEmpty(info.Blocked), OpenLoad: unlessEmpty(info.Open), Waiting: waitingOf(info.Waiting)}, nil
}

// AuthoriseECLoad takes a request and gives the issuer's answer.
func (s *server) AuthoriseECLoad(ctx context.Context, r AuthoriseECLoadRequestObject) (AuthoriseECLoadResponseObject, error) {
	c, err := ecCardOf(*r.Body)
	if err != nil {
		return nil, err
	}
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	a, err := s.TopUp.AuthoriseEC(ctx, seller, r.Id, c)
	if err != nil {
		return nil, err
	}
	return AuthoriseECLoad200JSONResponse{IssuerAuthentication: upper(a.Auth[:]), Script: upper(a.Script)}, nil
}

// ReportECLoad takes the report on a script.
func (s *server) ReportECLoad(ctx context.Context, r ReportECLoadRequestObject) (ReportECLoadResponseObject, error) {
	raw, err := hexOf(r.Body.Result)
	if err != nil {
		return nil, err
	}
	result, err := ec.ParseScriptResult(raw)
	if err != nil {
		return nil, refusal{codeRequest, "result is no issuer script result"}
	}
	seller, err := s.sellerOf(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	o, err := s.TopUp.ReportEC(ctx, seller, r.Id, result)
	if err != nil {
		return nil, err
	}
	return ReportECLoad200JSONResponse(s.orderOf(o)), nil
}

// ResolveECLoad settles an open load by what the card says. The order may be another agent's, so little is told of it.
func (s *server) ResolveECLoad(ctx context.Context, r ResolveECLoadRequestObject) (ResolveECLoadResponseObject, error) {
	c, err := ecCardOf(r.Body.Request)
	if err != nil {
		return nil, err
	}
	e := topup.ECEvidence{ECCard: c}
	if e.Log, err = hexOf(orDefault(r.Body.LoadLog)); err != nil {
		return nil, err
	}
	o, err := s.TopUp.ResolveEC(ctx, agentOf(ctx), r.Id, e)
	if err != nil {
		return nil, err
	}
	return ResolveECLoad200JSONResponse{Id: o.ID, State: LoadState(o.State)}, nil
}
