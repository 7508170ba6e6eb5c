package eccard_test

import (
	"context"
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

// bank is the issuing host of one card: what it keeps, and the loads it has authorised.
type bank struct {
	door     ec.Issuer
	known    money.Amount // on the card, as far as the host knows
	source   int64        // taken from the account that pays, minor units
	open     *ec.Load     // authorised, and not known to be done or failed
	script   byte
	reversed int
	sm       bool // the kiosk offers SM4
	// books tells what is on the card once an open load is cleared up. Nil: the bank's own loads alone.
	books func() money.Amount
}

// authorise takes the money at its source before the answer goes out.
func (b *bank) authorise(t tester, o *ec.Online, amount int64) (ec.Answer, error) {
	raw, err := o.Field55(nil)
	require.NoError(t, err)
	claim, err := ec.ParseField55(raw)
	require.NoError(t, err)
	b.script++
	l, answer, err := ec.AuthoriseLoad(t.Context(), b.door, ec.LoadOrder{
		Card: ec.CardKeys{DKI: claim.IAD.DKI, PAN: o.Track2.PAN, PSN: o.PSN}, Claim: claim, Amount: money.Minor(amount), Known: b.known,
		Limit: money.Minor(100_000), Script: [4]byte{0, 0, 0, b.script},
	})
	if err != nil {
		return answer, err
	}
	b.source += amount
	b.open = &l
	return answer, nil
}

// settle ends the open load as far as the verdict tells.
func (b *bank) settle(t tester, v ec.Verdict) {
	switch v {
	case ec.Loaded:
		b.known, b.open = b.open.After, nil
	case ec.NotLoaded:
		r, err := b.open.Reverse(v)
		require.NoError(t, err)
		b.source -= r.Amount.Minor()
		b.reversed++
		b.open = nil
	}
}

var kioskTerminal = ec.Terminal{TTQ: ec.FullPBOC, Country: [2]byte{1, 0x56}, Currency: [2]byte{1, 0x56}, Date: 20260105, Time: [3]byte{0x12}, UN: [4]byte{1, 2, 3, 4}}

// visit is a card at the kiosk: an open load is cleared up by the card's own log in a session of its own, else a new one is made.
func (b *bank) visit(t tester, card *eccard.Card, amount int64) error {
	c, err := ec.Select(t.Context(), card, accepted)
	if err != nil {
		return err
	}
	terminal := kioskTerminal
	terminal.SM = b.sm
	o, err := c.BeginOnline(t.Context(), terminal)
	if err != nil {
		return err
	}
	if b.open != nil {
		raw, err := c.LoadLog(t.Context())
		if err != nil {
			return err
		}
		log, err := ec.ParseLoadLog(raw)
		require.NoError(t, err)
		require.NoError(t, log.Verify(t.Context(), b.door, b.open.Card))
		b.settle(t, b.open.ByLog(log, 10))
		require.Nil(t, b.open, "a later session always tells")
	}
	if b.books != nil {
		b.known = b.books()
	}
	answer, err := b.authorise(t, o, amount)
	if err != nil {
		return err
	}
	result, err := o.Answer(t.Context(), answer)
	if err != nil {
		return err
	}
	b.settle(t, b.open.ByResult(result))
	return nil
}

// TestLoadTornAtEveryCommand tears a load at every command, before and after the card's work, and the visit that clears it up as well. In the end the card holds just
// what was paid, once: nothing is loaded twice, and nothing goes back that was loaded.
func TestLoadTornAtEveryCommand(t *testing.T) {
	i, card, _ := setUp(t, 0)
	b := &bank{door: i.Door()}
	const commands = 13 // two SELECTs, GET PROCESSING OPTIONS, six records, two GENERATE AC, EXTERNAL AUTHENTICATE, PUT DATA
	tears := []eccard.Tear{eccard.LoseBefore, eccard.LoseAnswer}
	visits := 0
	for first := range commands + 1 {
		for _, how := range tears {
			for second := -1; second <= commands; second++ {
				for _, then := range tears {
					for _, p := range [][2]int{{first, int(how)}, {second, int(then)}, {-1, 0}} {
						visits++
						card.Insert()
						card.TearAt = func(n int) eccard.Tear {
							if n == p[0] {
								return eccard.Tear(p[1])
							}
							return eccard.NoTear
						}
						if err := b.visit(t, card, 10); err != nil {
							require.True(t, errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, apdu.ErrNotSent), "%v", err)
						}
					}
					require.Nil(t, b.open)
					require.Equal(t, card.Balance(), b.known)
					require.Equal(t, card.Balance().Minor(), b.source, "torn at %d (%d) and %d (%d)", first, how, second, then)
					if card.Balance().Minor() > 90_000 {
						card.Insert()
						card.TearAt = nil
						require.NoError(t, b.visit(t, card, -card.Balance().Minor()), "a void takes all of it back")
						require.Zero(t, card.Balance())
						require.Zero(t, b.source)
					}
				}
			}
		}
	}
	require.Positive(t, b.reversed)
	require.Less(t, b.reversed, visits)
}

