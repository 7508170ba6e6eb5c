package epcard_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

// bank is the scheme of purse facts 8.2 with all its master keys, algorithm 00 and 04.
func bank() personalise.Masters {
	m := personalise.Masters{}
	for _, algorithm := range []byte{0, keys.AlgorithmSM4} {
		for first, p := range map[byte]keys.Purpose{
			0x40: keys.Purchase, 0x50: keys.Load, 0x60: keys.TAC, 0x70: keys.Unload, 0x80: keys.Limit, 0x90: keys.Maintenance, 0xA0: keys.Reload, 0xB0: keys.Unblock,
		} {
			m[keys.ID{Purpose: p, Version: 1, Algorithm: algorithm}] = ascending(first)
		}
	}
	return m
}

// bankCard is the one-level card of 8.2 with both purses, PIN 123456 and EXTERNAL AUTHENTICATE.
func bankCard(t require.TestingT) epcard.Image {
	pin, err := ep.ParsePIN("123456")
	require.NoError(t, err)
	img, err := personalise.Card(bank(), personalise.CardSpec{
		Number: number, Issuer: issuer, City: [2]byte{0x10, 0x00}, Keys: personalise.Keys{Levels: 1}, Log: epcard.LogBefore, Balance: money.Minor(0x1770),
		PIN: pin, Deposit: true, Auth: true,
	})
	require.NoError(t, err)
	img.Deposit.Balance, img.Deposit.OnlineCounter = money.Minor(0x1770), 4
	return img
}

const (
	verify    = "0020000003 123456"
	wrongPIN  = "0020000003 654321"
	unload82  = "805005010B 01 00000064 112233445566 10"
	limit82   = "8050040107 01 112233445566 13"
	block82   = "841E000004 E2F8EB27" // for challenge 11223344
	unblock82 = "8418000004 563254A8"
	tunionKey = "00A4040008 A000000632010105 00"
)

// TestUnloadAndLimit is the unload and the overdraft limit of purse facts 8.2 on one ED purse, byte for byte.
func TestUnloadAndLimit(t *testing.T) {
	card := newCard(t, bankCard(t), bytes.NewReader(unhex("1A1B1C1D 2A2B2C2D")))
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, unload82, "6982")
	exchange(t, card, "805C000104", "6982")
	exchange(t, card, verify, "9000")
	exchange(t, card, "805005010B 01 00001771 112233445566 10", "9401")
	exchange(t, card, unload82, "00001770 0004 01 00 1A1B1C1D 3F09BB27 9000")
	exchange(t, card, "805403000B 20240115083000 690F5CE3 04", "11F2ADA7 9000")
	exchange(t, card, "805A000302 0005 08", "11F2ADA7"+strings.ToUpper(fmt.Sprintf("%x", tacOf(t, ep.UnloadMAC3(money.Minor(0x170C), 4, money.Minor(100), terminal, at))))+"9000")
	exchange(t, card, limit82, "6982") // the PIN was good for one transaction
	exchange(t, card, verify, "9000")
	exchange(t, card, limit82, "0000170C 0005 000000 01 00 2A2B2C2D 1F19DE99 9000")
	exchange(t, card, "805800000E 0003E8 20240115083000 B65EF5C5 04", "79235148 9000")
	exchange(t, card, "805A000702 0006 08", "00000000 79235148 9000")
	exchange(t, card, "00B201C417", "0005 0003E8 000003E8 07 112233445566 20240115083000 9000")
	exchange(t, card, "00B202C417", "0004 000000 00000064 03 112233445566 20240115083000 9000")
	exchange(t, card, verify, "9000")
	exchange(t, card, "805C000104", "00001AF4 9000")
	exchange(t, card, "805C010104", "000003E8 9000")
	exchange(t, card, "805C020104", "00000000 9000")
	exchange(t, card, "805C030104", "0000170C 9000")
	exchange(t, card, "805C000204", "00001770 9000")
	require.Zero(t, card.OnlineCounter(), "EP has counters of its own")
	require.Equal(t, money.Minor(0x1770), card.Balance())
}

func tacOf(t *testing.T, input []byte) [4]byte {
	return keys.TripleDES.TAC(bankCard(t).TACKey.Key, input)
}

