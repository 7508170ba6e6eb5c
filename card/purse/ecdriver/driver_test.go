package ecdriver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// TestAPurchase: the debit, and what the issuer makes of its evidence.
func TestAPurchase(t *testing.T) {
	for _, kind := range []purse.Kind{purse.Sale, purse.BusRide} {
		for n, card := range world().cards {
			before, atc := card.Balance(), card.ATC()
			d := driver(t, func(s *ecdriver.Settings) { s.ReadBack = true })
			g, _, _ := visit(t.Context(), d, card, nil, order(kind, 250), nil)
			require.NoError(t, g.err)
			after, err := before.Sub(money.Minor(250))
			require.NoError(t, err)
			require.Equal(t, after, card.Balance())

			a := g.attempt
			require.Equal(t, "ec", a.Family)
			require.Equal(t, ec.AIDDebit, a.Application)
			require.Equal(t, ecdriver.Token([]byte("0123456789abcdef"), world().pans[n], 1), a.Card)
			require.EqualValues(t, atc+1, a.Counter)
			require.Equal(t, []any{money.Minor(250), before, after}, []any{a.Amount, a.Before, a.After})
			require.Equal(t, "20261125080000", fmt.Sprintf("%X", a.Time))
			require.Less(t, len(a.State), 1024, "a journal's draft has 2 KiB")

			e := g.evidence
			require.Equal(t, purse.Reply, e.How)
			require.Equal(t, ecdriver.EvidenceKind, e.Kind)
			require.Equal(t, []any{after, false, ""}, []any{e.Balance, e.Unread, e.Mismatch})
			accepted(t, n, a, e)
			hidden(t, a, a.State, e, e.Data, e.Sealed)
		}
	}
}

// accepted is what the backend does with an evidence.
func accepted(t *testing.T, n int, a purse.Attempt, e purse.Evidence) {
	t.Helper()
	pan, psn, err := ecdriver.Open(world().seal, a.Card, e.Sealed)
	require.NoError(t, err)
	require.Equal(t, world().pans[n], pan)
	require.Equal(t, byte(1), psn)
	p, err := ecdriver.Parse(e.Data)
	require.NoError(t, err)
	c := p.Claim
	require.EqualValues(t, a.Counter, c.ATC)
	require.Equal(t, ec.TC, c.Decision)
	keys := ec.CardKeys{DKI: a.KeyVersion, PAN: pan, PSN: psn}
	require.NoError(t, ec.VerifyCryptogram(t.Context(), world().issuer.Door(), keys, c.Sent, c.AIP, c.ATC, c.IAD, c.AC))
	require.NoError(t, ec.VerifyBalance(t.Context(), world().issuer.Door(), keys, c.ATC, c.IAD, false))
	balance, ok := c.IAD.Balance()
	require.True(t, ok)
	require.Equal(t, a.After, balance)
	amount, err := ec.ParseAmount(c.Sent[ec.TagAmount])
	require.NoError(t, err)
	require.Equal(t, a.Amount, amount)
	require.Equal(t, ec.GateTTQ, p.TTQ)
	require.NotEmpty(t, p.SDAD)
	require.NotZero(t, p.Certificates)
	require.Equal(t, a.After, *p.Available)
	require.Contains(t, string(p.Field55), "GATE0001")
}

