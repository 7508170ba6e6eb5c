package eccard_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

const metroFile = 0x15

var metroID = [2]byte{0x28, 0x01}

// metroCard has one record of a metro in its transit file: the ID, one byte that says whether a trip is open, and a counter.
func metroCard(t *testing.T, balance, deposit int64) (*eccard.Issuer, *eccard.Card, *ec.Authorities) {
	i, err := issuer()
	require.NoError(t, err)
	number, err := ec.NewPAN("6210948000000029")
	require.NoError(t, err)
	card, err := i.Personalise(eccard.Profile{PAN: number, PSN: 1, Balance: money.Minor(balance), Deposit: money.Minor(deposit), Transit: map[byte]int{metroFile: 16}})
	require.NoError(t, err)
	a, err := ec.NewAuthorities([]ec.CAKey{i.Authority()}, nil)
	require.NoError(t, err)
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	require.NoError(t, c.AppendTransit(t.Context(), i.Operator(), metroName(number), append(metroID[:], 0, 0)))
	return i, card, a
}

func metroName(pan ec.PAN) ec.RecordName {
	return ec.RecordName{PAN: pan, PSN: 1, SFI: metroFile, ID: metroID}
}

// barrier is a metro gate. It opens a trip with amount 0 and closes it with the fare, by what the card's record says.
type barrier struct {
	operator    ec.Operator
	authorities *ec.Authorities
	ttq         ec.TTQ
	fare        int64
	un          byte
	torn        []byte
	entries     int
	sold        int64
	flagged     int
	unknown     int
	sm          bool
}

// pass lets a card through, or clears up its torn tap.
func (g *barrier) pass(t tester, card *eccard.Card) (bool, error) {
	c, err := ec.Select(t.Context(), card, accepted)
	if err != nil {
		return false, err
	}
	done := func(tapped *ec.Tap) {
		amount, err := tapped.Amount()
		require.NoError(t, err)
		g.torn = nil
		g.sold += amount.Minor()
		if amount.IsZero() {
			g.entries++
		}
	}
	if g.torn != nil {
		old, err := ec.ParseTap(g.torn)
		require.NoError(t, err)
		got, err := c.Recover(t.Context(), old, g.authorities)
		if err != nil {
			return false, err
		}
		if got == ec.StillUnknown {
			g.unknown++
		}
		if got == ec.Proven || got == ec.Unproven {
			if got == ec.Unproven {
				g.flagged++
			}
			done(old)
			return true, nil
		}
		g.torn = nil
	}
	g.un++
	record, err := c.ReadTransit(t.Context(), metroFile, metroID, false, &[8]byte{9, 9, 9, g.un})
	if err != nil {
		return false, err
	}
	next, amount := []byte{metroID[0], metroID[1], 1, record.Data[3]}, int64(0)
	if record.Data[2] == 1 {
		next, amount = []byte{metroID[0], metroID[1], 0, record.Data[3] + 1}, g.fare
	}
	tapped, err := c.BeginTransit(t.Context(), ec.Terminal{
		TTQ: g.ttq, Amount: money.Minor(amount), Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{g.un}, SM: g.sm,
	}, g.operator, record, next)
	if err != nil {
		return false, err
	}
	decision, why := tapped.Check(g.authorities, false)
	if decision != ec.Approve {
		return false, why
	}
	if g.torn, err = tapped.Bytes(); err != nil {
		return false, err
	}
	if err := c.Commit(t.Context(), tapped); err != nil {
		return false, err
	}
	require.NoError(t, tapped.Authenticate(g.authorities))
	done(tapped)
	return true, nil
}

// trip reads the record of a card without tearing it: whether a trip is open, and how many were made.
func trip(t *testing.T, card *eccard.Card) (open bool, trips int) {
	card.Insert()
	card.TearAt = nil
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	r, err := c.ReadTransit(t.Context(), metroFile, metroID, false, nil)
	require.NoError(t, err)
	return r.Data[2] == 1, int(r.Data[3])
}

