package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purselane/purselane/backend/store"
)

// sender makes HTTP requests to endpoints: by https to addresses that the guard lets through, by http to allowed ones only. It follows no redirect, and goes through
// no proxy, because the guard sees the proxy's address alone.
type sender struct{ https, http *http.Client }

func newSender(allow []netip.Prefix, timeout time.Duration) sender {
	client := func(g guard) *http.Client {
		dial := &net.Dialer{Timeout: timeout, Control: g.control}
		return &http.Client{
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{DialContext: dial.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, MaxIdleConns: 100, IdleConnTimeout: time.Minute,
				TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10},
		}
	}
	return sender{https: client(guard{allow: allow}), http: client(guard{allow: allow, plain: true})}
}

// maxAnswer is how much of an answer is read, so that the connection can be used again. It is not looked at.
const maxAnswer = 16 << 10

// post sends a message, and returns the answer's status. The error quotes no URL.
func (c sender) post(ctx context.Context, to string, header http.Header, body []byte) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the endpoint's URL cannot be read")
	}
	r.Header = header
	client := c.https
	if r.URL.Scheme == "http" {
		client = c.http
	}
	resp, err := client.Do(r)
	if err != nil {
		if e, is := errors.AsType[*url.Error](err); is {
			err = e.Err // the outer one says the URL
		}
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // the status is the answer
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("the endpoint answered %d", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

// sign makes the headers of one attempt. Each valid secret signs.
func sign(id string, at time.Time, body []byte, secrets [][]byte) (http.Header, error) {
	var all []string
	for _, s := range secrets {
		w, err := standardwebhooks.NewWebhookRaw(s)
		if err != nil {
			return nil, err
		}
		one, err := w.Sign(id, at, body)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"purselane-webhook/1"}}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(all, " "))
	return h, nil
}

// busy counts what is under way, by endpoint.
type busy struct {
	mu  sync.Mutex
	by  map[string]int
	all sync.WaitGroup
}

// take reserves up to want places of an endpoint.
func (b *busy) take(endpoint string, limit int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := max(limit-b.by[endpoint], 0)
	b.by[endpoint] += n
	return n
}

func (b *busy) give(endpoint string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by[endpoint] -= n; b.by[endpoint] <= 0 {
		delete(b.by, endpoint)
	}
}

// Step sends what is due now, waits until each has had its answer, and says how many were sent. An error is the store's; an endpoint that does not take a message is not one.
func (s *Service) Step(ctx context.Context) (int, error) {
	n, err := s.begin(ctx)
	s.busy.all.Wait()
	return n, err
}

// begin starts sending what is due to endpoints with free places, and says how many it started.
func (s *Service) begin(ctx context.Context) (int, error) {
	var due []string
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.DueWebhookEndpoints(ctx, s.now().UnixMilli())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("webhook: %w", err)
	}
	begun := 0
	var errs []error // one endpoint's trouble is not the others'
	for _, id := range due {
		n, err := s.beginAt(ctx, id)
		begun += n
		if err != nil {
			errs = append(errs, fmt.Errorf("webhook: endpoint %s: %w", id, err))
		}
	}
	return begun, errors.Join(errs...)
}

func (s *Service) beginAt(ctx context.Context, id string) (int, error) {
	free := s.busy.take(id, s.cfg.AtOnce)
	if free == 0 {
		return 0, nil
	}
	var taken []store.WebhookDelivery
	var to store.WebhookEndpoint
	var secrets [][]byte
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if to, err = tx.WebhookEndpoint(ctx, id); err != nil {
			return err
		}
		if secrets, err = s.secrets(ctx, tx, id); err != nil {
			return err
		}
		now := s.now()
		// Twice the time that an attempt may take: a process that is alive has noted it by then.
		taken, err = tx.LeaseWebhookDeliveries(ctx, id, s.name, now.UnixMilli(), now.Add(2*s.cfg.Timeout).UnixMilli(), free)
		return err
	})
	if err != nil {
		taken = nil
	}
	s.busy.give(id, free-len(taken))
	for _, d := range taken {
		s.busy.all.Go(func() {
			defer s.busy.give(id, 1)
			s.attempt(ctx, to, d, secrets)
		})
	}
	return len(taken), err
}

// attempt sends one message and notes what came of it.
func (s *Service) attempt(ctx context.Context, to store.WebhookEndpoint, d store.WebhookDelivery, secrets [][]byte) {
	header, err := sign(d.ID, s.now(), d.Body, secrets)
	if err == nil {
		d.Status, err = s.client.post(ctx, to.URL, header, d.Body)
	}
	if err != nil && ctx.Err() != nil {
		return // we were told to stop: nothing is known of the attempt, and the lease ends by itself
	}
	ctx = context.WithoutCancel(ctx) // what was taken is noted: else it would come again
	if s.cfg.Fault != nil && s.cfg.Fault("sent") != nil {
		return
	}
	if err := s.note(ctx, d, err); err != nil {
		s.cfg.Log.ErrorContext(ctx, "webhook: note an attempt", "endpoint", d.Endpoint, "id", d.ID, "error", err)
	}
}

func (s *Service) note(ctx context.Context, d store.WebhookDelivery, failed error) error {
	now := s.now()
	d.Attempts++
	event := Answered
	d.DoneMS, d.Error = now.UnixMilli(), ""
	if failed != nil {
		d.DoneMS, d.Error = 0, failed.Error()
		wait, more := pause(d.Attempts)
		event, d.DueMS = Failed, now.Add(wait).UnixMilli()
		if !more {
			event, d.DueMS, d.DoneMS = GaveUp, 0, now.UnixMilli()
		}
	}
	next, err := Next(State(d.State), event)
	if err != nil {
		return err
	}
	d.State = string(next)
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.NoteWebhookAttempt(ctx, d, s.name)
		return err
	}); err != nil {
		return err
	}
	if next == Dead {
		s.cfg.Log.ErrorContext(ctx, "webhook: a message is a dead letter; see what is wrong with the endpoint and resend it (purselane webhook resend)", "app", d.App, "endpoint", d.Endpoint, "id", d.ID,
			"status", d.Status, "error", d.Error)
	}
	return nil
}

// Prune forgets messages that were delivered long ago, and says how many.
func (s *Service) Prune(ctx context.Context) (int64, error) {
	var n int64
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.PruneWebhookDeliveries(ctx, s.now().Add(-s.cfg.Keep).UnixMilli())
		return err
	})
	return n, err
}

// How often Run looks: at whether this process has committed something, at what is due by time, and at what is old.
const (
	lookEvery  = 20 * time.Millisecond
	askEvery   = time.Second
	pruneEvery = time.Hour
)

// Run sends until ctx ends, and returns when nothing is under way. What fails is logged and made again.
func (s *Service) Run(ctx context.Context) error {
	defer s.busy.all.Wait()
	look, ask, prune := time.NewTicker(lookEvery), time.NewTicker(askEvery), time.NewTicker(pruneEvery)
	defer look.Stop()
	defer ask.Stop()
	defer prune.Stop()
	seen := s.store.Changes() - 1 // look at once
	for {
		if now := s.store.Changes(); now != seen {
			seen = now
			s.begun(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case <-ask.C:
			s.begun(ctx)
		case <-prune.C:
			if _, err := s.Prune(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.ErrorContext(ctx, "webhook: forget old messages", "error", err)
			}
		}
	}
}

func (s *Service) begun(ctx context.Context) {
	if _, err := s.begin(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.ErrorContext(ctx, "webhook", "error", err)
	}
}
