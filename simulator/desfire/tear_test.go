package desfire_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	driver "github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/epcard"
)

// tamper stands between terminal and card, and keeps what passed.
type tamper struct {
	to       apdu.Transmitter
	request  func(n int, command []byte)                // changes command n, counted from 1
	answer   func(n int, answer []byte) ([]byte, error) // replaces the answer to command n
	commands [][]byte
	answers  [][]byte
}

func (w *tamper) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	command = append([]byte(nil), command...)
	w.commands = append(w.commands, command)
	n := len(w.commands)
	if w.request != nil {
		w.request(n, command)
	}
	answer, err := w.to.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	w.answers = append(w.answers, answer)
	if w.answer != nil {
		return w.answer(n, append([]byte(nil), answer...))
	}
	return answer, nil
}

// recovered asks the card in a clean field what became of the attempt.
func recovered(t require.TestingT, card *desfire.Card, s driver.Settings, a driver.Attempt) (driver.Outcome, driver.Evidence) {
	c, err := open(present(card), s, 99)
	require.NoError(t, err)
	outcome, e, err := c.Recover(context.Background(), a)
	require.NoError(t, err)
	return outcome, e
}

// TestATearAtEveryCommand tears the card at each command, before and after, noticed or not. The driver's word is true each time:
// never a debit that it denies, never a debit that it claims and the card has not made; and after recovery the debit is
// made once.
func TestATearAtEveryCommand(t *testing.T) {
	for _, s := range variants() {
		for at := 1; at <= commands+1; at++ {
			for _, tear := range []epcard.Tear{{At: at}, {At: at, Noticed: true}, {At: at, After: true}} {
				t.Run(fmt.Sprintf("%v/%+v", s.ISOChaining, tear), func(t *testing.T) {
					img := blank(t, s)
					card := newCard(t, img)
					a, e, err := purchase(epcard.Present(card, tear), s, 2, 250, "the one")
					debited := card.Image().Value == money.Minor(750)
					require.Equal(t, at > commands || at == commands && tear.After, debited)
					if !debited {
						require.True(t, card.Image() == img)
					}
					switch {
					case a == nil:
						require.Less(t, at, commands)
						require.False(t, debited)
					case err == nil:
						require.Greater(t, at, commands)
						require.NoError(t, driver.Recheck(t.Context(), host(t), e))
						return
					case errors.Is(err, apdu.ErrNotSent):
						require.True(t, tear.Noticed)
						require.NotErrorIs(t, err, driver.ErrUnknown)
						require.False(t, debited)
					default:
						require.ErrorIs(t, err, driver.ErrUnknown)
						require.ErrorIs(t, err, apdu.ErrNoAnswer)
					}
					if a != nil {
						outcome, e := recovered(t, card, s, *a)
						if debited {
							require.Equal(t, driver.Committed, outcome)
							require.NoError(t, driver.Recheck(t.Context(), host(t), e))
							return
						}
						require.Equal(t, driver.NotCommitted, outcome)
					}
					_, _, err = purchase(present(card), s, 3, 250, "the one again")
					require.NoError(t, err)
					require.Equal(t, money.Minor(750), card.Image().Value)
				})
			}
		}
	}
}

// TestATearDuringRecovery: a recovery that is torn says unknown, changes nothing, and can be done again.
func TestATearDuringRecovery(t *testing.T) {
	for at := 1; at <= 7; at++ {
		for _, after := range []bool{false, true} {
			card := newCard(t, blank(t, settings))
			a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands, After: true}), settings, 2, 250, "the one")
			require.ErrorIs(t, err, driver.ErrUnknown)
			img := card.Image()
			c, err := open(epcard.Present(card, epcard.Tear{At: at, After: after}), settings, 3)
			if err == nil {
				outcome, _, err := c.Recover(t.Context(), *a)
				require.ErrorIs(t, err, apdu.ErrNoAnswer)
				require.Equal(t, driver.Unknown, outcome)
			}
			require.True(t, card.Image() == img)
			outcome, _ := recovered(t, card, settings, *a)
			require.Equal(t, driver.Committed, outcome)
		}
	}
}

// TestAnotherTerminalInBetween: the attempt was lost before the commit, and another terminal takes the same fare from the same value. Counter
// and value look like ours; the record does not, nor would the transaction MAC.
func TestAnotherTerminalInBetween(t *testing.T) {
	card := newCard(t, blank(t, settings))
	a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands}), settings, 2, 250, "terminal A, 1")
	require.ErrorIs(t, err, driver.ErrUnknown)
	_, theirs, err := purchase(present(card), settings, 3, 250, "terminal B, 1")
	require.NoError(t, err)
	require.Equal(t, a.TMC, theirs.TMC)
	outcome, e := recovered(t, card, settings, *a)
	require.Equal(t, driver.NotCommitted, outcome)
	require.Zero(t, e)
	require.ErrorIs(t, driver.Recheck(t.Context(), host(t), driver.Evidence{Attempt: *a, TMV: theirs.TMV}), keys.ErrBadMAC)
}