// TestTheNextTapTellsOfALoad: a card that went away unheard is cleared up by the balance of its next tap.
func TestTheNextTapTellsOfALoad(t *testing.T) {
	for _, k := range []struct {
		tear    eccard.Tear
		balance int64
		want    ec.Verdict
	}{{eccard.LoseBefore, 1_000, ec.NotLoaded}, {eccard.LoseAnswer, 3_000, ec.Loaded}} {
		i, card, _ := setUp(t, 1_000)
		b := &bank{door: i.Door(), known: money.Minor(1_000)}
		card.Insert()
		card.TearAt = func(n int) eccard.Tear {
			if n == 12 {
				return k.tear
			}
			return eccard.NoTear
		}
		err := b.visit(t, card, 2_000)
		require.ErrorIs(t, err, ec.ErrUncertain)
		require.Equal(t, money.Minor(k.balance), card.Balance())
		card.TearAt = nil
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(300), Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{7}})
		require.NoError(t, err)
		require.NoError(t, c.Commit(t.Context(), tapped))
		require.NoError(t, ec.VerifyBalance(t.Context(), b.door, b.open.Card, tapped.ATC, tapped.IAD, false))
		after, ok := tapped.IAD.Balance()
		require.True(t, ok)
		before, err := after.Add(money.Minor(300))
		require.NoError(t, err)
		require.Equal(t, k.want, b.open.ByBalance(tapped.ATC, before))
	}
}

// online begins a session over full PBOC, and hands the card the issuer's answer with a script of these commands.
func online(t *testing.T, i *eccard.Issuer, card *eccard.Card, commands ...apdu.Command) (ec.ScriptResult, error) {
	card.Insert()
	c, err := ec.SelectBlocked(t.Context(), card, accepted)
	require.NoError(t, err)
	o, err := c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	k := ec.CardKeys{DKI: o.IAD.DKI, PAN: o.Track2.PAN, PSN: o.PSN}
	require.NoError(t, ec.VerifyCryptogram(t.Context(), i.Door(), k, o.Sent, o.AIP, o.ATC, o.IAD, o.AC))
	require.NoError(t, ec.VerifyBalance(t.Context(), i.Door(), k, o.ATC, o.IAD, false))
	var signed []apdu.Command
	for _, a := range commands {
		s, err := ec.Secure(t.Context(), i.Door(), k, o.ATC, o.AC, a)
		require.NoError(t, err)
		signed = append(signed, s)
	}
	var script []byte
	if len(signed) > 0 {
		script, err = ec.Script([4]byte{1}, signed...)
		require.NoError(t, err)
	}
	auth, err := ec.IssuerAuthentication(t.Context(), i.Door(), k, o.ATC, o.AC, ec.Approved)
	require.NoError(t, err)
	return o.Answer(t.Context(), ec.Answer{Auth: auth, Script: script})
}