// TestALimitTACUnderTheWholeKey is conflict C2's other reading, as computed in purse facts 8.2.
func TestALimitTACUnderTheWholeKey(t *testing.T) {
	img := bankCard(t)
	img.Settings.LimitTACWhole = true
	img.Deposit.Balance, img.Deposit.OnlineCounter = money.Minor(0x170C), 5
	card := newCard(t, img, bytes.NewReader(unhex("2A2B2C2D")))
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, verify, "9000")
	exchange(t, card, limit82, "0000170C 0005 000000 01 00 2A2B2C2D 1F19DE99 9000")
	exchange(t, card, "805800000E 0003E8 20240115083000 B65EF5C5 04", "A12A7AF4 9000")
}

// TestAnOverdraftThatIsSpentStays: a limit below what is used of it is refused, and the purse is as before.
func TestAnOverdraftThatIsSpentStays(t *testing.T) {
	img := bankCard(t)
	img.Deposit.Balance, img.Deposit.Limit, img.Deposit.OnlineCounter = money.Minor(0x64), money.Minor(0x3E8), 5
	card := newCard(t, img, bytes.NewReader(unhex("2A2B2C2D")))
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, verify, "9000")
	_, err := send(card, unhex(limit82))
	require.NoError(t, err)
	mac2 := keys.TripleDES.SessionMAC(img.LimitKey.Key.Key, ep.LoadSession([4]byte(unhex("2A2B2C2D")), 5), ep.LimitMAC2(money.Minor(0x64), terminal, at))
	_, err = send(card, withData("80580000", unhex("000064"), at[:], mac2[:]))
	require.Equal(t, statusError(0x9401), err)
	require.True(t, card.Image() == img)
}

// TestEDPurchaseAndCash: ED's own balance and counter, types 05 and 04, and no composite purchase.
func TestEDPurchaseAndCash(t *testing.T) {
	for p1, kind := range map[string]ep.Type{"01": ep.TypeEDPurchase, "02": ep.TypeEDCash} {
		img := bankCard(t)
		card := newCard(t, img, bytes.NewReader(unhex("A1B2C3D4")))
		exchange(t, card, tunionKey, fci82+"9000")
		init := "8050" + p1 + "010B 01 000000C8 112233445566 0F"
		exchange(t, card, init, "6982")
		exchange(t, card, verify, "9000")
		exchange(t, card, "805003010B 01 000000C8 112233445566 0F", "6A86")
		exchange(t, card, init, "00001770 0000 000000 01 00 A1B2C3D4 9000")
		session := ep.PurchaseSession([4]byte(unhex("A1B2C3D4")), 0, 9)
		mac1 := keys.TripleDES.SessionMAC(img.PurchaseKey.Key.Key, session, ep.PurchaseMAC1(money.Minor(0xC8), kind, terminal, at))
		answer, err := send(card, withData("80540100", u32(9), at[:], mac1[:]))
		require.NoError(t, err)
		tac := keys.TripleDES.TAC(img.TACKey.Key, ep.PurchaseTAC(money.Minor(0xC8), kind, terminal, 9, at))
		require.Equal(t, tac[:], answer[:4])
		deposit, has := card.Deposit()
		require.True(t, has)
		require.Equal(t, money.Minor(0x1770-0xC8), deposit.Balance)
		require.EqualValues(t, 1, deposit.OfflineCounter)
		require.Zero(t, card.OfflineCounter())
		proof, err := proveAfter(card, kind, 1)
		require.NoError(t, err)
		require.Equal(t, tac[:], proof[4:])
	}
}

// TestACardWithoutED has none of it.
func TestACardWithoutED(t *testing.T) {
	card := newCard(t, image82(t, 1), seeded(1))
	exchange(t, card, tunionKey, fci82+"9000")
	for _, command := range []string{"805C000104", "805000010B 01 00000001 112233445566", unload82, limit82, "805005020B 01 00000064 112233445566 10"} {
		exchange(t, card, command, "6A86")
	}
	exchange(t, card, verify, "6A88")
}

