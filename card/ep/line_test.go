package ep_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
)

// lineOf is a 3DES line under a key.
func lineOf(k keys.Key) ep.Line {
	return ep.Line{
		MAC: func(_ context.Context, challenge, message []byte) ([4]byte, error) {
			return keys.TripleDES.SecureMAC(k, challenge, message)
		},
		Encipher: func(_ context.Context, data []byte) ([]byte, error) { return keys.TripleDES.Encipher(k, data) },
		Decipher: func(_ context.Context, data []byte) ([]byte, error) { return keys.TripleDES.Decipher(k, data) },
	}
}

func filled(b byte) (k keys.Key) {
	for i := range k {
		k[i] = b
	}
	return k
}

// TestSecuredCommandsOfTheVectors sends the commands of purse facts 8.1 (P5) and 8.2 byte for byte.
func TestSecuredCommandsOfTheVectors(t *testing.T) {
	damk := keys.Diversify(ascending(0x90), public82(t).Factors(1)...)
	p5 := func(key string) ep.Line { return lineOf(keys.Key(unhex(t, key))) }
	cases := []struct {
		name      string
		send      func(ctx context.Context, c *ep.Card) error
		challenge string
		wire      string
	}{
		{"P5 WRITE KEY", func(ctx context.Context, c *ep.Card) error {
			return c.WriteKeyBy(ctx, ep.NewKey{Type: ep.KeyExternal, Version: 1, Tries: 3, Value: unhex(t, "D03A01624D2E0255E5CE47218BA45DC8")}, lineOf(filled(0xFF)))
		}, "19393A92", "84D439001C 7B9864710732C21C8BB314B67CC4B6C352C518AA7305D7FF 6B72FE30"},
		{"P5 EF 15", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinary(ctx, ep.SFIPublic, 0, unhex(t, "00012200 0001FFFF 0101 0000 2200000000000006 20160101 20501231 0000"), lineOf(filled(0x36)).MAC)
		}, "A3BBCFC8", "04D6950022 00012200 0001FFFF 0101 0000 2200000000000006 20160101 20501231 0000 96E32EF1"},
		{"P5 EF 15 of Changsha", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinary(ctx, ep.SFIPublic, 0, unhex(t, "073141000000000001010000410000008999998520150605203808080000"), p5("FE43601E47B93FC500099AA0A17D1554").MAC)
		}, "1FB1F7C0", "04D6950022 073141000000000001010000410000008999998520150605203808080000 9D3E6E6A"},
		{"P5 EF 11 of Changsha", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinary(ctx, 0x11, 0, append(unhex(t, "01002819A011000F0000000101F4"), make([]byte, 18)...), p5("78BBDFD3CECA48FD7BD5F6AE69882C60").MAC)
		}, "FE9489E5", "04D6910024 01002819A011000F0000000101F4" + strings.Repeat("00", 18) + "2B89013E"},
		{"P5 record of Changsha", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateRecord(ctx, ep.SFIManagement, 7, append(unhex(t, "11160100 20150827172423"), make([]byte, 13)...), p5("78BBDFD3CECA48FD7BD5F6AE69882C60").MAC)
		}, "FCF30477", "04DC07BC1C 11160100 20150827172423" + strings.Repeat("00", 13) + "8A0981B8"},
		{"P5 EF 05 of Changsha", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinary(ctx, 0x05, 0, unhex(t, "07314100000000004100000089999985020020150605000F00000001000120150605203808080000"), p5("F28E92292DCB63F11EA7F5776A7122B8").MAC)
		}, "1B534732", "04D685002C 07314100000000004100000089999985020020150605000F00000001000120150605203808080000 C853F358"},
		{"P5 APPLICATION BLOCK", func(ctx context.Context, c *ep.Card) error {
			return c.BlockApplication(ctx, false, p5("6474215EF549707831BB8DB9895FD48A").MAC)
		}, "1EA2B2E6", "841E000004A86CC6A8"},
		{"P5 APPLICATION UNBLOCK", func(ctx context.Context, c *ep.Card) error {
			return c.UnblockApplication(ctx, p5("A2F237922142D1605DDD33113E617823").MAC)
		}, "DBCF515E", "84180000042BDCFB5E"},
		{"8.2 UPDATE BINARY, encrypted", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinaryBy(ctx, ep.SFIManagement, 2, []byte{0, 1, 0}, lineOf(damk))
		}, "55667788", "04D697020C 6FAE0062360A65B0 F7CA18B1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := &answers{t: t, give: []string{c.challenge + "9000", "9000"}}
			require.NoError(t, c.send(t.Context(), ep.Selected(card)))
			require.Equal(t, []string{"0084000004", strings.ReplaceAll(c.wire, " ", "")}, card.asked)
		})
	}
}

