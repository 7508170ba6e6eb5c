package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/vault"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Kinds of accounts: whose adapter speaks to the channel. The text is an outside contract.
const (
	WeChat   = "wechat"
	Alipay   = "alipay"
	UnionPay = "unionpay"
	Card     = "card" // an acquirer by ISO 8583
	Stripe   = "stripe"
	Balance  = "balance"  // no channel: holders' balances in our own books
	Combined = "combined" // several instruments at once
)

// Kinds are all of them.
var Kinds = []string{WeChat, Alipay, UnionPay, Card, Stripe, Balance, Combined}

// Means are what the adapter of an account gets of its node.
type Means struct {
	Store    *store.Store
	Journal  channel.Journal // of the account
	Vault    *vault.Vault    // nil: the scheme keeps no cards
	Currency string          // of the books
	Location *time.Location  // the scheme's
	Clock    clock.Clock
}

// Maker makes the adapter of an account.
type Maker func(Means) (channel.Channel, error)

// VaultConfig is what the scheme's vault needs. Its key is made from the token key.
type VaultConfig struct {
	Dir    string
	Bearer string     // who shows it may bring cards; 32 characters or more
	Bins   *bin.Table // nil: no bank is known of a card
}

// openVault opens the vault, if the scheme has one.
func (n *Node) openVault() (err error) {
	c := n.cfg.Vault
	if c == nil {
		return nil
	}
	if c.Bins != nil {
		if err := n.bins.Use(c.Bins); err != nil {
			return fmt.Errorf("cards: %w", err)
		}
	}
	if n.vault, err = vault.New(vault.Config{Dir: c.Dir, Key: VaultKey(n.cfg.TokenKey), Store: n.store, Bins: &n.bins, Clock: n.cfg.Clock}); err != nil {
		return err
	}
	n.door, err = n.vault.Handler(c.Bearer, n.cfg.Log)
	return err
}

// Vault is the door for bank cards; nil where the scheme keeps none.
func (n *Node) Vault() http.Handler { return n.door }

// cardOf is what routing may know of a token: the vault's cards, and no other channel's. Error: [gateway.ErrCardExpired].
func (n *Node) cardOf(ctx context.Context, token string) (bank, card string, err error) {
	if n.vault == nil {
		return "", "", nil
	}
	b, err := n.vault.Of(ctx, token)
	if errors.Is(err, vault.ErrNoCard) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	switch expired, err := n.vault.Expired(ctx, token); {
	case errors.Is(err, vault.ErrNoCard): // forgotten since: the adapter says so
	case err != nil:
		return "", "", err
	case expired:
		return "", "", gateway.ErrCardExpired
	}
	return b.Bank, string(b.Type), nil
}

// typedOf is what the gateway may know of what a payer has typed to bind a card; nil where the scheme has no vault.
func (n *Node) typedOf() func(context.Context, string) (gateway.TypedCard, error) {
	if n.vault == nil {
		return nil
	}
	return func(_ context.Context, ref string) (gateway.TypedCard, error) {
		b, card, err := n.vault.OfTyped(ref)
		if err != nil {
			return gateway.TypedCard{}, fmt.Errorf("%w: %w", gateway.ErrNotTyped, err)
		}
		return gateway.TypedCard{Card: card, Last: b.Last, Bank: b.Bank, Kind: string(b.Type)}, nil
	}
}