// TestPINs: three tries, counted before the answer; a good one gives them back; the issuer's reload too.
func TestPINs(t *testing.T) {
	card := newCard(t, bankCard(t), seeded(1))
	exchange(t, card, tunionKey, fci82+"9000")
	steps := []struct{ command, answer string }{
		{wrongPIN, "63C2"}, {wrongPIN, "63C1"}, {verify, "9000"}, {wrongPIN, "63C2"},
		{"805C000104", "6982"}, // a wrong PIN takes the good one back
		{"805E010007 654321FF111111", "63C1"}, {"805E010007 123456FF222222", "9000"}, {verify, "63C2"}, {"0020000003 222222", "9000"},
		{"805E010006 222222123456", "6A80"}, {"805E010006 222222FF12AA", "6A80"},
		{wrongPIN, "63C2"}, {wrongPIN, "63C1"}, {wrongPIN, "63C0"}, {wrongPIN, "6983"}, {"0020000003 222222", "6983"}, {"805E010007 222222FF111111", "6983"},
		{"0020000103 123456", "6A88"}, {"0020000001 12", "6983"},
		{"805E000007 123456 17BB8F97", "9302"}, {"805E000007 123456 17BB8F96", "9000"}, {verify, "9000"},
		{"805E000007 123456 17BB8F97", "9302"}, {"805E000007 123456 17BB8F97", "9302"}, {"805E000007 123456 17BB8F97", "9302"}, {verify, "9303"},
	}
	for i, s := range steps {
		t.Log(i, s.command)
		exchange(t, card, s.command, s.answer)
	}
}

// TestPINUnblock: the issuer gives a blocked PIN its tries back, by the library; three wrong ones block the application.
func TestPINUnblock(t *testing.T) {
	ctx := t.Context()
	for _, algorithm := range []byte{0, keys.AlgorithmSM4} {
		pin, err := ep.ParsePIN("123456")
		require.NoError(t, err)
		other, err := ep.ParsePIN("654321")
		require.NoError(t, err)
		img, err := personalise.Card(bank(), personalise.CardSpec{Number: number, Issuer: issuer, Keys: personalise.Keys{Algorithm: algorithm}, PIN: pin})
		require.NoError(t, err)
		chip := newCard(t, img, seeded(4))
		card, fci, err := ep.Select(ctx, chip, ep.AIDTUnion)
		require.NoError(t, err)
		public, err := ep.ParsePublic(fci.Public)
		require.NoError(t, err)
		host := keys.NewSoft(bank())
		key := keys.Card{ID: keys.ID{Purpose: keys.Unblock, Version: 1, Algorithm: algorithm}, Factors: public.Factors(2)}
		encipher := func(ctx context.Context, data []byte) ([]byte, error) { return host.Encipher(ctx, key, data) }
		mac := func(ctx context.Context, challenge, message []byte) ([4]byte, error) {
			return host.SecureMAC(ctx, key, challenge, message)
		}
		wrong := func(context.Context, []byte, []byte) ([4]byte, error) { return [4]byte{}, nil }

		for range 3 {
			require.ErrorIs(t, card.VerifyPIN(ctx, 0, other), ep.ErrSecurity)
		}
		require.ErrorIs(t, card.VerifyPIN(ctx, 0, pin), ep.ErrPINBlocked)
		require.ErrorIs(t, card.UnblockPIN(ctx, 0, pin, encipher, wrong), ep.ErrMAC)
		require.ErrorIs(t, card.UnblockPIN(ctx, 1, pin, encipher, mac), ep.ErrKeyIndex)
		require.Error(t, card.UnblockPIN(ctx, 0, other, encipher, mac))
		require.NoError(t, card.UnblockPIN(ctx, 0, pin, encipher, mac))
		require.EqualValues(t, 3, chip.Image().PIN.Left)
		require.NoError(t, card.VerifyPIN(ctx, 0, pin))
		for range 3 {
			require.Error(t, card.UnblockPIN(ctx, 0, other, encipher, mac))
		}
		require.ErrorIs(t, card.VerifyPIN(ctx, 0, pin), ep.ErrBlocked)
	}
}

// TestChallenges: a challenge serves the very next command and no other.
func TestChallenges(t *testing.T) {
	card := newCard(t, bankCard(t), bytes.NewReader(bytes.Repeat(unhex("11223344"), 12)))
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, "805C000204", "00001770 9000")
	exchange(t, card, block82, "6984")
	exchange(t, card, "0084000008", "1122334411223344 9000")
	exchange(t, card, "0082000008 0000000000000000", "63C2")
	exchange(t, card, "0082000008 600AB2F8B902FB93", "6984")
	exchange(t, card, "0084000010", "6700")
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, "0082000108 600AB2F8B902FB93", "6A88")
	exchange(t, card, "00D6970201 01", "6982")
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, "0082000008 600AB2F8B902FB93", "9000")
	exchange(t, card, "00D6970201 01", "9000")
	exchange(t, card, "00D697FF01 01", "6B00")
	exchange(t, card, "00D6973B02 0101", "6A84")
	exchange(t, card, "00D6980001 01", "6981")
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, "00D6970201 01", "6982")
	for _, want := range []string{"63C2", "63C1", "63C0"} {
		exchange(t, card, "0084000004", "11223344 9000")
		exchange(t, card, "0082000008 0000000000000000", want)
	}
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, "0082000008 600AB2F8B902FB93", "6983")
}

