package epcard_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

// unhex reads hexadecimal digits with spaces, as the purse facts print exchanges.
func unhex(s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return raw
}

func ascending(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// masters are the master keys of purse facts 8.2.
var masters = personalise.Masters{
	{Purpose: keys.Purchase, Version: 1}:    ascending(0x40),
	{Purpose: keys.Load, Version: 1}:        ascending(0x50),
	{Purpose: keys.TAC, Version: 1}:         ascending(0x60),
	{Purpose: keys.Maintenance, Version: 1}: ascending(0x90),
}

var (
	issuer   = ep.Factor(unhex("01011000FFFFFFFF"))
	number   = ids.CardNumber(unhex("00010203040506070809"))
	terminal = ep.TerminalNumber(unhex("112233445566"))
)

// image82 is the T-Union card of purse facts 8.2 and 8.3.
func image82(t require.TestingT, levels int) epcard.Image {
	img, err := personalise.Card(masters, personalise.CardSpec{
		Number: number, Issuer: issuer, City: [2]byte{0x10, 0x00},
		Keys: personalise.Keys{Levels: levels}, Log: epcard.LogBefore, Balance: money.Minor(0x1770),
	})
	require.NoError(t, err)
	return img
}

func newCard(t require.TestingT, img epcard.Image, random io.Reader) *epcard.Card {
	c, err := epcard.New(img, random)
	require.NoError(t, err)
	return c
}

func psam82(t require.TestingT, next uint32) *psam.PSAM {
	img, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: terminal, Issuer: issuer, NextSerial: next})
	require.NoError(t, err)
	p, err := psam.New(img)
	require.NoError(t, err)
	return p
}

// exchange sends the command and wants exactly the response.
func exchange(t require.TestingT, to apdu.Transmitter, command, response string) {
	got, err := to.Transmit(context.Background(), unhex(command))
	require.NoError(t, err)
	require.Equal(t, strings.ToUpper(hex.EncodeToString(unhex(response))), strings.ToUpper(hex.EncodeToString(got)), "to %s", command)
}

const (
	fci82      = "6F318408A000000632010105A5259F0801029F0C1E01011000FFFFFFFF02010001020304050607080920240101203412310000"
	select82   = "00A4040008 A000000632010105 00"
	entryTrip  = "27017D0101000000000000000001011000000001011000FFFFFFFF0000000000000000010001000000000000000000000000000000112233445566000000000000000020240115080001000000000000000000025801000000000000001770000000000000000000000000000000000000000000000000000000000000000000"
	entryPlace = "0300001122334455660101000100300000000000000000177020240115080001100001011000FFFFFFFF000000000000"
	exitTrip   = "27017D0101000000000000000001021000100001011000FFFFFFFF01011000FFFFFFFF0100010000000000080019000000000000001122334455660000112233445566202401150800012024011508351200000258010800000000000017700000012C0000000000000000000000000000000000000000000000000000000000"
	exitPlace  = "04000011223344556601080019003000000000012C0000164420240115083512100001011000FFFFFFFF000000000000"
)

// TestTUnionEntryAndExit is the exchange of purse facts 8.3, byte for byte.
func TestTUnionEntryAndExit(t *testing.T) {
	img := image82(t, 2)
	img.OfflineCounter = 0x10
	card := newCard(t, img, bytes.NewReader(unhex("01020304 F0E0D0C0")))
	sam := psam82(t, 0x200)
	exchange(t, sam, "00A4000002 3F00", "9000")
	exchange(t, sam, "00B0960006", "112233445566 9000")
	exchange(t, sam, "00A4000002 8011", "6F128410A0000006324D4F542E435053414D3031 9000")

	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, "00B095001E", "01011000FFFFFFFF0201 00010203040506070809 20240101 20341231 0000 9000")
	exchange(t, card, "00B097003C", "00000156100010000001 01"+strings.Repeat("00", 49)+"9000")
	exchange(t, card, "805C000204", "00001770 9000")

	exchange(t, card, "805003020B 01 00000000 112233445566 0F", "00001770 0010 000000 01 00 01020304 9000")
	exchange(t, sam, "8070000024 01020304 0010 00000000 09 20240115080001 01 00 0203040506070809 01011000FFFFFFFF",
		"00000200 FAC44D37 9000")
	exchange(t, card, "80DC01D080"+entryTrip, "9000")
	exchange(t, card, "80DC00F030"+entryPlace, "9000")
	exchange(t, card, "805401000F 00000200 20240115080001 FAC44D37 08", "0F87912B 1E809B1A 9000")
	exchange(t, sam, "8072000004 1E809B1A", "9000")
	exchange(t, card, "00B201C417", "0010 000000 00000000 09 112233445566 20240115080001 9000")
	exchange(t, card, "00B201D480", entryTrip+"9000")
	exchange(t, card, "00B201D080", entryTrip+"9000")
	exchange(t, card, "00B201F430", entryPlace+"9000")

	exchange(t, card, "805003020B 01 0000012C 112233445566 0F", "00001770 0011 000000 01 00 F0E0D0C0 9000")
	exchange(t, sam, "8070000024 F0E0D0C0 0011 0000012C 09 20240115083512 01 00 0203040506070809 01011000FFFFFFFF",
		"00000201 C524CA4C 9000")
	exchange(t, card, "80DC01D080"+exitTrip, "9000")
	exchange(t, card, "80DC00F030"+exitPlace, "9000")
	exchange(t, card, "805401000F 00000201 20240115083512 C524CA4C 08", "FD66FC1F E2DD1004 9000")
	exchange(t, sam, "8072000004 E2DD1004", "9000")
	exchange(t, card, "805C000204", "00001644 9000")
	exchange(t, card, "00B201C417", "0011 000000 0000012C 09 112233445566 20240115083512 9000")
	exchange(t, card, "00B202C417", "0010 000000 00000000 09 112233445566 20240115080001 9000")
	exchange(t, card, "00B203C417", strings.Repeat("00", 23)+"9000")
	exchange(t, card, "00B201D480", exitTrip+"9000")
	exchange(t, card, "00B201F430", exitPlace+"9000")
	exchange(t, card, "00B202F430", entryPlace+"9000")

	exchange(t, card, "805A000902 0012 08", "E2DD1004 FD66FC1F 9000")
	exchange(t, card, "805A000902 0013 08", "9406")
	require.Equal(t, uint16(0x12), card.OfflineCounter())
	require.Equal(t, money.Minor(0x1644), card.Balance())
}

