package ec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

type transcripts struct {
	Tap struct {
		ID, Source string
		Steps      [][2]hexBytes
		Field55    hexBytes `json:"field_55"`
	}
	IADs []struct {
		Source string
		IAD    hexBytes
	}
	Script struct {
		Source  string
		Tag91   hexBytes `json:"tag_91"`
		Tag72   hexBytes `json:"tag_72"`
		Balance hexBytes
		MAC     hexBytes
	}
}

func TestPublishedTapReads(t *testing.T) {
	var f transcripts
	readJSON(t, "transcripts.json", &f)
	o := ec.Objects{}
	select_ := f.Tap.Steps[1][1]
	require.NoError(t, o.Add(select_[:len(select_)-2]))
	dol, err := ec.ParseDOL(o[ec.TagPDOL])
	require.NoError(t, err)
	require.Equal(t, 33, dol.Length())
	gpo := f.Tap.Steps[2]
	require.Equal(t, []byte(gpo[0][7:40]), dol.Fill(map[tlv.Tag][]byte{
		ec.TagTTQ: {0x36, 0x80, 0, 0}, ec.TagAmount: {1}, ec.TagCountry: {1, 0x56}, ec.TagCurrency: {1, 0x56}, ec.TagDate: {0x17, 6, 1}, ec.TagUN: {0x2B, 0x29, 0xEB, 0xE4},
	}), "what is not there is zeros, what is short is filled on the left")

	o = ec.Objects{}
	require.NoError(t, o.Add(gpo[1][:len(gpo[1])-2]))
	track, err := ec.ParseTrack2(o[ec.TagTrack2])
	require.NoError(t, err)
	require.Equal(t, "6299999999999999 2011 201 0123456789", strings.Join([]string{track.PAN.Reveal(), track.Expiry, track.Service, track.Discretionary}, " "))
	require.Equal(t, o[ec.TagTrack2], track.Bytes())
	iad, err := ec.ParseIAD(o[ec.TagIAD])
	require.NoError(t, err)
	balance, ok := iad.Balance()
	require.True(t, ok)
	require.Equal(t, money.Minor(38787), balance)
	decision, err := iad.CVR.Cryptogram()
	require.NoError(t, err)
	require.Equal(t, ec.ARQC, decision)
	require.Equal(t, "7C00 [SDA, DDA, CVM, terminal risk management, issuer authentication]", ec.AIP(o[ec.TagAIP]).String())
	require.Equal(t, "0000 []", ec.CTQ(o[ec.TagCTQ]).String())
	require.Equal(t, "28000080 [qPBOC, offline only, fDDA01]", ec.GateTTQ.String())
	require.Equal(t, "A00000 []", iad.CVR.String())
	require.Equal(t, "cryptogram (9F26)", ec.TagName(ec.TagAC))
	require.Equal(t, "tag DF7F", ec.TagName(0xDF7F))
	for _, s := range f.IADs {
		iad, err := ec.ParseIAD(s.IAD)
		require.NoError(t, err, s.Source)
		require.Equal(t, []byte(s.IAD), iad.Bytes())
	}
}

func TestDOLRule(t *testing.T) {
	dol, err := ec.ParseDOL(unhex(t, "9F0203 5F2A03 9F6602 9F6606 DF8101 02"))
	require.NoError(t, err)
	require.Equal(t, unhex(t, "060708 000156 2800 280000800000 0000"), dol.Fill(map[tlv.Tag][]byte{
		ec.TagAmount: unhex(t, "030405060708"), ec.TagCurrency: {1, 0x56}, ec.TagTTQ: ec.GateTTQ[:],
	}))
	for _, bad := range []string{"9F", "9F02", "95", "DF818182", "9F0206DF"} {
		_, err := ec.ParseDOL(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed, bad)
	}
}

func TestAFL(t *testing.T) {
	afl, err := ec.ParseAFL(unhex(t, "0801010010010401"))
	require.NoError(t, err)
	require.Equal(t, []ec.Place{{1, 1, false}, {2, 1, true}, {2, 2, false}, {2, 3, false}, {2, 4, false}}, afl.Places())
	require.Equal(t, unhex(t, "0801010010010401"), afl.Bytes())
	for _, bad := range []string{"", "080101", "09010100", "00010100", "F8010100", "08000100", "08020100", "08010102", "0801FF00"} {
		_, err := ec.ParseAFL(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed, bad)
	}
}

