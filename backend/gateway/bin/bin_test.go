package bin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/bin"
)

const table = `purselane-bin,1,7
356895,made-up,credit,other,16,luhn
411111,one,credit,visa,16,luhn
41111199,two,debit,visa,16,luhn
4111119988,three,prepaid,visa,16-19,luhn
622202,icbc,debit,unionpay,19,luhn
955880,old,debit,unionpay,19,none
end,6
`

func parse(t require.TestingT) *bin.Table {
	b, err := bin.Parse([]byte(table))
	require.NoError(t, err)
	return b
}

// number makes a card number of n digits that begins with a prefix.
func number(prefix string, n int) string {
	body := prefix + strings.Repeat("0", n-1-len(prefix))
	for d := range 10 {
		if s := body + fmt.Sprint(d); bin.Luhn(s) {
			return s
		}
	}
	panic("Luhn has a digit for every body")
}

func TestTheLongestPrefixWins(t *testing.T) {
	b := parse(t)
	require.Equal(t, 7, b.Version())
	require.Equal(t, 6, b.Len())
	for in, want := range map[string]bin.Card{
		number("411111", 16):     {Bank: "one", Type: bin.Credit, Scheme: bin.Visa},
		number("41111198", 16):   {Bank: "one", Type: bin.Credit, Scheme: bin.Visa},
		number("41111199", 16):   {Bank: "two", Type: bin.Debit, Scheme: bin.Visa},
		number("4111119987", 16): {Bank: "two", Type: bin.Debit, Scheme: bin.Visa},
		number("4111119988", 16): {Bank: "three", Type: bin.Prepaid, Scheme: bin.Visa},
		number("4111119988", 19): {Bank: "three", Type: bin.Prepaid, Scheme: bin.Visa},
		number("622202", 19):     {Bank: "icbc", Type: bin.Debit, Scheme: bin.UnionPay},
		number("356895", 16):     {Bank: "made-up", Type: bin.Credit, Scheme: bin.Other},
		"9558800000000000001":    {Bank: "old", Type: bin.Debit, Scheme: bin.UnionPay},
	} {
		got, err := b.Look(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func TestWhatIsNoNumberIsKeptApartFromWhatIsNotKnown(t *testing.T) {
	b := parse(t)
	good := number("411111", 16)
	wrong := good[:15] + string('0'+(good[15]-'0'+1)%10)
	for in, want := range map[string]error{
		"":                        bin.ErrNumber,
		"411111":                  bin.ErrNumber,
		wrong:                     bin.ErrNumber,
		number("411111", 19):      bin.ErrNumber, // of another length than the bank's
		good[:8] + " " + good[8:]: bin.ErrNumber,
		"４１１１":                    bin.ErrNumber,
		number("411112", 16):      bin.ErrUnknown,
		number("5", 16):           bin.ErrUnknown,
		strings.Repeat("0", 20):   bin.ErrNumber,
	} {
		_, err := b.Look(in)
		require.ErrorIs(t, err, want, in)
	}
	var none bin.Current
	_, err := none.Look(good)
	require.ErrorIs(t, err, bin.ErrUnknown)
}

func TestSchemesByTheFirstDigits(t *testing.T) {
	for in, want := range map[string]bin.Scheme{
		"4": bin.Visa, "5": bin.Mastercard, "2221": bin.Mastercard, "2720": bin.Mastercard, "2220": bin.Other, "2721": bin.Other, "222": bin.Other,
		"62": bin.UnionPay, "60": bin.UnionPay, "9": bin.UnionPay, "6": bin.Other, "61": bin.Other, "3": bin.Other, "": bin.Other,
	} {
		require.Equal(t, want, bin.SchemeOf(in), in)
	}
}

// TestLuhnSeesTypingErrors: every wrong digit, and every swap of neighbours other than 0 and 9, as the standard promises.
func TestLuhnSeesTypingErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := number(rapid.StringMatching(`[0-9]{5,17}`).Draw(t, "body"), 19)
		i := rapid.IntRange(0, 18).Draw(t, "place")
		d := byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		require.Equal(t, d == s[i], bin.Luhn(s[:i]+string(d)+s[i+1:]))
		if i < 18 && s[i] != s[i+1] {
			zeroNine := strings.Trim(s[i:i+2], "09") == ""
			require.Equal(t, zeroNine, bin.Luhn(s[:i]+string(s[i+1])+string(s[i])+s[i+2:]))
		}
	})
	require.True(t, bin.Luhn("79927398713"), "the example of the literature")
	require.False(t, bin.Luhn(""))
}

