package route

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
)

// fallback is what a process routes by when nothing else can be reached: the plan, with the cells that were not well when it was written. Version 1.
type fallback struct {
	Version int               `json:"version"`
	At      int64             `json:"at"` // Unix ms
	Plan    Plan              `json:"plan"`
	Out     []FallbackChannel `json:"out,omitempty"`
	Learned []Learned         `json:"learned,omitempty"`
}

// FallbackChannel is a cell that takes less than all.
type FallbackChannel struct {
	Channel string  `json:"channel"`
	Bank    string  `json:"bank,omitempty"`
	Card    string  `json:"card,omitempty"`
	Share   float64 `json:"share"`
}

// Cell is what it is about.
func (c FallbackChannel) Cell() health.Cell {
	return health.Cell{Channel: c.Channel, Bank: c.Bank, Card: c.Card}
}

// Fallback is a fall-back file that has been verified.
type Fallback struct {
	Plan    Plan
	Out     []FallbackChannel
	Learned []Learned
	At      time.Time // when it was written: how stale it is
}

const (
	fallbackVersion = 1
	maxFallback     = 4 << 20
)

var fallbackDomain = []byte("purselane-route-fallback-1\n")

// ErrFallback says that a fall-back file is not what the key's owner wrote.
var ErrFallback = errors.New("the routing fall-back file does not verify")

// Seal writes a fall-back file: an Ed25519 signature of 64 bytes over a domain and the JSON that follows.
func Seal(f Fallback, key ed25519.PrivateKey) ([]byte, error) {
	body, err := json.Marshal(fallback{Version: fallbackVersion, At: f.At.UnixMilli(), Plan: f.Plan, Out: f.Out, Learned: f.Learned})
	if err != nil {
		return nil, err
	}
	return append(ed25519.Sign(key, append(bytes.Clone(fallbackDomain), body...)), body...), nil
}

// Open verifies a fall-back file before it reads it. One that was written after now is refused: its clock or ours is wrong. Error: [ErrFallback].
func Open(file []byte, key ed25519.PublicKey, now time.Time) (Fallback, error) {
	if len(file) < ed25519.SignatureSize || len(file) > maxFallback {
		return Fallback{}, fmt.Errorf("%w: %d bytes", ErrFallback, len(file))
	}
	sig, body := file[:ed25519.SignatureSize], file[ed25519.SignatureSize:]
	if !ed25519.Verify(key, append(bytes.Clone(fallbackDomain), body...), sig) {
		return Fallback{}, fmt.Errorf("%w: the signature is of another key or content", ErrFallback)
	}
	var f fallback
	if err := json.Unmarshal(body, &f); err != nil {
		return Fallback{}, fmt.Errorf("%w: %w", ErrFallback, err)
	}
	at := time.UnixMilli(f.At)
	switch {
	case f.Version != fallbackVersion:
		return Fallback{}, fmt.Errorf("%w: version %d, want %d", ErrFallback, f.Version, fallbackVersion)
	case at.After(now.Add(5 * time.Minute)):
		return Fallback{}, fmt.Errorf("%w: written at %v, which is yet to come", ErrFallback, at.UTC())
	}
	return Fallback{Plan: f.Plan, Out: f.Out, Learned: f.Learned, At: at}, nil
}
