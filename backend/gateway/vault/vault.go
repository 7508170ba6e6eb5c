package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Prefixes of tokens.
const (
	kept   = "card_"  // sealed in a file; the same number has the same token
	held   = "once_"  // in memory, for one payment
	typing = "typed_" // in memory, to bind a card
)

// HoldFor is how long a card that was read for one payment is held.
const HoldFor = 15 * time.Minute

// maxHeld bounds the cards in memory: more at once are no riders.
const maxHeld = 10_000

// Errors. None holds a digit of a number.
var (
	ErrNoCard  = errors.New("the vault has no card under this token: it was forgotten, held for too long, or is of another scheme")
	ErrExpires = errors.New("the expiry of a card is YYMM")
	ErrFull    = errors.New("the vault holds too many cards that were read for a payment: try again in some minutes")
)

// Config of a vault. All but Clock is required.
type Config struct {
	Dir   string // for the sealed files; made where it is not there
	Key   []byte // of 32 bytes: files are sealed and tokens made with it
	Store *store.Store
	Bins  *bin.Current // whose cards they are
	Clock clock.Clock  // default: the machine's
}

// Vault keeps cards. It is safe for concurrent use, and several processes may share a folder.
type Vault struct {
	cfg Config
	box *sealed.Box

	mu    sync.Mutex
	held  map[string]heldCard
	typed map[string]heldTyped
}

type heldCard struct {
	card  cardacquirer.Card
	bound Bound
	until time.Time
}

// Bound is what may be known of a card everywhere.
type Bound struct {
	Token  string
	Last   string // four digits
	Bank   string // "" : not known
	Type   bin.Type
	Scheme bin.Scheme
}

// New opens a vault.
func New(c Config) (*Vault, error) {
	if c.Dir == "" || c.Store == nil || c.Bins == nil {
		return nil, errors.New("vault: folder, store and BIN table are all needed")
	}
	box, err := sealed.New(c.Key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return &Vault{cfg: c, box: box, held: map[string]heldCard{}, typed: map[string]heldTyped{}}, nil
}

// bound looks a number up. A number of no known bank is taken: the table may be older than the card.
func (v *Vault) bound(c cardacquirer.Card) (Bound, error) {
	if c.Expires != "" {
		if _, err := time.Parse("0601", c.Expires); err != nil {
			return Bound{}, ErrExpires
		}
	}
	of, err := v.cfg.Bins.Look(c.Number)
	if errors.Is(err, bin.ErrUnknown) {
		of, err = bin.Card{Scheme: bin.SchemeOf(c.Number)}, nil
	}
	if err != nil {
		return Bound{}, err
	}
	return Bound{Last: c.Number[len(c.Number)-4:], Bank: of.Bank, Type: of.Type, Scheme: of.Scheme}, nil
}

// Keep seals a card into a file, and notes its token. The same number has the same token; with another expiry it is the renewed card. Errors:
// [bin.ErrNumber], [ErrExpires].
func (v *Vault) Keep(ctx context.Context, c cardacquirer.Card) (Bound, error) {
	b, err := v.bound(c)
	if err != nil {
		return Bound{}, err
	}
	b.Token = v.tokenOf(c.Number)
	raw, err := json.Marshal(content{c.Number, c.Expires})
	if err != nil {
		return Bound{}, errors.New("vault: a card cannot be written")
	}
	if err := v.write(b.Token, v.box.Seal("vault "+b.Token, raw)); err != nil {
		return Bound{}, err
	}
	return b, v.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutVaultCard(ctx, store.VaultCard{Token: b.Token, Last: b.Last, Bank: b.Bank, Type: string(b.Type), Scheme: string(b.Scheme), Made: v.cfg.Clock.Now()})
	})
}

// tokenOf is the token of a card that is kept, or would be: keyed, and the same for the same number.
func (v *Vault) tokenOf(number string) string {
	mac := hmac.New(sha256.New, v.cfg.Key)
	mac.Write([]byte("purselane-vault-token-1\n" + number))
	return kept + strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)))[:26]
}

// content of a sealed file.
type content struct{ Number, Expires string }