// TestSecureMessaging rewrites files under the maintenance key, and counts wrong MACs on EF 15 and 16 alone.
func TestSecureMessaging(t *testing.T) {
	img := bankCard(t)
	card := newCard(t, img, bytes.NewReader(bytes.Repeat(unhex("55667788"), 20)))
	exchange(t, card, tunionKey, fci82+"9000")
	challenge := func() { exchange(t, card, "0084000004", "55667788 9000") }
	secured := func(head string, data []byte) []byte {
		h := unhex(head)
		mac, err := keys.TripleDES.SecureMAC(img.MaintenanceKey.Key, unhex("55667788"), ep.SecureInput(h[0], h[1], h[2], h[3], data))
		require.NoError(t, err)
		return withData(head, data, mac[:])
	}
	challenge()
	exchange(t, card, "04D6970207 000100 89D574F3", "9000")
	require.Equal(t, "\x00\x01\x00", string(card.Image().Management[2:5]))
	exchange(t, card, "04D6970207 000100 89D574F3", "6984")
	challenge()
	exchange(t, card, "04D6970203 000100", "6987")
	for range 4 { // EF 17 counts no wrong MAC
		challenge()
		exchange(t, card, "04D6970207 000100 89D574F4", "6988")
	}
	trip := ep.MetroTrip{State: ep.TripLeft}.Bytes()
	challenge()
	_, err := send(card, secured("04DC01D4", trip[:]))
	require.NoError(t, err)
	exchange(t, card, "00B201D480", strings.ToUpper(fmt.Sprintf("%x", trip[:]))+"9000")
	challenge()
	_, err = send(card, secured("04DC01C4", make([]byte, 23)))
	require.Equal(t, statusError(0x6981), err, "the log is the card's own")
	challenge()
	_, err = send(card, secured("04DC05D4", trip[:]))
	require.Equal(t, statusError(0x6A83), err)
	expiry := unhex("20441231")
	for range 2 {
		challenge()
		exchange(t, card, "04D6951808 20441231 00000000", "6988")
	}
	challenge()
	_, err = send(card, secured("04D69518", expiry))
	require.NoError(t, err)
	require.Zero(t, card.Image().MACFailures)
	for range 3 {
		challenge()
		exchange(t, card, "04D6951808 20441231 00000000", "6988")
	}
	exchange(t, card, "0084000004", "9303")
	require.Equal(t, epcard.Permanent, card.Image().Block)
	require.Equal(t, string(expiry), string(card.Image().Public[24:28]))
}

// TestHolder writes EF 16 with the library and reads it back.
func TestHolder(t *testing.T) {
	ctx := t.Context()
	holder := ep.Holder{CardType: 1, Name: [20]byte{'a'}, IDNumber: bytes.Repeat([]byte{'1'}, 32), IDType: 2}
	img, err := personalise.Card(bank(), personalise.CardSpec{Number: number, Issuer: issuer, Holder: holder})
	require.NoError(t, err)
	card, _, err := ep.Select(ctx, newCard(t, img, seeded(5)), ep.AIDTUnion)
	require.NoError(t, err)
	got, err := card.ReadHolder(ctx)
	require.NoError(t, err)
	require.Equal(t, holder, got)
	mac := func(_ context.Context, challenge, message []byte) ([4]byte, error) {
		return keys.TripleDES.SecureMAC(img.MaintenanceKey.Key, challenge, message)
	}
	require.NoError(t, card.UpdateBinary(ctx, ep.SFIHolder, 2, []byte("bc"), mac))
	holder.Name = [20]byte{'b', 'c'}
	got, err = card.ReadHolder(ctx)
	require.NoError(t, err)
	require.Equal(t, holder, got)
	_, err = personalise.Card(bank(), personalise.CardSpec{Number: number, Issuer: issuer, Holder: ep.Holder{IDNumber: []byte{1}}})
	require.ErrorContains(t, err, "want 16 or 32")
}

