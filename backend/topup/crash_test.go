package topup_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
)

// life is three loads: one confirmed late by another agent, one not credited and refunded, one settled by its counter. Each call that
// dies is made again, as its caller would.
func life(d *desk, call func(func() error)) map[string]string {
	must := func(f func() error) { call(f) }
	order := func(key string, minor int64) (id string) {
		must(func() error {
			o, err := d.topup.CreateOrder(d.ctx, bus, topup.CreateOrder{IdempotencyKey: key, Amount: amount(minor)})
			id = o.ID
			return err
		})
		return id
	}
	authorise := func(id string, c topup.CardInit) (a topup.Authorisation) {
		must(func() (err error) { a, err = d.topup.Authorise(d.ctx, bus, id, c); return err })
		return a
	}
	lookup := func(c topup.CardInit) (open topup.OpenLoad) {
		must(func() error {
			info, err := d.topup.Lookup(d.ctx, metro, c)
			if info.Open != nil {
				open = *info.Open
			}
			return err
		})
		return open
	}
	resolve := func(id string, e topup.Evidence) {
		must(func() error { _, err := d.topup.Resolve(d.ctx, metro, id, e); return err })
	}

	one := order("sale-1", 50_00)
	f := d.present(1)
	tac := f.credit(authorise(one, f.init(50_00, kiosk)))
	must(func() error { _, err := d.topup.Uncertain(d.ctx, bus, one); return err })
	must(func() error {
		_, err := d.topup.Confirm(d.ctx, bus, one, ep.MAC{1})
		if errors.Is(err, topup.ErrTAC) {
			return nil
		}
		return err
	})
	resolve(one, topup.Evidence{TAC: &tac})

	two := order("sale-2", 20_00)
	authorise(two, f.init(20_00, kiosk))
	f = d.present(1)
	open := lookup(f.init(1, kiosk))
	fresh := f.init(1, open.Challenge)
	resolve(two, topup.Evidence{Init: &fresh})
	must(func() error { _, err := d.topup.Refund(d.ctx, bus, two); return err })

	three := order("sale-3", 10_00)
	a := authorise(three, f.init(10_00, kiosk))
	d.clock.Advance(time.Hour)
	must(func() error { return d.topup.Sweep(d.ctx) })
	f.credit(a) // whose answer is lost
	f = d.present(1)
	moved := f.init(1, kiosk)
	resolve(three, topup.Evidence{Init: &moved})

	out := d.accounts()
	for name, id := range map[string]string{"one": one, "two": two, "three": three} {
		out[name] = fmt.Sprint(d.state(id), " ", d.proof(id))
	}
	out["findings"] = fmt.Sprint(d.codes())
	out["card"] = fmt.Sprint(d.balance(1), " ", d.shadow(1))
	return out
}

// TestACrashAtEveryCommit lets the backend die before and after each commit there is, and start again: the end is the same.
func TestACrashAtEveryCommit(t *testing.T) {
	calm := start(t)
	var points []string
	calm.fault = func(point string) error { points = append(points, point); return nil }
	want := life(calm, func(f func() error) { require.NoError(t, f()) })
	require.Equal(t, "60.00", want["acquirer:bus:sold-loads"])
	require.Equal(t, "-60.00", want["float"])
	require.Equal(t, "6000 6000", want["card"])
	require.Equal(t, []string{"loaded prove", "refunded ", "loaded counter"}, []string{want["one"], want["two"], want["three"]})
	require.Greater(t, len(points), 24)
	for die := range points {
		t.Run(fmt.Sprint(die, points[die]), func(t *testing.T) {
			d := start(t)
			n := 0
			d.fault = func(string) error {
				n++
				if n == die+1 {
					return errDied
				}
				return nil
			}
			deaths := 0
			got := life(d, func(f func() error) {
				err := f()
				if errors.Is(err, errDied) {
					deaths++
					d.restart()
					err = f()
				}
				require.NoError(t, err)
			})
			require.Equal(t, 1, deaths)
			require.Equal(t, want, got)
		})
	}
}
