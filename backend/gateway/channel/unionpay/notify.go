package unionpay

import (
	"net/http"

	"context"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Notified verifies a back notification.
func (a *Adapter) Notified(_ context.Context, n channel.Notification) ([]channel.Event, error) {
	f, err := ParseForm(string(n.Body))
	if err != nil {
		return nil, &channel.ForgedError{Why: err.Error()}
	}
	if err := a.trust.verify(f, a.s.Clock.Now()); err != nil {
		return nil, err
	}
	if f["merId"] != a.s.Merchant {
		return nil, &channel.ForgedError{Why: "it is for another merchant"}
	}
	code := f["respCode"]
	v := codes[code]
	if code == "34" {
		v = verdict{}
	}
	r, err := result(f, v, code, f["respMsg"])
	if err != nil {
		return nil, &channel.ForgedError{Why: err.Error()}
	}
	e := channel.Event{About: about(f["txnType"]), Result: r}
	if r.ChannelID != "" {
		e.ID = f["txnType"] + "/" + r.ChannelID + "/" + code
	}
	switch e.About {
	case channel.OfAgreement:
		e.Agreement = agreement(f)
		if f["txnType"] == "74" && v.outcome == channel.Succeeded {
			e.Result.Outcome = channel.Closed
		}
	case 0:
		return nil, nil // of something that we do not ask for
	}
	return []channel.Event{e}, nil
}

// about says what a transaction type is to the gateway; 0: nothing.
func about(kind string) channel.Subject {
	switch kind {
	case "01", "11":
		return channel.OfPayment
	case "04", "31":
		return channel.OfRefund
	case "12":
		return channel.OfPayout
	case "72", "74", "79":
		return channel.OfAgreement
	}
	return 0
}

// agreement is the number of an agreement, or the token of an opened card.
func agreement(f Form) string {
	if token := inner(f["tokenPayData"])["token"]; token != "" {
		return token
	}
	return f["bindId"]
}

// Answer is HTTP 200 for a kept notification; anything else makes UnionPay send it again.
func (a *Adapter) Answer(err error) channel.Reply {
	if err != nil {
		return channel.Reply{Status: http.StatusInternalServerError, Type: "text/plain", Body: []byte("fail")}
	}
	return channel.Reply{Status: http.StatusOK, Type: "text/plain", Body: []byte("ok")}
}
