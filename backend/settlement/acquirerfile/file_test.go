package acquirerfile_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/internal/money"
)

func sample() acquirerfile.File {
	return acquirerfile.File{Header: acquirerfile.Header{Kind: acquirerfile.Fees, Acquirer: "bus", Day: "2026-11-24", Currency: "CNY"}, Rows: [][]string{
		{"m1", "usual", "fee", "service", "100.00", "1", "", "", "0.50"},
		{"m1", "usual, new", "tax", "vat", "100.00", "1", "", "", "0.03"},
		{"m1", "usual", "rounding", "", "100.00", "1", "", "", "-0.01"},
		{"m1", "usual", "note", "", "", "", "", "", ""},
	}}
}

func encoded(t require.TestingT, f acquirerfile.File) []byte {
	raw, err := acquirerfile.Encode(f)
	require.NoError(t, err)
	return raw
}

func TestAFileHasHeaderColumnsRowsAndTrailer(t *testing.T) {
	raw := encoded(t, sample())
	require.Equal(t, "bus-2026-11-24-fees.csv", sample().Name())
	lines := strings.Split(string(raw), "\r\n")
	require.Equal(t, "header,purselane-acquirer-file,1,fees,bus,2026-11-24,CNY,,,", lines[0])
	require.Equal(t, "columns,merchant,standard,what,kind,gross,count,month_gross,month_count,value", lines[1])
	require.Equal(t, `row,m1,"usual, new",tax,vat,100.00,1,,,0.03`, lines[3])
	require.True(t, strings.HasPrefix(lines[6], "trailer,4,52,"), lines[6])
	back, err := acquirerfile.Parse(raw)
	require.NoError(t, err)
	require.Equal(t, sample().Rows, back.Rows)
	require.Equal(t, money.Minor(52), back.Sum)
}

