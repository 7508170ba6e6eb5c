package epcard_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

func lineOf(cipher keys.Cipher, k keys.Key) ep.Line {
	return ep.Line{
		MAC: func(_ context.Context, challenge, message []byte) ([4]byte, error) {
			return cipher.SecureMAC(k, challenge, message)
		},
		Encipher: func(_ context.Context, data []byte) ([]byte, error) { return cipher.Encipher(k, data) },
		Decipher: func(_ context.Context, data []byte) ([]byte, error) { return cipher.Decipher(k, data) },
	}
}

// TestInternalAuthenticate is the published exchange of purse facts 8.1: single DES, both halves of the key equal.
func TestInternalAuthenticate(t *testing.T) {
	var key keys.Key
	copy(key[:8], unhex("1122334455667788"))
	copy(key[8:], unhex("1122334455667788"))
	spec := personalise.CardSpec{Number: number, Issuer: issuer, Internal: key}
	img, err := personalise.Card(bank(), spec)
	require.NoError(t, err)
	card := newCard(t, img, rand.Reader)
	exchange(t, card, "0088000008 0102030405060708 08", "6A88")
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, "0088000008 0102030405060708 08", "178F59F8578E0D3F 9000")
	exchange(t, card, "0088010008 178F59F8578E0D3F 08", "0102030405060708 9000")
	exchange(t, card, "0088020008 0102030405060708 04", "A82A8CEB 9000")
	exchange(t, card, "0088020008 0102030405060708 08", "6C04")
	exchange(t, card, "0088000007 01020304050607", "6700")
	exchange(t, card, "0088020000", "6700")
	exchange(t, card, "0088030008 0102030405060708", "6A86")
	exchange(t, card, "0088000108 0102030405060708", "6A88")
}

// TestAProtectedFile: EF 16 of a card that keeps its holder's name enciphered, and EF 1E with a MAC.
func TestAProtectedFile(t *testing.T) {
	for _, algorithm := range []byte{0, keys.AlgorithmSM4} {
		holder := ep.Holder{CardType: 1, Name: [20]byte{'W', 'u'}, IDNumber: make([]byte, 32)}
		img, err := personalise.Card(bank(), personalise.CardSpec{Number: number, Issuer: issuer, Holder: holder, Auth: true,
			Keys: personalise.Keys{Algorithm: algorithm}, Lines: epcard.Lines{Holder: epcard.LineEnciphered, History: epcard.LineMAC}})
		require.NoError(t, err)
		chip := newCard(t, img, rand.Reader)
		ctx, cipher := t.Context(), keys.CipherOf(algorithm, 0)
		line := lineOf(cipher, img.MaintenanceKey.Key)
		plain := ep.Line{MAC: line.MAC}
		card, _, err := ep.Select(ctx, chip, ep.AIDTUnion)
		require.NoError(t, err)

		_, err = card.ReadHolder(ctx)
		require.ErrorIs(t, err, ep.ErrMAC, "in clear it is not to be had")
		raw, err := card.ReadBinaryBy(ctx, ep.SFIHolder, 0, line)
		require.NoError(t, err)
		read, err := ep.ParseHolder(raw)
		require.NoError(t, err)
		require.Equal(t, holder, read)

		require.Error(t, card.UpdateBinaryBy(ctx, ep.SFIHolder, 2, []byte("Li"), plain), "what is not enciphered is not taken")
		require.Equal(t, img, chip.Image())
		require.NoError(t, card.UpdateBinaryBy(ctx, ep.SFIHolder, 2, []byte("Li"), line))
		raw, err = card.ReadBinaryBy(ctx, ep.SFIHolder, 2, line)
		require.NoError(t, err)
		require.Equal(t, "Li", string(raw[:2]))

		record := make([]byte, 48)
		record[0] = 0x0A
		require.NoError(t, card.AppendRecordBy(ctx, ep.SFITripHistory, record, plain))
		_, err = card.ReadTripHistory(ctx, 1)
		require.ErrorIs(t, err, ep.ErrMAC)
		raw, err = card.ReadRecordBy(ctx, ep.SFITripHistory, 1, plain)
		require.NoError(t, err)
		require.Equal(t, record, raw)
		_, err = card.ReadRecordBy(ctx, ep.SFITripHistory, 31, plain)
		require.ErrorIs(t, err, ep.ErrNotFound)
		_, err = card.ReadRecordBy(ctx, ep.SFILog, 1, plain)
		require.NoError(t, err, "a file in clear can be read with a MAC too")

		// After EXTERNAL AUTHENTICATE a file with a line is as closed as before.
		challenge, err := card.Challenge(ctx, 4)
		require.NoError(t, err)
		answer, err := cipher.Authenticate(img.AuthKey.Key.Key, challenge)
		require.NoError(t, err)
		require.NoError(t, card.ExternalAuthenticate(ctx, 0, answer))
		require.ErrorIs(t, card.AppendRecordBy(ctx, ep.SFITripHistory, record, ep.Line{}), ep.ErrMAC)
	}
}