// TestBlocking is purse facts 3.11: block, unblock, block for good, and the card as a whole.
func TestBlocking(t *testing.T) {
	fresh := func() *epcard.Card {
		card := newCard(t, bankCard(t), bytes.NewReader(bytes.Repeat(unhex("11223344"), 10)))
		exchange(t, card, tunionKey, fci82+"9000")
		exchange(t, card, "0084000004", "11223344 9000")
		return card
	}
	card := fresh()
	exchange(t, card, unblock82, "6985") // nothing to unblock
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, block82, "9000")
	exchange(t, card, "805C000204", "6985")
	exchange(t, card, tunionKey, fci82+"6A81")
	exchange(t, card, verify, "6985")
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, "8418000004 563254A9", "6988")
	exchange(t, card, "0084000004", "11223344 9000")
	exchange(t, card, unblock82, "9000")
	require.Zero(t, card.Image().MACFailures)
	exchange(t, card, "805C000204", "00001770 9000")

	card = fresh()
	exchange(t, card, block82, "9000")
	for range 3 {
		exchange(t, card, "0084000004", "11223344 9000")
		exchange(t, card, "8418000004 563254A9", "6988")
	}
	exchange(t, card, "0084000004", "9303")
	exchange(t, card, tunionKey, fci82+"6A81")

	card = fresh()
	exchange(t, card, "841E000104 26843F07", "9000")
	exchange(t, card, "0084000004", "9303")

	card = fresh()
	mac, err := keys.TripleDES.SecureMAC(card.Image().MaintenanceKey.Key, unhex("11223344"), unhex("8416000004"))
	require.NoError(t, err)
	_, err = send(card, withData("84160000", mac[:]))
	require.NoError(t, err)
	exchange(t, card, tunionKey, "6A81")
	exchange(t, card, "00A4000002 3F00", "6A81")
}

// TestATerminalBlocksACard: by its PSAM's maintenance key and the library's commands. The issuer unblocks it.
func TestATerminalBlocksACard(t *testing.T) {
	ctx := t.Context()
	samImage, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: terminal, Issuer: issuer, Maintenance: true})
	require.NoError(t, err)
	sam, err := psam.New(samImage)
	require.NoError(t, err)
	door, err := ep.OpenPSAM(ctx, sam, ep.PSAMTUnion)
	require.NoError(t, err)
	chip := newCard(t, image82(t, 2), seeded(1))
	card, fci, err := ep.Select(ctx, chip, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := ep.ParsePublic(fci.Public)
	require.NoError(t, err)
	require.NoError(t, card.BlockApplication(ctx, false, door.Maintenance(ep.MaintenanceKey{Version: 1}, public.Factors(2))))
	_, _, err = ep.Select(ctx, chip, ep.AIDTUnion)
	require.ErrorIs(t, err, ep.ErrBlocked)
	_, err = ep.Selected(chip).InitPurchase(ctx, ep.TypePurchase, 1, money.Minor(1), terminal)
	require.ErrorIs(t, err, ep.ErrBlocked)

	host := keys.NewSoft(masters)
	key := keys.Card{ID: keys.ID{Purpose: keys.Maintenance, Version: 1}, Factors: public.Factors(2)}
	mac := func(ctx context.Context, challenge, message []byte) ([4]byte, error) {
		return host.SecureMAC(ctx, key, challenge, message)
	}
	wrong := func(context.Context, []byte, []byte) ([4]byte, error) { return [4]byte{}, nil }
	require.ErrorIs(t, ep.Selected(chip).UnblockApplication(ctx, wrong), ep.ErrMAC)
	require.NoError(t, ep.Selected(chip).UnblockApplication(ctx, mac))
	_, _, err = ep.Select(ctx, chip, ep.AIDTUnion)
	require.NoError(t, err)
	require.NoError(t, card.UpdateBinary(ctx, ep.SFIManagement, 10, []byte{personalise.KindSenior}, mac))
	m, err := card.ReadManagement(ctx)
	require.NoError(t, err)
	require.Equal(t, personalise.KindSenior, m.Kind)
	require.NoError(t, card.With(ep.Settings{ChallengeLength: 8}).BlockCard(ctx, mac))
	_, _, err = ep.Select(ctx, chip, ep.AIDTUnion)
	require.ErrorIs(t, err, ep.ErrBlocked)
}

