package page_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/terminal/kiosk/page"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

// begin starts a kiosk and a page before it, in English.
func (b *bench) begin(p session.Patience) {
	b.t.Helper()
	if b.stop != nil {
		b.stop()
	}
	b.start(p)
	b.open("en", upright)
}

// choose goes from a card to a choice of how to pay; the card is taken away.
func (b *bench) choose(n ids.CardNumber, amount string) {
	b.t.Helper()
	b.see("idle", "Hold your card")
	b.hold(n)
	b.see("amount", "How much?")
	b.take()
	b.touch(amount)
	b.see("way", "WeChat Pay")
}

// scanned goes on to the code.
func (b *bench) scanned(n ids.CardNumber, amount string) {
	b.t.Helper()
	b.choose(n, amount)
	b.touch("WeChat Pay")
	b.see("qr", "Scan to pay")
}

// paid goes on to where the card is wanted again.
func (b *bench) paid(n ids.CardNumber, amount string) {
	b.t.Helper()
	b.scanned(n, amount)
	b.pays()
	b.see("hold", "Paid")
}

// look sees a screen, what it says of the money, and that it is well made; and leaves it where there is something to leave it by.
func (b *bench) look(state, title, place string) {
	b.t.Helper()
	b.see(state, title)
	b.see(state, place)
	b.shoot(state + "-en")
	b.touch("中文")
	b.see(state, page.Default()["zh"]["title."+state])
	b.shoot(state + "-zh")
	b.touch("English")
	b.see(state, title)
}

const nothing = "Nothing was taken."

func TestNothingWasTaken(t *testing.T) {
	b := newBench(t)
	b.begin(patience())

	b.reader.unplug()
	b.look("no-reader", "The card reader is not working", nothing)
	b.reader.plug()
	b.see("idle", "Hold your card")

	b.tear(mine, insSelect, false)
	b.look("unread", "could not be read", nothing)
	b.hold(stranger)
	b.look("not-ours", "cannot be topped up here", nothing)
	b.take()
	b.touch("OK")

	b.see("idle", "Hold your card")
	b.block(yours)
	b.hold(yours)
	b.look("blocked", "blocked", nothing)
	b.take()
	b.touch("OK")

	b.see("idle", "Hold your card")
	b.hold(rich)
	b.look("full", "This card is full", "¥290.00")
	b.take()
	b.touch("OK")

	b.see("idle", "Hold your card")
	b.network.set(true)
	b.hold(mine)
	b.look("offline", "No network", nothing)
	b.network.set(false)
	b.take()
	b.touch("OK")

	b.see("idle", "Hold your card")
	real := b.network.through(b.off)
	b.hold(mine)
	b.look("off", "not possible here", nothing)
	b.network.through(real)
	b.take()
	b.touch("OK")

	b.choose(mine, "¥20.00")
	b.wechat.Weather.Next(sim.Pay, sim.Fate{Error: "NO_AUTH"})
	b.touch("WeChat Pay")
	b.look("way-out", "out of order", nothing)
	b.touch("Try again")
	b.see("way", "Alipay")
	b.wechat.Weather.Next(sim.Pay, sim.Fate{Error: "RULE_LIMIT"})
	b.touch("WeChat Pay")
	b.look("refused", "was refused", nothing)
	b.touch("Try again")
	b.see("way", "Alipay")
	b.strict.Store(true)
	b.touch("WeChat Pay")
	b.look("proof", "pay in the app", nothing)
	b.strict.Store(false)
	b.touch("Try again")
	b.see("way", "Alipay")
	b.touch("WeChat Pay")
	b.see("qr", "Scan to pay")
	b.touch("Cancel")
	b.look("cancelled", "Cancelled", nothing)
	b.touch("OK")
	b.see("idle", "Hold your card")
	require.Empty(t, b.left())
	b.requireBooks(mine, money.Minor(0))
}

func TestNobodyPaysInTime(t *testing.T) {
	b := benchIn(t, newTownOf(t, money.Minor(300_00), 5*time.Second))
	b.begin(patience())
	b.choose(mine, "¥20.00")
	b.touch("WeChat Pay")
	b.look("expired", "Nobody paid in time", nothing)
	b.touch("Try again")
	b.see("way", "Alipay")
	b.touch("Cancel")
	b.see("idle", "Hold your card")
	require.Empty(t, b.left())
}

