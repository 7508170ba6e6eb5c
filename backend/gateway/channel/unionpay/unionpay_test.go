package unionpay_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/internal/money"
)

func TestWhatIsSigned(t *testing.T) {
	f := unionpay.Form{"txnTime": "20261125100000", "merId": "777290058110048", "signature": "x", "orderDesc": "充值 a&b=c", "accessType": "0"}
	require.Equal(t, "accessType=0&merId=777290058110048&orderDesc=充值 a&b=c&txnTime=20261125100000", unionpay.Signed(f))
	inner := sha256.Sum256([]byte(unionpay.Signed(f)))
	outer := sha256.Sum256([]byte(hex.EncodeToString(inner[:])))
	require.Equal(t, outer, unionpay.Digest(f), "the hash of the hexadecimal hash")
}

func TestAnAnswerIsReadAroundBraces(t *testing.T) {
	f, err := unionpay.ParseAnswer("respCode=00&tokenPayData={token=6235&trId=62000000001&tokenType=01}&signature=ab+/c==&respMsg=成功[0000000]")
	require.NoError(t, err)
	require.Equal(t, unionpay.Form{"respCode": "00", "tokenPayData": "{token=6235&trId=62000000001&tokenType=01}", "signature": "ab+/c==", "respMsg": "成功[0000000]"}, f)
	for _, bad := range []string{"", "a", "=1", "a=1&a=2", "a=1&&b=2", "<html>"} {
		_, err := unionpay.ParseAnswer(bad)
		require.Error(t, err, bad)
	}
	_, err = unionpay.ParseForm("a=1&a=2")
	require.ErrorContains(t, err, "2 times")
	_, err = unionpay.ParseForm("a=%zz")
	require.Error(t, err)
}

func TestEveryCodeThatFailsHasItsPlace(t *testing.T) {
	for code, v := range unionpay.Codes() {
		require.Len(t, code, 2)
		if v.Outcome == channel.Succeeded {
			require.Contains(t, []string{"00", "A6"}, code)
			require.Equal(t, channel.Pending, unionpay.Accepted(code), "in a synchronous answer %s says accepted", code)
		}
	}
	for _, ask := range []string{"03", "04", "05", "06", "34", "37", "42", "99", "", "zz"} {
		require.False(t, unionpay.Accepted(ask).Final(), "%s promises nothing", ask)
	}
}

// normalRow is a row of ZM as it stands in the file: 千叶 in the name of the sub-merchant is four bytes of GBK.
const normalRow = "S22 48020000    00049992    540123 1125100002 622609******0048    000000002000 5311 08 202611251000025401238 01 20261125100000000001             " +
	"01                   D000000000012 C000000001988 0001                 01 01 000902 01                                       0                       " +
	"777290058110048 0                 \xc7\xa7\xd2\xb6                                                          " +
	"                                                                                                "

func day(t *testing.T) time.Time {
	d, err := time.ParseInLocation(time.DateOnly, "2026-11-25", unionpay.Zone)
	require.NoError(t, err)
	return d
}

func TestANormalRowByItsBytes(t *testing.T) {
	got, err := unionpay.ReadNormal([]byte(normalRow), day(t))
	require.NoError(t, err)
	require.Equal(t, channel.BillRow{
		Kind: channel.OfPayment, Number: "20261125100000000001", ChannelID: "202611251000025401238", Fee: money.Minor(12),
		Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, At: time.Date(2026, 11, 25, 10, 0, 2, 0, unionpay.Zone),
	}, got)
	for name, row := range map[string]string{
		"cut off":            normalRow[:400],
		"shifted by a byte":  "S" + normalRow,
		"no amount":          strings.Replace(normalRow, "000000002000", "00000000x000", 1),
		"a negative amount":  strings.Replace(normalRow, "000000002000", "-00000002000", 1),
		"an unknown type":    strings.Replace(normalRow, " 01 01 000902", " 99 01 000902", 1),
		"no time":            strings.Replace(normalRow, "1125100002", "1399100002", 1),
		"a fee without sign": strings.Replace(normalRow, "D000000000012", "0000000000012", 1),
	} {
		_, err := unionpay.ReadNormal([]byte(row), day(t))
		require.Error(t, err, name)
	}
}

func TestAFlawedRowNamesWhatItSpeaksOf(t *testing.T) {
	row := "E84 48020000    00049992    540124 1126093000 621626******0018    000000000800 5311 08 01 540123 1125100002 4531 000000000000 D000000000000 " +
		"C000000000800 777290058110048 " + strings.Repeat(" ", 16+2+13+3+136)
	got, err := unionpay.ReadFlawed([]byte(row), day(t).AddDate(0, 0, 1))
	require.NoError(t, err)
	require.Equal(t, channel.OfRefund, got.Kind)
	require.Equal(t, "20261125100002540123", got.ChannelID)
	require.EqualValues(t, 800, got.Money.Amount.Minor())
}

func TestARowAtTheTurnOfTheYear(t *testing.T) {
	first, err := time.ParseInLocation(time.DateOnly, "2027-01-01", unionpay.Zone)
	require.NoError(t, err)
	got, err := unionpay.ReadNormal([]byte(strings.Replace(normalRow, "1125100002", "1231233000", 1)), first)
	require.NoError(t, err)
	require.Equal(t, 2026, got.At.Year())
}

func TestAFileThatIsNone(t *testing.T) {
	for _, packed := range [][]byte{nil, []byte("zip"), {0x78, 0x9c, 0x03, 0, 0, 0, 0, 1}} {
		require.Error(t, unionpay.ReadFile(packed, day(t), func(channel.BillRow) error { return errors.New("no row") }))
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add("respCode=00&tokenPayData={token=1&trId=2}&signature=ab==")
	f.Add("a={{}&b=[1&2]&c=")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := unionpay.ParseAnswer(body)
		if err != nil {
			return
		}
		again, err := unionpay.ParseForm(got.Encode())
		require.NoError(t, err)
		require.Equal(t, got, again, "a form survives being posted")
	})
}

func FuzzReadNormal(f *testing.F) {
	f.Add([]byte(normalRow))
	f.Add([]byte(normalRow[:100]))
	d := time.Date(2026, 11, 25, 0, 0, 0, 0, unionpay.Zone)
	f.Fuzz(func(t *testing.T, row []byte) {
		if got, err := unionpay.ReadNormal(row, d); err == nil {
			require.GreaterOrEqual(t, got.Money.Amount.Sign(), 0)
			require.Less(t, got.At.Sub(d).Abs(), 367*24*time.Hour)
		}
		_, _ = unionpay.ReadFlawed(row, d)
	})
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte{0x78, 0x9c, 0x03, 0, 0, 0, 0, 1})
	d := time.Date(2026, 11, 25, 0, 0, 0, 0, unionpay.Zone)
	f.Fuzz(func(t *testing.T, packed []byte) {
		_ = unionpay.ReadFile(packed, d, func(r channel.BillRow) error {
			require.NotZero(t, r.Kind)
			return nil
		})
	})
}
