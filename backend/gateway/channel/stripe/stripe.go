package stripe

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
)

// Version is the version of Stripe's API that every request asks for. It comes with the library and changes only with it.
const Version = api.APIVersion

// Settings are one account at Stripe.
type Settings struct {
	Key            string      // secret or restricted: sk_live_…, rk_live_…, or sk_test_… for its test mode
	WebhookSecrets []string    // of the endpoint that tells us: whsec_…; two while it is being rolled
	Currencies     []string    // that the account is charged in, ISO 4217
	URL            string      // default https://api.stripe.com
	Clock          clock.Clock // default: the machine's

	// HTTP sends the requests; nil: http.DefaultTransport with a timeout of 30 s. It must not try again by itself.
	HTTP *http.Client
}

// Channel is an account at Stripe.
type Channel struct {
	set    Settings
	client *api.Client
	live   bool
}

var (
	_ channel.Channel    = (*Channel)(nil)
	_ channel.Authoriser = (*Channel)(nil)
)

// New checks the settings. Its errors say which one is wrong, and show none.
func New(s Settings) (*Channel, error) {
	live, err := mode(s.Key)
	if err != nil {
		return nil, err
	}
	if len(s.WebhookSecrets) == 0 {
		return nil, errors.New("Stripe: no webhook secret: take the signing secret (whsec_…) of the endpoint that points here")
	}
	for _, w := range s.WebhookSecrets {
		if !strings.HasPrefix(w, "whsec_") || len(w) < 12 {
			return nil, errors.New("Stripe: a webhook secret must begin with whsec_: an API key or the endpoint's id (we_…) is something else")
		}
	}
	if len(s.Currencies) == 0 {
		return nil, errors.New("Stripe: name the currencies that the account charges in")
	}
	for _, c := range s.Currencies {
		if len(c) != 3 || strings.ToUpper(c) != c {
			return nil, fmt.Errorf("Stripe: %q is no currency: three capitals are meant", c)
		}
	}
	if s.Clock == nil {
		s.Clock = clock.System{}
	}
	if s.URL == "" {
		s.URL = api.APIURL
	}
	client := http.Client{Timeout: 30 * time.Second}
	if s.HTTP != nil {
		client = *s.HTTP
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = lists{clock: s.Clock, RoundTripper: capped{channel.Once{Next: client.Transport}}}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // Stripe never redirects
	s.Currencies = slices.Clone(s.Currencies)

	// Nothing is tried again in here, because the gateway decides that; and nothing is logged, because bodies have payers in them.
	backend := api.BackendConfig{HTTPClient: &client, URL: api.String(s.URL), MaxNetworkRetries: api.Int64(0), EnableTelemetry: api.Bool(false),
		LeveledLogger: &api.LeveledLogger{Level: api.LevelNull}}
	return &Channel{set: s, live: live, client: api.NewClient(s.Key, api.WithBackends(api.NewBackendsWithConfig(&backend)))}, nil
}

// mode tells a key of live mode from one of test mode.
func mode(key string) (live bool, err error) {
	for _, kind := range []string{"sk_", "rk_"} {
		if rest, ok := strings.CutPrefix(key, kind); ok && len(rest) > 8 {
			if strings.HasPrefix(rest, "live_") {
				return true, nil
			}
			if strings.HasPrefix(rest, "test_") {
				return false, nil
			}
		}
	}
	switch {
	case strings.HasPrefix(key, "pk_"):
		return false, errors.New("Stripe: this is the publishable key (pk_…): the secret one (sk_…) or a restricted one (rk_…) is needed")
	case strings.HasPrefix(key, "whsec_"):
		return false, errors.New("Stripe: this is a webhook's secret (whsec_…): the account's secret key (sk_…) or a restricted one (rk_…) is needed")
	}
	return false, errors.New("Stripe: the key must begin with sk_live_, rk_live_, sk_test_ or rk_test_")
}

// Capabilities are those of card payments without a page of ours: the card is known to Stripe already, by a token.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.Card, channel.Quick}, Currencies: slices.Clone(c.set.Currencies), Sync: true, Close: true, Refund: true,
		Authorise: true, Bill: true, DayZone: time.UTC}
}

// maxAnswer is the longest body that is read: a page of a hundred balance transactions with their sources.
const maxAnswer = 8 << 20

// capped ends a body that no real answer has.
type capped struct{ http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &cappedBody{ReadCloser: answer.Body, left: maxAnswer}
	return answer, nil
}

type cappedBody struct {
	io.ReadCloser
	left int
}

func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errors.New("the answer is longer than any real one")
	}
	return n, err
}