// TestReadingOverTheLine: the answer's MAC is by the same challenge, and nothing is believed without it.
func TestReadingOverTheLine(t *testing.T) {
	line := lineOf(filled(0xFF))
	challenge := unhex(t, "D0FE4FB9")
	plain := []byte("who the card was issued to")
	enciphered, err := line.Encipher(t.Context(), plain)
	require.NoError(t, err)
	sealed := func(data []byte) string {
		m, err := line.MAC(t.Context(), challenge, data)
		require.NoError(t, err)
		return upper(data) + upper(m[:]) + "9000"
	}
	ask, err := line.MAC(t.Context(), challenge, unhex(t, "04B0960004"))
	require.NoError(t, err)
	read := func(line ep.Line, answer string) ([]byte, error) {
		card := &answers{t: t, give: []string{"D0FE4FB99000", answer}}
		data, err := ep.Selected(card).ReadBinaryBy(t.Context(), ep.SFIHolder, 0, line)
		require.Equal(t, []string{"0084000004", "04B0960004" + upper(ask[:]) + "00"}, card.asked)
		return data, err
	}
	data, err := read(line, sealed(enciphered))
	require.NoError(t, err)
	require.Equal(t, plain, data)
	data, err = read(ep.Line{MAC: line.MAC}, sealed(plain))
	require.NoError(t, err)
	require.Equal(t, plain, data)

	_, err = read(line, upper(enciphered)+"000000009000")
	require.ErrorIs(t, err, ep.ErrMAC)
	_, err = read(line, sealed(plain))
	require.ErrorIs(t, err, ep.ErrMalformed, "a good MAC over what was not enciphered")
	_, err = read(line, "0011229000")
	require.ErrorIs(t, err, ep.ErrMalformed)
	_, err = read(line, "6987")
	require.ErrorIs(t, err, ep.ErrMAC)
}

func TestDirectory(t *testing.T) {
	const ppse, mf = "00A404000E325041592E5359532E444446303100", "00A404000E315041592E5359532E444446303100"
	tunion := ep.Entry{AID: ep.AIDTUnion, Label: "MOT_T_EP"}
	card := &answers{t: t, give: []string{"6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A00000063201010550084D4F545F545F4550870101 9000"}}
	got, err := ep.Directory(t.Context(), card)
	require.NoError(t, err)
	require.Equal(t, []ep.Entry{tunion}, got)
	require.Equal(t, []string{ppse}, card.asked)

	card = &answers{t: t, give: []string{"6A82", "6F15840E315041592E5359532E4444463031A503880101 9000", "61114F09A000000003869807015004 50424F43 9000", "6A83"}}
	got, err = ep.Directory(t.Context(), card)
	require.NoError(t, err)
	require.Equal(t, []ep.Entry{{AID: ep.AIDPBOC, Label: "PBOC"}}, got)
	require.Equal(t, []string{ppse, mf, "00B2010C00", "00B2020C00"}, card.asked)

	for says, give := range map[string][]string{
		"no directory file":           {"6A82", "6F10840E315041592E5359532E44444630319000"},
		"without an application name": {"6F0B A509 BF0C06 6104 5002 4142 9000"},
		"malformed":                   {"6F05 9000"},
		"blocked":                     {"6A81"},
	} {
		_, err := ep.Directory(t.Context(), &answers{t: t, give: give})
		require.ErrorContains(t, err, says)
	}
}

