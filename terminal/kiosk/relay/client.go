package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/kiosk"
)

// NewToken makes a token for both sides.
func NewToken() string {
	var raw [32]byte
	rand.Read(raw[:]) // never fails
	return "plr1_" + base64.RawURLEncoding.EncodeToString(raw[:])
}

// Client is the card's side.
type Client struct {
	url   string
	token string

	// HTTP carries the calls. Default: a client of its own with a time-out of 40 s a call: the server holds one for 20 s.
	HTTP *http.Client
	// Tries bounds how often one call is made while nothing comes back. Default 6.
	Tries int
	// Pause is the wait before try n (2, 3 …). Default 250 ms, doubling.
	Pause func(n int) time.Duration
}

// NewClient makes a client of the server at baseURL. Plain http is for this machine only: token and card number would be readable on the way.
func NewClient(baseURL, token string) (*Client, error) {
	u, err := kiosk.ParseAddress("relay address", baseURL)
	if err != nil {
		return nil, err
	}
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return nil, errors.New("relay token: want one word")
	}
	return &Client{url: u.JoinPath(Path).String(), token: token, HTTP: &http.Client{Timeout: 40 * time.Second}, Tries: 6,
		Pause: func(n int) time.Duration { return 125 * time.Millisecond << min(n, 8) / 2 }}, nil
}

// Errors of Carry.
var (
	// ErrNoServer: the loading side was not reached, after every try. If a command was under way it hears that no answer came.
	ErrNoServer = errors.New("loading side not reached")
	// ErrRefused: it does not take the call.
	ErrRefused = errors.New("loading side refuses")
)

// Carry is one presentation: it carries the loading side's commands to the card until it has done with it. Each command is sent to the card once, however often it is
// asked for over the line.
func (c *Client) Carry(ctx context.Context, card apdu.Transmitter) (End, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	said := report{Presentation: hex.EncodeToString(id[:])}
	for {
		o, command, err := c.ask(ctx, said)
		switch {
		case err != nil:
			return "", fmt.Errorf("relay: %w", err)
		case o.End != "":
			return o.End, nil
		case o.Number != said.Number+1:
			return "", fmt.Errorf("relay: %w: command %d after %d", ErrRefused, o.Number, said.Number)
		}
		said.Number, said.Outcome, said.Answer = o.Number, answered, ""
		answer, err := card.Transmit(ctx, command)
		switch {
		case errors.Is(err, apdu.ErrNotSent):
			said.Outcome = notSent
		case err != nil, len(answer) < 2, len(answer) > apdu.MaxResponse:
			said.Outcome = noAnswer
		default:
			said.Answer = hex.EncodeToString(answer)
		}
	}
}

// ask makes one call as often as it takes, until a command or the end is there.
func (c *Client) ask(ctx context.Context, r report) (order, []byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return order{}, nil, err
	}
	for try := 1; ; try++ {
		o, command, err := c.try(ctx, body)
		switch {
		case err == nil && o != nil:
			return *o, command, nil
		case err == nil: // nothing yet
			try = 0
		case errors.Is(err, ErrRefused):
			return order{}, nil, err
		case ctx.Err() != nil:
			return order{}, nil, ctx.Err()
		case try >= c.Tries:
			return order{}, nil, fmt.Errorf("%w: %w", ErrNoServer, err)
		default:
			if err := pause(ctx, c.Pause(try+1)); err != nil {
				return order{}, nil, err
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// try makes a call once. Neither order nor error: there is no command yet.
func (c *Client) try(ctx context.Context, body []byte) (*order, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	client := *c.HTTP
	// What the card says goes to no other address than the one configured.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return nil, nil, err
	}
	switch status := resp.StatusCode; {
	case status == http.StatusNoContent:
		return nil, nil, nil
	case status == http.StatusOK:
		o, command, err := readOrder(raw)
		return &o, command, err
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return nil, nil, fmt.Errorf("status %d", status)
	}
	var problem struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(raw, &problem) // a gateway's page has none
	return nil, nil, fmt.Errorf("%w: status %d %s", ErrRefused, resp.StatusCode, problem.Error)
}