func TestWhatIsWrongWithAFileIsSaid(t *testing.T) {
	good := string(encoded(t, sample()))
	swap := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct {
		raw  string
		want error
		says string
	}{
		"an amount":         {swap("0.50\r\n", "0.60\r\n"), acquirerfile.ErrSum, "line 7: wrong sum: the trailer says 0.52, the rows come to 0.62"},
		"a name":            {swap("service", "servicf"), acquirerfile.ErrHash, "line 7: wrong hash"},
		"a row less":        {swap("row,m1,usual,note,,,,,,\r\n", ""), acquirerfile.ErrCount, "line 6: wrong count of rows: the trailer says 4, there are 3"},
		"cut":               {good[:len(good)/2], acquirerfile.ErrForm, "line 4"},
		"no trailer":        {good[:strings.Index(good, "trailer")], acquirerfile.ErrForm, "line 7: it is no acquirer file of this form: the file ends without its trailer"},
		"more after it":     {good + "row,,,,,,,,,\r\n", acquirerfile.ErrForm, "line 7: it is no acquirer file of this form: 14 bytes come after the trailer"},
		"another version":   {swap(",1,fees", ",2,fees"), acquirerfile.ErrForm, "version"},
		"another kind":      {swap("fees", "fares"), acquirerfile.ErrForm, "line 1"},
		"another day":       {swap("2026-11-24", "2026-11-31"), acquirerfile.ErrForm, "line 1"},
		"another column":    {swap("month_gross", "month_net"), acquirerfile.ErrForm, "line 2"},
		"no amount":         {swap("0.03", "x"), acquirerfile.ErrForm, "line 4"},
		"a field more":      {swap("0.03\r\n", "0.03,\r\n"), acquirerfile.ErrForm, "line 4"},
		"an odd quote":      {swap("service", `ser"vice`), acquirerfile.ErrForm, "line 3"},
		"a line of its own": {swap("row,m1,usual,note", "rov,m1,usual,note"), acquirerfile.ErrForm, `line 6`},
		"nothing":           {"", acquirerfile.ErrForm, "line 1"},
	} {
		_, err := acquirerfile.Parse([]byte(c.raw))
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func TestASignatureIsOfOneFileByOneKey(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public := key.Public().(ed25519.PublicKey)
	body := encoded(t, sample())
	sig := acquirerfile.Sign(key, body)
	require.Equal(t, sig, acquirerfile.Sign(key, body))
	require.NoError(t, acquirerfile.Verify(public, body, sig))

	require.ErrorIs(t, acquirerfile.Verify(public, append(body, ' '), sig), acquirerfile.ErrSignature)
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey)
	require.ErrorContains(t, acquirerfile.Verify(other, body, sig), "it is by the key")
	for _, bad := range [][]byte{nil, sig[:len(sig)-2], append(bytes.Clone(sig), 'x'), []byte("purselane-signature 2\n\n\n"), make([]byte, 4096)} {
		require.ErrorIs(t, acquirerfile.Verify(public, body, bad), acquirerfile.ErrSignature)
	}
	// What the key signs for others is no signature of a file.
	require.ErrorIs(t, acquirerfile.Verify(public, body, []byte(strings.Replace(string(sig), "signature ", "signature 00", 1))), acquirerfile.ErrSignature)
	parsed, err := acquirerfile.ParseKey(strings.Fields(string(sig))[3] + "\n")
	require.NoError(t, err)
	require.Equal(t, public, parsed)
	_, err = acquirerfile.ParseKey("abc")
	require.Error(t, err)
}

func TestAFileOfWrongRowsIsNotWritten(t *testing.T) {
	for _, change := range []func(*acquirerfile.File){
		func(f *acquirerfile.File) { f.Rows[0] = f.Rows[0][1:] },
		func(f *acquirerfile.File) { f.Rows[0][8] = "1.234" },
		func(f *acquirerfile.File) { f.Rows[0][1] = "a\rb" },
		func(f *acquirerfile.File) { f.Rows[0][8], f.Rows[1][8] = "92233720368547758.07", "0.01" },
		func(f *acquirerfile.File) { f.Currency = "yuan" },
		func(f *acquirerfile.File) { f.Acquirer = "../bus" },
	} {
		f := sample()
		change(&f)
		_, err := acquirerfile.Encode(f)
		require.Error(t, err)
	}
}

// Whatever is in the rows, it reads back, and no changed byte goes unseen.
func TestAnyFileReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := sample()
		f.Rows = nil
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			row := rapid.SliceOfN(rapid.StringMatching(`[a-z ,"\n']{0,6}`), 8, 8).Draw(t, "row")
			f.Rows = append(f.Rows, append(row, money.Minor(rapid.Int64Range(-1e6, 1e6).Draw(t, "value")).String()))
		}
		raw := encoded(t, f)
		back, err := acquirerfile.Parse(raw)
		require.NoError(t, err)
		require.Equal(t, f.Rows, back.Rows)
		require.Equal(t, raw, encoded(t, back))
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		changed := bytes.Clone(raw)
		changed[at] ^= 1
		if again, err := acquirerfile.Parse(changed); err == nil {
			require.Equal(t, back, again, "only the trailer's own line ends may be written otherwise")
		}
	})
}

func FuzzParse(f *testing.F) {
	raw := encoded(f, sample())
	f.Add(raw)
	f.Add(raw[:40])
	f.Add([]byte("header,purselane-acquirer-file,1,report,a,2026-01-01,CNY,,\r\ncolumns,x\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := acquirerfile.Parse(raw)
		if err != nil {
			return
		}
		again, err := acquirerfile.Parse(encoded(t, file))
		require.NoError(t, err)
		require.Equal(t, file, again)
	})
}

func FuzzVerify(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	f.Add([]byte("body"), acquirerfile.Sign(key, []byte("body")))
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		if acquirerfile.Verify(key.Public().(ed25519.PublicKey), body, sig) == nil {
			require.Equal(t, "body", string(body))
		}
	})
}
