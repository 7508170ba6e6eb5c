package alipay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// done is the code of an answer that says that a request was carried out.
const done = "10000"

// refusal is an answer that is no success, and verified.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"msg"`
	Sub     string `json:"sub_code"`
	SubText string `json:"sub_msg"`
}

// call sends a request and reads the answer into out, unless it is a refusal. Both are verified; an error means that nobody knows what the
// request has done, except [channel.ErrNotSent].
func (c *Channel) call(ctx context.Context, method string, content any, notifyURL string, out any) (*refusal, error) {
	status, body, err := c.send(ctx, method, content, notifyURL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	said, err := c.proven(method, body)
	if err != nil {
		return nil, fmt.Errorf("%s: HTTP %d%s: %w", method, status, hint(method, body), err)
	}
	r := &refusal{}
	if err := json.Unmarshal(said, r); err != nil || r.Code == "" {
		return nil, fmt.Errorf("%s: HTTP %d without a code of Alipay", method, status)
	}
	if r.Code != done {
		return r, nil
	}
	if err := json.Unmarshal(said, out); err != nil {
		return nil, fmt.Errorf("%s: the answer does not read: %w", method, err)
	}
	return nil, nil
}

// send posts a request. The answer is not verified yet.
func (c *Channel) send(ctx context.Context, method string, content any, notifyURL string) (int, []byte, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	params, err := c.signed(method, content, notifyURL, "")
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.set.Gateway+"?charset=utf-8", strings.NewReader(params.Encode()))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
	req.Header.Set("User-Agent", "purselane")
	answer, err := c.set.HTTP.Do(req)
	if err != nil && channel.NotSent(req, err) {
		return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := channel.ReadAnswer(answer.Body)
	return answer.StatusCode, body, err
}