// TestAppendRecord: the issuer moves a history from another card; the log is the card's own.
func TestAppendRecord(t *testing.T) {
	chip := newCard(t, bankCard(t), rand.Reader)
	ctx := t.Context()
	card, _, err := ep.Select(ctx, chip, ep.AIDTUnion)
	require.NoError(t, err)
	require.ErrorIs(t, card.AppendRecordBy(ctx, ep.SFITripHistory, make([]byte, 48), ep.Line{}), ep.ErrSecurity)
	challenge, err := card.Challenge(ctx, 8)
	require.NoError(t, err)
	answer, err := keys.TripleDES.Authenticate(bankCard(t).AuthKey.Key.Key, challenge)
	require.NoError(t, err)
	require.NoError(t, card.ExternalAuthenticate(ctx, 0, answer))
	for n := byte(1); n <= 31; n++ {
		require.NoError(t, card.AppendRecordBy(ctx, ep.SFITripHistory, append([]byte{n}, make([]byte, 47)...), ep.Line{}))
	}
	history, err := chip.History()
	require.NoError(t, err)
	require.Len(t, history, 30)
	require.Equal(t, byte(31), history[0].Kind, "the newest is number 1")
	require.Equal(t, byte(2), history[29].Kind, "the oldest fell out")
	exchange(t, chip, "00E200C417"+"0000000000000000000000000000000000000000000000", "6982")
	exchange(t, chip, "00E200D401 00", "6981")
	exchange(t, chip, "00E200F401 00", "6700")
	exchange(t, chip, "00E200C801 00", "6A82")
	exchange(t, chip, "00E201F401 00", "6A86")
}

// TestNoCommandOfOnesOwnChangesAProtectedCard: whatever is sent without the keys, files and keys stay.
func TestNoCommandOfOnesOwnChangesAProtectedCard(t *testing.T) {
	img, err := personalise.Card(bank(), personalise.CardSpec{Number: number, Issuer: issuer, Auth: true, Holder: ep.Holder{IDNumber: make([]byte, 32)},
		Lines: epcard.Lines{Holder: epcard.LineEnciphered, History: epcard.LineEnciphered}})
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		chip := newCard(t, img, rand.Reader)
		exchange(t, chip, tunionKey, fci82+"9000")
		for range rapid.IntRange(1, 6).Draw(t, "commands") {
			if rapid.Bool().Draw(t, "challenge") {
				_, err := chip.Transmit(context.Background(), unhex("0084000004"))
				require.NoError(t, err)
			}
			cla := rapid.SampledFrom([]byte{0x00, 0x04, 0x80, 0x84}).Draw(t, "class")
			ins := rapid.SampledFrom([]byte{0xB0, 0xB2, 0xD4, 0xD6, 0xDC, 0xE2, 0x88}).Draw(t, "instruction")
			p2 := rapid.SampledFrom([]byte{0x00, 0x01, 0xB0, 0xC4, 0xD4, 0xF4}).Draw(t, "P2")
			p1 := rapid.SampledFrom([]byte{0x00, 0x01, 0x34, 0x39, 0x3A, 0x3E, 0x95, 0x96}).Draw(t, "P1")
			data := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "data")
			command := []byte{cla, ins, p1, p2}
			if len(data) > 0 {
				command = append(append(command, byte(len(data))), data...)
			}
			_, err := chip.Transmit(context.Background(), command)
			require.NoError(t, err)
		}
		got := chip.Image()
		got.MACFailures, got.Block = 0, epcard.Unblocked
		require.True(t, got == img, "keys and files are as they were")
	})
}

func TestImagesWithLinesThatAreNone(t *testing.T) {
	img := bankCard(t)
	img.Lines.Holder = "tin foil"
	require.ErrorContains(t, img.Check(), "lines.holder")
	img = bankCard(t)
	img.Blank = true
	require.ErrorContains(t, img.Check(), "control key")
}
