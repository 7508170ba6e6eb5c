package cardacquirer_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/card/keys"
)

func key(t testing.TB, text string) *cardacquirer.SoftMAC {
	t.Helper()
	raw, err := hex.DecodeString(text)
	require.NoError(t, err)
	k, err := cardacquirer.NewSoftMAC(raw)
	require.NoError(t, err)
	return k
}

// TestMACByTheStandard: with two equal halves the retail MAC is the one of FIPS 113, whose example this is.
func TestMACByTheStandard(t *testing.T) {
	k := key(t, "0123456789abcdef0123456789abcdef")
	sum, err := k.Sum([]byte("7654321 Now is the time for "))
	require.NoError(t, err)
	require.Equal(t, "f1d30f6849312ca4", hex.EncodeToString(sum[:]))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", k, k, k, k), "1 35")
	require.Equal(t, "MAC key MAC key", fmt.Sprintf("%v %#v", k, k))
	_, err = cardacquirer.NewSoftMAC(make([]byte, 8))
	require.Error(t, err)
}

// TestASealedKeyMakesTheSameMAC: in production without a device the key lies in the scheme's sealed key file, as a secret.
func TestASealedKeyMakesTheSameMAC(t *testing.T) {
	ring, err := keys.NewRing(rand.Reader)
	require.NoError(t, err)
	raw, err := hex.DecodeString("0123456789abcdeffedcba9876543210")
	require.NoError(t, err)
	ring.Secrets["mac-card-1"] = raw
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, ring.Seal(&file, identity.Recipient()))
	require.NotContains(t, file.String(), string(raw))
	opened, err := keys.OpenRing(&file, identity)
	require.NoError(t, err)
	secret, err := opened.Secret("mac-card-1", 16)
	require.NoError(t, err)
	sealed, err := cardacquirer.NewSoftMAC(secret)
	require.NoError(t, err)
	want, err := key(t, "0123456789abcdeffedcba9876543210").Sum([]byte("0200"))
	require.NoError(t, err)
	got, err := sealed.Sum([]byte("0200"))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func purchase() cardacquirer.Message {
	return cardacquirer.Message{MTI: "0200", Fields: map[int]string{2: "4761739001010119", 3: "000000", 4: "000000002000", 7: "1125020000", 11: "000042", 12: "100000", 13: "1125",
		14: "3012", 22: "102", 24: "200", 37: "ABCDEFGHIJKL", 41: "PURSE001", 42: "898340183980105", 49: "156", 63: "20261125100000000001"}}
}

func TestAPurchaseByItsBytes(t *testing.T) {
	packed, err := cardacquirer.Pack(purchase(), key(t, "0123456789abcdeffedcba9876543210"))
	require.NoError(t, err)
	// 0200, the bitmap, then the fields: 2 with its length, 63 with its length, and the MAC.
	want := "0200" + "\x72\x3c\x05\x00\x08\xc0\x80\x03" + "164761739001010119" + "000000" + "000000002000" + "1125020000" + "000042" + "100000" + "1125" + "3012" + "102" + "200" +
		"ABCDEFGHIJKL" + "PURSE001" + "898340183980105" + "156" + "02020261125100000000001"
	require.Equal(t, want, string(packed[:len(packed)-8]))
	// Made with openssl: DES in CBC mode under the left half, then D under the right and E under the left on the last block.
	require.Equal(t, "3870456403d7f398", hex.EncodeToString(packed[len(packed)-8:]))
}

func TestWhereTheMACStands(t *testing.T) {
	k := key(t, "0123456789abcdeffedcba9876543210")
	m := purchase()
	m.MTI, m.Fields[61], m.Fields[90] = "0400", "ABCDEFGHIJKL", "0200000042"+strings.Repeat("0", 32)
	packed, err := cardacquirer.Pack(m, k)
	require.NoError(t, err)
	require.Equal(t, byte(0x80), packed[4]&0x80, "a second bitmap")
	require.Equal(t, byte(0x01), packed[4+15]&0x01, "the MAC is field 128")
	back, err := cardacquirer.Unpack(packed, k)
	require.NoError(t, err)
	require.Equal(t, m, back)

	for at := range packed {
		changed := bytes.Clone(packed)
		changed[at] ^= 1
		_, err := cardacquirer.Unpack(changed, k)
		require.Error(t, err, "byte %d", at)
	}
	_, err = cardacquirer.Unpack(packed, key(t, "fedcba98765432100123456789abcdef"))
	require.ErrorIs(t, err, cardacquirer.ErrMAC)
}

func TestChipDataPassThrough(t *testing.T) {
	k := key(t, "0123456789abcdeffedcba9876543210")
	m := purchase()
	m.Chip = []byte{0x9f, 0x26, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0x02, 0, 0}
	packed, err := cardacquirer.Pack(m, k)
	require.NoError(t, err)
	back, err := cardacquirer.Unpack(packed, k)
	require.NoError(t, err)
	require.Equal(t, m, back)
}

func TestNoErrorHoldsACardNumber(t *testing.T) {
	m := purchase()
	m.Fields[2] = "47617390010101194761739001010119" // longer than any
	_, err := cardacquirer.Pack(m, key(t, "0123456789abcdeffedcba9876543210"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "4761")
	c := cardacquirer.Card{Number: "4761739001010119", Expires: "3012"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, c)+fmt.Sprintf(verb, &c)+fmt.Sprintf(verb, []cardacquirer.Card{c}), "47617390", verb)
	}
}