// TestSM4Exchange is the composite exit and the load of purse facts 8.2 on an SM4 card with an SM4 PSAM. The file contents of the
// exit are not part of any MAC.
func TestSM4Exchange(t *testing.T) {
	spec := personalise.CardSpec{
		Number: number, Issuer: issuer, City: [2]byte{0x10, 0x00}, Keys: personalise.Keys{Levels: 2, Algorithm: keys.AlgorithmSM4}, Log: epcard.LogBefore, Balance: money.Minor(0x1770),
	}
	for _, algorithm := range []byte{keys.AlgorithmSM4, 0x12} {
		masters := bank()
		for id, k := range bank() {
			id.Algorithm = algorithm
			masters[id] = k
		}
		spec.Keys.Algorithm, spec.Settings.SM4Algorithm = algorithm, algorithm
		img, err := personalise.Card(masters, spec)
		require.NoError(t, err)
		img.OfflineCounter, img.OnlineCounter = 0x11, 3
		card := newCard(t, img, bytes.NewReader(unhex("F0E0D0C0")))
		samImage, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: terminal, Issuer: issuer, NextSerial: 0x201, SM4Algorithm: algorithm})
		require.NoError(t, err)
		sam, err := psam.New(samImage)
		require.NoError(t, err)
		a := fmt.Sprintf("%02X", algorithm)
		exchange(t, sam, "00A4000002 8011", "6F128410A0000006324D4F542E435053414D3031 9000")
		exchange(t, card, tunionKey, fci82+"9000")
		exchange(t, card, "805003020B 01 0000012C 112233445566 0F", "00001770 0011 000000 01 "+a+" F0E0D0C0 9000")
		exchange(t, sam, "8070000024 F0E0D0C0 0011 0000012C 09 20240115083512 01 "+a+" 0203040506070809 01011000FFFFFFFF", "00000201 07FE5F52 9000")
		exchange(t, card, "805401000F 00000201 20240115083512 07FE5F52 08", "DF5CCD0D ED8A2220 9000")
		exchange(t, sam, "8072000004 ED8A2220", "9000")

		img.Balance = money.Minor(0x3E8)
		card = newCard(t, img, bytes.NewReader(unhex("0A0B0C0D 000102030405060708090A0B0C0D0E0F")))
		exchange(t, card, tunionKey, fci82+"9000")
		exchange(t, card, "805000020B 01 00001388 112233445566 10", "000003E8 0003 01 "+a+" 0A0B0C0D D6EAAE6E 9000")
		exchange(t, card, "805200000B 20240115083000 AFF73957 04", "9A01FA19 9000")
		exchange(t, card, "0084000010", "000102030405060708090A0B0C0D0E0F 9000")
		mac, err := keys.SM4.SecureMAC(img.MaintenanceKey.Key, unhex("000102030405060708090A0B0C0D0E0F"), unhex("841E000004"))
		require.NoError(t, err)
		_, err = send(card, withData("841E0000", mac[:]))
		require.NoError(t, err)
	}
}

