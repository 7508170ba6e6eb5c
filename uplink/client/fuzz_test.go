package client_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// FuzzOnReceipt has a sender take anything the backend could sign. Whatever it says, the sender neither panics nor hangs, acknowledges
// only what the receipt says and the journal has, and what it sends is the journal's.
func FuzzOnReceipt(f *testing.F) {
	r := newRig(f, 30, nil)
	for _, c := range []*wire.Receipt{
		{},
		{ThroughSeq: 20, ThroughHash: sum(r.journal.Record(20)), ServerTimeMs: 1},
		{ThroughSeq: 1<<64 - 1, Batch: 1<<64 - 1, RetryAfterMs: 1<<32 - 1, ServerTimeMs: -1},
		{ThroughSeq: 5, Wanted: []*wire.Range{{First: 0, Last: 1<<64 - 1}, {First: 9, Last: 3}, nil}, Unreadable: []*wire.Unreadable{{}, nil}},
	} {
		c.Terminal, c.Epoch = string(bus1), epoch
		body, err := proto.Marshal(c)
		require.NoError(f, err)
		f.Add(r.receipt(c), body)
	}
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		r := newRig(t, 30, nil)
		r.greet()
		r.due()
		_ = r.sender.OnReceipt(r.now, raw) // anything at all
		signed, err := proto.Marshal(&wire.SignedReceipt{Version: wire.Version, Signed: body,
			Signature: ed25519.Sign(backendKey, append([]byte("purselane-receipt-1\x00"), body...))})
		require.NoError(t, err)
		before := r.journal.AckedSeq()
		err = r.sender.OnReceipt(r.now, signed)
		var c wire.Receipt
		if proto.Unmarshal(body, &c) == nil && err == nil && r.sender.Stats().State != client.Halted {
			require.Equal(t, max(before, c.GetThroughSeq()), r.journal.AckedSeq())
		} else {
			require.Equal(t, before, r.journal.AckedSeq())
		}
		for range 5 {
			out, next, err := r.sender.Due(r.now)
			require.NoError(t, err)
			for _, m := range out {
				if m.Kind != wire.KindUp {
					continue
				}
				o := r.opened(m)
				for i, stored := range o.Records {
					require.Equal(t, r.journal.Record(o.Header.GetFirstSeq()+uint64(i)), stored)
				}
			}
			if next.After(r.now) {
				r.now = next
			}
		}
	})
}