// write puts a file in place whole, or not at all.
func (v *Vault) write(token string, raw []byte) (err error) {
	f, err := os.CreateTemp(v.cfg.Dir, ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("vault: %w", err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(v.cfg.Dir, token)); err != nil {
		return err
	}
	d, err := os.Open(v.cfg.Dir)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Hold keeps a card in memory for one payment, with what its chip said. Errors: [bin.ErrNumber], [ErrExpires], [ErrFull].
func (v *Vault) Hold(c cardacquirer.Card) (Bound, error) {
	b, err := v.bound(c)
	if err != nil {
		return Bound{}, err
	}
	b.Token = held + strings.ToLower(rand.Text())
	now := v.cfg.Clock.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for token, h := range v.held {
		if !now.Before(h.until) {
			delete(v.held, token)
		}
	}
	if len(v.held) >= maxHeld {
		return Bound{}, ErrFull
	}
	v.held[b.Token] = heldCard{c, b, now.Add(HoldFor)}
	return b, nil
}

var _ cardacquirer.Vault = (*Vault)(nil)

// Card opens a token for one message to an acquirer. Error: [ErrNoCard].
func (v *Vault) Card(_ context.Context, token string) (cardacquirer.Card, error) {
	if h, ok := v.inMemory(token); ok {
		return h.card, nil
	}
	if !plain(token) {
		return cardacquirer.Card{}, ErrNoCard
	}
	raw, err := os.ReadFile(filepath.Join(v.cfg.Dir, token))
	if errors.Is(err, fs.ErrNotExist) {
		return cardacquirer.Card{}, ErrNoCard
	}
	if err != nil {
		return cardacquirer.Card{}, fmt.Errorf("vault: %w", err)
	}
	open, err := v.box.Open("vault "+token, raw)
	if err != nil {
		return cardacquirer.Card{}, fmt.Errorf("vault: %w", err)
	}
	var c content
	if json.Unmarshal(open, &c) != nil || c.Number == "" {
		return cardacquirer.Card{}, errors.New("vault: a sealed file holds no card")
	}
	return cardacquirer.Card{Number: c.Number, Expires: c.Expires}, nil
}

// Account opens a token as the number of an account that money is sent to. Error: [ErrNoCard].
func (v *Vault) Account(ctx context.Context, token string) (string, error) {
	c, err := v.Card(ctx, token)
	return c.Number, err
}

func (v *Vault) inMemory(token string) (heldCard, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.held[token]
	return h, ok && v.cfg.Clock.Now().Before(h.until)
}

// plain reports a token that Keep has made: it is a file's name, so nothing else may be one.
func plain(token string) bool {
	rest, ok := strings.CutPrefix(token, kept)
	return ok && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// Of says what may be known of a token's card. Error: [ErrNoCard].
func (v *Vault) Of(ctx context.Context, token string) (Bound, error) {
	if h, ok := v.inMemory(token); ok {
		return h.bound, nil
	}
	if !plain(token) {
		return Bound{}, ErrNoCard
	}
	var c store.VaultCard
	err := v.cfg.Store.View(ctx, func(tx *store.Tx) (err error) { c, err = tx.VaultCard(ctx, token); return err })
	if errors.Is(err, store.ErrNotFound) {
		return Bound{}, ErrNoCard
	}
	return Bound{Token: token, Last: c.Last, Bank: c.Bank, Type: bin.Type(c.Type), Scheme: bin.Scheme(c.Scheme)}, err
}

// Expired reports that a kept card's last month is over, wherever its holder is. One without an expiry, or that was read for one payment, has none: its bank knows. Error:
// [ErrNoCard].
func (v *Vault) Expired(ctx context.Context, token string) (bool, error) {
	if _, ok := v.inMemory(token); ok {
		return false, nil
	}
	c, err := v.Card(ctx, token)
	if err != nil || c.Expires == "" {
		return false, err
	}
	month, err := time.Parse("0601", c.Expires)
	if err != nil {
		return false, ErrExpires
	}
	const last = 12 * time.Hour // the last zone in which a day ends is that far behind UTC
	return !v.cfg.Clock.Now().Before(month.AddDate(0, 1, 0).Add(last)), nil
}

// Forget destroys a card. One that is not there is no error.
func (v *Vault) Forget(ctx context.Context, token string) error {
	v.mu.Lock()
	delete(v.held, token)
	delete(v.typed, token)
	v.mu.Unlock()
	if !plain(token) {
		return nil
	}
	if err := os.Remove(filepath.Join(v.cfg.Dir, token)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("vault: %w", err)
	}
	return v.cfg.Store.Update(ctx, func(tx *store.Tx) error { return tx.DropVaultCard(ctx, token) })
}