// TestTransitTornAtEveryCommand tears entries and exits at every command, and their re-taps as well. Record and balance always change together, and the gate believes just what the card did.
func TestTransitTornAtEveryCommand(t *testing.T) {
	const commands = 10 // two SELECTs, READ CAPP DATA, GET PROCESSING OPTIONS, UPDATE CAPP DATA CACHE, five records
	i, card, authorities := metroCard(t, 100_000, 0)
	for _, ttq := range []ec.TTQ{ec.GateTTQ, {0x28}} {
		flagged := 0
		for first := range commands {
			for _, how := range []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer} {
				for _, second := range []int{-1, 0, 1, 2, 3, 4, 5, 9} {
					g := &barrier{operator: i.Operator(), authorities: authorities, ttq: ttq, fare: 3, un: byte(first * 20)}
					for _, kind := range []string{"entry", "exit"} {
						wasOpen, trips := trip(t, card)
						require.Equal(t, kind == "exit", wasOpen)
						before, sold, entries := card.Balance(), g.sold, g.entries
						passed := false
						for _, p := range [][2]int{{first, int(how)}, {second, int(how)}, {-1, 0}} {
							card.Insert()
							card.TearAt = func(n int) eccard.Tear {
								if n == p[0] {
									return eccard.Tear(p[1])
								}
								return eccard.NoTear
							}
							var err error
							if passed, err = g.pass(t, card); passed {
								break
							}
							require.True(t, errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent), "%v", err)
						}
						require.True(t, passed)
						debited, err := before.Sub(card.Balance())
						require.NoError(t, err)
						nowOpen, nowTrips := trip(t, card)
						if kind == "entry" {
							require.Zero(t, debited.Minor())
							require.True(t, nowOpen)
							require.Equal(t, trips, nowTrips)
							require.Equal(t, entries+1, g.entries)
						} else {
							require.Equal(t, int64(3), debited.Minor(), "torn at %d (%d) and %d", first, how, second)
							require.False(t, nowOpen)
							require.Equal(t, (trips+1)%256, nowTrips)
						}
						require.Equal(t, debited.Minor(), g.sold-sold)
						require.Zero(t, g.unknown)
					}
					flagged += g.flagged
				}
			}
		}
		require.Equal(t, !ttq.FDDA01(), flagged > 0, "only version 00 leaves a tap without proof")
	}
}

// TestDeposit: an exit may go below the balance, as far as the deposit limit; the next load pays it off first.
func TestDeposit(t *testing.T) {
	i, card, authorities := metroCard(t, 200, 500)
	g := &barrier{operator: i.Operator(), authorities: authorities, ttq: ec.GateTTQ, fare: 600}
	for range 2 {
		card.Insert()
		_, err := g.pass(t, card)
		require.NoError(t, err)
	}
	require.Zero(t, card.Balance())
	require.Equal(t, "000000000400", data(t, card, ec.TagDepositUsed))
	card.Insert()
	_, err := g.pass(t, card)
	require.NoError(t, err, "an entry costs nothing")
	card.Insert()
	_, err = g.pass(t, card)
	require.ErrorIs(t, err, ec.ErrCardDeclined, "100 of the deposit are left")
	open, _ := trip(t, card)
	require.True(t, open)

	// A purchase that is no segmented fare cannot use the deposit.
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(1), Currency: [2]byte{1, 0x56}, Date: 20260105})
	require.NoError(t, err)
	require.Equal(t, ec.AAC, tapped.Decision)

	put, err := ec.PutAmount(ec.TagDepositLimit, money.Minor(399))
	require.NoError(t, err)
	result, err := online(t, i, card, put)
	require.Error(t, err)
	require.Equal(t, apdu.SW(0x6A80), result.SW, "a limit below what is used")

	b := &bank{door: i.Door()}
	card.Insert()
	c, err = ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	o, err := c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	raw, err := o.Field55(nil)
	require.NoError(t, err)
	claim, err := ec.ParseField55(raw)
	require.NoError(t, err)
	l, answer, err := ec.AuthoriseLoad(t.Context(), b.door, ec.LoadOrder{
		Card: ec.CardKeys{DKI: claim.IAD.DKI, PAN: o.Track2.PAN, PSN: o.PSN}, Claim: claim, Amount: money.Minor(1_000), Owed: money.Minor(400), Limit: money.Minor(100_000),
	})
	require.NoError(t, err)
	_, err = o.Answer(t.Context(), answer)
	require.NoError(t, err)
	require.Equal(t, money.Minor(600), card.Balance())
	require.Equal(t, l.After, card.Balance())
	require.Equal(t, "000000000000", data(t, card, ec.TagDepositUsed))
	log, err := c.LoadLog(t.Context())
	require.NoError(t, err)
	parsed, err := ec.ParseLoadLog(log)
	require.NoError(t, err)
	require.NoError(t, parsed.Verify(t.Context(), b.door, l.Card))
	require.Equal(t, ec.Loaded, l.ByLog(parsed, 10))
}

func data(t *testing.T, card *eccard.Card, tag tlv.Tag) string {
	card.Insert()
	card.TearAt = nil
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	v, err := c.GetData(t.Context(), tag)
	require.NoError(t, err)
	return fmt.Sprintf("%X", v)
}

