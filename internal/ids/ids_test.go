package ids_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
)

const digits = "03105170070104791381"

func number(t require.TestingT) ids.CardNumber {
	n, err := ids.ParseCardNumber(digits)
	require.NoError(t, err)
	return n
}

func TestCardNumbers(t *testing.T) {
	n := number(t)
	require.Equal(t, digits, n.Reveal())
	require.Equal(t, "****1381", n.String())
	hexadecimal, err := ids.ParseCardNumber("abcdefABCDEF01234567")
	require.NoError(t, err)
	require.Equal(t, "ABCDEFABCDEF01234567", hexadecimal.Reveal())
	bank, err := ids.ParseCardNumber("6210947315926483FFFF")
	require.NoError(t, err)
	require.Equal(t, "****6483", bank.String())
	none, err := ids.ParseCardNumber("1234FFFFFFFFFFFFFFFF")
	require.NoError(t, err)
	require.Equal(t, "****FFFF", none.String())
	for _, bad := range []string{"", digits[1:], digits + "0", digits[:18] + "0G", " " + digits[1:], strings.Repeat("0", 40)} {
		_, err := ids.ParseCardNumber(bad)
		require.ErrorContains(t, err, "want 20 hexadecimal digits")
		if len(bad) > 4 {
			require.NotContains(t, err.Error(), bad, "an error is a log line too")
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var n ids.CardNumber
		copy(n[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "number"))
		got, err := ids.ParseCardNumber(n.Reveal())
		require.NoError(t, err)
		require.Equal(t, n, got)
	})
}

// TestACardNumberNeverPrints prints it, and what holds it, under every verb, in both log formats and as JSON, and looks for
// more than the last four digits in each notation.
func TestACardNumberNeverPrints(t *testing.T) {
	n := number(t)
	type holder struct {
		Card  ids.CardNumber
		Maybe *ids.CardNumber
	}
	values := map[string]any{
		"number": n, "pointer": &n, "holder": holder{n, &n}, "pointer to holder": &holder{n, &n},
		"list": []ids.CardNumber{n}, "array": [1]ids.CardNumber{n}, "map key": map[ids.CardNumber]int{n: 1}, "map value": map[string]ids.CardNumber{"a": n},
	}
	// 03 10 51 70 07 01 04 79 13 81: three bytes in a row of the part that is hidden.
	notations := []string{"105170", "70104791", "16 81 112", "16,81,112", "20 121 163", "0x51", "0x10, 0x51", "10 51 70", "\x10Qp", "\\x10qp", "\\u0010qp", "u+0051", "1010001 1110000", "axbwbwej", "axbr", "0020", "20 121 160"}
	check := func(t *testing.T, how, out string) {
		require.NotEmpty(t, out, how)
		for _, hidden := range notations {
			require.NotContains(t, strings.ToLower(out), hidden, how)
		}
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range strings.Split("v,+v,#v,s,q,x,X,# x,d,b,o,O,c,U,t,e,#x", ",") {
				check(t, verb, fmt.Sprintf("%"+verb, v))
			}
			check(t, "Sprint", fmt.Sprint(v)+fmt.Sprintln(v))
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("tap", "card", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("tap", "card", v, slog.Group("g", "card", v))
			check(t, "slog", out.String())
			raw, err := json.Marshal(v)
			require.NoError(t, err)
			check(t, "json", string(raw))
		})
	}
	require.Equal(t, "****1381 ****1381 ****1381 ****1381", fmt.Sprintf("%v %x %d %#v", n, n, n, n))
}

func TestAMaskedNumberDoesNotReadBackAsAnother(t *testing.T) {
	raw, err := json.Marshal(number(t))
	require.NoError(t, err)
	var n ids.CardNumber
	require.Error(t, json.Unmarshal(raw, &n))
}

func TestTerminalIDs(t *testing.T) {
	for _, good := range []string{"a", "bus-7_B", "0", strings.Repeat("x", 32)} {
		id, err := ids.ParseTerminalID(good)
		require.NoError(t, err)
		require.Equal(t, ids.TerminalID(good), id)
		require.NoError(t, ids.Check(good))
	}
	for _, bad := range []string{"", strings.Repeat("x", 33), "a b", "a/b", "a+b", "#", "a.b", "bus\n", "a\x00", "buß", "пл", "\xff"} {
		_, err := ids.ParseTerminalID(bad)
		require.ErrorContains(t, err, "terminal id", "%q", bad)
		require.Error(t, ids.Check(bad))
	}
}

func TestTapIDs(t *testing.T) {
	require.Equal(t, "bus-1/ff/7", ids.TapID{Terminal: "bus-1", Epoch: 255, Tap: 7}.String())
}

// FuzzCheck: whatever passes can stand in an MQTT topic, a certificate's common name and a file name.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"bus-1", "a/b", "", "ü", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ids.Check(s) == nil {
			require.NotContains(t, s, "/")
			require.False(t, strings.ContainsAny(s, "+#. \x00"), s)
			require.True(t, 1 <= len(s) && len(s) <= 32)
		}
	})
}
