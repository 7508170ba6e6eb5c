package app

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// Terms are whom an app may order for, what it may use and what that costs: a line for each channel. A channel without one is not for this app.
type Terms struct {
	Merchants []ids.MerchantID `json:"merchants,omitempty" yaml:"merchants"`
	Channels  []ChannelTerms   `json:"channels" yaml:"channels"`
}

// ChannelTerms are an app's at one channel.
type ChannelTerms struct {
	Channel string `json:"channel" yaml:"channel"` // its name, such as wechat
	Account string `json:"account" yaml:"account"` // the merchant number there

	// Shared is whether other apps may use the account too. One that is not shared is this app's alone.
	Shared bool `json:"shared,omitempty" yaml:"shared"`

	// Fee is the id of one of the operator's rates, BasisPoints the fee in hundredths of a percent of the amount: one of the two. Zero basis points without a
	// rate are no fee.
	Fee         string `json:"fee,omitempty" yaml:"fee"`
	BasisPoints int    `json:"basis_points,omitempty" yaml:"basis_points"`

	// Products have fees of their own, in place of the line's.
	Products []ProductTerms `json:"products,omitempty" yaml:"products"`
}

// ProductTerms are what one product costs at a channel, as [ChannelTerms] does.
type ProductTerms struct {
	Product     channel.Product `json:"product" yaml:"product"`
	Fee         string          `json:"fee,omitempty" yaml:"fee"`
	BasisPoints int             `json:"basis_points,omitempty" yaml:"basis_points"`
}

// ErrTerms says that terms are none.
var ErrTerms = errors.New("not an app's terms")

// ErrAccount says that a channel account is another app's.
var ErrAccount = errors.New("the channel account is in use")

var termName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxChannels and maxMerchants bound terms.
const (
	maxChannels  = 64
	maxMerchants = 1000
)

func (t Terms) check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf(format+": %w", append(args, ErrTerms)...) }
	if len(t.Channels) > maxChannels {
		return bad("%d channels: want at most %d", len(t.Channels), maxChannels)
	}
	if len(t.Merchants) > maxMerchants {
		return bad("%d merchants: want at most %d", len(t.Merchants), maxMerchants)
	}
	seen := map[string]bool{}
	for _, m := range t.Merchants {
		if err := ids.Check(string(m)); err != nil {
			return bad("merchant %.70q: %v", m, err)
		}
	}
	for _, c := range t.Channels {
		switch {
		case !termName.MatchString(c.Channel):
			return bad("channel %.70q: want a name", c.Channel)
		case seen[c.Channel]:
			return bad("channel %s is there twice", c.Channel)
		case !termName.MatchString(c.Account):
			return bad("channel %s: account %.70q: want the merchant number there", c.Channel, c.Account)
		}
		if why := feeFault(c.Fee, c.BasisPoints); why != "" {
			return bad("channel %s: %s", c.Channel, why)
		}
		priced := map[channel.Product]bool{}
		for _, p := range c.Products {
			if _, err := code.WayOf(string(p.Product)); err != nil {
				return bad("channel %s: %v", c.Channel, err)
			}
			if priced[p.Product] {
				return bad("channel %s: product %s is there twice", c.Channel, p.Product)
			}
			if why := feeFault(p.Fee, p.BasisPoints); why != "" {
				return bad("channel %s: product %s: %s", c.Channel, p.Product, why)
			}
			priced[p.Product] = true
		}
		seen[c.Channel] = true
	}
	return nil
}

// feeFault says what is wrong with a fee, "" for nothing.
func feeFault(rate string, points int) string {
	switch {
	case rate != "" && !termName.MatchString(rate):
		return fmt.Sprintf("fee %.70q: want the id of a fee standard", rate)
	case rate != "" && points != 0:
		return "want a fee standard or basis points, not both"
	case points < 0 || points > 10_000:
		return fmt.Sprintf("%d basis points: want 0 to 10000", points)
	}
	return ""
}

// For reports whether the app may order for a merchant.
func (t Terms) For(m ids.MerchantID) bool { return slices.Contains(t.Merchants, m) }

// Channel is what holds at a channel, and whether the app may use it at all.
func (t Terms) Channel(name string) (ChannelTerms, bool) {
	for _, c := range t.Channels {
		if c.Channel == name {
			return c, true
		}
	}
	return ChannelTerms{}, false
}

// String says terms in one line.
func (t Terms) String() string {
	var out []string
	if len(t.Merchants) > 0 {
		out = append(out, fmt.Sprintf("for %v", t.Merchants))
	}
	if len(t.Channels) == 0 {
		out = append(out, "no channel")
	}
	for _, c := range t.Channels {
		whose := "own"
		if c.Shared {
			whose = "shared"
		}
		line := fmt.Sprintf("%s at %s account %s, fee %s", c.Channel, whose, c.Account, feeText(c.Fee, c.BasisPoints))
		for _, p := range c.Products {
			line += fmt.Sprintf(", of %s %s", p.Product, feeText(p.Fee, p.BasisPoints))
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

func feeText(rate string, points int) string {
	if rate != "" {
		return "standard " + rate
	}
	return fmt.Sprintf("%d.%02d %%", points/100, points%100)
}

// clash reports the first account that one side has for itself and the other uses.
func clash(mine Terms, other store.App, others Terms) error {
	for _, c := range mine.Channels {
		o, has := others.Channel(c.Channel)
		if has && o.Account == c.Account && !(c.Shared && o.Shared) {
			return fmt.Errorf("account %s at %s: app %s has it too, and not both share it: %w", c.Account, c.Channel, other.ID, ErrAccount)
		}
	}
	return nil
}
