package intake_test

import (
	"container/heap"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/client"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// TestAFleetComesHome lets 1,000 terminals with 5,000 records each come back to the depot within a minute at 23:00. They are the senders that
// terminals run, over lines that carry a batch in a fifth of a second.
func TestAFleetComesHome(t *testing.T) {
	const (
		terminals = 1000
		records   = 5000
		rate      = 2000
		line      = 200 * time.Millisecond
	)
	w := intake.Windows{Rate: rate}
	calm := comeHome(t, slots(t, w), terminals, records, line)
	// 5,000,000 records at 2,000 a second are 42 minutes, and a sender comes up to a quarter later than it was told.
	require.Less(t, calm.took, 55*time.Minute, "nobody waits for nothing")
	require.Less(t, calm.mean, 24*time.Minute, "half of that, and an eighth of it")
	// Senders draw their quarter at random, so the busiest minute is above the mean; it stays far below what a crowd brings.
	require.Less(t, calm.peak, 60*rate*3/2, "records in the busiest minute")

	rush := comeHome(t, slots(t, intake.Windows{Rate: 1_000_000_000, AtOnce: 1_000_000_000}), terminals, records, line)
	require.Greater(t, rush.peak, 20*calm.peak, "without slots all come at once")
}

// homecoming is how a fleet's evening went. Every terminal got rid of every record, or the test has failed.
type homecoming struct {
	took, mean time.Duration // until the last terminal was done, and on average
	peak       int           // records in the busiest minute
}

// comeHome plays the evening on a clock of its own.
func comeHome(t *testing.T, line intake.Slots, terminals, records int, carry time.Duration) homecoming {
	random := rand.New(rand.NewPCG(23, 0))
	backend := ed25519.NewKeyFromSeed(make([]byte, 32))
	device := ed25519.NewKeyFromSeed([]byte("one device key for all of these."))
	book := &arrivals{Slots: line, through: map[ids.TerminalID]uint64{}, at: map[int64]int{}}
	p := &uplink.Processor{Key: backend, Handler: book, Device: func(context.Context, ids.TerminalID) (ed25519.PublicKey, bool, error) {
		return device.Public().(ed25519.PublicKey), true, nil
	}}
	var todo agenda
	for i := range terminals {
		b := &returning{id: bus(i), journal: &longJournal{last: uint64(records)}}
		var err error
		b.sender, err = client.NewSender(client.SenderConfig{
			Terminal: b.id, Key: device, Backend: backend.Public().(ed25519.PublicKey), Source: b.journal, BatchRecords: 1000,
			ResendMin: time.Minute, Rand: rand.New(rand.NewPCG(1, uint64(i))),
		})
		require.NoError(t, err)
		b.at = evening.Add(time.Duration(random.Int64N(int64(time.Minute))))
		b.sender.OnConnect(b.at)
		heap.Push(&todo, b)
	}
	var out homecoming
	var sum time.Duration
	for todo.Len() > 0 {
		b := heap.Pop(&todo).(*returning)
		now := b.at
		require.Less(t, now.Sub(evening), 3*time.Hour, "%s starves with %d records", b.id, records-int(b.journal.acked))
		messages, next, err := b.sender.Due(now)
		require.NoError(t, err)
		for _, m := range messages {
			now = now.Add(carry)
			receipt, err := p.Process(t.Context(), b.id, m.Kind, m.Raw, now)
			require.NoError(t, err)
			require.NoError(t, b.sender.OnReceipt(now, receipt))
		}
		if b.journal.acked == uint64(records) {
			took := now.Sub(evening)
			out.took, sum = max(out.took, took), sum+took
			continue
		}
		if b.at = now; len(messages) == 0 {
			require.True(t, next.After(now), "%s has records and nothing to do", b.id)
			b.at = next
		}
		heap.Push(&todo, b)
	}
	out.mean = sum / time.Duration(terminals)
	for _, n := range book.at {
		out.peak = max(out.peak, n)
	}
	return out
}

// arrivals is a backend that counts.
type arrivals struct {
	intake.Slots
	through map[ids.TerminalID]uint64
	at      map[int64]int // records, by minute
}

func (a *arrivals) Accept(_ context.Context, b uplink.Accepted) (uplink.Committed, error) {
	a.at[b.ReceivedAt.Unix()/60] += len(b.Records)
	a.through[b.Terminal] = b.LastSeq
	return uplink.Committed{Through: b.LastSeq, RetryAfter: a.Left(b.Terminal, b.ReceivedAt)}, nil
}

func (a *arrivals) Quarantine(context.Context, uplink.Accepted, string) (uplink.Committed, error) {
	panic("every batch can be read")
}

func (a *arrivals) Hello(_ context.Context, h *wire.Hello, at time.Time) (uplink.Committed, error) {
	id := ids.TerminalID(h.GetTerminal())
	through := a.through[id]
	return uplink.Committed{Through: through, RetryAfter: a.Ask(id, int(h.GetLastSeq()-through), at)}, nil
}

// returning is a terminal, and when it is looked at next.
type returning struct {
	id      ids.TerminalID
	sender  *client.Sender
	journal *longJournal
	at      time.Time
}

// longJournal is a journal of small records.
type longJournal struct {
	last  uint64
	acked uint64
}

func (j *longJournal) Epoch() uint64    { return 7 }
func (j *longJournal) LastSeq() uint64  { return j.last }
func (j *longJournal) AckedSeq() uint64 { return j.acked }
func (j *longJournal) FirstSeq() uint64 { return 1 }

func (j *longJournal) Read(first uint64, maxRecords, _ int) (out [][]byte, err error) {
	for seq := first; seq <= j.last && len(out) < maxRecords; seq++ {
		out = append(out, binary.BigEndian.AppendUint64(nil, seq))
	}
	return out, nil
}

func (j *longJournal) Ack(through uint64) error {
	j.acked = max(j.acked, through)
	return nil
}

// agenda is a heap by time.
type agenda []*returning

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*returning)) }

func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}
