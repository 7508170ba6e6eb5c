package tap_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// FuzzAHostileCard lets the input change a card's answers: four bytes a command say how. Whatever a card says, the terminal
// neither panics nor fails, DEBIT goes out only with its intent on disk, and a light that says "granted" has its record.
func FuzzAHostileCard(f *testing.F) {
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{0, 0, 0, 0, 1, 9, 0xFF, 0})
	f.Add(byte(2), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0})
	f.Add(byte(3), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0x65, 0x81, 0})
	f.Add(byte(0), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0})
	w := newTown(f.TempDir())
	f.Cleanup(w.close)
	for _, place := range []tap.Request{bus, inHarbor, outMark, till} {
		w.terminal(f, place)
	}
	request := 0
	f.Fuzz(func(t *testing.T, where byte, how []byte) {
		w.now = morning
		m := w.terminals[int(where)%len(w.terminals)]
		r := w.rider(t, nil)
		m.insertPSAM(t, uint32(request)*10+1) // one that hostile cards have not yet locked by bad MACs
		card := &hostile{t: t, m: m, how: how}
		for range 3 { // an open intent meets the same card again
			place := m.place
			place.Now, place.Clock = w.now, wire.ClockState_CLOCK_GOOD
			request++
			place.RequestID = fmt.Sprint(request)
			card.Field = epcard.Present(r.Card, epcard.Tear{})
			result, err := m.tap.Purchase(context.Background(), card, place)
			require.NoError(t, err, "a card makes the terminal fail")
			require.NotEmpty(t, result.Outcome.String())
			if result.Outcome == tap.Granted || result.Outcome == tap.GrantedLow {
				require.NotZero(t, result.Tap.Tap)
			}
			if result.Outcome.Pass() && result.Tap.Tap != 0 {
				require.True(t, m.completed(t, result.Tap.Tap), "%v without a record", result.Outcome)
			}
			w.now = w.now.Add(5 * time.Second)
		}
	})
}

// completed reports a completed record of a tap, whatever card it names: a hostile one may change its number.
func (m *terminal) completed(t tb, tapNumber uint64) bool {
	all := m.records(t)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].GetTap() == tapNumber && all[i].GetState() == wire.State_STATE_COMPLETED {
			return true
		}
	}
	return false
}

// hostile is a card that says what the input wants.
type hostile struct {
	*epcard.Field
	t   *testing.T
	m   *terminal
	how []byte
}

func (c *hostile) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if is(command, 0x80, 0x54) {
		open, err := c.m.journal.OpenIntents()
		require.NoError(c.t, err)
		require.True(c.t, slices.ContainsFunc(open, func(draft *wire.Record) bool {
			return bytes.Equal(draft.GetMac1(), command[16:20]) && bytes.Equal(serialBytes(draft.GetPsamSerial()), command[5:9])
		}), "DEBIT is on the air and its intent is not on disk")
	}
	answer, err := c.Field.Transmit(ctx, command)
	if err != nil || len(c.how) < 4 {
		return answer, err
	}
	how := c.how[:4]
	c.how = c.how[4:]
	switch at := int(how[1]) % len(answer); how[0] % 6 {
	case 1:
		answer[at] ^= how[2]
	case 2:
		answer = append(answer[:at:at], 0x90, 0x00)
	case 3:
		answer = []byte{how[1], how[2]}
	case 4:
		return nil, fmt.Errorf("%w: it says nothing", apdu.ErrNoAnswer)
	case 5:
		answer = append(make([]byte, int(how[1])), 0x90, 0x00)
	}
	return answer, nil
}
