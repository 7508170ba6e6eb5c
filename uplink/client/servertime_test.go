package client_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// listener is a rig whose sender's receipts tell the time.
type listener struct {
	*rig
	elapsed time.Duration
	heard   []client.ServerTime
}

func newListener(t *testing.T, records int) *listener {
	l := &listener{}
	l.rig = newRig(t, records, func(c *client.SenderConfig) {
		c.Elapsed = func() time.Duration { return l.elapsed }
		c.ServerTime = func(s client.ServerTime) {
			l.sender.Stats() // whoever listens may ask back
			l.heard = append(l.heard, s)
		}
	})
	return l
}

// pass lets time go by for both ends.
func (l *listener) pass(d time.Duration) { l.now, l.elapsed = l.now.Add(d), l.elapsed+d }

func TestAReceiptTellsTheTimeOfWhatItAnswers(t *testing.T) {
	l := newListener(t, 20)
	l.pass(time.Second)
	l.sender.OnConnect(l.now)
	hello := l.due()[0]
	l.pass(300 * time.Millisecond)
	answer := l.reply(hello)
	l.pass(200 * time.Millisecond)
	l.hear(answer)
	require.Equal(t, []client.ServerTime{{At: noon.Add(1300 * time.Millisecond).Local(), Sent: time.Second, Heard: 1500 * time.Millisecond}}, l.heard)
	l.hear(answer)
	require.Len(t, l.heard, 1, "an answer that comes twice is no news")

	out := l.due()
	require.Len(t, out, 2)
	l.pass(time.Second)
	first := l.reply(out[0])
	second := l.reply(out[1])
	l.hear(first)
	l.pass(time.Second)
	l.hear(second)
	require.Len(t, l.heard, 3, "each batch has its answer")
	require.Equal(t, client.ServerTime{At: noon.Add(2500 * time.Millisecond).Local(), Sent: 1500 * time.Millisecond, Heard: 3500 * time.Millisecond}, l.heard[2])
	l.hear(second)
	require.Len(t, l.heard, 3)
}

// TestOfABatchSentTwiceTheFirstSendingCounts: the answer may be to either.
func TestOfABatchSentTwiceTheFirstSendingCounts(t *testing.T) {
	l := newListener(t, 5)
	l.greet()
	l.heard = nil
	first := l.due()
	require.Len(t, first, 1)
	late := l.reply(first[0])
	l.pass(time.Minute)
	require.Len(t, l.due(), 1, "it is sent again")
	l.pass(time.Second)
	l.hear(late)
	require.Equal(t, []client.ServerTime{{At: noon.Local(), Sent: 0, Heard: 61 * time.Second}}, l.heard)
}

// TestWhatAnswersNothingTellsNoTime: whoever carries messages can keep receipts and send them again later.
func TestWhatAnswersNothingTellsNoTime(t *testing.T) {
	l := newListener(t, 5)
	l.sender.OnConnect(l.now)
	kept := l.reply(l.due()[0])
	l.sender.OnDisconnect()
	l.pass(time.Hour)
	l.sender.OnConnect(l.now)
	require.Len(t, l.due(), 1)
	l.hear(kept)
	require.Equal(t, client.Sending, l.sender.Stats().State, "it tells what the backend has")
	require.Empty(t, l.heard, "but not the time: it answers an older hello")

	l.hear(l.receipt(&wire.Receipt{ServerTimeMs: 1}))
	l.hear(l.receipt(&wire.Receipt{ServerTimeMs: 1, Batch: 77}))
	require.Empty(t, l.heard, "a backend that does not send the nonce back, and a batch that was never sent")

	batch := l.due()
	require.Len(t, batch, 1)
	number := l.opened(batch[0]).Header.GetBatch()
	forged := &wire.Receipt{Terminal: string(bus1), Epoch: epoch, Batch: number, ServerTimeMs: 1}
	require.Error(t, l.sender.OnReceipt(l.now, l.signed(otherKey, forged)))
	require.ErrorIs(t, l.sender.OnReceipt(l.now, l.signed(backendKey, &wire.Receipt{Terminal: "bus-2", Epoch: epoch, Batch: number})), client.ErrForeign)
	require.ErrorIs(t, l.sender.OnReceipt(l.now, l.receipt(&wire.Receipt{Batch: number, ThroughSeq: 99})), client.ErrJournalOlder)
	require.Empty(t, l.heard)
}

func TestAReceiptThatCannotBeNotedTellsTheTimeAllTheSame(t *testing.T) {
	l := newListener(t, 5)
	l.greet()
	l.heard = nil
	raw := l.reply(l.due()[0])
	l.journal.SetAckErr(errors.New("disk full"))
	require.Error(t, l.sender.OnReceipt(l.now, raw))
	require.Len(t, l.heard, 1)
}

func TestWhoAsksForTheTimeNeedsAStopwatch(t *testing.T) {
	_, err := client.NewSender(client.SenderConfig{Terminal: bus1, Key: deviceKey, Backend: public(backendKey), Source: newRig(t, 0, nil).journal,
		Rand: rand.New(rand.NewPCG(1, 2)), ServerTime: func(client.ServerTime) {}})
	require.ErrorContains(t, err, "ServerTime and Elapsed")
}
