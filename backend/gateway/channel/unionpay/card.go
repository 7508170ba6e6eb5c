package unionpay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// CardData is what a payer types to bind a card on our side. It is encrypted, sent and forgotten: it prints as nothing but its last four
// digits, in whatever way it is printed, and has no form in which it could be kept.
type CardData struct {
	Number   string
	Expires  string // YYMM, of a credit card
	CVN2     string // of a credit card
	Phone    string // the number that the bank knows
	Name     string
	IDType   string // 01: identity card
	IDNumber string
	Code     string // from the text message, where one was sent
}

// Format prints a masked number for every verb.
func (c CardData) Format(s fmt.State, _ rune) {
	last := ""
	if len(c.Number) > 8 {
		last = c.Number[len(c.Number)-4:]
	}
	_, _ = fmt.Fprint(s, "card …"+last)
}

// MarshalJSON refuses: card data are not kept.
func (CardData) MarshalJSON() ([]byte, error) { return nil, errors.New("card data are not kept") }

// MarshalText refuses likewise.
func (CardData) MarshalText() ([]byte, error) { return nil, errors.New("card data are not kept") }

// customer is customerInfo in the clear.
func (c CardData) customer() string {
	var parts []string
	for _, p := range [][2]string{{"certifTp", c.IDType}, {"certifId", c.IDNumber}, {"customerNm", c.Name}, {"phoneNo", c.Phone},
		{"cvn2", c.CVN2}, {"expired", c.Expires}, {"smsCode", c.Code}} {
		if p[1] != "" {
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	return "{" + strings.Join(parts, "&") + "}"
}

// OpenPage has the payer bind a card on UnionPay's page: the form to take there. It cannot be proven whose card that is, so give such a
// binding a lower limit.
func (a *Adapter) OpenPage(_ context.Context, r channel.SignRequest) (channel.Signed, error) {
	f, err := a.opening("79", r)
	if err != nil {
		return channel.Signed{}, err
	}
	f.set("frontUrl", r.ReturnURL)
	return a.page(f, r.Number)
}

// Open binds a card that the payer has typed on our page, and gives its token in Signed.Agreement.
func (a *Adapter) Open(ctx context.Context, r channel.SignRequest, c CardData) (channel.Signed, error) {
	answer, err := a.typed(ctx, "79", r, c)
	if err != nil {
		return channel.Signed{}, err
	}
	if answer["respCode"] == "12" {
		return a.Opened(ctx, r.Number)
	}
	return signed(answer, r.Number, codes[answer["respCode"]]), nil
}

// SendCode has the bank send the payer a code, which then goes into [CardData].Code of the same opening. The result is Pending once sent.
func (a *Adapter) SendCode(ctx context.Context, r channel.SignRequest, c CardData) (channel.Signed, error) {
	answer, err := a.typed(ctx, "77", r, c)
	if err != nil {
		return channel.Signed{}, err
	}
	return signed(answer, r.Number, accepted(answer["respCode"])), nil
}

func (a *Adapter) opening(kind string, r channel.SignRequest) (Form, error) {
	if a.s.TokenID == "" {
		return nil, fmt.Errorf("unionpay: the account has no trId: %w", errors.Join(channel.ErrUnsupported, channel.ErrNotSent))
	}
	f := a.request(kind, "00", "000902", r.Number, a.s.Clock.Now())
	f["tokenPayData"] = "{trId=" + a.s.TokenID + "&tokenType=01}"
	f.set("backUrl", r.NotifyURL)
	return f, nil
}

func (a *Adapter) typed(ctx context.Context, kind string, r channel.SignRequest, c CardData) (Form, error) {
	f, err := a.opening(kind, r)
	if err != nil {
		return nil, err
	}
	f["encryptCertId"] = CertID(a.s.Encrypt)
	if f["accNo"], err = a.secret(c.Number); err != nil {
		return nil, err
	}
	if f["customerInfo"], err = a.secret(c.customer()); err != nil {
		return nil, err
	}
	return a.back(ctx, f)
}

// Opened asks for the token of an opening.
func (a *Adapter) Opened(ctx context.Context, number string) (channel.Signed, error) {
	f := a.request("78", "02", "000902", number, a.s.Clock.Now())
	f["tokenPayData"] = "{trId=" + a.s.TokenID + "&tokenType=01}"
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Signed{}, err
	}
	v := codes[answer["respCode"]]
	switch {
	case answer["respCode"] == "80":
		v.outcome = channel.Closed
	case v.outcome == channel.Failed:
		v.outcome = channel.Unknown
	}
	return signed(answer, number, v), nil
}

// Forget ends a token. One that has ended already is a success.
func (a *Adapter) Forget(ctx context.Context, number, token string) (channel.Signed, error) {
	f := a.request("74", "01", "000902", "U"+number, a.s.Clock.Now())
	f["tokenPayData"] = "{token=" + token + "&trId=" + a.s.TokenID + "}"
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Signed{}, err
	}
	v := codes[answer["respCode"]]
	if v.outcome == channel.Succeeded || answer["respCode"] == "80" {
		return channel.Signed{Outcome: channel.Closed, Number: number, Agreement: token}, nil
	}
	if v.outcome == channel.Failed {
		v.outcome = channel.Unknown
	}
	return signed(answer, number, v), nil
}