func TestABadFileIsRefusedAsAWhole(t *testing.T) {
	for name, change := range map[string][2]string{
		"another form":      {"purselane-bin,1,", "purselane-bin,2,"},
		"no version":        {",1,7\n", ",1,0\n"},
		"version of a sign": {",1,7\n", ",1,+7\n"},
		"a cut":             {"end,6\n", ""},
		"a lost row":        {"622202,icbc,debit,unionpay,19,luhn\n", ""},
		"no last feed":      {"end,6\n", "end,6"},
		"carriage returns":  {"luhn\n", "luhn\r\n"},
		"twice":             {"356895,made-up", "411111,made-up"},
		"out of order":      {"356895", "999999"},
		"a short prefix":    {"356895", "35689"},
		"a long prefix":     {"4111119988", "41111199880"},
		"letters":           {"356895", "35689x"},
		"no bank":           {"made-up", ""},
		"a loud bank":       {"made-up", "MADE"},
		"another type":      {"prepaid", "gift"},
		"another scheme":    {"other", "mine"},
		"lengths":           {"16-19", "19-16"},
		"a length too long": {"16-19", "16-20"},
		"a length twice":    {"16-19", "16-16"},
		"another check":     {"none", "mod97"},
		"a field more":      {"none\n", "none,\n"},
	} {
		changed := strings.Replace(table, change[0], change[1], 1)
		require.NotEqual(t, table, changed, name)
		_, err := bin.Parse([]byte(changed))
		require.ErrorIs(t, err, bin.ErrFile, name)
	}
}

// TestNoErrorSaysACardNumber, whatever is asked and wherever it was put by mistake.
func TestNoErrorSaysACardNumber(t *testing.T) {
	b := parse(t)
	pan := number("411119", 16)
	for _, in := range []string{pan, pan + "0", pan[:15] + "x", pan[:13]} {
		_, err := b.Look(in)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "41111")
	}
	_, err := bin.Parse([]byte(strings.Replace(table, "356895", pan, 1)))
	require.ErrorIs(t, err, bin.ErrFile)
	require.NotContains(t, err.Error(), "41111")
}

func TestAnOlderTableIsRefused(t *testing.T) {
	var c bin.Current
	require.NoError(t, c.Use(parse(t)))
	old, err := bin.Parse([]byte(strings.Replace(table, ",1,7", ",1,6", 1)))
	require.NoError(t, err)
	require.ErrorIs(t, c.Use(old), bin.ErrOld)
	require.NoError(t, c.Use(parse(t)), "the same again")
	card, err := c.Look(number("622202", 19))
	require.NoError(t, err)
	require.Equal(t, "icbc", card.Bank)
}

func TestFindSeesNumbersWhereNoneMayBe(t *testing.T) {
	pan := number("622202", 19)
	require.Equal(t, 8, bin.Find([]byte(`{"card":`+pan+`}`)))
	require.Equal(t, 14, bin.Find([]byte("1790000000000 "+pan)))
	require.Equal(t, -1, bin.Find([]byte("P01K9Z "+pan+"7")), "twenty digits are a context code")
	require.Equal(t, -1, bin.Find([]byte("6222 **** 0000")))
	require.Equal(t, -1, bin.Find(nil))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte("purselane-bin,1,1\nend,0\n"))
	f.Add([]byte("purselane-bin,1,1\n622202,icbc,debit,unionpay,16-19,none\nend,1\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := bin.Parse(file)
		if err != nil {
			require.ErrorIs(t, err, bin.ErrFile)
			return
		}
		require.Equal(t, string(file), string(b.Format()), "the form is the only one")
	})
}

func FuzzLook(f *testing.F) {
	b, err := bin.Parse([]byte(table))
	require.NoError(f, err)
	f.Add("4111111111111111")
	f.Add("6222020000000000000")
	f.Add("")
	f.Fuzz(func(t *testing.T, number string) {
		card, err := b.Look(number)
		if err == nil {
			require.NotEmpty(t, card.Bank)
			return
		}
		require.Zero(t, card)
		if len(number) >= 6 && strings.Trim(number, "0123456789") == "" {
			require.NotContains(t, err.Error(), number)
		}
	})
}

func BenchmarkLook(b *testing.B) {
	t := parse(b)
	n := number("622202", 19)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Look(n); err != nil {
			b.Fatal(err)
		}
	}
}
