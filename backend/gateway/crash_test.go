package gateway_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
)

// TestTheProcessDiesAtEachPoint: at each commit, before and after it, and before and after each call of a channel. Then the next process starts, the app asks
// for the same once more, and time goes by.
func TestTheProcessDiesAtEachPoint(t *testing.T) {
	d := start(t, nil)
	for point := 1; ; point++ {
		d.again(t, point)
		left, died := point, ""
		d.fault = func(name string) error {
			if left--; left > 0 {
				return nil
			}
			if left == 0 {
				died = name
			}
			return fmt.Errorf("%s: %w", name, errDied) // a dead process does nothing more
		}
		d.day(t)
		if died == "" {
			require.Greater(t, point, 15, "the walk has lost the points")
			return
		}
		d.restart()
		// What the first process left is found without the app.
		d.pass(10*time.Second, time.Second)
		for range 2 { // the payer, and the app again
			for _, b := range []*bank{d.one, d.two} {
				for number := range b.payments {
					b.pays(number, false)
				}
			}
			d.day(t)
			d.pass(20*time.Second, time.Second)
		}
		o, err := d.OrderByKey(d.ctx, app, d.key)
		require.NoError(t, err, "point %d (%s)", point, died)
		d.pass(6*time.Minute, time.Minute) // what never arrived cannot arrive any more
		d.day(t)
		d.pass(time.Minute, time.Second)
		o = d.now(o.ID)
		require.Equal(t, order.PartRefunded, o.State, "point %d (%s)", point, died)
		require.Equal(t, "4.00", o.Refunded.String(), "point %d (%s)", point, died)
		d.settled(o.ID)
	}
}

// day is what an app does in a day: order, pay, hear of it, give a part back. It stops at the first error, and asks for the same again another time. An
// attempt that ended unpaid is followed by another.
func (d *desk) day(t *testing.T) {
	err := func() error {
		n := anOrder(d.key, 1000)
		n.Merchant = d.shop
		o, err := d.Create(d.ctx, app, n)
		if err != nil {
			return err
		}
		for i := 1; o.State == order.Open && i < 5; i++ {
			p, err := d.Pay(d.ctx, app, o.ID, qr(fmt.Sprint(i)))
			if err != nil {
				return err
			}
			if p.State == order.Failed || p.State == order.PaymentClosed {
				continue
			}
			if d.one.pays(p.Number, false) {
				if err := d.notify("one", "", p.Number); err != nil {
					return err
				}
			}
			break
		}
		_, err = d.refund(o.ID, "r", 400)
		return err
	}()
	if err != nil && !errors.Is(err, errDied) {
		require.ErrorIs(t, err, order.ErrState, "not paid yet")
	}
}

// TestWhateverHappensAnOrderIsPaidOnce runs random acts of apps, payers, channels, time and crashes against one order.
func TestWhateverHappensAnOrderIsPaidOnce(t *testing.T) {
	dir := t.TempDir()
	var d *desk
	run, sound := 0, false
	defer func() { _ = d.store.Close() }()
	rapid.Check(t, func(t *rapid.T) {
		run++
		if !sound { // a run that failed may have left anything
			if d != nil {
				_ = d.store.Close()
			}
			home := filepath.Join(dir, fmt.Sprint(run))
			require.NoError(t, os.MkdirAll(home, 0o700))
			d = newDesk(t, home, nil)
		}
		sound = false
		d.again(t, run)
		banks := map[string]*bank{"one": d.one, "two": d.two}
		for _, b := range banks {
			b.before = func(string) error {
				switch rapid.IntRange(0, 9).Draw(t, "on the way") {
				case 0:
					return errLost
				case 1:
					return errors.Join(errLost, channel.ErrNotSent)
				}
				return nil
			}
			b.after = func(_ string, r channel.Result) (channel.Result, error) {
				if rapid.IntRange(0, 4).Draw(t, "on the way back") == 0 {
					return channel.Result{}, errLost
				}
				return r, nil
			}
		}
		o := d.order(d.key, 1000)
		ignore := func(err error) { _ = err } // a refusal is as good as a yes here: what must hold is checked below
		numbers := func(name string) (out []string) {
			for _, p := range d.now(o.ID).Payments {
				if p.Account == name {
					out = append(out, p.Number)
				}
			}
			return out
		}
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			name := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "account")
			b := banks[name]
			switch rapid.SampledFrom([]string{"pay", "payer", "notify", "refund", "close", "time", "crash", "switch"}).Draw(t, "act") {
			case "pay":
				_, err := d.Pay(d.ctx, app, o.ID, qr(rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "key")))
				ignore(err)
			case "payer":
				if all := numbers(name); len(all) > 0 {
					b.pays(rapid.SampledFrom(all).Draw(t, "number"), rapid.Bool().Draw(t, "late"))
				}
			case "notify":
				if all := numbers(name); len(all) > 0 {
					if n := rapid.SampledFrom(all).Draw(t, "number"); b.payments[n] != nil {
						ignore(d.notify(name, rapid.SampledFrom([]string{"", "again"}).Draw(t, "id"), n))
					}
				}
			case "refund":
				_, err := d.refund(o.ID, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), rapid.SampledFrom([]int64{300, 500, 1000}).Draw(t, "amount"))
				ignore(err)
			case "close":
				_, err := d.Close(d.ctx, app, o.ID)
				ignore(err)
			case "time":
				d.clock.Advance(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
				_, err := d.Scan(d.ctx)
				require.NoError(t, err)
			case "crash":
				left := rapid.IntRange(1, 6).Draw(t, "after")
				d.fault = func(string) error {
					if left--; left > 0 {
						return nil
					}
					return errDied
				}
				d.clock.Advance(time.Second)
				_, err := d.Pay(d.ctx, app, o.ID, qr("p"))
				ignore(err)
				_, err = d.Scan(d.ctx)
				ignore(err)
				d.restart()
			case "switch":
				d.one.caps.Products, d.two.caps.Products = d.two.caps.Products, d.one.caps.Products[:rapid.IntRange(0, min(2, len(d.one.caps.Products))).Draw(t, "products")]
				if len(d.two.caps.Products) == 0 {
					d.two.caps.Products = []channel.Product{channel.QR}
				}
			}
			d.agrees(o.ID)
		}
		// At last everything answers, time is over, and what was paid without our hearing of it is heard of.
		for name, b := range banks {
			b.before, b.after = nil, nil
			for _, n := range numbers(name) {
				if p := b.payments[n]; p != nil && p.charges > 0 {
					require.NoError(t, d.notify(name, "last", n))
				}
			}
		}
		d.pass(12*time.Hour, time.Hour)
		d.settled(o.ID)
		require.False(t, d.now(o.ID).State.Awaits())
		sound = true
	})
}