// TestTornEverywhere tears a purchase at each command, before and after the card's work, and comes back: to the same terminal, or first to another one. No debit is
// lost, none is made up, and none is paid twice at the terminal that asks.
func TestTornEverywhere(t *testing.T) {
	card := world().cards[0]
	const commands = 8 // two SELECTs, GET PROCESSING OPTIONS, five records
	verdicts := map[purse.Verdict]int{}
	for _, ttq := range []ec.TTQ{ec.GateTTQ, {0x28}} {
		for first := range commands {
			for _, how := range []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer} {
				for _, elsewhere := range []bool{false, true} {
					name := fmt.Sprintf("%v torn at %d (%d), elsewhere %v", ttq, first, how, elsewhere)
					with := func(s *ecdriver.Settings) { s.TTQ = ttq }
					before := card.Balance()
					g, _, _ := visit(t.Context(), driver(t, with), card, once(first, how), order(purse.Sale, 3), nil)
					require.Error(t, g.err, name)
					took := before != card.Balance()
					require.False(t, took && !g.begun, "%s: debited before Commit", name)
					hidden(t, g.err, g.attempt)
					if !g.begun {
						continue
					}
					require.NotErrorIs(t, g.err, purse.ErrNotDebited, name)
					if elsewhere {
						other, _, _ := visit(t.Context(), driver(t, with, func(s *ecdriver.Settings) { s.TokenKey = []byte("another terminal") }), card, nil, order(purse.Sale, 3), nil)
						require.NoError(t, other.err, name)
					}
					// The re-tap is torn at each of its commands before it is left alone.
					for second := range 20 {
						_, verdict, e := visit(t.Context(), driver(t, with), card, once(second, how), order(purse.Sale, 3), &g.attempt)
						if verdict == 0 {
							continue
						}
						verdicts[verdict]++
						switch {
						case elsewhere:
							require.Equal(t, purse.Aged, verdict, name)
						case took:
							require.Equal(t, purse.Completed, verdict, name)
							require.Equal(t, map[bool]purse.How{true: purse.Prove, false: purse.CardLog}[ttq.FDDA01()], e.How, name)
							if ttq.FDDA01() {
								accepted(t, 0, g.attempt, e)
							}
						default:
							require.Equal(t, purse.Voided, verdict, name)
						}
						pan, _, err := ecdriver.Open(world().seal, g.attempt.Card, e.Sealed)
						require.NoError(t, err, name)
						require.Equal(t, world().pans[0], pan)
						hidden(t, e.Data, e.Sealed)
						break
					}
				}
			}
		}
	}
	require.Len(t, verdicts, 3, "%v", verdicts)
}

// TestAnotherCardIsNotAsked: neither another card, nor the same one by another terminal's token, tells of an attempt.
func TestAnotherCardIsNotAsked(t *testing.T) {
	cards := world().cards
	g, _, _ := visit(t.Context(), driver(t), cards[0], once(7, eccard.LoseAnswer), order(purse.Sale, 1), nil)
	require.ErrorIs(t, g.err, apdu.ErrNoAnswer)
	ask := func(n int, a purse.Attempt, change ...func(*ecdriver.Settings)) error {
		cards[n].Insert()
		c, err := driver(t, change...).Open(t.Context(), cards[n])
		require.NoError(t, err)
		_, _, err = c.Recover(t.Context(), a)
		hidden(t, err, c)
		return err
	}
	require.ErrorIs(t, ask(1, g.attempt), purse.ErrOtherCard)
	require.ErrorIs(t, ask(0, g.attempt, func(s *ecdriver.Settings) { s.TokenKey = []byte("fedcba9876543210") }), purse.ErrOtherCard)
	other := g.attempt
	other.Family = "ep"
	require.ErrorIs(t, ask(0, other), purse.ErrOtherCard)
	other = g.attempt
	other.State = nil
	require.Error(t, ask(0, other))
	require.NotErrorIs(t, ask(0, other), purse.ErrOtherCard)
	require.NoError(t, ask(0, g.attempt))
}

// TestRefusals: what refuses a card does so while it has not debited.
func TestRefusals(t *testing.T) {
	none, err := ec.NewAuthorities(nil, nil)
	require.NoError(t, err)
	revoked, err := ec.NewAuthorities([]ec.CAKey{world().issuer.Authority()}, []ec.Revoked{{RID: ec.UnionPay, Index: 0xF1, Serial: [3]byte{0, 1, 1}}})
	require.NoError(t, err)
	limit := money.Minor(300)
	card := world().cards[0]
	for name, k := range map[string]struct {
		change func(*ecdriver.Settings)
		order  purse.Order
		why    error
	}{
		"more than there is":           {nil, order(purse.Sale, card.Balance().Minor()+1), purse.ErrInsufficient},
		"more than the card's limit":   {nil, order(purse.Sale, 50_001), purse.ErrDeclined},
		"another currency":             {func(s *ecdriver.Settings) { s.Currency = [2]byte{8, 0x40} }, order(purse.Sale, 1), purse.ErrDeclined},
		"no such authority":            {func(s *ecdriver.Settings) { s.Authorities = none }, order(purse.Sale, 1), purse.ErrKey},
		"a revoked issuer":             {func(s *ecdriver.Settings) { s.Authorities = revoked }, order(purse.Sale, 1), purse.ErrDeclined},
		"more than the terminal takes": {func(s *ecdriver.Settings) { s.Limits.Transaction = &limit }, order(purse.Sale, 300), purse.ErrDeclined},
		"nothing":                      {nil, order(purse.Sale, 0), purse.ErrDeclined},
		"more than fits":               {nil, order(purse.Sale, 1e12), purse.ErrDeclined},
		"an entry":                     {nil, order(purse.Enter, 0), purse.ErrDeclined},
		"an expired card":              {nil, func() purse.Order { o := order(purse.Sale, 1); o.At = at.AddDate(15, 0, 0); return o }(), purse.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*ecdriver.Settings)
			if k.change != nil {
				change = append(change, k.change)
			}
			before := card.Balance()
			g, _, _ := visit(t.Context(), driver(t, change...), card, nil, k.order, nil)
			require.ErrorIs(t, g.err, k.why)
			require.False(t, g.begun)
			require.Equal(t, before, card.Balance())
			hidden(t, g.err)
		})
	}
}

