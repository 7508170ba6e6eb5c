package topup_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/topup"
)

// TestCallsAtOnce lets many callers do the same, and many orders want one card, at the same moment.
func TestCallsAtOnce(t *testing.T) {
	d := start(t)
	const callers = 16
	all := func(call func(i int) error) (failed []error) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if err := call(i); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return failed
	}
	create := func(key string) error {
		_, err := d.topup.CreateOrder(d.ctx, bus, topup.CreateOrder{IdempotencyKey: key, Amount: fifty})
		return err
	}
	require.Empty(t, all(func(int) error { return create("sale-0") }))
	require.Equal(t, booked(50, 50, 0, 0), d.accounts(), "one order")
	require.Empty(t, all(func(i int) error { return create(fmt.Sprint("sale-", i)) }))
	require.Equal(t, booked(callers*50, callers*50, 0, 0), d.accounts())

	f := d.present(1)
	init := f.init(50_00, kiosk)
	var answers [callers]topup.Authorisation
	refused := all(func(i int) error {
		var err error
		answers[i], err = d.topup.Authorise(d.ctx, bus, d.order(bus, fmt.Sprint("sale-", i), 50_00), init)
		return err
	})
	require.Len(t, refused, callers-1, "one order gets the card")
	for _, err := range refused {
		require.ErrorIs(t, err, topup.ErrOpenLoad)
	}
	require.Equal(t, booked(callers*50, (callers-1)*50, 50, 0), d.accounts())
	for i, a := range answers {
		if a == (topup.Authorisation{}) {
			continue
		}
		id, tac := d.order(bus, fmt.Sprint("sale-", i), 50_00), f.credit(a)
		require.Empty(t, all(func(n int) error {
			var err error
			if n%2 == 0 {
				_, err = d.topup.Confirm(d.ctx, bus, id, tac)
			} else {
				_, err = d.topup.Resolve(d.ctx, metro, id, topup.Evidence{TAC: &tac})
			}
			return err
		}))
	}
	require.Equal(t, booked(callers*50, (callers-1)*50, 0, 50), d.accounts())
	require.Equal(t, d.balance(1), d.shadow(1))
}
