package outside

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purselane/purselane/backend/risk/identity"
	"github.com/purselane/purselane/backend/risk/stepup"
	"github.com/purselane/purselane/internal/clock"
)

// Service is one of the operator's services.
type Service struct {
	url    string
	sign   *standardwebhooks.Webhook
	client *http.Client
	clock  clock.Clock
}

const (
	maxAnswer = 4 << 10
	minKey    = 24 // bytes, as Standard Webhooks has it
	maxKey    = 64
)

// New makes a client of the service at an address, with the key that requests are signed with.
func New(address string, key []byte, timeout time.Duration, c clock.Clock) (*Service, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("risk: want the address of a service such as https://codes.example.org/send")
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("risk: a service's key of %d bytes: want %d to %d", len(key), minKey, maxKey)
	}
	w, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, err
	}
	return &Service{url: address, sign: w, clock: c, client: &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// ask posts a question and reads the answer into one that is not nil. The error quotes neither address, question nor answer.
func (s *Service) ask(ctx context.Context, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return errors.New("the question cannot be written")
	}
	at, id := s.clock.Now(), rand.Text()
	signature, err := s.sign.Sign(id, at, body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the service's address cannot be read")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(at.Unix()))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := s.client.Do(r)
	if err != nil {
		if e, is := errors.AsType[*url.Error](err); is {
			err = e.Err // the outer one says the address
		}
		return fmt.Errorf("the service did not answer: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return errors.New("the service's answer broke off")
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("the service answered %d", resp.StatusCode)
	case answer == nil:
		return nil
	case json.Unmarshal(said, answer) != nil:
		return errors.New("the service's answer is no JSON of the agreed form")
	}
	return nil
}

// Send implements [stepup.Sender].
func (s *Service) Send(ctx context.Context, m stepup.Message) error { return s.ask(ctx, m, nil) }

// question is what a service that knows persons is asked.
type question struct {
	Name   string `json:"name"`
	Number string `json:"number"`
	Card   string `json:"card,omitempty"`
	Phone  string `json:"phone,omitempty"`
}

// Verify implements [identity.Verifier].
func (s *Service) Verify(ctx context.Context, p identity.Person) (identity.Answer, error) {
	var said struct {
		Answer string `json:"answer"`
		Fault  string `json:"fault"`
	}
	if err := s.ask(ctx, question{p.Name, p.Number, p.Card, p.Phone}, &said); err != nil {
		return 0, err
	}
	for _, a := range []identity.Answer{identity.Match, identity.Mismatch, identity.NotInDatabase} {
		if said.Answer == a.String() {
			return a, nil
		}
	}
	return 0, identity.Fault(said.Fault)
}
