package desfiredriver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
)

var sale = purse.Order{Kind: purse.Sale, Amount: money.Minor(125), At: at}

// on is a bench whose first card was changed.
func on(change func(m *sim.Image)) *bench {
	b, m := newBench(layout), blank(0, layout)
	change(&m)
	b.cards[0] = newChip(m)
	return b
}

func open(t *testing.T, b *bench) purse.Card {
	c, err := b.Driver(0).Open(t.Context(), b.cards[0])
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// failing is a SAM that fails.
type failing struct {
	desfire.SAM
	begin, finish error
}

func (s failing) Begin(ctx context.Context, n byte, c [16]byte) ([32]byte, error) {
	out, err := s.SAM.Begin(ctx, n, c)
	return out, errors.Join(err, s.begin)
}

func (s failing) Finish(ctx context.Context, answer [32]byte) (*desfire.Session, error) {
	out, err := s.SAM.Finish(ctx, answer)
	return out, errors.Join(err, s.finish)
}

func TestWhatOpenSays(t *testing.T) {
	broken := errors.New("no SAM in the slot")
	for name, c := range map[string]struct {
		change func(b *bench, m *sim.Image)
		is     error
	}{
		"another application":    {func(b *bench, m *sim.Image) { m.Settings.AID[0]++ }, purse.ErrNoPurse},
		"another key number":     {func(b *bench, m *sim.Image) { m.Settings.KeyNumber++ }, purse.ErrKey},
		"another key":            {func(b *bench, m *sim.Image) { m.Key.Key[0]++ }, purse.ErrKey},
		"a SAM without the key":  {func(b *bench, _ *sim.Image) { b.sams.sam = failing{b.sams.sam, keys.ErrUnknownKey, nil} }, purse.ErrKey},
		"a SAM of another key":   {func(b *bench, _ *sim.Image) { b.sams.sam = failing{b.sams.sam, nil, desfire.ErrAnswer} }, purse.ErrKey},
		"a SAM that is held":     {func(b *bench, _ *sim.Image) { b.sams.err = keys.ErrSAMBusy }, purse.ErrBusy},
		"no SAM":                 {func(b *bench, _ *sim.Image) { b.sams.err = broken }, purse.ErrTerminal},
		"a SAM that breaks":      {func(b *bench, _ *sim.Image) { b.sams.sam = failing{b.sams.sam, broken, nil} }, purse.ErrTerminal},
		"a SAM that breaks late": {func(b *bench, _ *sim.Image) { b.sams.sam = failing{b.sams.sam, nil, broken} }, purse.ErrTerminal},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newBench(layout), blank(0, layout)
			c.change(b, &m)
			_, err := b.Driver(0).Open(t.Context(), newChip(m))
			require.ErrorIs(t, err, c.is)
			if c.is == purse.ErrTerminal {
				require.ErrorIs(t, err, broken)
			}
			require.Zero(t, b.Held())
		})
	}
}

func TestWhatReadSays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *sim.Image)
		is     error
	}{
		"no first record":      {func(m *sim.Image) { m.Records[0] = "" }, purse.ErrNoPurse},
		"a record of no kind":  {func(m *sim.Image) { m.Records[0] = "\xFF" + m.Records[0][1:] }, purse.ErrNoPurse},
		"a counter at its end": {func(m *sim.Image) { m.TMCLimit = uint32(m.TMC) }, purse.ErrDeclined},
		"another value file":   {func(m *sim.Image) { m.Settings.ValueFile = 7 }, purse.ErrNoPurse},
	} {
		_, err := open(t, on(c.change)).Read(t.Context(), purse.Need{Trip: true})
		require.ErrorIs(t, err, c.is, name)
	}
	// Without the trip no record is read, and the reading names the card.
	r, err := open(t, newBench(layout)).Read(t.Context(), purse.Need{Balance: true})
	require.NoError(t, err)
	require.Equal(t, money.Minor(20_000), r.Balance)
	require.Equal(t, "DE5F0104A1B2C3D4E5F6", r.Card.Reveal())
	require.Equal(t, desfiredriver.CardNumber(uids[0]), r.Card)
}

func TestATerminalMayReadNothingBeforeItSells(t *testing.T) {
	b := newBench(layout)
	c := open(t, b)
	a, err := c.Begin(t.Context(), sale)
	require.NoError(t, err)
	require.NoError(t, c.Stage(t.Context()))
	require.NoError(t, c.Commit(t.Context()))
	require.Equal(t, money.Minor(20_000-125), b.cards[0].Balance())
	require.Equal(t, purse.Attempt{
		Family: "desfire", Application: []byte{0x3F, 0x00, 0x01}, Card: desfiredriver.CardNumber(uids[0]), KeyVersion: 1, Type: 0xDC, Counter: 41,
		Amount: sale.Amount, Before: money.Minor(20_000), After: money.Minor(20_000 - 125), SAM: []byte{0, 0, 0, 0, 0x10, 0},
		Serial: a.Serial, Time: []byte{0x20, 0x26, 0x11, 0x25, 0x08, 0x00, 0x00}, State: a.State,
	}, a)
}

