package app

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/purselane/purselane/backend/store"
)

// Terms are what an app may use and what that costs: a line for each channel. A channel without one is not for this app.
type Terms struct {
	Channels []ChannelTerms `json:"channels" yaml:"channels"`
}

// ChannelTerms are an app's at one channel.
type ChannelTerms struct {
	Channel string `json:"channel" yaml:"channel"` // its name, such as wechat
	Account string `json:"account" yaml:"account"` // the merchant number there

	// Shared is whether other apps may use the account too. One that is not shared is this app's alone.
	Shared bool `json:"shared,omitempty" yaml:"shared"`

	// Fee is the id of a fee standard, BasisPoints the fee in hundredths of a percent of the amount: one of the two. Zero basis points without a standard are no fee.
	Fee         string `json:"fee,omitempty" yaml:"fee"`
	BasisPoints int    `json:"basis_points,omitempty" yaml:"basis_points"`
}

// ErrTerms says that terms are none.
var ErrTerms = errors.New("not an app's terms")

// ErrAccount says that a channel account is another app's.
var ErrAccount = errors.New("the channel account is in use")

var termName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxChannels bounds terms.
const maxChannels = 64

func (t Terms) check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf(format+": %w", append(args, ErrTerms)...) }
	if len(t.Channels) > maxChannels {
		return bad("%d channels: want at most %d", len(t.Channels), maxChannels)
	}
	seen := map[string]bool{}
	for _, c := range t.Channels {
		switch {
		case !termName.MatchString(c.Channel):
			return bad("channel %.70q: want a name", c.Channel)
		case seen[c.Channel]:
			return bad("channel %s is there twice", c.Channel)
		case !termName.MatchString(c.Account):
			return bad("channel %s: account %.70q: want the merchant number there", c.Channel, c.Account)
		case c.Fee != "" && !termName.MatchString(c.Fee):
			return bad("channel %s: fee %.70q: want the id of a fee standard", c.Channel, c.Fee)
		case c.Fee != "" && c.BasisPoints != 0:
			return bad("channel %s: want a fee standard or basis points, not both", c.Channel)
		case c.BasisPoints < 0 || c.BasisPoints > 10_000:
			return bad("channel %s: %d basis points: want 0 to 10000", c.Channel, c.BasisPoints)
		}
		seen[c.Channel] = true
	}
	return nil
}

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
	if len(t.Channels) == 0 {
		return "no channel"
	}
	var out []string
	for _, c := range t.Channels {
		whose := "own"
		if c.Shared {
			whose = "shared"
		}
		fee := fmt.Sprintf("%d.%02d %%", c.BasisPoints/100, c.BasisPoints%100)
		if c.Fee != "" {
			fee = "standard " + c.Fee
		}
		out = append(out, fmt.Sprintf("%s at %s account %s, fee %s", c.Channel, whose, c.Account, fee))
	}
	return strings.Join(out, "; ")
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