func TestIADIsRefused(t *testing.T) {
	for _, bad := range []string{"", "07010103900000", "0601010390000001", "0701010290000001", "07010103900000010B010000009800010203040506",
		"07010103900000010A0300000098005EBE1E9E", "07010103900000010A060000009800", "07010103900000010A0100000098005EBE1E9E00"} {
		_, err := ec.ParseIAD(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed, bad)
	}
	_, err := ec.CVR{0xB0}.Cryptogram()
	require.ErrorIs(t, err, ec.ErrMalformed)
}

func TestDates(t *testing.T) {
	for raw, want := range map[string]ec.Date{"301231": 20301231, "260105": 20260105, "491231": 20491231, "500101": 19500101, "240229": 20240229} {
		d, err := ec.ParseDate(unhex(t, raw))
		require.NoError(t, err)
		require.Equal(t, want, d)
		require.Equal(t, raw, fmt.Sprintf("%X", d.BCD()))
	}
	for _, bad := range []string{"", "2601", "260132", "261301", "230229", "2601A1"} {
		_, err := ec.ParseDate(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed, bad)
	}
	require.Equal(t, "2026-01-05", tapDay.String())
}

func TestAmounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := money.Minor(rapid.Int64Range(0, 999_999_999_999).Draw(t, "minor"))
		raw, err := ec.Amount12(a)
		require.NoError(t, err)
		again, err := ec.ParseAmount(raw[:])
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
	for _, bad := range []int64{-1, 1_000_000_000_000} {
		_, err := ec.Amount12(money.Minor(bad))
		require.Error(t, err)
	}
	for _, bad := range []string{"", "00000000", "00000000000A"} {
		_, err := ec.ParseAmount(unhex(t, bad))
		require.ErrorIs(t, err, ec.ErrMalformed)
	}
}

func TestObjectsStandOnce(t *testing.T) {
	o := ec.Objects{}
	require.NoError(t, o.Add(unhex(t, "7704 5F340101")))
	require.NoError(t, o.Add(unhex(t, "7004 5F340101")), "the same value in another answer")
	require.ErrorIs(t, o.Add(unhex(t, "7004 5F340102")), ec.ErrMalformed)
	require.ErrorIs(t, ec.Objects{}.Add(unhex(t, "7008 5F340101 5F340101")), ec.ErrMalformed)
}

// TestCardNumbersNeverPrint prints each value that holds the card number under every verb, in both log formats and as JSON.
func TestCardNumbersNeverPrint(t *testing.T) {
	const digits = "6210948000000011"
	pan, err := ec.NewPAN(digits)
	require.NoError(t, err)
	track, err := ec.ParseTrack2(unhex(t, "6210948000000011D30122200123456789"))
	require.NoError(t, err)
	record := ec.Record{Place: ec.Place{SFI: 2, Number: 1}, Raw: unhex(t, "700A5A086210948000000011")}
	objects := ec.Objects{}
	require.NoError(t, objects.Add(record.Raw))
	type holder struct {
		PAN     ec.PAN
		Track   *ec.Track2
		Records []ec.Record
		Objects ec.Objects
	}
	values := map[string]any{"pan": pan, "pointer": &pan, "map key": map[ec.PAN]int{pan: 1}, "track": track, "record": record, "objects": objects,
		"holder": holder{pan, &track, []ec.Record{record}, objects}}
	for name, v := range values {
		for _, verb := range strings.Split("v,+v,#v,s,q,x,X,# x,d,b,o,O,c,U,t,e,#x", ",") {
			checkMasked(t, name+" %"+verb, fmt.Sprintf("%"+verb, v))
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("tap", "card", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("tap", "card", v)
		checkMasked(t, name+" slog", out.String())
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		checkMasked(t, name+" json", string(raw))
	}
	require.Equal(t, "****0011 ****0011 track 2 of ****0011 record 2.1 of 12 bytes", fmt.Sprintf("%v %x %d %s", pan, pan, track, record))
	for _, bad := range []string{"1234567", "12345678901234567890", "6210948000000011F1", "62109480A0000011"} {
		_, err := ec.NewPAN(bad)
		require.ErrorIs(t, err, ec.ErrMalformed)
		require.NotContains(t, err.Error(), bad)
	}
	back, err := ec.ParsePAN(pan[:])
	require.NoError(t, err)
	require.Equal(t, digits, back.Reveal())
}

// checkMasked looks for the card number in the notations that fmt, slog and JSON have.
func checkMasked(t *testing.T, how, out string) {
	t.Helper()
	require.NotEmpty(t, out, how)
	for _, hidden := range []string{"621094", "10948", "98 16 148", "98,16,148", "16, 148, 128", "0x94", "10 94 80", `\x94`, "YhCUgA", "EJSA", hex.EncodeToString([]byte("6210948"))} {
		require.NotContains(t, strings.ToLower(out), strings.ToLower(hidden), how)
	}
}