// TestReadingCommandsOnTheWire holds the rest of purse facts 3.2 and 3.3.
func TestReadingCommandsOnTheWire(t *testing.T) {
	cases := []struct {
		name string
		send func(ctx context.Context, c *ep.Card) error
		wire string
		give string
	}{
		{"from an offset", func(ctx context.Context, c *ep.Card) error {
			_, err := c.ReadBinaryAt(ctx, ep.SFIPublic, 12, 8)
			return err
		}, "00B0950C08", "00000000000000009000"},
		{"by identifier", func(ctx context.Context, c *ep.Card) error {
			_, err := c.ReadRecordByID(ctx, ep.SFITripState, 2, 128)
			return err
		}, "00B202D080", upper(make([]byte, 128)) + "9000"},
		{"own money", func(ctx context.Context, c *ep.Card) error { _, err := c.BalanceOf(ctx, ep.OwnMoney); return err }, "805C030204", "000000019000"},
		{"append", func(ctx context.Context, c *ep.Card) error {
			return c.AppendRecordBy(ctx, ep.SFITripHistory, make([]byte, 48), ep.Line{})
		}, "00E200F430" + upper(make([]byte, 48)), "9000"},
		{"update in clear", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinaryBy(ctx, ep.SFIManagement, 8, []byte{0, 1}, ep.Line{})
		}, "00D69708020001", "9000"},
		{"update a record in clear", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateRecordBy(ctx, ep.SFITripState, 1, []byte{0x27}, ep.Line{})
		}, "00DC01D40127", "9000"},
		{"write key", func(ctx context.Context, c *ep.Card) error {
			return c.WriteKey(ctx, ep.NewKey{Type: ep.KeyPurchase, ID: 1, Version: 1, Value: unhex(t, "00112233445566778899AABBCCDDEEFF")})
		}, "80D43E01140100000000112233445566778899AABBCCDDEEFF", "9000"},
		{"S1 INTERNAL AUTHENTICATE", func(ctx context.Context, c *ep.Card) error {
			out, err := c.InternalAuthenticate(ctx, ep.WorkEncipher, 0, unhex(t, "0102030405060708"))
			require.Equal(t, "178F59F8578E0D3F", upper(out))
			return err
		}, "0088000008010203040506070808", "178F59F8578E0D3F9000"},
		{"S1 INTERNAL AUTHENTICATE, MAC", func(ctx context.Context, c *ep.Card) error {
			out, err := c.InternalAuthenticate(ctx, ep.WorkMAC, 0, unhex(t, "0102030405060708"))
			require.Equal(t, "A82A8CEB", upper(out))
			return err
		}, "0088020008010203040506070804", "A82A8CEB9000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := &answers{t: t, give: []string{c.give}}
			require.NoError(t, c.send(t.Context(), ep.Selected(card)))
			require.Equal(t, []string{c.wire}, card.asked)
		})
	}
	card := &answers{t: t, give: []string{"6F15840E315041592E5359532E4444463031A503880101 9000"}}
	_, fci, err := ep.SelectFID(t.Context(), card, [2]byte{0x3F, 0x00})
	require.NoError(t, err)
	require.Equal(t, "1PAY.SYS.DDF01", string(fci.Name))
	require.Equal(t, []string{"00A40000023F0000"}, card.asked)

	nobody := ep.Selected(&answers{t: t})
	_, err = nobody.ReadBinaryBy(t.Context(), ep.SFIHolder, 0, ep.Line{})
	require.ErrorContains(t, err, "wants a MAC")
	require.ErrorContains(t, nobody.UpdateBinaryBy(t.Context(), ep.SFIHolder, 0, data8, ep.Line{Encipher: lineOf(filled(1)).Encipher}), "wants a MAC")
	for _, data := range [][]byte{nil, make([]byte, 249)} {
		_, err = nobody.InternalAuthenticate(t.Context(), ep.WorkMAC, 0, data)
		require.ErrorContains(t, err, "want 1 to 248")
	}
	_, err = nobody.InternalAuthenticate(t.Context(), 3, 0, data8)
	require.ErrorContains(t, err, "work 03")
}

var data8 = make([]byte, 8)
