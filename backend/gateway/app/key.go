package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/store"
)

// Key is what an app signs with.
type Key struct {
	ID    string
	Kind  sign.Kind
	Since time.Time
	Until time.Time // zero: no end
	Valid bool      // now
}

func (s *Service) keyOf(k store.AppKey) Key {
	out := Key{ID: k.ID, Kind: sign.Kind(k.Kind), Since: time.UnixMilli(k.SinceMS), Valid: !over(k, s.now())}
	if k.UntilMS != 0 {
		out.Until = time.UnixMilli(k.UntilMS)
	}
	return out
}

func over(k store.AppKey, now time.Time) bool { return k.UntilMS != 0 && k.UntilMS <= now.UnixMilli() }

// wantedKey is a key that is asked for.
type wantedKey struct {
	Kind   sign.Kind `json:"kind"`
	Public []byte    `json:"public,omitempty"` // DER
}

// keyText says a key that is asked for: two persons compare the fingerprint.
func keyText(body []byte) string {
	var w wantedKey
	if json.Unmarshal(body, &w) != nil {
		return "?"
	}
	if w.Kind == sign.HMAC {
		return string(w.Kind)
	}
	sum := sha256.Sum256(w.Public)
	return string(w.Kind) + " SHA256:" + hex.EncodeToString(sum[:])
}

// NewKey is what became of a key that was asked for.
type NewKey struct {
	App    App
	Key    *Key         // nil: another person must ask for the same
	Secret *sign.Secret // of a key by HMAC; it is not told again
}

// AskKey asks for a key of an app, and adds it when another person has asked for the same. public is the RSA public key in PEM; empty for a secret that both sides have, which the second person is told
// once. The key that there is ends after Config.Overlap, so that the caller can change over at any moment of it.
// Errors: [ErrInput], [sign.ErrKey], [ErrUnknown], [ErrState] of a closed one, [ErrSamePerson], [ErrAsked], [ErrTwoKeys].
func (s *Service) AskKey(ctx context.Context, id string, public []byte, by, reason string) (NewKey, error) {
	by, err := person(by, reason)
	if err != nil {
		return NewKey{}, fmt.Errorf("key: %w", err)
	}
	want := wantedKey{Kind: sign.HMAC}
	if len(public) > 0 {
		key, err := sign.ParsePublic(public)
		if err != nil {
			return NewKey{}, fmt.Errorf("key: %w", err)
		}
		want.Kind = sign.RSASHA256
		if want.Public, err = key.DER(); err != nil {
			return NewKey{}, fmt.Errorf("key: %w", err)
		}
	}
	body, err := json.Marshal(want)
	if err != nil {
		return NewKey{}, fmt.Errorf("key: %w", err)
	}
	var out NewKey
	a, err := s.change(ctx, askKey, id, func(tx *store.Tx) error {
		out = NewKey{}
		if _, err := open(ctx, tx, id); err != nil {
			return err
		}
		valid, err := s.validKeys(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(valid) > 1 {
			return fmt.Errorf("%s and %s: end one first: %w", valid[0].ID, valid[1].ID, ErrTwoKeys)
		}
		agreed, err := s.agree(ctx, tx, id, askKey, body, by, reason)
		if err != nil || !agreed {
			return err
		}
		for _, old := range valid {
			end := s.now().Add(s.cfg.Overlap).UnixMilli()
			if old.UntilMS == 0 || end < old.UntilMS {
				old.UntilMS = end
			}
			if err := tx.PutAppKey(ctx, old); err != nil {
				return err
			}
		}
		out, err = s.addKey(ctx, tx, id, want)
		if err != nil {
			return err
		}
		return s.trail(ctx, tx, id, by, askKey+" "+out.Key.ID, reason+" ["+keyText(body)+"]")
	})
	out.App = a
	if err != nil {
		return NewKey{}, err
	}
	return out, nil
}

func (s *Service) addKey(ctx context.Context, tx *store.Tx, id string, want wantedKey) (NewKey, error) {
	row := store.AppKey{App: id, ID: "K" + rand.Text()[:16], Kind: string(want.Kind), SinceMS: s.now().UnixMilli()}
	var out NewKey
	raw := want.Public
	if want.Kind == sign.HMAC {
		secret := sign.NewSecret()
		out.Secret, raw = &secret, secret.Bytes()
	}
	// A public key is sealed too: whoever can only write to the database cannot put in one of their own.
	row.Sealed = s.cfg.Box.Seal(keyRow(row), raw)
	key := s.keyOf(row)
	out.Key = &key
	return out, tx.PutAppKey(ctx, row)
}

// keyRow binds a sealed key to its row, and to its kind.
func keyRow(k store.AppKey) string { return fmt.Sprintf("app_key %s %s %s", k.App, k.ID, k.Kind) }

// EndKey ends a key now. One person is enough, because it only takes away: who hears of a theft must not wait. Errors: [ErrInput], [ErrUnknown], [ErrState] of one that is over.
func (s *Service) EndKey(ctx context.Context, id, key, by, reason string) (App, error) {
	by, err := person(by, reason)
	if err != nil {
		return App{}, fmt.Errorf("end key: %w", err)
	}
	return s.change(ctx, "end key", id, func(tx *store.Tx) error {
		k, err := tx.AppKey(ctx, id, key)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("key %.40q of %.40q: %w", key, id, ErrUnknown)
		}
		if err != nil {
			return err
		}
		if over(k, s.now()) {
			return fmt.Errorf("key %s is over since %s: %w", k.ID, time.UnixMilli(k.UntilMS).UTC().Format(time.RFC3339), ErrState)
		}
		k.UntilMS = s.now().UnixMilli()
		if err := tx.PutAppKey(ctx, k); err != nil {
			return err
		}
		return s.trail(ctx, tx, id, by, "end key "+k.ID, reason)
	})
}

// Keys lists every key that an app has had, the newest first. Error: [ErrUnknown].
func (s *Service) Keys(ctx context.Context, id string) ([]Key, error) {
	var out []Key
	err := s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := find(ctx, tx, id); err != nil {
			return err
		}
		all, err := tx.AppKeys(ctx, id)
		for _, k := range all {
			out = append(out, s.keyOf(k))
		}
		return err
	})
	return out, err
}

func (s *Service) validKeys(ctx context.Context, tx *store.Tx, id string) ([]store.AppKey, error) {
	all, err := tx.AppKeys(ctx, id)
	var out []store.AppKey
	for _, k := range all {
		if !over(k, s.now()) {
			out = append(out, k)
		}
	}
	return out, err
}

// verifier is what verifies a signature.
type verifier interface {
	Verify(text, signature []byte) bool
}

// open opens a key.
func (s *Service) open(k store.AppKey) (verifier, error) {
	raw, err := s.cfg.Box.Open(keyRow(k), k.Sealed)
	if err != nil {
		return nil, err
	}
	switch sign.Kind(k.Kind) {
	case sign.HMAC:
		return sign.SecretOf(raw)
	case sign.RSASHA256:
		return sign.PublicOf(raw)
	}
	return nil, fmt.Errorf("key %s of app %s is of kind %q, which this program does not know", k.ID, k.App, k.Kind)
}