func TestScriptsSetLimits(t *testing.T) {
	i, card, _ := setUp(t, 10_000)
	var commands []apdu.Command
	for tag, amount := range map[tlv.Tag]int64{ec.TagBalanceLimit: 20_000, ec.TagSingleLimit: 300, ec.TagResetThreshold: 50} {
		c, err := ec.PutAmount(tag, money.Minor(amount))
		require.NoError(t, err)
		commands = append(commands, c)
	}
	result, err := online(t, i, card, commands...)
	require.NoError(t, err)
	require.Equal(t, ec.ScriptResult{ID: [4]byte{1}, Outcome: ec.ScriptDone}, result)
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	single, err := c.GetData(t.Context(), ec.TagSingleLimit)
	require.NoError(t, err)
	require.Equal(t, "000000000300", fmt.Sprintf("%X", single))
	tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(301), Currency: [2]byte{1, 0x56}, Date: 20260105})
	require.NoError(t, err)
	require.Equal(t, ec.AAC, tapped.Decision)

	tooMuch, err := ec.PutAmount(ec.TagBalance, money.Minor(20_001))
	require.NoError(t, err)
	result, err = online(t, i, card, tooMuch)
	require.Error(t, err)
	require.Equal(t, ec.ScriptResult{ID: [4]byte{1}, Outcome: ec.ScriptFailed, At: 1, SW: 0x6A80}, result)
	require.Equal(t, money.Minor(10_000), card.Balance())
	card.Insert()
	c, err = ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	o, err := c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	require.Equal(t, "A00018 [script failed last time]", o.IAD.CVR.String(), "and how many commands there were")
}

func TestBlockAndUnblock(t *testing.T) {
	i, card, _ := setUp(t, 10_000)
	result, err := online(t, i, card, ec.BlockApplication())
	require.NoError(t, err)
	require.Equal(t, ec.ScriptDone, result.Outcome)
	card.Insert()
	_, err = ec.Select(t.Context(), card, accepted)
	require.ErrorIs(t, err, ec.ErrBlocked)
	c, err := ec.SelectBlocked(t.Context(), card, accepted)
	require.NoError(t, err)
	_, err = c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(1), Currency: [2]byte{1, 0x56}, Date: 20260105})
	require.ErrorIs(t, err, ec.ErrConditions)

	result, err = online(t, i, card, ec.UnblockApplication())
	require.NoError(t, err)
	require.Equal(t, ec.ScriptDone, result.Outcome)
	card.Insert()
	_, err = ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)

	_, err = online(t, i, card, ec.BlockCard())
	require.NoError(t, err)
	card.Insert()
	_, err = ec.SelectBlocked(t.Context(), card, accepted)
	require.ErrorIs(t, err, ec.ErrBlocked, "for good")
}

func TestPINScripts(t *testing.T) {
	i, err := issuer()
	require.NoError(t, err)
	pin := func(digits string) ec.PIN {
		p, err := ec.NewPIN(digits)
		require.NoError(t, err)
		return p
	}
	number, err := ec.NewPAN("6210948000000011")
	require.NoError(t, err)
	card, err := i.Personalise(eccard.Profile{PAN: number, PSN: 1, Balance: money.Minor(1_000), PIN: pin("123456")})
	require.NoError(t, err)
	verify := func(p ec.PIN) apdu.SW { return verifyPIN(t, card, p) }
	change := func(present, next ec.PIN) (ec.ScriptResult, error) {
		k := ec.CardKeys{DKI: 1, PAN: number, PSN: 1}
		c, err := ec.ChangePIN(t.Context(), i.Door().(ec.PINIssuer), k, card.ATC()+1, present, next)
		require.NoError(t, err)
		return online(t, i, card, c)
	}
	require.Equal(t, apdu.OK, verify(pin("123456")))
	for _, want := range []apdu.SW{0x63C2, 0x63C1, 0x63C0, 0x6983} {
		require.Equal(t, want, verify(pin("0000")))
	}
	require.Equal(t, apdu.SW(0x6983), verify(pin("123456")))
	_, err = online(t, i, card, ec.UnblockPIN())
	require.NoError(t, err)
	require.Equal(t, apdu.OK, verify(pin("123456")))

	_, err = change(pin("123456"), pin("98765"))
	require.NoError(t, err)
	require.Equal(t, apdu.OK, verify(pin("98765")))
	result, err := change(pin("123456"), pin("55555"))
	require.Error(t, err, "another present PIN does not decipher to a PIN")
	require.Equal(t, apdu.SW(0x6A80), result.SW)
	require.Equal(t, apdu.OK, verify(pin("98765")))
	for range 3 {
		verify(pin("0000"))
	}
	_, err = change(ec.PIN{}, pin("1234"))
	require.NoError(t, err)
	require.Equal(t, apdu.OK, verify(pin("1234")), "a new PIN has all its tries")
}