func TestNobodyKnowsWhetherItWasPaid(t *testing.T) {
	b := newBench(t)
	b.begin(patience())

	// The network goes while the code is shown, and the rider pays all the same.
	b.scanned(mine, "¥20.00")
	b.network.set(true)
	b.look("qr-offline", "The network is gone", "with you, or safe with us")
	b.pays()
	b.network.set(false)
	b.see("hold", "Paid")
	b.hold(mine)
	b.see("done", "¥20.00")
	b.take()
	b.touch("OK")
	b.requireBooks(mine, money.Minor(20_00))

	// The channel's answer is lost.
	b.choose(mine, "¥50.00")
	b.wechat.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	b.touch("WeChat Pay")
	b.look("checking", "Waiting for the payment service", "the payment service is being asked")
	b.touch("OK")
	b.look("unsure", "do not know yet whether you paid", "the payment service is being asked")
	b.pays() // by the code that nobody saw: it may be that somebody did
	b.touch("OK")

	// The channel cannot be asked whether somebody was faster.
	b.scanned(yours, "¥100.00")
	b.wechat.Weather.Unreachable(true)
	b.touch("Cancel")
	b.look("closing", "Cancelling", "the payment service is being asked")
	b.wechat.Weather.Unreachable(false)
	b.see("cancelled", "Cancelled")
	b.touch("OK")

	// What was paid is loaded when the card comes back, before anything is chosen.
	b.see("idle", "Hold your card")
	b.hold(mine)
	b.see("done", "¥70.00")
	b.take()
	b.touch("OK")
	b.see("idle", "Hold your card")
	require.Empty(t, b.left())
	b.requireBooks(mine, money.Minor(70_00))
	b.requireBooks(yours, money.Minor(0))
}

func TestPaidAndNotLoaded(t *testing.T) {
	b := newBench(t)
	b.begin(patience())

	// The card leaves when the value is on it, and nobody has heard it: once is once.
	b.paid(mine, "¥50.00")
	b.hold(yours)
	b.look("wrong-card", "another card", "safe with us")
	b.take()
	b.tear(mine, insCredit, true)
	b.look("again", "Hold the same card again", "on its way to your card")
	b.hold(mine)
	b.see("done", "¥50.00")
	b.take()
	b.touch("OK")
	b.requireBooks(mine, money.Minor(50_00))

	// It leaves before.
	b.paid(mine, "¥20.00")
	b.tear(mine, insCredit, false)
	b.see("again", "Hold the same card again")
	b.hold(mine)
	b.see("done", "¥70.00")
	b.take()
	b.touch("OK")
	b.requireBooks(mine, money.Minor(70_00))

	// The network goes, and comes back.
	b.paid(mine, "¥20.00")
	b.network.set(true)
	b.hold(mine)
	b.look("paid-offline", "Paid, but the network is gone", "safe with us")
	b.network.set(false)
	b.see("done", "¥90.00")
	b.take()
	b.touch("OK")

	// The backend is not told: the rider has the value, and the books follow.
	b.paid(mine, "¥20.00")
	b.network.cutAt(func(path string) bool { return len(path) > 8 && path[len(path)-8:] == "/confirm" })
	b.hold(mine)
	b.see("done", "our books will follow by themselves")
	b.shoot("done-untold-en")
	b.network.cutAt(nil)
	b.take()
	b.touch("OK")

	// The reader goes, and the rider does not wait.
	b.paid(mine, "¥20.00")
	b.reader.unplug()
	b.look("paid-no-reader", "the card reader is gone", "safe with us")
	b.touch("Give the money back")
	b.look("refunded", "Your money is back", "It is back with you.")
	b.reader.plug()
	b.touch("OK")

	// The rider goes, and comes back.
	b.take()
	short := patience()
	short.Hold, short.Refund = 300*time.Millisecond, 300*time.Millisecond
	b.begin(short)
	b.paid(mine, "¥20.00")
	b.look("kept", "Your money waits for your card", "safe with us")
	b.touch("OK")
	b.see("idle", "Hold your card")
	b.hold(mine)
	b.see("done", "¥130.00")
	b.take()
	b.touch("OK")
	b.see("idle", "Hold your card")
	require.Empty(t, b.left())
	b.requireBooks(mine, money.Minor(130_00))
}

func TestTheMoneyGoesBack(t *testing.T) {
	b := newBench(t)
	b.begin(patience())
	b.paid(mine, "¥50.00")
	b.block(mine)
	b.hold(mine)
	b.look("not-loaded", "The card was not loaded", "The card is blocked.")
	b.touch("Try again")
	b.see("not-loaded", "The card was not loaded")
	b.wechat.Weather.Unreachable(true)
	b.touch("Give the money back")
	b.look("refunding", "Giving your money back", "on its way back to you")
	b.wechat.Weather.Unreachable(false)
	b.see("refunded", "Your money is back")
	b.take()
	b.touch("OK")

	// The payment service takes its time, and the rider does not.
	short := patience()
	short.Refund = 300 * time.Millisecond
	b.begin(short)
	b.scanned(yours, "¥20.00")
	b.pays()
	b.see("hold", "Paid")
	b.wechat.Weather.Unreachable(true)
	b.touch("Give the money back")
	b.look("refund-later", "on its way back", "on its way back to you")
	b.touch("OK")
	b.see("idle", "Hold your card")
	b.hold(yours) // and gets nothing
	b.see("amount", "¥0.00")
	b.touch("Cancel")
	b.see("idle", "Hold your card")
	b.wechat.Weather.Unreachable(false)
	require.Eventually(t, func() bool { return b.payment().State == "refunded" }, 30*time.Second, 50*time.Millisecond)

	// The page says when there is nobody behind it.
	b.stop()
	b.see("gone", "This kiosk is not working")
	b.shoot("gone-en")
	b.see("gone", "This kiosk is not working") // and invites no card
	b.requireBooks(mine, money.Minor(0))
	b.requireBooks(yours, money.Minor(0))
}
