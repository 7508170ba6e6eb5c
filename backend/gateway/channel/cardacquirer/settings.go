package cardacquirer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
)

// Card is what a vault gives for a token, for one message. There is no place in it for a CVV.
type Card struct {
	Number   string
	Expires  string // YYMM; "" where the token stands for chip data
	Entry    string // entry mode, field 22; "" : held in the vault (102)
	Sequence string // of a chip card
	Chip     []byte // field 55 of this very payment, where a terminal read the card
}

// Format prints the last four digits for every verb.
func (c Card) Format(s fmt.State, _ rune) {
	last := ""
	if len(c.Number) > 8 {
		last = c.Number[len(c.Number)-4:]
	}
	_, _ = fmt.Fprint(s, "card …"+last)
}

// MarshalJSON refuses: card numbers are not kept.
func (Card) MarshalJSON() ([]byte, error) { return nil, errors.New("card data are not kept") }

// Vault maps a token to a card.
type Vault interface {
	Card(ctx context.Context, token string) (Card, error)
}

// Files fetches the acquirer's settlement file of a day (YYYY-MM-DD), by SFTP or otherwise. Error: [channel.ErrNoBillYet].
type Files interface {
	Open(ctx context.Context, day string) (io.ReadCloser, error)
}

// Dialer opens a connection to one of the acquirer's ends.
type Dialer func(context.Context) (net.Conn, error)

// Settings are one terminal at one acquirer.
type Settings struct {
	Terminal string // 8 characters
	Merchant string // 15 characters
	Currency string // ISO 4217, as CNY
	Number   string // its number, as 156
	Zone     *time.Location

	Ends    []Dialer // tried in order
	Framing Framing
	MAC     MAC
	Vault   Vault
	Journal channel.Journal
	Files   Files
	Clock   clock.Clock

	// Enquiry says that the acquirer answers enquiries (0600). Then a payment without an answer is asked about; else it is reversed.
	Enquiry bool

	// Cards are the kinds of cards that the terminal's contract is for: most banks have one interface for debit and another for credit. Empty: whatever comes.
	Cards []string

	Patience time.Duration                        // for an answer; 0: 30 s
	Keep     time.Duration                        // how long the journal knows what became of a payment, without enquiries; 0: 10 days
	After    func(time.Duration) <-chan time.Time // nil: time.After
}

// Adapter is one terminal at one acquirer.
type Adapter struct {
	s Settings

	connecting sync.Mutex
	mu         sync.Mutex
	session    *session
	stan       int
	late       int
	enquiries  int
	records    map[string]record // by our number; what the journal holds
	hands      map[string]bool   // numbers that a call is about at this moment

	saf sync.Mutex // held while what is owed is sent
}

// New checks the settings. It opens no connection: the first message does.
func New(s Settings) (*Adapter, error) {
	switch {
	case len(s.Terminal) != 8 || len(s.Merchant) != 15:
		return nil, errors.New("cardacquirer: a terminal has 8 characters and a merchant 15")
	case len(s.Currency) != 3 || len(s.Number) != 3:
		return nil, errors.New("cardacquirer: the currency is three letters, and its number three digits")
	case len(s.Ends) == 0 || s.MAC == nil || s.Vault == nil || s.Journal == nil || s.Files == nil || s.Clock == nil || s.Zone == nil:
		return nil, errors.New("cardacquirer: an end to connect to, MAC key, vault, journal, files, clock and zone must be set")
	}
	for _, kind := range s.Cards {
		if !slices.Contains(channel.CardKinds, kind) {
			return nil, fmt.Errorf("cardacquirer: cards: %q: want %s", kind, strings.Join(channel.CardKinds, ", "))
		}
	}
	if s.Patience == 0 {
		s.Patience = 30 * time.Second
	}
	if s.Keep == 0 {
		s.Keep = 10 * 24 * time.Hour
	}
	if s.After == nil {
		s.After = time.After
	}
	return &Adapter{s: s, hands: map[string]bool{}}, nil
}

var (
	_ channel.Channel    = (*Adapter)(nil)
	_ channel.Voider     = (*Adapter)(nil)
	_ channel.Authoriser = (*Adapter)(nil)
	_ channel.Prober     = (*Adapter)(nil)
	_ channel.Owner      = (*Adapter)(nil)
)

// Capabilities of an acquirer. It tells nothing by itself, and nothing waits to be closed.
func (a *Adapter) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Products:     []channel.Product{channel.Card},
		Currencies:   []string{a.s.Currency},
		Cards:        slices.Clone(a.s.Cards),
		Sync:         true,
		Refund:       true,
		RefundWindow: 180 * 24 * time.Hour,
		Void:         true,
		Authorise:    true,
		Bill:         true,
		DayZone:      a.s.Zone,
	}
}