// TestWhatTheTransitFileRefuses holds the card against wrong keys, lengths, orders and sessions: nothing is written, nothing debited.
func TestWhatTheTransitFileRefuses(t *testing.T) {
	i, card, authorities := metroCard(t, 1_000, 0)
	stranger := ec.NewSoftOperator([16]byte{1}, [16]byte{2})
	number, err := ec.NewPAN("6210948000000029")
	require.NoError(t, err)
	name := metroName(number)
	open := func() *ec.Card {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		return c
	}
	send := func(a apdu.Command) apdu.SW {
		r, err := apdu.Exchange(t.Context(), card, a)
		require.NoError(t, err)
		return r.SW
	}
	c := open()
	require.ErrorIs(t, c.AppendTransit(t.Context(), stranger, name, append(metroID[:], 1, 1)), ec.ErrMAC)
	require.ErrorIs(t, c.AppendTransit(t.Context(), i.Operator(), name, make([]byte, 4)), ec.ErrRecordLength)
	require.ErrorIs(t, c.AppendTransit(t.Context(), i.Operator(), name, append(metroID[:], make([]byte, 20)...)), ec.ErrSpace)
	_, err = c.ReadTransit(t.Context(), 0x16, metroID, false, nil)
	require.ErrorIs(t, err, ec.ErrNotFound)
	_, err = c.ReadTransit(t.Context(), metroFile, [2]byte{0x99, 0x99}, false, nil)
	require.ErrorIs(t, err, ec.ErrNotFound)
	_, err = c.TransProve(t.Context(), card.ATC())
	require.ErrorIs(t, err, ec.ErrNoProof)

	// Two records of one ID: the next one is the second.
	require.NoError(t, c.AppendTransit(t.Context(), i.Operator(), name, append(metroID[:], 7, 7)))
	first, err := c.ReadTransit(t.Context(), metroFile, metroID, false, &[8]byte{5})
	require.NoError(t, err)
	require.NoError(t, first.Verify(t.Context(), i.Operator(), number, 1))
	require.ErrorIs(t, first.Verify(t.Context(), stranger, number, 1), ec.ErrTransitMAC)
	second, err := c.ReadTransit(t.Context(), metroFile, metroID, true, nil)
	require.NoError(t, err)
	require.Equal(t, []byte{0x28, 0x01, 7, 7}, second.Data)
	_, err = c.ReadTransit(t.Context(), metroFile, metroID, true, nil)
	require.ErrorIs(t, err, ec.ErrNotFound)

	terminal := ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(10), Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{1}}
	data := append(metroID[:], 1, 1)
	for title, k := range map[string]struct {
		operator ec.Operator
		data     []byte
		want     error
	}{
		"a stranger's key":    {stranger, data, ec.ErrTransitMAC},
		"a shorter record":    {i.Operator(), data[:3], ec.ErrRecordLength},
		"another record's ID": {i.Operator(), []byte{9, 9, 1, 1}, ec.ErrRecordLength},
	} {
		c = open()
		record, err := c.ReadTransit(t.Context(), metroFile, metroID, false, &[8]byte{1})
		require.NoError(t, err)
		_, err = c.BeginTransit(t.Context(), terminal, k.operator, record, k.data)
		require.ErrorIs(t, err, k.want, title)
	}

	// Without the update, the last record refuses.
	c = open()
	_, err = c.ReadTransit(t.Context(), metroFile, metroID, false, nil)
	require.NoError(t, err)
	plain := terminal
	plain.Transit = ec.SegmentedFare
	tapped, err := c.Begin(t.Context(), plain)
	require.NoError(t, err)
	late, err := ec.UpdateTransit(t.Context(), i.Operator(), name, tapped.ATC, data)
	require.NoError(t, err)
	require.Equal(t, apdu.SW(0x6985), send(late), "an update after a record")
	err = c.Commit(t.Context(), tapped)
	require.ErrorIs(t, err, ec.ErrUncertain)
	require.ErrorIs(t, err, ec.ErrRecordNotWritten)
	c = open()
	got, err := c.Recover(t.Context(), tapped, authorities)
	require.NoError(t, err)
	require.Equal(t, ec.NotDebited, got)

	// An update outside of a transit tap, and one of an older session.
	require.Equal(t, apdu.SW(0x6985), send(late))
	require.Equal(t, money.Minor(1_000), card.Balance())
	isOpen, trips := trip(t, card)
	require.False(t, isOpen)
	require.Zero(t, trips)

	// A card that was used at another gate since cannot tell.
	g := &barrier{operator: i.Operator(), authorities: authorities, ttq: ec.TTQ{0x28}, fare: 5}
	card.Insert()
	card.TearAt = func(n int) eccard.Tear {
		if n == 9 {
			return eccard.LoseAnswer
		}
		return eccard.NoTear
	}
	_, err = g.pass(t, card)
	require.ErrorIs(t, err, ec.ErrUncertain)
	card.TearAt = nil
	other := &barrier{operator: i.Operator(), authorities: authorities, ttq: ec.TTQ{0x28}, fare: 5, un: 77}
	card.Insert()
	_, err = other.pass(t, card)
	require.NoError(t, err)
	old, err := ec.ParseTap(g.torn)
	require.NoError(t, err)
	got, err = open().Recover(t.Context(), old, authorities)
	require.NoError(t, err)
	require.Equal(t, ec.StillUnknown, got)
}