// verifyPIN has a card check a PIN.
func verifyPIN(t *testing.T, card *eccard.Card, p ec.PIN) apdu.SW {
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	_, err = c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	block := p.Block()
	r, err := apdu.Exchange(t.Context(), card, apdu.Command{INS: 0x20, P2: 0x80, Data: block[:]})
	require.NoError(t, err)
	return r.SW
}

// TestWhoeverIsNotTheIssuer changes what the issuer has sent, or sends it to another session.
func TestWhoeverIsNotTheIssuer(t *testing.T) {
	i, card, _ := setUp(t, 1_000)
	begin := func() (*ec.Online, ec.Answer) {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		o, err := c.BeginOnline(t.Context(), kioskTerminal)
		require.NoError(t, err)
		answer, err := (&bank{door: i.Door(), known: money.Minor(1_000)}).authorise(t, o, 500)
		require.NoError(t, err)
		return o, answer
	}
	o, answer := begin()
	answer.Auth[0] ^= 1
	result, err := o.Answer(t.Context(), answer)
	require.ErrorIs(t, err, ec.ErrIssuerAuth)
	require.Equal(t, ec.ScriptNotRun, result.Outcome)

	_, old := begin()
	o, _ = begin()
	_, err = o.Answer(t.Context(), old)
	require.ErrorIs(t, err, ec.ErrIssuerAuth, "of an older session")

	o, answer = begin()
	answer.Script[len(answer.Script)-1] ^= 1
	result, err = o.Answer(t.Context(), answer)
	require.ErrorIs(t, err, ec.ErrMAC)
	require.Equal(t, ec.ScriptFailed, result.Outcome)
	result, err = o.Answer(t.Context(), answer)
	require.ErrorIs(t, err, ec.ErrIssuerAuth, "the session is closed")
	require.Equal(t, ec.ScriptNotRun, result.Outcome)

	o, answer = begin()
	declined, err := ec.IssuerAuthentication(t.Context(), i.Door(), ec.CardKeys{DKI: 1, PAN: o.Track2.PAN, PSN: o.PSN}, o.ATC, o.AC, [2]byte{'5', '1'})
	require.NoError(t, err)
	result, err = o.Answer(t.Context(), ec.Answer{Auth: declined})
	require.NoError(t, err)
	require.Equal(t, ec.ScriptNotRun, result.Outcome)
	require.Equal(t, money.Minor(1_000), card.Balance())

	broken, err := ec.Script([4]byte{}, apdu.Command{CLA: 0x84, INS: 0x1E, Data: []byte{1, 2, 3, 4}})
	require.NoError(t, err)
	for range 99 { // one is behind us
		o, answer = begin()
		_, err = o.Answer(t.Context(), ec.Answer{Auth: answer.Auth, Script: broken})
		require.ErrorIs(t, err, ec.ErrMAC)
	}
	o, answer = begin()
	_, err = o.Answer(t.Context(), answer)
	require.ErrorIs(t, err, ec.ErrConditions, "a hundred wrong MACs in a row end scripts")
	require.Equal(t, money.Minor(1_000), card.Balance())
}

func TestNoFullPBOC(t *testing.T) {
	_, card, _ := setUp(t, 1_000)
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	_, err = c.BeginOnline(t.Context(), ec.Terminal{TTQ: ec.GateTTQ})
	require.ErrorIs(t, err, ec.ErrNotFull)
	o, err := c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	require.Equal(t, "EC session of ****0011, ARQC, ATC 1", fmt.Sprintf("%+v", o))
}

