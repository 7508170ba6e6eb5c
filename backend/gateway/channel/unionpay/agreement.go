package unionpay

import (
	"context"
	"errors"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Sign asks for an agreement to debit; its number at UnionPay is ours (bindId). Without a token of a card the payer signs on UnionPay's page,
// which proves who it is; with one our side vouches for the payer.
func (a *Adapter) Sign(ctx context.Context, r channel.SignRequest) (channel.Signed, error) {
	front := r.Payer.Token == ""
	sub := "11"
	if front {
		sub = "10"
	}
	f := a.request("72", sub, "000501", r.Number, a.s.Clock.Now())
	f.set("bindId", r.Number, "backUrl", r.NotifyURL, "orderDesc", subject(r.Plan))
	if front {
		f.set("frontUrl", r.ReturnURL)
		return a.page(f, r.Number)
	}
	if err := a.account(ctx, f, r.Payer.Token); err != nil {
		return channel.Signed{}, err
	}
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Signed{}, err
	}
	if answer["respCode"] == "12" {
		return a.QueryAgreement(ctx, r.Number, "")
	}
	return signed(answer, r.Number, codes[answer["respCode"]]), nil
}

// page is a signed form that the payer's browser takes to UnionPay.
func (a *Adapter) page(f Form, number string) (channel.Signed, error) {
	if err := a.s.Key.Sign(f); err != nil {
		return channel.Signed{}, errors.Join(err, channel.ErrNotSent)
	}
	return channel.Signed{Outcome: channel.Pending, Number: number, Action: channel.Action{URL: a.s.Gateway + "/frontTransReq.do", Form: f}}, nil
}

// signed reads an answer about an agreement or a card.
func signed(f Form, number string, v verdict) channel.Signed {
	s := channel.Signed{Outcome: v.outcome, Number: number}
	if v.outcome == channel.Succeeded {
		s.Agreement = agreement(f)
		return s
	}
	s.Code, s.Class, s.Message = f["respCode"], v.class, message(f["respMsg"])
	return s
}

// QueryAgreement asks whether an agreement is in force. A holder may end it at the bank, without us.
func (a *Adapter) QueryAgreement(ctx context.Context, number, _ string) (channel.Signed, error) {
	f := a.request("75", "00", "000501", "Q"+number, a.s.Clock.Now())
	f.set("bindId", number)
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Signed{}, err
	}
	v := codes[answer["respCode"]]
	if answer["respCode"] == "40" {
		v.outcome = channel.Closed
	} else if v.outcome == channel.Failed {
		v.outcome = channel.Unknown // the question failed, which says nothing about the agreement
	}
	return signed(answer, number, v), nil
}

// Unsign ends an agreement. One that has ended already is a success.
func (a *Adapter) Unsign(ctx context.Context, number, agreement string) (channel.Signed, error) {
	f := a.request("74", "00", "000501", "U"+number, a.s.Clock.Now())
	f.set("bindId", agreement)
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Signed{}, err
	}
	v := codes[answer["respCode"]]
	if v.outcome == channel.Succeeded || answer["respCode"] == "40" {
		return channel.Signed{Outcome: channel.Closed, Number: number, Agreement: agreement}, nil
	}
	if v.outcome == channel.Failed {
		v.outcome = channel.Unknown
	}
	return signed(answer, number, v), nil
}