// altered is a card whose answers are changed on the way.
type altered struct {
	*eccard.Card
	change func(command, answer []byte) []byte
}

func (a altered) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	answer, err := a.Card.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	return a.change(command, answer), nil
}

// TestACardThatDoesNotProveItself: a certificate that is wrong stops the debit; a signature that is wrong is found when it is made, and is written down as that.
func TestACardThatDoesNotProveItself(t *testing.T) {
	card := world().cards[0]
	flip := func(at int, wants ...byte) func(command, answer []byte) []byte {
		return func(command, answer []byte) []byte {
			if len(command) >= len(wants) && strings.HasPrefix(string(command), string(wants)) && len(answer) > at+2 {
				answer[len(answer)-3-at] ^= 1
			}
			return answer
		}
	}
	try := func(change func(command, answer []byte) []byte) (staged error, e purse.Evidence) {
		card.Insert()
		c, err := driver(t).Open(t.Context(), altered{card, change})
		require.NoError(t, err)
		_, err = c.Begin(t.Context(), order(purse.Sale, 1))
		require.NoError(t, err)
		if staged = c.Stage(t.Context()); staged != nil {
			return staged, e
		}
		require.NoError(t, c.Commit(t.Context()))
		e, err = c.Evidence(t.Context())
		require.NoError(t, err)
		return nil, e
	}
	before := card.Balance()
	staged, _ := try(flip(9, 0x00, 0xB2, 0x03, 0x14)) // the card's certificate
	require.ErrorIs(t, staged, purse.ErrDeclined)
	require.Equal(t, before, card.Balance())
	hidden(t, staged)

	staged, e := try(flip(3, 0x00, 0xB2, 0x04, 0x14)) // the random number of 9F69
	require.NoError(t, staged)
	require.Contains(t, e.Mismatch, "signature")
	require.NotEqual(t, before, card.Balance(), "a debited card and a refused ride")
	require.NotEmpty(t, e.Data)
	hidden(t, e.Mismatch, e.Data)
}

// TestTwoInOneVisit: the second purchase selects the card anew, since a card is asked once.
func TestTwoInOneVisit(t *testing.T) {
	card := world().cards[0]
	card.Insert()
	before := card.Balance()
	c, err := driver(t).Open(t.Context(), card)
	require.NoError(t, err)
	for range 2 {
		_, err := c.Begin(t.Context(), order(purse.BusRide, 10))
		require.NoError(t, err)
		require.NoError(t, c.Stage(t.Context()))
		require.NoError(t, c.Commit(t.Context()))
		_, err = c.Evidence(t.Context())
		require.NoError(t, err)
	}
	left, err := before.Sub(card.Balance())
	require.NoError(t, err)
	require.Equal(t, money.Minor(20), left)
	r, err := c.Read(t.Context(), purse.Need{Balance: true})
	require.NoError(t, err)
	require.Equal(t, card.Balance(), r.Balance)
	require.Zero(t, r.Card)
}

