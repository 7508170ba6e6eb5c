package order

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/purselane/purselane/internal/money"
)

// MaxShares bounds the shares of a red packet: each is a claim with an entry of its own.
const MaxShares = 100

// ErrShares says that an amount cannot be shared so.
var ErrShares = errors.New("cannot be shared so")

// Even shares an amount into n shares that differ by one minor unit at most, the larger ones first. Each has a minor unit or more, and together they are the amount. Error: [ErrShares].
func Even(total money.Amount, n int) ([]money.Amount, error) {
	if err := checkShares(total, n); err != nil {
		return nil, err
	}
	out := make([]money.Amount, n)
	each, more := total.Minor()/int64(n), total.Minor()%int64(n)
	for i := range out {
		minor := each
		if int64(i) < more {
			minor++
		}
		out[i] = money.Minor(minor)
	}
	return out, nil
}

// Lucky shares an amount into n shares by chance. Each share is drawn from one minor unit to twice the mean of what is left then, so whoever comes early may expect no more than who comes late, and at least a minor
// unit is left for each of the rest. The same chance gives the same shares. Error: [ErrShares].
func Lucky(total money.Amount, n int, chance *rand.Rand) ([]money.Amount, error) {
	if err := checkShares(total, n); err != nil {
		return nil, err
	}
	out := make([]money.Amount, n)
	left := total.Minor()
	for i := range out {
		minor := left
		if others := int64(n - i - 1); others > 0 {
			minor = 1 + chance.Int64N(max(2*left/(others+1)-1, 1))
		}
		out[i] = money.Minor(minor)
		left -= minor
	}
	return out, nil
}

func checkShares(total money.Amount, n int) error {
	if n < 1 || n > MaxShares || total.Minor() < int64(n) {
		return fmt.Errorf("%v in %d shares: want 1 to %d, of one minor unit or more each: %w", total, n, MaxShares, ErrShares)
	}
	return nil
}