// TestLoadOverQPBOC loads at a reader that is online without full PBOC, if both sides take issuer scripts there.
func TestLoadOverQPBOC(t *testing.T) {
	i, card, _ := setUp(t, 1_000)
	for _, k := range []struct {
		ttq  ec.TTQ
		want error
	}{{ec.TTQ{0x24, 0x80, 0x80, 0x80}, nil}, {ec.TTQ{0x24, 0x80, 0x00, 0x80}, ec.ErrNoUpdate}, {ec.TTQ{0x24, 0x00, 0x80, 0x80}, ec.ErrNoUpdate}} {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		before := card.Balance()
		tapped, err := c.Begin(t.Context(), ec.Terminal{TTQ: k.ttq, Currency: [2]byte{1, 0x56}, Date: 20260105, UN: [4]byte{5}})
		require.NoError(t, err)
		raw, err := tapped.Field55(nil)
		require.NoError(t, err)
		claim, err := ec.ParseField55(raw)
		require.NoError(t, err)
		order := ec.LoadOrder{
			Card: ec.CardKeys{DKI: claim.IAD.DKI, PAN: tapped.Track2.PAN, PSN: tapped.PSN}, Claim: claim, Amount: money.Minor(700), Known: before,
			Limit: money.Minor(100_000), Script: [4]byte{7},
		}
		l, answer, err := ec.AuthoriseLoad(t.Context(), i.Door(), order)
		if claim.Decision != ec.ARQC {
			require.ErrorIs(t, err, ec.ErrNoRequest)
		} else {
			require.NoError(t, err)
		}
		result, err := c.IssuerUpdate(t.Context(), tapped, answer)
		require.ErrorIs(t, err, k.want)
		if k.want != nil {
			require.Equal(t, before, card.Balance())
			continue
		}
		require.Equal(t, ec.Loaded, l.ByResult(result))
		require.Equal(t, l.After, card.Balance())
	}
}

// away is a card that leaves the field before its n-th command, and whose reader says so.
type away struct {
	*eccard.Card
	n int
}

func (a *away) Transmit(ctx context.Context, raw []byte) ([]byte, error) {
	if a.n == 0 {
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	}
	a.n--
	return a.Card.Transmit(ctx, raw)
}

// TestHalfAScript: a card that leaves before the first command has done nothing; one that leaves before the second has done a part, which is not nothing.
func TestHalfAScript(t *testing.T) {
	i, card, _ := setUp(t, 1_000)
	for commands, want := range map[int]error{12: apdu.ErrNotSent, 13: ec.ErrUncertain, 14: nil} {
		card.Insert()
		c, err := ec.Select(t.Context(), &away{card, commands}, accepted)
		require.NoError(t, err)
		o, err := c.BeginOnline(t.Context(), kioskTerminal)
		require.NoError(t, err)
		k := ec.CardKeys{DKI: o.IAD.DKI, PAN: o.Track2.PAN, PSN: o.PSN}
		put, err := ec.PutBalance(t.Context(), i.Door(), k, o.ATC, o.AC, money.Minor(2_000))
		require.NoError(t, err)
		unblock, err := ec.Secure(t.Context(), i.Door(), k, o.ATC, o.AC, ec.UnblockApplication())
		require.NoError(t, err)
		script, err := ec.Script([4]byte{1}, put, unblock)
		require.NoError(t, err)
		auth, err := ec.IssuerAuthentication(t.Context(), i.Door(), k, o.ATC, o.AC, ec.Approved)
		require.NoError(t, err)
		_, err = o.Answer(t.Context(), ec.Answer{Auth: auth, Script: script})
		require.ErrorIs(t, err, want)
		require.Equal(t, want == ec.ErrUncertain, errors.Is(err, ec.ErrUncertain))
	}
}

// TestMACFailuresInARow: a good script starts the count anew.
func TestMACFailuresInARow(t *testing.T) {
	i, card, _ := setUp(t, 1_000)
	for range 2 {
		for range 60 {
			card.Insert()
			c, err := ec.Select(t.Context(), card, accepted)
			require.NoError(t, err)
			o, err := c.BeginOnline(t.Context(), kioskTerminal)
			require.NoError(t, err)
			auth, err := ec.IssuerAuthentication(t.Context(), i.Door(), ec.CardKeys{DKI: 1, PAN: o.Track2.PAN, PSN: o.PSN}, o.ATC, o.AC, ec.Approved)
			require.NoError(t, err)
			broken, err := ec.Script([4]byte{}, apdu.Command{CLA: 0x84, INS: 0x1E, Data: []byte{1, 2, 3, 4}})
			require.NoError(t, err)
			_, err = o.Answer(t.Context(), ec.Answer{Auth: auth, Script: broken})
			require.ErrorIs(t, err, ec.ErrMAC)
		}
		_, err := online(t, i, card, ec.UnblockApplication())
		require.NoError(t, err)
	}
}
