package topup_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// TestALoadStepByStep follows the money.
func TestALoadStepByStep(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())
	f := d.present(1)
	a := d.authorise(bus, id, f.init(50_00, kiosk))
	require.Equal(t, topup.InProgress, d.state(id))
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
	require.Zero(t, d.shadow(1))
	tac := f.credit(a)
	for range 2 {
		o, err := d.topup.Confirm(d.ctx, bus, id, tac)
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, o.State)
		require.Equal(t, topup.ByTAC, o.Proof)
		require.Equal(t, token(1), o.Token)
	}
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
	require.Equal(t, int64(50_00), d.shadow(1))
	require.Equal(t, int64(50_00), d.balance(1))
	require.Equal(t, "2026-11-24 12:00:00", cardTime(t, a))
	require.Empty(t, d.codes())
}

func cardTime(t *testing.T, a topup.Authorisation) string {
	at, err := a.DateTime.Time(noon.Location())
	require.NoError(t, err)
	return at.Format("2006-01-02 15:04:05")
}

// TestAuthoriseRefuses changes one thing of a good INITIALIZE answer, or of what the scheme knows.
func TestAuthoriseRefuses(t *testing.T) {
	cases := []struct {
		name   string
		change func(*desk, *topup.CardInit)
		want   error
		finds  []string
	}{
		{"a forged MAC1", func(_ *desk, c *topup.CardInit) { c.MAC1[0]++ }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"a balance the card did not show", func(_ *desk, c *topup.CardInit) { c.Balance = money.Minor(1) }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"a counter the card did not show", func(_ *desk, c *topup.CardInit) { c.Counter++ }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"another terminal", func(_ *desk, c *topup.CardInit) { c.Terminal[0]++ }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"another random", func(_ *desk, c *topup.CardInit) { c.Random[0]++ }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"another card's number", func(_ *desk, c *topup.CardInit) { c.Card = number(2) }, topup.ErrMAC1, []string{topup.FindAuthFailed}},
		{"a card never issued", func(_ *desk, c *topup.CardInit) { c.Card = number(9) }, topup.ErrUnknownCard, nil},
		{"another issuer", func(_ *desk, c *topup.CardInit) { c.Issuer[0]++ }, topup.ErrCardData, nil},
		{"other key levels", func(_ *desk, c *topup.CardInit) { c.Levels = 1 }, topup.ErrCardData, nil},
		{"a key version nobody has", func(_ *desk, c *topup.CardInit) { c.Version = 9 }, topup.ErrUnknownKey, nil},
		{"an algorithm nobody has", func(_ *desk, c *topup.CardInit) { c.Algorithm = 9 }, topup.ErrUnknownKey, nil},
		{"an amount beyond four bytes", func(_ *desk, c *topup.CardInit) { c.Amount = money.Minor(1 << 32) }, topup.ErrAmount, nil},
		{"a negative balance", func(_ *desk, c *topup.CardInit) { c.Balance = money.Minor(-1) }, topup.ErrAmount, nil},
		{"a blocked card", func(d *desk, _ *topup.CardInit) {
			d.update(func(tx *store.Tx) error { return tx.BlockCard(d.ctx, number(1), noon) })
		}, topup.ErrCardBlocked, nil},
		{"another amount than the order's", func(d *desk, c *topup.CardInit) { *c = d.present(1).init(49_00, kiosk) }, topup.ErrAmount, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := start(t)
			id := d.order(bus, "sale-1", 50_00)
			init := d.present(1).init(50_00, kiosk)
			c.change(d, &init)
			_, err := d.topup.Authorise(d.ctx, bus, id, init)
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), init.Card.Reveal(), "a card number is in no error")
			require.Equal(t, append([]string{}, c.finds...), d.codes())
			require.Equal(t, topup.Paid, d.state(id))
			require.Equal(t, booked(50, 50, 0, 0), d.accounts())
		})
	}
}

