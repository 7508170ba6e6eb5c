package wechat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway/channel"
)

type notification struct {
	ID       string `json:"id"`
	Event    string `json:"event_type"`
	Resource sealed `json:"resource"`
}

// sealed is a JSON object under the API v3 key.
type sealed struct {
	Algorithm  string `json:"algorithm"`
	Kind       string `json:"original_type"`
	Ciphertext string `json:"ciphertext"`
	Nonce      string `json:"nonce"`
	Data       string `json:"associated_data"`
}

// nonceBytes is what GCM wants. A message with another length must not reach the library, which would panic.
const nonceBytes = 12

func (s sealed) open(key string) ([]byte, error) {
	if s.Algorithm != "AEAD_AES_256_GCM" {
		return nil, fmt.Errorf("the resource is sealed with %q, and AEAD_AES_256_GCM is known here", s.Algorithm)
	}
	if len(s.Nonce) != nonceBytes {
		return nil, fmt.Errorf("the nonce of the resource has %d bytes, not %d", len(s.Nonce), nonceBytes)
	}
	if _, err := base64.StdEncoding.DecodeString(s.Ciphertext); err != nil {
		return nil, errors.New("the resource is not base64")
	}
	plain, err := utils.DecryptAES256GCM(key, s.Data, s.Nonce, s.Ciphertext)
	if err != nil {
		return nil, errors.New("the signature is right, but the resource does not open with the API v3 key: the key set here is not the merchant's of today")
	}
	return []byte(plain), nil
}

// Notified verifies a notification, opens it and says what has happened. One about something that we never asked for has no events.
func (c *Channel) Notified(ctx context.Context, n channel.Notification) ([]channel.Event, error) {
	if c.set.Agreements.Plan != "" && len(n.Body) > 0 && n.Body[0] == '<' {
		return c.told2(ctx, n.Body)
	}
	at := n.At
	if at.IsZero() {
		at = c.set.Now()
	}
	if err := c.verify(ctx, n.Header, n.Body, at); err != nil {
		return nil, err
	}
	var in notification
	if err := json.Unmarshal(n.Body, &in); err != nil {
		return nil, fmt.Errorf("WeChat Pay: the notification does not read: %w", err)
	}
	kind := in.Resource.Kind
	if kind != "transaction" && kind != "refund" && kind != "mch_payment" {
		return nil, nil
	}
	plain, err := in.Resource.open(c.set.V3Key)
	if err != nil {
		return nil, &channel.ForgedError{Why: err.Error()}
	}
	e := channel.Event{ID: in.ID, About: channel.OfPayment}
	switch kind {
	case "refund":
		e.About = channel.OfRefund
		var r refund
		if err = json.Unmarshal(plain, &r); err == nil {
			e.Result, err = c.refundResult(r, "")
		}
	case "mch_payment":
		e.About = channel.OfPayout
		var t transfer
		if err = json.Unmarshal(plain, &t); err == nil {
			e.Result, err = c.transferResult(t, "")
		}
	default:
		var t transaction
		if err = json.Unmarshal(plain, &t); err == nil {
			e.Result, err = c.result(t, "")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay: notification %s: %w", in.ID, err)
	}
	return []channel.Event{e}, nil
}

// Answer is 204 for a notification that is kept, or 200 with the word of API v2 where there are agreements. WeChat Pay sends it again after anything else, and after 5 seconds without an answer.
func (c *Channel) Answer(err error) channel.Reply {
	var forged *channel.ForgedError
	switch {
	case err == nil && c.set.Agreements.Plan != "": // API v2 reads the body, and v3 the status alone
		return channel.Reply{Status: http.StatusOK, Type: "text/xml", Body: []byte("<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>")}
	case err == nil:
		return channel.Reply{Status: http.StatusNoContent}
	case errors.As(err, &forged):
		return channel.Reply{Status: http.StatusUnauthorized, Type: consts.ApplicationJSON, Body: []byte(`{"code":"FAIL","message":"the signature does not verify"}`)}
	default:
		return channel.Reply{Status: http.StatusInternalServerError, Type: consts.ApplicationJSON, Body: []byte(`{"code":"FAIL","message":"not kept yet"}`)}
	}
}
