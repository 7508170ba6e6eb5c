package api

import (
	"fmt"
	"strings"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/tcc"
)

// payerOf is the payer of a payment that an app asks for.
func payerOf(app string, n NewPayment) (channel.Payer, error) {
	p := channel.Payer{OpenID: orDefault(n.OpenId), Code: orDefault(n.Code), Token: orDefault(n.Token), Bank: orDefault(n.Bank)}
	if n.Account != nil {
		var err error
		if p.Account, err = holder(app, *n.Account); err != nil {
			return p, err
		}
	}
	if n.Parts == nil {
		return p, nil
	}
	for _, x := range *n.Parts {
		part := channel.Part{With: x.With, Account: orDefault(x.Account), Money: channel.Money{Amount: x.Amount, Currency: x.Currency}}
		if x.With == tcc.WithBalance || x.With == tcc.WithPoints {
			var err error
			if part.Account, err = holder(app, part.Account); err != nil {
				return p, err
			}
		}
		p.Parts = append(p.Parts, part)
	}
	return p, nil
}

// holder is how the books name somebody whom an app names: what one app's holders have, no other app can spend.
func holder(app, name string) (string, error) {
	const may = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if strings.Trim(app, may) != "" {
		return "", fmt.Errorf("balances and points are for apps whose name has letters in lower case, digits and dashes: %w", gateway.ErrRequest)
	}
	if name == "" || len(name) > 30 || strings.Trim(name, may+".") != "" {
		return "", fmt.Errorf("account: a holder's name has letters in lower case, digits, dots and dashes, 30 at most: %w", gateway.ErrRequest)
	}
	return app + "." + name, nil
}