// TestACardKnownByItsRecordsOnly was never issued: our keys verify it, and that is suspicious enough.
func TestACardKnownByItsRecordsOnly(t *testing.T) {
	d := start(t)
	d.update(func(tx *store.Tx) error {
		return tx.IssueCard(d.ctx, store.Card{Number: number(3), Token: token(3), Issuer: issuer, Levels: 2, Status: store.CardUnknown})
	})
	id := d.order(bus, "sale-1", 50_00)
	c := d.present(1).init(50_00, kiosk)
	c.Card = number(3)
	_, err := d.topup.Authorise(d.ctx, bus, id, c)
	require.ErrorIs(t, err, topup.ErrUnknownCard)
}

func TestMaxBalance(t *testing.T) {
	d := start(t)
	for _, key := range []string{"a", "b"} {
		d.load(key, maxAmount) // the card holds all it may now
	}
	id := d.order(bus, "sale-3", 1)
	_, err := d.topup.Authorise(d.ctx, bus, id, d.present(1).init(1, kiosk))
	require.ErrorIs(t, err, topup.ErrMaxBalance)
	require.Equal(t, topup.Paid, d.state(id))
	_, err = d.topup.Refund(d.ctx, bus, id)
	require.NoError(t, err)
}

// TestALostAuthoriseAnswer: the same INITIALIZE answer again gets the same MAC2, however late, and moves nothing twice.
func TestALostAuthoriseAnswer(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	init := f.init(50_00, kiosk)
	first := d.authorise(bus, id, init)
	d.clock.Advance(90_000_000_000)
	_, err := d.topup.Uncertain(d.ctx, bus, id)
	require.NoError(t, err)
	require.Equal(t, first, d.authorise(bus, id, init))
	require.Equal(t, topup.Uncertain, d.state(id), "it says nothing new")
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
	o, err := d.topup.Confirm(d.ctx, bus, id, f.credit(first))
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, o.State)
}

// TestANewSessionOfTheSameCard: the card left before CREDIT and came back. The money is booked once, and the old MAC2 is dead.
func TestANewSessionOfTheSameCard(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	old := d.authorise(bus, id, d.present(1).init(50_00, kiosk))
	f := d.present(1)
	a := d.authorise(bus, id, f.init(50_00, kiosk))
	require.NotEqual(t, old.Challenge, a.Challenge)
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
	_, err := f.card.CreditLoad(d.ctx, old.DateTime, old.MAC2)
	require.ErrorIs(t, err, ep.ErrMAC)
	require.Zero(t, d.balance(1))
}

// TestCallsThatOvertakeEachOther: the older INITIALIZE answer is authorised last, and the card is credited by the newer one.
func TestCallsThatOvertakeEachOther(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	late := f.init(50_00, kiosk)
	a := d.authorise(bus, id, f.init(50_00, kiosk))
	d.authorise(bus, id, late)
	o, err := d.topup.Confirm(d.ctx, bus, id, f.credit(a))
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, o.State)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

func TestAnotherCardOrAnotherOrderInBetween(t *testing.T) {
	d := start(t)
	id, second := d.order(bus, "sale-1", 50_00), d.order(bus, "sale-2", 50_00)
	d.authorise(bus, id, d.present(1).init(50_00, kiosk))
	_, err := d.topup.Authorise(d.ctx, bus, id, d.present(2).init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOtherCard)
	_, err = d.topup.Authorise(d.ctx, bus, second, d.present(1).init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOpenLoad)
	d.authorise(bus, second, d.present(2).init(50_00, kiosk))
	require.Equal(t, booked(100, 0, 100, 0), d.accounts())
}

// TestACounterThatMoved: the card was credited; a further MAC2 would load it twice.
func TestACounterThatMoved(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	f.credit(d.authorise(bus, id, f.init(50_00, kiosk)))
	_, err := d.topup.Authorise(d.ctx, bus, id, f.init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOpenLoad)
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
}

