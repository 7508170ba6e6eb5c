package wechat

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
)

const v2Key = "192006250b4c09247ec02edce69f6a2d"

func agreeing() Settings {
	s := settings()
	s.Agreements = Agreements{Plan: "12535", V2Key: v2Key}
	return s
}

// The two are the example of WeChat Pay's own page on signing of API v2.
func TestSignaturesOfAPIv2(t *testing.T) {
	f := fields{"appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000", "body": "test", "nonce_str": "ibuaiVcKdpRxkhJA", "detail": ""}
	require.Equal(t, "9A0A8659F005D6984697E2CA0A9CF3B7", f.signature(v2Key))
	f["sign"] = "9a0a8659f005d6984697e2ca0a9cf3b7"
	require.NoError(t, f.authentic(v2Key))
	f["total_fee"] = "1"
	require.ErrorContains(t, f.authentic(v2Key), "does not fit")
	delete(f, "total_fee")
	f["sign_type"] = "HMAC-SHA256"
	require.ErrorContains(t, f.authentic(v2Key), "does not fit", "signed in the other way")
	f["sign"] = f.signature(v2Key)
	require.Len(t, f["sign"], 64)
	require.NoError(t, f.authentic(v2Key))
	require.ErrorContains(t, f.authentic(strings.ToUpper(v2Key)), "the API v2 key set here")
	delete(f, "sign")
	require.ErrorContains(t, f.authentic(v2Key), "no sign")
}

func TestXMLThatIsNoMessageIsRefused(t *testing.T) {
	got, err := ParseXML([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n <a><![CDATA[1 & <2>]]></a><b/> <c>x&amp;y</c></xml>\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1 & <2>", "b": "", "c": "x&y"}, got)
	for _, raw := range []string{
		"", "<xml></xml>", "ok", "<xml><a>1</a>", "<xml><a>1</b></xml>", "<xml><a>1</a><a>2</a></xml>", "<xml><a><b>1</b></a></xml>", "<html><a>1</a></html>",
		"<xml><a>1</a></xml><xml><b>1</b></xml>", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>`, "<xml><a>&e;</a></xml>",
	} {
		_, err := ParseXML([]byte(raw))
		require.Error(t, err, raw)
	}
}

func TestAMessageThatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fields(rapid.MapOfN(rapid.StringMatching(`[a-z][a-z0-9_]{0,20}`), rapid.StringMatching(`[ -~一-龥]{1,30}`), 1, 12).Draw(t, "fields"))
		got, err := ParseXML(f.xml())
		require.NoError(t, err)
		require.True(t, maps.Equal(f, fields(got)))
	})
}

func FuzzParseXML(f *testing.F) {
	f.Add([]byte("<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>"))
	f.Add([]byte("<xml><a>1</a><a>2</a></xml>"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := ParseXML(raw); (err == nil) == (len(got) == 0) {
			t.Fatalf("read %v, %v", got, err)
		}
	})
}

// FuzzNotifiedV2: nothing without a signature is believed, whatever it is.
func FuzzNotifiedV2(f *testing.F) {
	c, err := New(agreeing())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("<xml><change_type>ADD</change_type><sign>C380BEC2BFD727A4B6845133519F3AD6</sign></xml>"))
	f.Add([]byte("<xml><sign_type>HMAC-SHA256</sign_type><sign></sign></xml>"))
	f.Add([]byte("<"))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := c.Notified(context.Background(), channel.Notification{Header: http.Header{}, Body: body})
		var forged *channel.ForgedError
		if !errors.As(err, &forged) || events != nil {
			t.Fatalf("believed: %v, %v", events, err)
		}
	})
}

func TestASettingOfAgreementsThatIsWrongIsNamed(t *testing.T) {
	for _, tt := range []struct {
		a    Agreements
		says string
	}{
		{Agreements{V2Key: v2Key}, "plan_id"},
		{Agreements{Plan: "monthly", V2Key: v2Key}, `plan "monthly"`},
		{Agreements{Plan: "12535", V2Key: "short"}, "the API v2 key has 5 bytes, not 32"},
	} {
		s := settings()
		s.Agreements = tt.a
		_, err := New(s)
		require.ErrorContains(t, err, tt.says)
		require.NotContains(t, err.Error(), v2Key)
	}
}

func TestWhatWasKeptIsAnsweredForBothVersions(t *testing.T) {
	c, err := New(agreeing())
	require.NoError(t, err)
	kept := c.Answer(nil)
	require.Equal(t, http.StatusOK, kept.Status)
	said, err := ParseXML(kept.Body)
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", said["return_code"])
	require.Equal(t, http.StatusInternalServerError, c.Answer(errors.New("away")).Status)
	require.Equal(t, http.StatusUnauthorized, c.Answer(&channel.ForgedError{}).Status)
}

func TestSerialsAreOfTheirNumber(t *testing.T) {
	require.Equal(t, serialOf(1554208460, "a"), serialOf(1554208460, "a"))
	require.NotEqual(t, serialOf(1554208460, "a"), serialOf(1554208460, "b"))
	require.Len(t, serialOf(1554208460, "a"), 19)
	require.Less(t, serialOf(1554208460, "zz"), "9223372036854775807")
}
