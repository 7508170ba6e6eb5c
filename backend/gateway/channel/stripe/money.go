package stripe

import (
	"fmt"
	"strings"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// Where Stripe's smallest unit is not that of ISO 4217 (docs.stripe.com/currencies, "zero-decimal" and "special cases").
var (
	hundredths = []string{"ISK", "UGX"}                      // no decimals, and Stripe counts hundredths all the same
	whole      = []string{"MGA"}                             // fifths by ISO, written with two decimals, and Stripe counts whole ones
	tens       = []string{"BHD", "JOD", "KWD", "OMR", "TND"} // three decimals, of which the last one must be 0
)

func in(list []string, currency string) bool {
	for _, c := range list {
		if c == currency {
			return true
		}
	}
	return false
}

// units is an amount as Stripe counts it.
func units(m channel.Money) (int64, error) {
	n := m.Amount.Minor()
	switch {
	case n <= 0:
		return 0, fmt.Errorf("Stripe: an amount of %d: %w", n, channel.ErrUnsupported)
	case in(hundredths, m.Currency):
		more, err := m.Amount.MulRatio(100, 1)
		return more.Minor(), err
	case in(whole, m.Currency) && n%100 != 0, in(tens, m.Currency) && n%10 != 0:
		return 0, fmt.Errorf("Stripe: %d minor units of %s are no amount that it can charge: %w", n, m.Currency, channel.ErrUnsupported)
	case in(whole, m.Currency):
		return n / 100, nil
	}
	return n, nil
}

// amount is what Stripe's count of a currency is as money.
func amount(n int64, currency api.Currency) (channel.Money, error) {
	m := channel.Money{Amount: money.Minor(n), Currency: strings.ToUpper(string(currency))}
	switch {
	case in(hundredths, m.Currency):
		if n%100 != 0 {
			return channel.Money{}, fmt.Errorf("Stripe: %d of %s is no whole amount", n, m.Currency)
		}
		m.Amount = money.Minor(n / 100)
	case in(whole, m.Currency):
		more, err := m.Amount.MulRatio(100, 1)
		if err != nil {
			return channel.Money{}, err
		}
		m.Amount = more
	}
	return m, nil
}