// TestACounterThatWentBack: an old INITIALIZE answer, kept by someone, or a copy of the card.
func TestACounterThatWentBack(t *testing.T) {
	d := start(t)
	kept := d.present(1).init(20_00, kiosk)
	d.load("sale-1", 50_00)
	id := d.order(bus, "sale-2", 20_00)
	_, err := d.topup.Authorise(d.ctx, bus, id, kept)
	require.ErrorIs(t, err, topup.ErrStale)
	require.Equal(t, []string{topup.FindCounterBack}, d.codes())
	require.Equal(t, booked(70, 20, 0, 50), d.accounts())

	open := d.order(bus, "sale-3", 10_00)
	d.authorise(bus, open, d.present(1).init(10_00, kiosk))
	kept.Amount = money.Minor(20_00)
	_, err = d.topup.Resolve(d.ctx, bus, open, topup.Evidence{Init: &kept})
	require.ErrorIs(t, err, topup.ErrStale)
	require.Equal(t, []string{topup.FindCounterBack, topup.FindCounterBack}, d.codes())
	require.Equal(t, topup.InProgress, d.state(open))
}

// TestASessionThatHasEnded: the INITIALIZE answer of a load that was taken back comes again. A MAC2 for it would credit
// nothing, and asking is no crime.
func TestASessionThatHasEnded(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	init := f.init(50_00, kiosk)
	a := d.authorise(bus, id, init)
	fresh := f.init(1, a.Challenge)
	o, err := d.topup.Resolve(d.ctx, bus, id, topup.Evidence{Init: &fresh})
	require.NoError(t, err)
	require.Equal(t, topup.Paid, o.State)
	_, err = d.topup.Authorise(d.ctx, bus, id, init)
	require.ErrorIs(t, err, topup.ErrStale)
	require.Empty(t, d.codes())
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())

	// And the money that was taken back can be loaded.
	f = d.present(2)
	_, err = d.topup.Confirm(d.ctx, bus, id, f.credit(d.authorise(bus, id, f.init(50_00, kiosk))))
	require.NoError(t, err)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
	require.Equal(t, int64(50_00), d.shadow(2))
	require.Zero(t, d.shadow(1))
}

func TestTooManySessions(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	var a topup.Authorisation
	for range topup.MaxSessions {
		a = d.authorise(bus, id, f.init(50_00, kiosk))
	}
	_, err := d.topup.Authorise(d.ctx, bus, id, f.init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOpenLoad)
	fresh := f.init(1, a.Challenge)
	o, err := d.topup.Resolve(d.ctx, bus, id, topup.Evidence{Init: &fresh})
	require.NoError(t, err)
	require.Equal(t, topup.Paid, o.State, "it can still be settled")
}

// TestAnHSMThatFails: nothing is refused, and the same call later has its effect once.
func TestAnHSMThatFails(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	f := d.present(1)
	init := f.init(50_00, kiosk)
	d.hsm.err = errors.New("the HSM does not answer")
	_, err := d.topup.Authorise(d.ctx, bus, id, init)
	require.ErrorIs(t, err, d.hsm.err)
	require.NotErrorIs(t, err, topup.ErrMAC1)
	require.Empty(t, d.codes())
	d.hsm.err = nil
	tac := f.credit(d.authorise(bus, id, init))
	d.hsm.err = errors.New("the HSM does not answer")
	_, err = d.topup.Confirm(d.ctx, bus, id, tac)
	require.ErrorIs(t, err, d.hsm.err)
	require.NotErrorIs(t, err, topup.ErrTAC)
	require.Equal(t, topup.InProgress, d.state(id))
	d.hsm.err = nil
	_, err = d.topup.Confirm(d.ctx, bus, id, tac)
	require.NoError(t, err)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

// TestTheDoorIsAskedForTheRightKeys: purposes are never mixed.
func TestTheDoorIsAskedForTheRightKeys(t *testing.T) {
	d := start(t)
	only := map[keys.ID]keys.Key{}
	for id, k := range masters {
		if id.Purpose != keys.Purchase {
			only[id] = k
		}
	}
	d.hsm.Soft = keys.NewSoft(only)
	d.load("sale-1", 50_00)
}
