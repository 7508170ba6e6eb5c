package ep_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

// TestBusTrip puts every field of purse facts 2.6 at its offset: byte n of the record is n.
func TestBusTrip(t *testing.T) {
	raw := make([]byte, 128)
	for i := range raw {
		raw[i] = byte(i)
	}
	copy(raw, []byte{0x27, 0x02, 0x7D, 0x01})
	run := func(from, n int) (out []byte) {
		for i := range n {
			out = append(out, byte(from+i))
		}
		return out
	}
	place := func(at int) ep.BusPlace {
		return ep.BusPlace{
			City: [2]byte(run(at, 2)), Institution: [8]byte(run(at+2, 8)), Operator: [2]byte(run(at+10, 2)), Line: [2]byte(run(at+12, 2)), Stop: byte(at + 14),
			Vehicle: [8]byte(run(at+15, 8)), Terminal: [8]byte(run(at+23, 8)), At: ep.DateTime(run(at+31, 7)),
		}
	}
	want := ep.BusTrip{
		Flag: 4, Lock: 5, Serial: [8]byte(run(6, 8)), State: 14, Boarding: place(15), Marked: money.Minor(0x35363738), Direction: 57, Alighting: place(58),
		Amount: money.Minor(0x60616263), Distance: 0x6465, Reserved: [26]byte(run(102, 26)),
	}
	got, err := ep.ParseBusTrip(raw)
	require.NoError(t, err)
	require.Equal(t, want, got)
	again := got.Bytes()
	require.Equal(t, upper(raw), upper(again[:]))

	raw[1] = 1 // C4
	got, err = ep.ParseBusTrip(raw)
	require.NoError(t, err)
	require.Equal(t, want, got)
	raw[3] = 0
	got, err = ep.ParseBusTrip(raw)
	require.NoError(t, err)
	require.Equal(t, ep.BusTrip{}, got)
	for _, bad := range [][]byte{nil, raw[:127], append([]byte{0x27, 0x03, 0x7D, 0x01}, raw[4:]...), append([]byte{0x27, 0x02, 0x7D, 0x02}, raw[4:]...)} {
		_, err := ep.ParseBusTrip(bad)
		require.ErrorIs(t, err, ep.ErrMalformed)
	}
	require.True(t, ep.BusTrip{State: ep.TripEntered}.Open())
	require.False(t, ep.BusTrip{State: ep.TripLeft}.Open())
}

// TestHolder: both forms of EF 16, coded back to the same bytes, and never printed.
func TestHolder(t *testing.T) {
	for _, n := range []int{39, 55} {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(i + 1)
		}
		h, err := ep.ParseHolder(raw)
		require.NoError(t, err)
		require.Equal(t, byte(n), h.IDType)
		require.Len(t, h.IDNumber, n-23)
		again, err := h.Bytes()
		require.NoError(t, err)
		require.Equal(t, upper(raw), upper(again))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			require.Equal(t, "[card holder]", fmt.Sprintf(verb, h))
		}
		require.Equal(t, "[card holder]", h.LogValue().String())
		_, err = h.MarshalText()
		require.Error(t, err)
	}
	for _, n := range []int{0, 38, 40, 54, 56, 92} {
		_, err := ep.ParseHolder(make([]byte, n))
		require.ErrorIs(t, err, ep.ErrMalformed)
	}
	_, err := ep.Holder{}.Bytes()
	require.Error(t, err)
}
