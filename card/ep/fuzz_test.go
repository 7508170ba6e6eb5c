package ep_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
)

// FuzzFiles reads bytes as each file of the card: nothing panics, and what is read is coded back to the same bytes.
func FuzzFiles(f *testing.F) {
	f.Add(unhex(f, "01011000FFFFFFFF0201 00010203040506070809 20240101 20341231 0000"))
	f.Add(unhex(f, "0011 000000 0000012C 09 112233445566 20240115083512"))
	f.Add(unhex(f, "04000011223344556601080019003000000000012C0000164420240115083512100001011000FFFFFFFF000000000000"))
	f.Add(append(unhex(f, "00000156100010000001 01"), make([]byte, 49)...))
	f.Add(append(unhex(f, "27027D01010000000000000000010110"), make([]byte, 112)...))
	f.Add(make([]byte, 39))
	f.Add(append(unhex(f, "27017D01010000000000000000010110"), make([]byte, 112)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := ep.ParsePublic(raw); err == nil {
			require.Equal(t, upper(raw[:30]), upper(p.Bytes()))
		}
		if m, err := ep.ParseManagement(raw); err == nil && raw[8] == 0 && raw[9] <= 1 {
			require.Equal(t, upper(raw[:60]), upper(m.Bytes()))
		}
		if l, err := ep.ParseLogRecord(raw); err == nil {
			require.Equal(t, upper(raw), upper(l.Bytes()))
		}
		if m, err := ep.ParseMetroTrip(raw); err == nil && raw[3] == 1 {
			again := m.Bytes()
			require.Equal(t, upper(raw), upper(again[:]))
		}
		if b, err := ep.ParseBusTrip(raw); err == nil && raw[1] == 2 && raw[3] == 1 {
			again := b.Bytes()
			require.Equal(t, upper(raw), upper(again[:]))
		}
		if h, err := ep.ParseHolder(raw); err == nil {
			again, err := h.Bytes()
			require.NoError(t, err)
			require.Equal(t, upper(raw), upper(again))
		}
		if h, err := ep.ParseTripHistory(raw); err == nil {
			again := h.Bytes()
			require.Equal(t, upper(raw), upper(again[:]))
			ep.TerminalOf8(h.Terminal)
		}
	})
}

func FuzzFCI(f *testing.F) {
	f.Add(unhex(f, "6F318408A000000632010105A5259F0801029F0C1E01011000FFFFFFFF02010310517007010479138120190718204012310000"))
	f.Add(unhex(f, "6F15840E315041592E5359532E4444463031A503880101"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ep.ParseFCI(raw)
		if err != nil {
			require.ErrorIs(t, err, ep.ErrMalformed)
			return
		}
		if len(got.Name)+len(got.Version)+len(got.Public) > 200 {
			return
		}
		again, err := ep.ParseFCI(ep.EncodeFCI(got))
		require.NoError(t, err)
		require.Equal(t, upper(got.Name)+"/"+upper(got.Version)+"/"+upper(got.Public), upper(again.Name)+"/"+upper(again.Version)+"/"+upper(again.Public))
	})
}

// FuzzAnswers gives a card's answers to every command: nothing panics and every function ends, whatever a card says.
func FuzzAnswers(f *testing.F) {
	f.Add(unhex(f, "9000"), unhex(f, "6101"))
	f.Add(unhex(f, "00001770 0011 000000 01 00 F0E0D0C0 9000"), unhex(f, "6C08"))
	f.Add(unhex(f, "6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A00000063201010550084D4F545F545F45508701019000"), unhex(f, "11223344 9000"))
	f.Add(unhex(f, "6108"), unhex(f, "FD66FC1F E2DD1004 9000"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, c := range commands() {
			// A card that gives the two answers in turn for ever.
			_ = c.send(t.Context(), &turns{give: [2][]byte{first, second}})
		}
		_, _ = ep.Directory(t.Context(), &turns{give: [2][]byte{first, second}})
		line := lineOf(keys.Key{1})
		_, _ = ep.Selected(&turns{give: [2][]byte{first, second}}).ReadBinaryBy(t.Context(), ep.SFIHolder, 0, line)
		_, _ = ep.Selected(&turns{give: [2][]byte{first, second}}).ReadRecordBy(t.Context(), ep.SFITripHistory, 1, line)
	})
}

// FuzzNewKey reads bytes as the data of WRITE KEY: what is read is coded back to the same bytes.
func FuzzNewKey(f *testing.F) {
	f.Add(byte(ep.KeyExternal), byte(0), unhex(f, "01003300D03A01624D2E0255E5CE47218BA45DC8"))
	f.Add(byte(ep.KeyPIN), byte(1), unhex(f, "00003300123456"))
	f.Fuzz(func(t *testing.T, p1, p2 byte, data []byte) {
		k, err := ep.ParseNewKey(p1, p2, data)
		if err != nil {
			require.ErrorIs(t, err, ep.ErrMalformed)
			return
		}
		require.Equal(t, upper(data), upper(k.Bytes()))
	})
}
