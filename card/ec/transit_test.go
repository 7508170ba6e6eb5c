package ec_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
)

// oneKey is an operator with one key for everything.
type oneKey keys.Key

func (k oneKey) RecordMAC(_ context.Context, _ ec.RecordName, blocks []byte) ([4]byte, error) {
	mac, err := ec.RetailMAC(keys.Key(k), blocks)
	return [4]byte(mac[:4]), err
}

func (k oneKey) OpeningMAC(ctx context.Context, r ec.RecordName, blocks []byte) ([4]byte, error) {
	return k.RecordMAC(ctx, r, blocks)
}

func (k oneKey) NewKey(context.Context, ec.RecordName) ([16]byte, error) { return [16]byte(k), nil }

// TestComputedTransitCommand makes the computed UPDATE CAPP DATA CACHE.
func TestComputedTransitCommand(t *testing.T) {
	v := vectors(t).Transit
	c, err := apdu.ParseCommand(v.APDU)
	require.NoError(t, err)
	data := c.Data[:len(c.Data)-4]
	name := ec.RecordName{SFI: c.P2 >> 3, ID: [2]byte(data)}
	got, err := ec.UpdateTransit(t.Context(), oneKey(v.Key), name, binary.BigEndian.Uint16(v.ATC), data)
	require.NoError(t, err)
	raw, err := got.Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte(v.APDU), raw[:len(raw)-1])
	_, err = ec.UpdateTransit(t.Context(), oneKey(v.Key), name, 1, make([]byte, 252))
	require.ErrorIs(t, err, ec.ErrRecordLength)
	other, err := ec.UpdateTransit(t.Context(), oneKey(v.Key), name, 2, data)
	require.NoError(t, err)
	require.NotEqual(t, got, other, "of another session")
}

// TestReadTransitMAC recomputes the MAC with the random number as initial vector, for records shorter and longer than a block and of one.
func TestReadTransitMAC(t *testing.T) {
	c := vectors(t)
	key, random := keys.Key(c.Transit.Key), [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	for _, length := range []int{2, 7, 8, 9, 40} {
		data := make([]byte, length)
		data[0], data[1] = 0x28, 0x01
		blocks := padded(data)
		for i, b := range random {
			blocks[i] ^= b
		}
		mac, err := ec.RetailMAC(key, blocks)
		require.NoError(t, err)
		for flip := -1; flip < length+4; flip++ {
			answer := append(append([]byte{}, data...), mac[:4]...)
			if flip >= 2 {
				answer[flip] ^= 1
			}
			s := &script{t: t, lost: -1, steps: append(c.Torn.Steps[:2:2], [2]hexBytes{unhex(t, "80B400A80A28010102030405060708 00"), append(answer, 0x90, 0x00)})}
			card, err := ec.Select(t.Context(), s, accepted)
			require.NoError(t, err)
			r, err := card.ReadTransit(t.Context(), 21, [2]byte{0x28, 0x01}, false, &random)
			require.NoError(t, err)
			require.Equal(t, answer[:length], r.Data)
			err = r.Verify(t.Context(), oneKey(key), ec.PAN{}, 0)
			if flip < 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ec.ErrTransitMAC)
			}
		}
	}
	for _, bad := range []string{"9000", "28029000", "289000", "280001020304 9000"} {
		s := &script{t: t, lost: -1, steps: append(c.Torn.Steps[:2:2], [2]hexBytes{unhex(t, "80B400A9022801 00"), unhex(t, bad)})}
		card, err := ec.Select(t.Context(), s, accepted)
		require.NoError(t, err)
		_, err = card.ReadTransit(t.Context(), 21, [2]byte{0x28, 0x01}, true, nil)
		require.ErrorIs(t, err, ec.ErrMalformed, bad)
	}
	require.ErrorIs(t, ec.TransitRecord{}.Verify(t.Context(), oneKey(key), ec.PAN{}, 0), ec.ErrTransitMAC, "read without a random number")
	require.Equal(t, "[software transit operator]", fmt.Sprintf("%+v", ec.NewSoftOperator(key, key)))
}

// TestNoTransit: a card that does not say that it has the extension is not asked.
func TestNoTransit(t *testing.T) {
	c := vectors(t)
	s := &script{t: t, lost: -1, steps: c.Torn.Steps[:2]}
	card, err := ec.Select(t.Context(), s, accepted)
	require.NoError(t, err)
	_, err = card.BeginTransit(t.Context(), terminalOf(t, c.Taps[0]), oneKey{}, ec.TransitRecord{}, nil)
	require.ErrorIs(t, err, ec.ErrNoTransit)
	for sw, want := range map[apdu.SW]error{0x6974: ec.ErrRecordNotWritten, 0x9406: ec.ErrNoProof, 0x6A84: ec.ErrSpace, 0x6971: ec.ErrPreAuthFull, 0x6972: ec.ErrPreAuthOpen,
		0x6973: ec.ErrNoPreAuth, 0x6976: ec.ErrOverLimit, 0x6988: ec.ErrMAC} {
		require.ErrorIs(t, &ec.StatusError{SW: sw}, want)
	}
}

// TestOnlyAReservationHasNoCryptogram: any other answer without one is malformed, and the card may have debited.
func TestOnlyAReservationHasNoCryptogram(t *testing.T) {
	c := vectors(t)
	steps := append([][2]hexBytes{}, c.Torn.Steps[:2]...)
	steps = append(steps, [2]hexBytes{nil, unhex(t, "7727 82027C00 9F36020001 9F1008 0701010390000001 57116210948000000011D30122200123456789 9000")})
	for _, kind := range []byte{0, ec.SegmentedFare, ec.PreAuthCompletion} {
		terminal := terminalOf(t, c.Taps[0])
		terminal.Transit = kind
		card, err := ec.Select(t.Context(), &fixed{answers: steps, at: -1}, accepted)
		require.NoError(t, err)
		_, err = card.Begin(t.Context(), terminal)
		require.ErrorIs(t, err, ec.ErrMalformed)
		require.ErrorIs(t, err, ec.ErrUncertain)
		require.ErrorContains(t, err, "no cryptogram")
	}
}

// FuzzTransit reads bytes as a card's answers to the transit commands.
func FuzzTransit(f *testing.F) {
	c := vectors(f)
	f.Add(unhex(f, "28010100 01020304 9000"))
	f.Add(unhex(f, "E8EECE06E8EECE06 9000"))
	f.Add(unhex(f, "9406"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		card, err := ec.Select(t.Context(), &fixed{answers: c.Torn.Steps[:2], at: -1, raw: raw}, accepted)
		require.NoError(t, err)
		if r, err := card.ReadTransit(t.Context(), 21, [2]byte{0x28, 0x01}, false, &[8]byte{1}); err == nil {
			require.GreaterOrEqual(t, len(r.Data), 2)
			require.ErrorIs(t, r.Verify(t.Context(), oneKey{}, ec.PAN{}, 0), ec.ErrTransitMAC, "nobody guesses a MAC")
		}
		_, _ = card.TransProve(t.Context(), 1)
		_ = card.AppendTransit(t.Context(), oneKey{}, ec.RecordName{}, make([]byte, 3))
	})
}