// TestCityUnion is the published composite purchase P2 of purse facts 8.1, whose MAC1 covers the card's code, through a PSAM that is told
// the code, and one that is not.
func TestCityUnion(t *testing.T) {
	img := image82(t, 1)
	img.Balance = money.Minor(0x1C37)
	img.Settings.CityCode = "\x85\x88\xD3\x2B\x76\x88\xD3\x2B\x76"
	copy(img.PurchaseKey.Key.Key[:], unhex("A338D92A10C8285411E761445C831C22"))
	copy(img.TACKey.Key[:], unhex("CAA6025290114BFCC3C9043F70F7A07A"))
	card := newCard(t, img, bytes.NewReader(unhex("9AC87503 9AC87503")))
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, "80CA000009", "85 88D32B76 88D32B76 9000")
	exchange(t, card, "805003020B 01 00001C37 000000000001", "00001C37 0000 000000 01 00 9AC87503 9000")
	exchange(t, card, "805401000F 00000001 20110919204812 CD573164", "9302") // without the code
	exchange(t, card, "805003020B 01 00001C37 000000000001", "00001C37 0000 000000 01 00 9AC87503 9000")
	exchange(t, card, "805401000F 00000001 20110919204812 303D735D", "44A8E04A 350AC480 9000")

	plain := newCard(t, image82(t, 1), seeded(1))
	exchange(t, plain, tunionKey, fci82+"9000")
	exchange(t, plain, "80CA000009", "6D00")

	// By the library: card, PSAM and the code between them.
	img = image82(t, 1)
	img.Settings.CityCode = "\x85\x88\xD3\x2B\x76\x88\xD3\x2B\x76"
	card = newCard(t, img, seeded(2))
	ctx, sam := t.Context(), psam82(t, 1)
	door, err := ep.OpenPSAM(ctx, sam, ep.PSAMTUnion)
	require.NoError(t, err)
	c, fci, err := ep.Select(ctx, card, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := ep.ParsePublic(fci.Public)
	require.NoError(t, err)
	for _, withCode := range []bool{true, false} { // the PSAM forgets the code with its purchase
		code, err := c.CityCode(ctx)
		require.NoError(t, err)
		if withCode {
			require.NoError(t, door.UseCityCode(ctx, code))
		}
		init, err := c.InitPurchase(ctx, ep.TypePurchase, 1, money.Minor(5), terminal)
		require.NoError(t, err)
		serial, mac1, err := door.InitPurchase(ctx, keys.PurchaseRequest{
			Random: init.Random, Counter: init.Counter, Amount: money.Minor(5), Type: byte(ep.TypePurchase), DateTime: at, Version: init.Version, Algorithm: init.Algorithm, Factors: public.Factors(1),
		})
		require.NoError(t, err)
		got, err := c.Debit(ctx, serial, at, mac1)
		if !withCode {
			require.ErrorIs(t, err, ep.ErrMAC)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, door.CheckMAC2(ctx, got.MAC2))
	}
}

// TestSettings: each choice of purse facts chapter 12 that this card can make, beside its default.
func TestSettings(t *testing.T) {
	with := func(change func(*epcard.Image)) *epcard.Card {
		img := bankCard(t)
		change(&img)
		card := newCard(t, img, seeded(3))
		_, _ = send(card, unhex(tunionKey))
		return card
	}
	usual := func(*epcard.Image) {}
	tooMuch := "805001020B 01 00FFFFFF 112233445566 0F"
	exchange(t, with(usual), tooMuch, "9401")
	exchange(t, with(func(m *epcard.Image) { m.Settings.Insufficient = 0x9301 }), tooMuch, "9301") // C10
	exchange(t, with(usual), "805A000602 0001", "9406")
	exchange(t, with(func(m *epcard.Image) { m.Settings.NoProof = 0x6985 }), "805A000602 0001", "6985")                           // C21
	exchange(t, with(func(m *epcard.Image) { m.Block = epcard.Temporary; m.Settings.BlockedSelect = 0x6283 }), tunionKey, "6283") // C11
	exchange(t, with(func(m *epcard.Image) { m.Settings.LoadPIN = true }), "805000020B 01 00000001 112233445566", "6982")         // 3.6
	_, err := send(with(usual), unhex("805000020B 01 00000001 112233445566"))
	require.NoError(t, err)

	// C7 and C8: EP unloads, by either counter.
	for _, offline := range []bool{false, true} {
		card := with(func(m *epcard.Image) {
			m.Settings.UnloadEP, m.Settings.UnloadOffline, m.OfflineCounter, m.OnlineCounter = true, offline, 9, 4
		})
		init, err := send(card, unhex("805005020B 01 00000064 112233445566 10"))
		require.NoError(t, err)
		counter := uint16(4)
		if offline {
			counter = 9
		}
		require.Equal(t, byte(counter), init[5])
		mac2 := keys.TripleDES.SessionMAC(card.Image().UnloadKey.Key.Key, ep.LoadSession([4]byte(init[8:12]), counter), ep.UnloadMAC2(money.Minor(100), terminal, at))
		_, err = send(card, withData("80540300", at[:], mac2[:]))
		require.NoError(t, err)
		require.Equal(t, money.Minor(0x1770-100), card.Balance())
		require.Equal(t, []uint16{9 + b2u(offline), 4 + b2u(!offline)}, []uint16{card.OfflineCounter(), card.OnlineCounter()})
	}

	// C3 and C19.
	free := session{kind: ep.TypeComposite, serial: 7}
	card := with(usual)
	_, err = free.run(card, card.Image())
	require.NoError(t, err)
	require.EqualValues(t, 1, card.OfflineCounter())
	card = with(func(m *epcard.Image) { m.Settings.ZeroDebitSilent = true })
	_, err = free.run(card, card.Image())
	require.NoError(t, err)
	require.Zero(t, card.OfflineCounter())
	_, err = proveAfter(card, ep.TypeComposite, 1)
	require.Equal(t, statusError(0x9406), err)
	card = with(func(m *epcard.Image) { m.Settings.SharedCounter = true; m.Deposit.OnlineCounter = 0 })
	_, err = session{kind: ep.TypeLoad, amount: 5}.run(card, card.Image())
	require.NoError(t, err)
	_, err = session{kind: ep.TypePurchase, amount: 5}.run(card, card.Image())
	require.NoError(t, err)
	require.Equal(t, []uint16{2, 2}, []uint16{card.OfflineCounter(), card.OnlineCounter()})
}