func TestTypesOfAnswersAndRepeats(t *testing.T) {
	for mti, answer := range map[string]string{"0100": "0110", "0200": "0210", "0201": "0210", "0220": "0230", "0221": "0230", "0400": "0410", "0401": "0410", "0600": "0610", "0800": "0810"} {
		require.Equal(t, answer, cardacquirer.Answers(mti))
	}
	require.Equal(t, "0401", cardacquirer.Repeat("0400"))
}

func TestFramings(t *testing.T) {
	for framing, head := range map[cardacquirer.Framing]string{cardacquirer.Binary2: "\x00\x05", cardacquirer.Binary2Self: "\x00\x07", cardacquirer.ASCII4: "0005", cardacquirer.ASCII4Self: "0009"} {
		var b bytes.Buffer
		require.NoError(t, framing.Write(&b, []byte("hello")))
		require.Equal(t, head+"hello", b.String())
		got, err := framing.Read(&b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		_, err = framing.Read(strings.NewReader(head + "hell"))
		require.Error(t, err)
	}
	got, err := cardacquirer.Binary2.Read(strings.NewReader("\x00\x00\x00\x02ok"))
	require.NoError(t, err)
	require.Equal(t, "ok", string(got), "an empty message is a sign of life")
	_, err = cardacquirer.ASCII4.Read(strings.NewReader("\x00\x05hello"))
	require.ErrorContains(t, err, "framing")
	_, err = cardacquirer.Binary2Self.Read(strings.NewReader("\x00\x01"))
	require.ErrorContains(t, err, "framing")
	require.Error(t, cardacquirer.Binary2.Write(&bytes.Buffer{}, nil))
}

const fileHead = "H|1|898340183980105|2026-11-25|CNY\n" +
	"D|PAY|20261125100000000001||ABCDEFGHIJKL-000001|2000|12|2026-11-25T10:00:00+08:00|476173******0119\n" +
	"D|REF|20261125100000000002|20261125100000000001|MNOPQRSTUVWX-000002|500|0|2026-11-25T10:05:00+08:00|476173******0119\n"

func file(body string, rows int, sum int64) []byte {
	return fmt.Appendf(nil, "%sT|%d|%d|%x\n", body, rows, sum, sha256.Sum256([]byte(body)))
}

func TestASettlementFile(t *testing.T) {
	read := func(all []byte) ([]channel.BillRow, error) {
		return cardacquirer.ReadFile(all, "898340183980105", "2026-11-25", "CNY")
	}
	rows, err := read(file(fileHead, 2, 1500))
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, channel.OfPayment, rows[0].Kind)
	require.EqualValues(t, 12, rows[0].Fee.Minor())
	require.Equal(t, "20261125100000000001", rows[1].Of)
	for name, all := range map[string][]byte{
		"nothing":          nil,
		"no trailer":       []byte(fileHead),
		"another count":    file(fileHead, 3, 1500),
		"another sum":      file(fileHead, 2, 2500),
		"a row changed":    bytes.Replace(file(fileHead, 2, 1500), []byte("|2000|"), []byte("|2001|"), 1),
		"a row dropped":    []byte(strings.Join(strings.SplitAfter(string(file(fileHead, 2, 1500)), "\n")[1:], "")),
		"another merchant": file(strings.Replace(fileHead, "898340183980105", "898340183980106", 1), 2, 1500),
		"another kind":     file(strings.Replace(fileHead, "|REF|", "|XXX|", 1), 2, 1500),
		"no amount":        file(strings.Replace(fileHead, "|2000|", "|-2000|", 1), 2, -2500),
	} {
		_, err := read(all)
		require.Error(t, err, name)
	}
}

func FuzzUnpack(f *testing.F) {
	k := key(f, "0123456789abcdeffedcba9876543210")
	packed, err := cardacquirer.Pack(purchase(), k)
	require.NoError(f, err)
	f.Add(packed)
	f.Add(packed[:20])
	f.Add([]byte("0800\x82\x20\x00\x00\x00\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := cardacquirer.Unpack(b, k)
		if err != nil {
			return
		}
		again, err := cardacquirer.Pack(m, k)
		require.NoError(t, err)
		back, err := cardacquirer.Unpack(again, k)
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("\x00\x05hello"), 0)
	f.Add([]byte("0009hello"), 3)
	f.Fuzz(func(t *testing.T, b []byte, framing int) {
		got, err := cardacquirer.Framing(framing).Read(bytes.NewReader(b))
		if err == nil {
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(got), len(b))
		}
	})
}

func FuzzReadFile(f *testing.F) {
	f.Add(file(fileHead, 2, 1500))
	f.Add([]byte("H|1|898340183980105|2026-11-25|CNY\nT|0|0|"))
	f.Fuzz(func(t *testing.T, all []byte) {
		rows, err := cardacquirer.ReadFile(all, "898340183980105", "2026-11-25", "CNY")
		if err == nil {
			for _, r := range rows {
				require.Positive(t, r.Money.Amount.Sign())
			}
		}
	})
}
