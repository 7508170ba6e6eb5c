package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// refusal is an answer that is an error, and verified.
type refusal struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// call sends a request and reads the answer into out, unless the answer is a refusal. Both are verified; an error means that nobody knows
// what the request has done, except [channel.ErrNotSent].
func (c *Channel) call(ctx context.Context, method, target string, in, out any) (*refusal, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
		}
	}
	status, header, answer, err := c.send(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay %s: %w", target, err)
	}
	if err := c.verify(ctx, header, answer, c.set.Now()); err != nil {
		return nil, fmt.Errorf("WeChat Pay %s: HTTP %d%s: %w", target, status, hint(answer), err)
	}
	// 202 is no success: a payment code whose payer is typing the password is answered with it, and a code.
	if status < 200 || status > 299 || status == http.StatusAccepted {
		r := &refusal{Status: status}
		if err := json.Unmarshal(answer, r); err != nil || r.Code == "" {
			return nil, fmt.Errorf("WeChat Pay %s: HTTP %d without a code of WeChat Pay", target, status)
		}
		return r, nil
	}
	if out == nil {
		return nil, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("WeChat Pay %s: the answer does not read: %w", target, err)
	}
	return nil, nil
}

// hint is the code in an answer that proves nothing, for the operator who looks for what is wrong.
func hint(answer []byte) string {
	var r refusal
	if json.Unmarshal(answer, &r) != nil || r.Code == "" || len(r.Code) > 64 {
		return ""
	}
	return fmt.Sprintf(" (it says %q)", r.Code)
}

// send tries the hosts in order while they cannot be dialled. The answer is not verified yet.
func (c *Channel) send(ctx context.Context, method, target string, body []byte) (int, http.Header, []byte, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	var why error
	for _, host := range c.set.Hosts {
		req, err := c.request(ctx, method, host, target, body)
		if err != nil {
			return 0, nil, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
		}
		answer, err := c.set.HTTP.Do(req)
		if err != nil && channel.NotSent(req, err) {
			why = err
			continue
		}
		if err != nil {
			return 0, nil, nil, err
		}
		defer answer.Body.Close()
		got, err := channel.ReadAnswer(answer.Body)
		return answer.StatusCode, answer.Header, got, err
	}
	if why == nil {
		why = errors.New("no host is set")
	}
	return 0, nil, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, why)
}

func (c *Channel) request(ctx context.Context, method, host, target string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, host+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token, err := c.authorization(ctx, method, req.URL.RequestURI(), string(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(consts.Authorization, token)
	req.Header.Set(consts.Accept, consts.ApplicationJSON)
	req.Header.Set(consts.UserAgent, "purselane")
	req.Header.Set(consts.WechatPaySerial, c.accept)
	if len(body) > 0 {
		req.Header.Set(consts.ContentType, consts.ApplicationJSON)
	}
	return req, nil
}
