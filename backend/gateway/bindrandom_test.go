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

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
)

// TestWhateverHappensNoCardIsLeftBound runs random acts of apps, holders, the bank, time and crashes. In the end what the bank has bound is what the gateway has, one binding for each
// card of a holder, and no token is left at the bank of which the gateway does not know.
func TestWhateverHappensNoCardIsLeftBound(t *testing.T) {
	dir := t.TempDir()
	d := newDesk(t, filepath.Join(dir), nil)
	defer func() { _ = d.store.Close() }()
	run, sound := 0, true
	b, own := &binder{}, &phones{sent: map[string]int{}}
	rapid.Check(t, func(r *rapid.T) {
		run++
		if !sound { // a run that failed may have left anything
			_ = d.store.Close()
			home := filepath.Join(dir, fmt.Sprint(run))
			require.NoError(r, os.MkdirAll(home, 0o700))
			d = newDesk(r, home, nil)
		}
		sound = false
		d.again(r, run)
		d.bindsOver(r, b, own, rapid.SampledFrom([]channel.Binds{byBank, {Page: true, Typed: true}}).Draw(r, "bank"))
		lost := func(string) error {
			switch rapid.IntRange(0, 9).Draw(r, "on the way") {
			case 0:
				return errLost
			case 1:
				return errors.Join(errLost, channel.ErrNotSent)
			}
			return nil
		}
		d.one.before = lost
		d.one.after = func(_ string, out channel.Result) (channel.Result, error) {
			if rapid.IntRange(0, 5).Draw(r, "on the way back") == 0 {
				return channel.Result{}, errLost
			}
			return out, nil
		}
		holder := fmt.Sprint("holder", run)
		ignore := func(_ gateway.Binding, err error) { _ = err }
		all := func() []gateway.Binding {
			out, err := d.Bindings(d.ctx, app, holder, "", 100)
			require.NoError(r, err)
			return out
		}
		card := func() string { return rapid.SampledFrom([]string{"c1", "c2"}).Draw(r, "card") }
		typed := func() string {
			return card() + "/" + rapid.SampledFrom([]string{"right", "right", "wrong"}).Draw(r, "phone")
		}
		for range rapid.IntRange(1, 25).Draw(r, "acts") {
			act := rapid.SampledFrom([]string{"bind", "page", "code", "confirm", "unbind", "ask", "bank ends", "page is used", "time", "crash"}).Draw(r, "act")
			key := fmt.Sprintf("%s-%d-%d", d.key, run, rapid.IntRange(0, 3).Draw(r, "key"))
			have := all()
			if act == "bind" || act == "page" {
				n := gateway.NewBinding{Key: key, Product: 1, Holder: holder}
				if act == "bind" {
					n.Typed = typed()
				}
				ignore(d.Bind(d.ctx, app, n))
				continue
			}
			if len(have) == 0 {
				continue
			}
			x := rapid.SampledFrom(have).Draw(r, "binding")
			switch act {
			case "code":
				ignore(d.BindCode(d.ctx, app, x.Number, typed()))
			case "confirm":
				ignore(d.ConfirmBinding(d.ctx, app, x.Number, typed(), rapid.SampledFrom([]string{"123456", "000111", "999999"}).Draw(r, "code")))
			case "unbind":
				ignore(d.Unbind(d.ctx, app, x.Number))
			case "ask":
				ignore(d.AskBinding(d.ctx, app, x.Number))
			case "bank ends":
				if o := b.bound[x.Number+"01"]; o != nil {
					o.ended = true
				}
			case "page is used":
				if x.State == order.Opening && x.Page {
					b.open(x.Number+"01", card())
				}
			case "time":
				d.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 60, 400, 100_000}).Draw(r, "seconds")) * time.Second)
				_, err := d.Scan(d.ctx)
				require.NoError(r, err)
			case "crash":
				left := rapid.IntRange(1, 6).Draw(r, "after")
				d.fault = func(string) error {
					if left--; left > 0 {
						return nil
					}
					return errDied
				}
				ignore(d.ConfirmBinding(d.ctx, app, x.Number, typed(), "123456"))
				_, err := d.Scan(d.ctx)
				_ = err
				d.restart()
			}
			for _, x := range all() {
				d.bindingAgrees(r, x.Number)
			}
		}
		// At last everything answers, time is over, and each binding is asked about.
		d.one.before, d.one.after = nil, nil
		d.pass(10*time.Minute, 30*time.Second)
		d.pass(56*time.Hour, 4*time.Hour)
		known, live := map[string]bool{}, map[string]int{}
		for _, x := range all() {
			_, err := d.AskBinding(d.ctx, app, x.Number)
			require.NoError(r, err)
			x = d.binding(x.Number)
			require.Contains(r, []order.BindingState{order.Bound, order.Unbound, order.BindingRefused, order.BindingExpired}, x.State)
			d.bindingAgrees(r, x.Number)
			if x.State == order.Bound {
				known[x.Number] = true
				if !x.Page {
					live[b.cardOf(x.Number)]++
				}
			}
		}
		for number, o := range b.bound {
			require.Equal(r, !o.ended, known[number[:27]], "the bank's %s", number)
		}
		for c, n := range live {
			require.Equal(r, 1, n, "card %s is bound once", c)
		}
		sound = true
	})
}

// cardOf is the card of a binding that is in force.
func (b *binder) cardOf(number string) string {
	for opening, o := range b.bound {
		if opening[:27] == number && !o.ended {
			return o.card
		}
	}
	return ""
}