// TestTheRecordsTellLongAfter: other terminals follow on a debit, and on one that was lost before the commit, until the card's records
// have rolled past.
func TestTheRecordsTellLongAfter(t *testing.T) {
	for _, done := range []bool{true, false} {
		card := newCard(t, blank(t, settings))
		a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands, After: done}), settings, 2, 250, "terminal A, 1")
		require.ErrorIs(t, err, driver.ErrUnknown)
		for n := range 11 {
			outcome, e := recovered(t, card, settings, *a)
			want := driver.NotCommitted
			switch {
			case done && n == 0:
				want = driver.Committed
			case done && n < 10:
				want = driver.Logged
			case done, n == 11:
				want = driver.Unknown
			}
			require.Equal(t, want, outcome, "%v, %d debits later", done, n)
			require.Equal(t, want == driver.Committed, e.TMC != 0)
			_, _, err = purchase(present(card), settings, uint64(3+n), 1, fmt.Sprintf("terminal B, %d", n))
			require.NoError(t, err)
		}
		outcome, _ := recovered(t, card, settings, *a)
		require.Equal(t, driver.Unknown, outcome)
	}
}

// TestALostRecordReadIsNoVerdict: a refusal that nobody signed never makes an outcome.
func TestALostRecordReadIsNoVerdict(t *testing.T) {
	for status := range 256 {
		card := newCard(t, blank(t, settings))
		a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands, After: true}), settings, 2, 250, "the one")
		require.ErrorIs(t, err, driver.ErrUnknown)
		wire := &tamper{to: card, answer: func(n int, answer []byte) ([]byte, error) {
			if n == 7 {
				return []byte{0x91, byte(status)}, nil
			}
			return answer, nil
		}}
		c, err := open(wire, settings, 3)
		require.NoError(t, err)
		outcome, _, _ := c.Recover(t.Context(), *a)
		require.Equal(t, driver.Unknown, outcome, "%02X", status)
	}
}

func TestACardThatContradictsItselfIsUnknown(t *testing.T) {
	for name, change := range map[string]func(m *desfire.Image){
		"value changed, counter not": func(m *desfire.Image) { m.Value = money.Minor(750) },
		"counter went back":          func(m *desfire.Image) { m.TMC = 40 },
		"counter went to nothing":    func(m *desfire.Image) { m.TMC = 0 },
		"counter jumped":             func(m *desfire.Image) { m.TMC = 43 },
	} {
		card := newCard(t, blank(t, settings))
		a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands}), settings, 2, 250, "the one")
		require.ErrorIs(t, err, driver.ErrUnknown)
		img := card.Image()
		change(&img)
		outcome, e := recovered(t, newCard(t, img), settings, *a)
		require.Equal(t, driver.Unknown, outcome, name)
		require.Zero(t, e)
	}
}

// TestTheLastCommitOfACard: at its counter limit the card gives no value any more, and the host decides by the transaction MAC.
func TestTheLastCommitOfACard(t *testing.T) {
	img := blank(t, settings)
	img.TMCLimit = 42
	card := newCard(t, img)
	a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands, After: true}), settings, 2, 250, "the one")
	require.ErrorIs(t, err, driver.ErrUnknown)
	outcome, e := recovered(t, card, settings, *a)
	require.Equal(t, driver.Unknown, outcome)
	require.NoError(t, driver.Recheck(t.Context(), host(t), e))
}

// TestACardThatSubtractsWrongly: the transaction MAC is right, the value is not what the debit should have left.
func TestACardThatSubtractsWrongly(t *testing.T) {
	card := newCard(t, blank(t, settings))
	a, e, err := purchase(present(card), settings, 2, 250, "the one")
	require.NoError(t, err)
	outcome, again := recovered(t, card, settings, *a)
	require.Equal(t, driver.Committed, outcome, "a commit with its answer can be asked about as well")
	require.Equal(t, e, again)

	img := card.Image()
	img.Value = money.Minor(1006)
	outcome, again = recovered(t, newCard(t, img), settings, *a)
	require.Equal(t, driver.Contradicted, outcome)
	require.Equal(t, e, again)
}

func TestACardThatMiscountsIsUnknown(t *testing.T) {
	for _, tmc := range []uint32{0, 40, 42, 0xFFFFFFFE} {
		card := newCard(t, blank(t, settings))
		wire := &tamper{to: card, request: func(n int, _ []byte) {
			if n == commands {
				card.SetCounter(tmc)
			}
		}}
		_, _, err := purchase(wire, settings, 2, 250, "the one")
		require.ErrorIs(t, err, driver.ErrUnknown)
		require.ErrorIs(t, err, driver.ErrCounter)
	}
}

func TestRecoveryIsForTheSameCard(t *testing.T) {
	card := newCard(t, blank(t, settings))
	a, _, err := purchase(epcard.Present(card, epcard.Tear{At: commands}), settings, 2, 250, "the one")
	require.ErrorIs(t, err, driver.ErrUnknown)
	img := card.Image()
	img.UID = "\x04othera"
	c, err := open(present(newCard(t, img)), settings, 3)
	require.NoError(t, err)
	outcome, _, err := c.Recover(t.Context(), *a)
	require.ErrorIs(t, err, driver.ErrOtherCard)
	require.Equal(t, driver.Unknown, outcome)
}

