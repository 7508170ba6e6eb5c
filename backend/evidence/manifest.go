package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Format is the version of the file.
const Format = "purselane-evidence-1"

// domain comes before what is signed, so that no other signature of the key can be taken for one of a manifest.
const domain = Format + "\x00"

// The last two members.
const (
	nameManifest  = "manifest.json"
	nameSignature = "manifest.sig"
)

// Manifest says what a file holds.
type Manifest struct {
	Format string `json:"format"`
	Day    string `json:"day"`
	Closed bool   `json:"closed"` // an open day's file is a look at it, and another one may differ
	// Report is the SHA-256 of the settlement report, as `settle days` shows it; "" while the day is open.
	Report string `json:"report"`

	Batches  int            `json:"batches"`
	Records  int            `json:"records"`
	Verdicts map[string]int `json:"verdicts"` // records by what became of them
	Entries  int            `json:"entries"`
	Debits   money.Amount   `json:"debits"` // of all entries; the credits are the same
	Groups   int            `json:"groups"`
	// FirstGroup and LastGroup are posting groups of the day, 0 for none, and LastHash the hash of the last.
	FirstGroup int64  `json:"first_group"`
	LastGroup  int64  `json:"last_group"`
	LastHash   string `json:"last_hash"`

	Members []Member `json:"members"` // all but the last two, in order
}

func (m Manifest) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}

func sign(key ed25519.PrivateKey, manifest []byte) []byte {
	return ed25519.Sign(key, append([]byte(domain), manifest...))
}

// openManifest verifies a manifest and then reads it: it must be the very bytes that encode writes.
func openManifest(key ed25519.PublicKey, raw, signature []byte) (Manifest, error) {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(domain), raw...), signature) {
		return Manifest{}, ErrSignature
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrForm, err)
	}
	if m.Format != Format {
		return m, fmt.Errorf("%w: format %.40q, want %q", ErrForm, m.Format, Format)
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, raw) {
		return m, fmt.Errorf("%w: the manifest is not in the one form", ErrForm)
	}
	if _, err := calendar.ParseDate(m.Day); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrForm, err)
	}
	return m, nil
}