// TestACardThatSubtractsWrongly: the debit stands, with what is wrong.
func TestACardThatSubtractsWrongly(t *testing.T) {
	b := newBench(layout)
	c := open(t, b)
	a, err := c.Begin(t.Context(), sale)
	require.NoError(t, err)
	require.NoError(t, c.Stage(t.Context()))
	require.NoError(t, c.Commit(t.Context()))
	good, err := c.Evidence(t.Context())
	require.NoError(t, err)

	m := b.cards[0].Image()
	m.Value = money.Minor(20_000)
	b.cards[0] = newChip(m)
	verdict, e, err := open(t, b).Recover(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, purse.Completed, verdict)
	require.Equal(t, good.Data, e.Data)
	require.NotEmpty(t, e.Mismatch)
}

// TestTheLastDebitOfACard: its counter allows no more, so it tells nothing but the transaction MAC, which the host can check.
func TestTheLastDebitOfACard(t *testing.T) {
	b := on(func(m *sim.Image) { m.TMCLimit = 42 })
	c := open(t, b)
	a, err := c.Begin(t.Context(), sale)
	require.NoError(t, err)
	require.NoError(t, c.Stage(t.Context()))
	require.NoError(t, c.Commit(t.Context()))
	e, err := c.Evidence(t.Context())
	require.NoError(t, err)
	require.True(t, e.Unread)
	verdict, later, err := open(t, b).Recover(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, purse.Aged, verdict)
	require.Equal(t, e.Data, later.Data)
	require.Zero(t, later.How)
}

// swap is a field in which another card takes the first one's place.
type swap struct{ apdu.Transmitter }

func TestAnotherCardInOneVisit(t *testing.T) {
	b := newBench(layout)
	field := &swap{b.cards[0]}
	c, err := b.Driver(0).Open(t.Context(), field)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Begin(t.Context(), sale)
	require.NoError(t, err)
	field.Transmitter = b.cards[1]
	_, err = c.Begin(t.Context(), sale)
	require.ErrorIs(t, err, purse.ErrOtherCard)
}

func TestCallsOutOfOrderDebitNothing(t *testing.T) {
	b := newBench(layout)
	c := open(t, b)
	require.Error(t, c.Stage(t.Context()))
	require.ErrorIs(t, c.Commit(t.Context()), purse.ErrNotDebited)
	_, err := c.Evidence(t.Context())
	require.Error(t, err)
	_, _, err = c.Recover(t.Context(), purse.Attempt{Family: "desfire"})
	require.Error(t, err, "no state")
	require.NotErrorIs(t, err, purse.ErrOtherCard)
	_, err = c.Begin(t.Context(), purse.Order{Kind: purse.Sale, Amount: money.Minor(-1), At: at})
	require.ErrorContains(t, err, "out of range")
	require.Equal(t, uint64(41), b.cards[0].Debits())
}

func TestSettingsThatNoDriverHas(t *testing.T) {
	b := newBench(layout)
	for says, change := range map[string]func(s *desfiredriver.Settings){
		"writes records of 32": func(s *desfiredriver.Settings) { s.Card.RecordSize = 16 },
		"want mac or full":     func(s *desfiredriver.Settings) { s.Card.ValueMode = "plain" },
		"no time zone":         func(s *desfiredriver.Settings) { s.Location = nil },
	} {
		s := b.settings(0)
		change(&s)
		_, err := desfiredriver.New(s, b.sams, seeded(1))
		require.ErrorContains(t, err, says)
	}
	_, err := desfiredriver.New(b.settings(0), b.sams, strings.NewReader("x"))
	require.ErrorContains(t, err, "random number")
}

func TestNothingPrintsACard(t *testing.T) {
	c := open(t, newBench(layout))
	a, err := c.Begin(t.Context(), sale)
	require.NoError(t, err)
	require.Equal(t, "[DESFire card]", fmt.Sprintf("%+v", c))
	require.Equal(t, "desfire attempt on card ****E5F6: 1.25, counter 41", fmt.Sprintf("%+v", a))
}

// TestOneSAMForTwoReaders: the second waits until the first has authenticated, or its visit ends.
func TestOneSAMForTwoReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := desfiredriver.Lend(desfire.NewSoftSAM(appKey, seeded(2)))
		_, release, err := s.Acquire(t.Context())
		require.NoError(t, err)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = s.Acquire(ended)
		require.ErrorIs(t, err, keys.ErrSAMBusy)
		require.ErrorIs(t, err, context.Canceled)

		got := make(chan error, 1)
		go func() {
			_, again, err := s.Acquire(t.Context())
			got <- err
			again()
		}()
		synctest.Wait()
		require.Empty(t, got)
		release()
		release() // the second call does nothing
		require.NoError(t, <-got)
		_, again, err := s.Acquire(ended)
		require.NoError(t, err, "a free one is given whatever the time")
		again()
	})
}
