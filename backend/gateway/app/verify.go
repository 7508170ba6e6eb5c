package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/store"
)

// Kinds of refusal of a request, beside [sign.ErrHeader] and [sign.ErrRequest].
var (
	// ErrClock: the request's time is too far from ours.
	ErrClock = errors.New("the request's time is too far from ours")
	// ErrSignature: no valid key of this app has signed this request. It is one error for an app and a key that there is not, a key that is over, and a signature of another request,
	// because the difference is nobody's business who has no key.
	ErrSignature = errors.New("no valid key of this app has signed this request")
	// ErrReplay: the request has been here before.
	ErrReplay = errors.New("the nonce has been used")
	// ErrNotActive: the app may not transact.
	ErrNotActive = errors.New("the app may not transact")
)

// Caller is whom a request is from.
type Caller struct {
	App   string
	Key   string
	Terms Terms
}

// Verify finds out whom a request is from. body is the request's, whole. A request is taken once: the nonce of one that was signed well is remembered, on disk, until its time is past.
// Errors: [sign.ErrHeader], [sign.ErrRequest], [ErrClock], [ErrSignature], [ErrReplay], [ErrNotActive].
func (s *Service) Verify(ctx context.Context, r *http.Request, body []byte) (Caller, error) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return Caller{}, fmt.Errorf("%d Authorization headers: want one: %w", len(all), sign.ErrHeader)
	}
	h, err := sign.Parse(all[0])
	if err != nil {
		return Caller{}, err
	}
	now := s.now()
	if d := now.Unix() - h.Timestamp; d > int64(s.cfg.Window/time.Second) || -d > int64(s.cfg.Window/time.Second) {
		return Caller{}, fmt.Errorf("it says %d, our clock %d (%s): want at most %v between: %w", h.Timestamp, now.Unix(), now.UTC().Format(time.RFC3339), s.cfg.Window, ErrClock)
	}
	text, err := sign.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Timestamp: h.Timestamp, Nonce: h.Nonce, App: h.App, Key: h.Key, Body: body}.Text()
	if err != nil {
		return Caller{}, err
	}
	key, why, err := s.keyFor(ctx, h)
	if err != nil {
		return Caller{}, err
	}
	signed := key.Verify(text, h.Signature)
	if !signed && why == "" {
		why = "the signature is not over it"
	}
	if why != "" {
		s.cfg.Log.WarnContext(ctx, "app: a request is not signed", "app", h.App, "key", h.Key, "why", why)
		sum := sha256.Sum256(text)
		return Caller{}, fmt.Errorf("the text that we verify has the SHA-256 %s: compare it with yours (docs/gateway-apps.md): %w", hex.EncodeToString(sum[:]), ErrSignature)
	}
	return s.take(ctx, h)
}

// keyFor finds the key that a header names. Where there is none that is valid, it is one that nobody has, and why says what is wrong.
func (s *Service) keyFor(ctx context.Context, h sign.Header) (key verifier, why string, err error) {
	var row store.AppKey
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.AppKey(ctx, h.App, h.Key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return s.decoy, "there is no such app or key", nil
	}
	if err != nil {
		return nil, "", err
	}
	if over(row, s.now()) {
		return s.decoy, "the key is over", nil
	}
	key, err = s.open(row)
	return key, "", err
}

// take uses up a request's nonce, and reads what the app may do in the same transaction. The nonce is used up whatever the answer: a request that was refused stays so.
func (s *Service) take(ctx context.Context, h sign.Header) (Caller, error) {
	out := Caller{App: h.App, Key: h.Key}
	var a store.App
	fresh := false
	// Twice the window: another process's clock may be behind.
	until := time.Unix(h.Timestamp, 0).Add(2 * s.cfg.Window).UnixMilli()
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if a, err = tx.App(ctx, h.App); err != nil {
			return err
		}
		fresh, err = tx.UseAppNonce(ctx, h.App, h.Nonce, until)
		return err
	})
	if err != nil {
		return Caller{}, err
	}
	if !fresh {
		return Caller{}, fmt.Errorf("sign each request anew, a repeated one too: %w", ErrReplay)
	}
	if State(a.State) != Active {
		return Caller{}, fmt.Errorf("it is %s: ask the operator: %w", a.State, ErrNotActive)
	}
	if err := json.Unmarshal(a.Terms, &out.Terms); err != nil {
		return Caller{}, fmt.Errorf("terms of app %s: %w", a.ID, err)
	}
	return out, nil
}

// Prune forgets nonces of requests that are too old to be taken, and says how many.
func (s *Service) Prune(ctx context.Context) (int64, error) {
	var n int64
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.PruneAppNonces(ctx, s.now().UnixMilli())
		return err
	})
	return n, err
}

const pruneEvery = time.Minute

// Run forgets old nonces until ctx ends. What fails is logged and made again.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if _, err := s.Prune(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "app: forget old nonces", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