func b2u(b bool) uint16 {
	if b {
		return 1
	}
	return 0
}

// TestAnImageOfTheFirstFormIsRead: a card's file from before the issuer's commands opens, works and says no more than it did.
func TestAnImageOfTheFirstFormIsRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/card-1.json")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "card.json")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	card, err := epcard.OpenFile(path, bytes.NewReader(unhex("0A0B0C0D")))
	require.NoError(t, err)
	defer card.Close()
	exchange(t, card, tunionKey, fci82+"9000")
	exchange(t, card, verify, "6A88")
	exchange(t, card, "805000020B 01 00001388 112233445566 10", "000003E8 0003 01 00 0A0B0C0D F05423BF 9000") // purse facts 8.2
	exchange(t, card, "805200000B 20240115083000 03D12982 04", "23750B84 9000")
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, field := range []string{"pin", "deposit", "settings", "maintenance_key", "unload_key"} {
		require.NotContains(t, string(written), `"`+field+`"`)
	}
}

// TestEveryIssuerCommandIsAtomic tears a card out before and after each command of issuer and holder: its memory is what it was, or what
// the command makes it, and nothing between.
func TestEveryIssuerCommandIsAtomic(t *testing.T) {
	img := bankCard(t)
	session := ep.LoadSession([4]byte(unhex("11223344")), 4)
	unloadMAC := keys.TripleDES.SessionMAC(img.UnloadKey.Key.Key, session, ep.UnloadMAC2(money.Minor(100), terminal, at))
	session = ep.LoadSession([4]byte(unhex("11223344")), 5)
	limitMAC := keys.TripleDES.SessionMAC(img.LimitKey.Key.Key, session, ep.LimitMAC2(money.Minor(1000), terminal, at))
	script := [][]byte{
		unhex(tunionKey), unhex(wrongPIN), unhex(verify),
		unhex(unload82), withData("80540300", at[:], unloadMAC[:]),
		unhex(verify), unhex(limit82), withData("80580000", unhex("0003E8"), at[:], limitMAC[:]),
		unhex("805E010007 123456FF111111"), unhex("805E000007 123456 17BB8F96"),
		unhex("0084000004"), unhex("0082000008 0000000000000000"),
		unhex("0084000004"), unhex("04D6951808 20441231 00000000"),
		unhex("0084000004"), unhex(block82), unhex("0084000004"), unhex(unblock82),
	}
	random := func() *bytes.Reader { return bytes.NewReader(bytes.Repeat(unhex("11223344"), 10)) }
	twin := newCard(t, img, random())
	states := []epcard.Image{twin.Image()}
	changes := 0
	for _, command := range script {
		_, _ = send(twin, command)
		states = append(states, twin.Image())
		if states[len(states)-1] != states[len(states)-2] {
			changes++
		}
	}
	require.Equal(t, 10, changes, "all of these commands do their work")
	for at := 1; at <= len(script); at++ {
		for _, after := range []bool{false, true} {
			card := newCard(t, img, random())
			field := epcard.Present(card, epcard.Tear{At: at, After: after})
			for _, command := range script {
				if _, err := send(field, command); field.Gone() {
					require.ErrorIs(t, err, apdu.ErrNoAnswer)
					break
				}
			}
			require.True(t, card.Image() == states[at-1+int(b2u(after))], "torn at %d, after %v", at, after)
		}
	}
}