func TestOutOfOrder(t *testing.T) {
	card := world().cards[0]
	card.Insert()
	c, err := driver(t).Open(t.Context(), card)
	require.NoError(t, err)
	require.Error(t, c.Stage(t.Context()))
	require.Error(t, c.Commit(t.Context()))
	_, err = c.Evidence(t.Context())
	require.Error(t, err)
	_, err = c.Begin(t.Context(), order(purse.Sale, 1))
	require.NoError(t, err)
	_, err = c.Evidence(t.Context())
	require.Error(t, err, "nothing is committed")
	require.Error(t, c.Commit(t.Context()), "nothing is staged")
}

func TestWithoutRandomNumbers(t *testing.T) {
	d, err := ecdriver.New(settings(t), iotest.ErrReader(errors.New("no entropy")))
	require.NoError(t, err)
	card := world().cards[0]
	g, _, _ := visit(t.Context(), d, card, nil, order(purse.Sale, 1), nil)
	require.ErrorIs(t, g.err, purse.ErrTerminal)
}

// TestTheReaderKnowsThatTheLastCommandDidNotGo: then the debit was certainly not made.
func TestTheReaderKnowsThatTheLastCommandDidNotGo(t *testing.T) {
	card := world().cards[0]
	card.Insert()
	c, err := driver(t).Open(t.Context(), card)
	require.NoError(t, err)
	_, err = c.Begin(t.Context(), order(purse.Sale, 1))
	require.NoError(t, err)
	require.NoError(t, c.Stage(t.Context()))
	card.TearAt = func(int) eccard.Tear { return eccard.LoseBefore }
	defer func() { card.TearAt = nil }()
	_, err = card.Transmit(t.Context(), []byte{0, 0xB2, 1, 0x0C, 0})
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
	require.ErrorIs(t, c.Commit(t.Context()), purse.ErrNotDebited)
}

func TestTokens(t *testing.T) {
	key, pans := []byte("0123456789abcdef"), world().pans
	token := ecdriver.Token(key, pans[0], 1)
	require.Equal(t, token, ecdriver.Token(key, pans[0], 1))
	for name, other := range map[string]ids.CardNumber{
		"another card":            ecdriver.Token(key, pans[1], 1),
		"another sequence number": ecdriver.Token(key, pans[0], 2),
		"another key":             ecdriver.Token([]byte("0123456789abcdeg"), pans[0], 1),
	} {
		require.NotEqual(t, token, other, name)
	}
	hidden(t, token[:])
	pan, err := ec.NewPAN("6210948000000011")
	require.NoError(t, err)
	require.Equal(t, "CCA8091D55D562B61DEE", ecdriver.Token(key, pan, 1).Reveal(), "the form is a contract")
}

func TestSettings(t *testing.T) {
	_, err := ecdriver.New(ecdriver.Settings{TTQ: ec.FullPBOC, Accepted: []ec.Accepted{{AID: []byte{1}}}}, nil)
	for _, want := range []string{"AID 01", "TTQ 50008000", "country", "CA keys", "token key of 0", "X25519", "time zone"} {
		require.ErrorContains(t, err, want)
	}
	s := settings(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, s), "0123456789abcdef")
		require.NotContains(t, fmt.Sprintf(verb, driver(t)), "0123456789abcdef")
		require.NotContains(t, fmt.Sprintf(verb, s), "30313233")
	}
}

// TestAStranger: a card that knows no payment, and one whose application is not ours, are for the next driver.
func TestAStranger(t *testing.T) {
	for _, sw := range []apdu.SW{0x6A82, 0x6D00, 0x6E00, 0x6700, 0x6985} {
		_, err := driver(t).Open(t.Context(), fixed(apdu.Response{SW: sw}.Bytes()))
		require.ErrorIs(t, err, purse.ErrNoPurse, "%v", sw)
	}
	_, err := driver(t).Open(t.Context(), fixed(apdu.Response{SW: 0x6A81}.Bytes()))
	require.ErrorIs(t, err, purse.ErrBlocked)
	card := world().cards[0]
	card.Insert()
	_, err = driver(t, func(s *ecdriver.Settings) { s.Accepted = []ec.Accepted{{AID: ec.AIDPureEC}} }).Open(t.Context(), card)
	require.ErrorIs(t, err, purse.ErrNoPurse)
}

type fixed []byte

func (f fixed) Transmit(context.Context, []byte) ([]byte, error) { return f, nil }
