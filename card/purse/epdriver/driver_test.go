package epdriver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/epdriver"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

func sale() purse.Order {
	return purse.Order{Kind: purse.Sale, Amount: money.Minor(1_25), At: time.Date(2026, 11, 25, 8, 0, 0, 0, zone)}
}

// opened is card 0 of a bench, opened and read by terminal 0.
func opened(t *testing.T, d purse.Driver, card apdu.Transmitter) purse.Card {
	t.Helper()
	c, err := d.Open(t.Context(), card)
	require.NoError(t, err)
	_, err = c.Read(t.Context(), purse.Need{})
	require.NoError(t, err)
	return c
}

// TestAnAttemptOfAnotherPurse: of two purses of one number only the one that was debited tells. Attempts of before the application was
// written down have none, and are asked about.
func TestAnAttemptOfAnotherPurse(t *testing.T) {
	b := newBench(settings, nil)
	c := opened(t, b.Driver(0), b.cards[0])
	a, err := c.Begin(t.Context(), sale())
	require.NoError(t, err)
	require.Equal(t, ep.AIDTUnion, a.Application)
	require.Equal(t, "ep", a.Family)
	c.Close()

	c = opened(t, b.Driver(0), b.cards[0])
	verdict, _, err := c.Recover(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, purse.Voided, verdict)
	older := a
	older.Application = nil
	verdict, _, err = c.Recover(t.Context(), older)
	require.NoError(t, err)
	require.Equal(t, purse.Voided, verdict)

	for name, change := range map[string]func(*purse.Attempt){
		"application": func(a *purse.Attempt) { a.Application = ep.AIDPBOC },
		"family":      func(a *purse.Attempt) { a.Family = "ec" },
		"card":        func(a *purse.Attempt) { a.Card[9]++ },
	} {
		other := a
		change(&other)
		verdict, _, err = c.Recover(t.Context(), other)
		require.ErrorIs(t, err, purse.ErrOtherCard, name)
		require.Zero(t, verdict)
	}
	for name, change := range map[string]func(*purse.Attempt){
		"no SAM":               func(a *purse.Attempt) { a.SAM = nil },
		"no time":              func(a *purse.Attempt) { a.Time = a.Time[1:] },
		"a counter of 3 bytes": func(a *purse.Attempt) { a.Counter = 1 << 16 },
	} {
		bad := a
		change(&bad)
		_, _, err = c.Recover(t.Context(), bad)
		require.ErrorContains(t, err, "none of this family", name)
	}
}

// TestTheAIDsAreTriedInTurn, and what is not there is no purse.
func TestTheAIDsAreTriedInTurn(t *testing.T) {
	b := newBench(settings, func(m *epcard.Image) { m.AID = image.Bytes(ep.AIDPBOC) })
	s := b.settings
	s.AIDs = [][]byte{ep.AIDTUnion, ep.AIDPBOC}
	c := opened(t, epdriver.New(s, slot{b, nil}), b.cards[0])
	c.Close()
	s.AIDs = s.AIDs[:1]
	_, err := epdriver.New(s, slot{b, nil}).Open(t.Context(), b.cards[0])
	require.ErrorIs(t, err, purse.ErrNoPurse)
	require.ErrorIs(t, err, ep.ErrNoPurse)
	s.AIDs = nil
	_, err = epdriver.New(s, slot{b, nil}).Open(t.Context(), b.cards[0])
	require.ErrorIs(t, err, purse.ErrNoPurse)
}

// brokenSAM fails where it is told.
type brokenSAM struct {
	keys.SAM
	init, check error
}

func (s brokenSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (uint32, [4]byte, error) {
	if s.init != nil {
		return 0, [4]byte{}, s.init
	}
	return s.SAM.InitPurchase(ctx, r)
}

func (s brokenSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	if s.check != nil {
		return s.check
	}
	return s.SAM.CheckMAC2(ctx, mac2)
}

// lending lends SAMs in turn, the last one for ever.
type lending struct {
	sams []keys.SAM
	err  error
	held int
}

func (l *lending) Acquire(context.Context) (keys.SAM, func(), error) {
	if l.err != nil {
		return nil, nil, l.err
	}
	s := l.sams[0]
	if len(l.sams) > 1 {
		l.sams = l.sams[1:]
	}
	l.held++
	return s, func() { l.held-- }, nil
}

func (b *bench) sam(t *testing.T, terminal int) keys.SAM {
	t.Helper()
	b.psams[terminal].Power(true)
	s, err := ep.OpenPSAM(t.Context(), b.psams[terminal], ep.PSAMTUnion)
	require.NoError(t, err)
	return s
}

// TestWhatASAMMaySay: its errors in the words of package purse, each with its own cause, and every SAM back.
func TestWhatASAMMaySay(t *testing.T) {
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		lend  func(b *bench, l *lending)
		begin error
		check error
	}{
		"busy":                 {func(_ *bench, l *lending) { l.err = keys.ErrSAMBusy }, purse.ErrBusy, nil},
		"none works":           {func(_ *bench, l *lending) { l.err = cause }, purse.ErrTerminal, nil},
		"no key":               {func(b *bench, l *lending) { l.sams[0] = brokenSAM{SAM: l.sams[0], init: keys.ErrUnknownKey} }, purse.ErrKey, nil},
		"dead":                 {func(b *bench, l *lending) { l.sams[0] = brokenSAM{SAM: l.sams[0], init: cause} }, purse.ErrTerminal, nil},
		"dead after Commit":    {func(b *bench, l *lending) { l.sams[0] = brokenSAM{SAM: l.sams[0], check: cause} }, nil, purse.ErrTerminal},
		"MAC2 does not verify": {func(b *bench, l *lending) { l.sams[0] = brokenSAM{SAM: l.sams[0], check: keys.ErrBadMAC} }, nil, purse.ErrBadProof},
		"the first is dead": {func(b *bench, l *lending) {
			l.sams = []keys.SAM{brokenSAM{SAM: l.sams[0], init: cause}, b.sam(t, 1)}
		}, nil, nil},
		"both are dead": {func(b *bench, l *lending) {
			l.sams = []keys.SAM{brokenSAM{SAM: l.sams[0], init: cause}, brokenSAM{SAM: b.sam(t, 1), init: cause}}
		}, purse.ErrTerminal, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(settings, nil)
			l := &lending{sams: []keys.SAM{b.sam(t, 0)}}
			c.lend(b, l)
			card := opened(t, epdriver.New(b.settings, l), b.cards[0])
			a, err := card.Begin(t.Context(), sale())
			require.ErrorIs(t, err, c.begin)
			if c.begin != nil {
				require.Zero(t, l.held)
				return
			}
			require.NoError(t, err)
			held := l.sams[len(l.sams)-1].TerminalNumber()
			require.Equal(t, held[:], a.SAM, "the number of the SAM that made MAC1")
			require.NoError(t, card.Stage(t.Context()))
			require.NoError(t, card.Commit(t.Context()))
			_, err = card.Evidence(t.Context())
			require.ErrorIs(t, err, c.check)
			require.Zero(t, l.held)
			card.Close()
			require.Zero(t, l.held)
		})
	}
}

// TestEvidenceOfNoDebit is an error of whoever asks.
func TestEvidenceOfNoDebit(t *testing.T) {
	b := newBench(settings, nil)
	_, err := opened(t, b.Driver(0), b.cards[0]).Evidence(t.Context())
	require.ErrorContains(t, err, "evidence of no debit")
}