// makeChannels makes the adapters that need the node, beside those that are there.
func (n *Node) makeChannels(ctx context.Context) error {
	c := &n.cfg
	all := map[string]channel.Channel{}
	for id, ch := range c.Channels {
		all[id] = ch
	}
	for _, a := range c.Scheme.Gateway.Accounts {
		m := Means{Store: n.store, Journal: n.store.ChannelJournal(a.ID), Vault: n.vault, Currency: currencyOf(c.Scheme), Location: c.Scheme.Location(), Clock: c.Clock}
		make := c.Makers[a.ID]
		if make == nil && a.Kind == Balance {
			make = func(m Means) (channel.Channel, error) {
				return balance.New(balance.Settings{Store: m.Store, ID: a.ID, Currency: m.Currency, Clock: m.Clock, Location: m.Location})
			}
		}
		if all[a.ID] != nil || make == nil {
			continue
		}
		ch, err := make(m)
		if err != nil {
			return fmt.Errorf("account %s: %w", a.ID, err)
		}
		all[a.ID] = ch
	}
	for _, a := range c.Scheme.Gateway.Accounts { // the others are there by now
		if a.Kind != Combined || all[a.ID] != nil {
			continue
		}
		ch, err := n.combine(a.ID, all)
		if err != nil {
			return fmt.Errorf("account %s: %w", a.ID, err)
		}
		all[a.ID] = ch
	}
	for _, a := range c.Scheme.Gateway.Accounts {
		if owner, owes := all[a.ID].(channel.Owner); owes {
			if err := owner.Recover(ctx); err != nil {
				return fmt.Errorf("account %s: %w", a.ID, err)
			}
		}
	}
	c.Channels = all
	return nil
}

// currencyOf is the books' currency.
func currencyOf(s *Scheme) string {
	if s.Currency == "" {
		return "CNY"
	}
	return s.Currency
}

// owedEvery is how often what channels are owed is sent.
const owedEvery = time.Minute

// owing runs the channels that owe something, and what carries on combined payments.
func (n *Node) owing() (run []func(context.Context) error) {
	for _, a := range n.cfg.Scheme.Gateway.Accounts {
		owner, owes := n.cfg.Channels[a.ID].(channel.Owner)
		if !owes {
			continue
		}
		run = append(run, func(ctx context.Context) error {
			owner.Run(ctx, owedEvery, func(err error) {
				n.cfg.Log.WarnContext(ctx, "payment channel: what is owed is not sent", "account", a.ID, "error", err)
			})
			return nil
		})
	}
	if n.coordinator != nil {
		run = append(run, n.sweep)
	}
	return run
}

// checkKind tells what is wrong with an account's kind and settings.
func (a GatewayAccount) checkKind(field string, bad func(string, ...any)) {
	switch {
	case !slices.Contains(Kinds, a.Kind):
		bad("%s.kind: %q: want one of %v", field, a.Kind, Kinds)
	case a.ours() && a.Settings != "":
		bad("%s.settings: a %s has none: leave it out", field, a.Kind)
	case !a.ours() && a.Settings == "":
		bad("%s.settings: want the file with the account's settings", field)
	}
}

// ours reports an account that is at no channel.
func (a GatewayAccount) ours() bool { return a.Kind == Balance || a.Kind == Combined }

// GatewayCards is what an operator writes of the vault for bank cards.
type GatewayCards struct {
	Listen  `yaml:",inline"` // where cards are brought
	Folder  string           `yaml:"folder"`   // of the sealed files, beside scheme.yaml; default vault
	Token   string           `yaml:"token"`    // file with the bearer token of who may bring cards
	Bins    string           `yaml:"bins"`     // file with the BIN table; empty: no bank is known
	BinsKey string           `yaml:"bins_key"` // Ed25519 public key in hexadecimal: then the table must be signed with it
}

func (c *GatewayCards) check(accounts []GatewayAccount, bad func(string, ...any)) {
	if c == nil {
		for i, a := range accounts {
			if a.Kind == Card {
				bad("gateway.accounts[%d].kind: a card acquirer wants card numbers: set gateway.cards", i)
			}
		}
		return
	}
	if c.Address == "" {
		bad("gateway.cards.address: want host:port: where cards are brought")
	}
	c.Listen.check("gateway.cards", bad)
	if c.Token == "" {
		bad("gateway.cards.token: want the file with the bearer token of who may bring cards")
	}
	if c.BinsKey != "" {
		if _, err := signingKey(c.BinsKey); err != nil {
			bad("gateway.cards.bins_key: %w", err)
		}
		if c.Bins == "" {
			bad("gateway.cards.bins: want the file that bins_key has signed")
		}
	}
}

var errNoBins = errors.New("the BIN table's signature is not of gateway.cards.bins_key: take the file as its maker gives it, or ask for the maker's key")