// TestPlainPurchaseOneLevel is the purchase at the end of purse facts 8.3.
func TestPlainPurchaseOneLevel(t *testing.T) {
	img := image82(t, 1)
	img.OfflineCounter = 7
	card := newCard(t, img, bytes.NewReader(unhex("A1B2C3D4")))
	sam := psam82(t, 0x123)
	exchange(t, sam, "00A4040010 A0000006324D4F542E435053414D3031", "6F128410A0000006324D4F542E435053414D3031 9000")
	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, "805001020B 01 000000C8 112233445566 0F", "00001770 0007 000000 01 00 A1B2C3D4 9000")
	exchange(t, sam, "807000001C A1B2C3D4 0007 000000C8 06 20240115083000 01 00 0203040506070809", "00000123 9726DC2C 9000")
	exchange(t, card, "805401000F 00000123 20240115083000 9726DC2C 08", "FC4773EA EE888D06 9000")
	exchange(t, sam, "8072000004 EE888D06", "9000")
	exchange(t, card, "805A000602 0008 08", "EE888D06 FC4773EA 9000")
	exchange(t, card, "00B201C417", "0007 000000 000000C8 06 112233445566 20240115083000 9000")
}

// TestLoadOneLevel is the load row of purse facts 8.2.
func TestLoadOneLevel(t *testing.T) {
	img := image82(t, 1)
	img.Balance = money.Minor(0x3E8)
	img.OnlineCounter = 3
	card := newCard(t, img, bytes.NewReader(unhex("0A0B0C0D")))
	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, "805000020B 01 00001388 112233445566 10", "000003E8 0003 01 00 0A0B0C0D F05423BF 9000")
	exchange(t, card, "805200000B 20240115083000 03D12982 04", "23750B84 9000")
	exchange(t, card, "805C000204", "00001770 9000")
	exchange(t, card, "805A000202 0004 08", "00000000 23750B84 9000")
	exchange(t, card, "00B201C417", "0003 000000 00001388 02 112233445566 20240115083000 9000")
	require.Equal(t, uint16(4), card.OnlineCounter())
	require.Zero(t, card.OfflineCounter())
}

// TestChangshaLoad is the published load P1 of purse facts 8.1.
func TestChangshaLoad(t *testing.T) {
	img := image82(t, 1)
	img.Balance = money.Amount{}
	copy(img.LoadKey.Key.Key[:], unhex("374598B5C0B0EAE1E1D06609AC5BB369"))
	copy(img.TACKey.Key[:], unhex("CAA6025290114BFCC3C9043F70F7A07A"))
	card := newCard(t, img, bytes.NewReader(unhex("CDEF4F20")))
	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, "805000020B 01 00001C37 000001000050", "00000000 0000 01 00 CDEF4F20 06B1BEF5 9000")
	exchange(t, card, "805200000B 20140825103100 0641DCD8", "ED0F8755 9000")
}

func TestLogCounterAfterIsOneHigher(t *testing.T) {
	img := image82(t, 1)
	img.OfflineCounter, img.LogCounter = 7, epcard.LogAfter
	card := newCard(t, img, bytes.NewReader(unhex("A1B2C3D4")))
	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, "805001020B 01 000000C8 112233445566 0F", "00001770 0007 000000 01 00 A1B2C3D4 9000")
	exchange(t, card, "805401000F 00000123 20240115083000 9726DC2C 08", "FC4773EA EE888D06 9000")
	exchange(t, card, "00B201C417", "0008 000000 000000C8 06 112233445566 20240115083000 9000")
}