// TestNoAnswerToCommitButTheCardsOwnIsBelieved puts every kind of lie in the place of the answer to a commit that the card has made.
func TestNoAnswerToCommitButTheCardsOwnIsBelieved(t *testing.T) {
	replay := &tamper{to: newCard(t, blank(t, settings))}
	_, _, err := purchase(replay, settings, 7, 250, "the one")
	require.NoError(t, err)
	lies := map[string][]byte{
		"nothing": {}, "one byte": {0x91}, "success alone": {0x91, 0x00}, "ISO success": {0x90, 0x00},
		"refused MAC": {0x91, 0x1E}, "refused limit": {0x91, 0xBE}, "no changes": {0x91, 0x0C}, "not authenticated": {0x91, 0xAE},
		"more frames": {0x91, 0xAF}, "ISO refusal": {0x69, 0x85}, "the answer of an older session": replay.answers[commands-1],
	}
	for status := range 256 {
		lies[fmt.Sprintf("status %02X", status)] = []byte{0x91, byte(status)}
	}
	for name, lie := range lies {
		card := newCard(t, blank(t, settings))
		wire := &tamper{to: card, answer: func(n int, answer []byte) ([]byte, error) {
			if n == commands {
				return lie, nil
			}
			return answer, nil
		}}
		a, _, err := purchase(wire, settings, 2, 250, "the one")
		require.ErrorIs(t, err, driver.ErrUnknown, name)
		require.NotErrorIs(t, err, apdu.ErrNotSent, name)
		outcome, e := recovered(t, card, settings, *a)
		require.Equal(t, driver.Committed, outcome, name)
		require.NoError(t, driver.Recheck(t.Context(), host(t), e))
	}
}

// TestRandomDaysOfTornCards runs purchases with tears and recoveries, and lets the host add up what it can prove.
func TestRandomDaysOfTornCards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(variants()).Draw(t, "settings")
		card := newCard(t, blank(t, s))
		proven := int64(0)
		for i := range rapid.IntRange(1, 12).Draw(t, "taps") {
			amount := rapid.Int64Range(0, 300).Draw(t, "amount")
			tear := epcard.Tear{
				At: rapid.IntRange(0, commands+1).Draw(t, "torn at"), After: rapid.Bool().Draw(t, "after"), Noticed: rapid.Bool().Draw(t, "noticed"),
			}
			a, e, err := purchase(epcard.Present(card, tear), s, uint64(i), amount, fmt.Sprintf("tap %d", i))
			if errors.Is(err, driver.ErrUnknown) {
				var outcome driver.Outcome
				outcome, e = recovered(t, card, s, *a)
				require.NotEqual(t, driver.Unknown, outcome)
				if outcome == driver.Committed {
					err = nil
				}
			}
			if err == nil {
				require.NoError(t, driver.Recheck(context.Background(), host(t), e))
				proven += amount
			}
			require.Equal(t, money.Minor(1000-proven), card.Image().Value)
		}
	})
}

// FuzzHostileLine: a line that changes, cuts, replaces, repeats and loses answers as the input says. The driver's word stays true, and a
// clean recovery finds out the rest.
func FuzzHostileLine(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 2, 5})
	f.Add([]byte{0, 0, 0, 0, 3, 0x91, 0xBE})
	f.Add([]byte{0, 0, 0, 0, 0, 4, 4})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 5})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 3, 0x6C, 0x14})
	f.Fuzz(func(t *testing.T, script []byte) {
		next := func() byte {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return b
		}
		img := blank(t, settings)
		card := newCard(t, img)
		wire := &tamper{to: card}
		wire.answer = func(n int, answer []byte) ([]byte, error) {
			switch next() {
			case 1:
				answer[int(next())%len(answer)] ^= next()
			case 2:
				answer = answer[:int(next())%len(answer)]
			case 3:
				answer = []byte{next(), next()}
			case 4:
				answer = wire.answers[int(next())%len(wire.answers)]
			case 5:
				return nil, apdu.ErrNoAnswer
			case 6:
				answer = append(answer, script...)
			}
			return answer, nil
		}
		a, e, err := purchase(wire, settings, 2, 250, "the one")
		debited := card.Image() != img
		switch {
		case a == nil || errors.Is(err, apdu.ErrNotSent):
			require.False(t, debited, "%v", err)
		case err == nil:
			require.True(t, debited)
			require.NoError(t, driver.Recheck(t.Context(), host(t), e))
		default:
			require.ErrorIs(t, err, driver.ErrUnknown)
			// A recovery over the hostile line may say unknown, and must not lie.
			wanted := map[bool]driver.Outcome{true: driver.Committed, false: driver.NotCommitted}[debited]
			if c, err := open(wire, settings, 3); err == nil {
				outcome, _, _ := c.Recover(t.Context(), *a)
				require.Contains(t, []driver.Outcome{driver.Unknown, wanted}, outcome)
			}
			outcome, _ := recovered(t, card, settings, *a)
			require.Equal(t, wanted, outcome)
		}
	})
}
