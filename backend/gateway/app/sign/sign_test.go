package sign_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/app/sign"
)

func request() sign.Request {
	return sign.Request{Method: "POST", Path: "/orders/a%2Fb", Query: "b=2&a=x y&a=%7E", Timestamp: 1795521600, Nonce: "0123456789abcdef", App: "shop", Key: "K1", Body: []byte(`{"amount":"1.00"}`)}
}

// TestText is the worked example of docs/gateway-apps.md.
func TestText(t *testing.T) {
	text, err := request().Text()
	require.NoError(t, err)
	secret, err := sign.ParseSecret("psk_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")
	require.NoError(t, err)
	signature, err := secret.Sign(text)
	require.NoError(t, err)
	require.True(t, secret.Verify(text, signature))
	header := sign.Header{App: "shop", Key: "K1", Timestamp: 1795521600, Nonce: "0123456789abcdef", Signature: signature}.String()
	page, err := os.ReadFile("../../../../docs/gateway-apps.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "```\n"+string(text)+"\n```")
	require.Contains(t, string(page), "\nAuthorization: "+header+"\n")
	require.Contains(t, string(page), "`"+secret.Reveal()+"`")
	// Made by `openssl dgst -sha256 -hmac`.
	require.Equal(t, "Purselane app=shop, key=K1, timestamp=1795521600, nonce=0123456789abcdef, signature=3feXf9PXxUmUrJT4O7tCA9dv1Sq6Ua8FAsDWbLXYe0M", header)
}

func TestTheSameQueryIsOneText(t *testing.T) {
	for _, q := range []string{"a=x+y&b=2&a=~", "b=2&&a=%78%20y&a=%7e", "a=x%20y&a=~&b=2&"} {
		one, two := request(), request()
		one.Query = q
		got, err := one.Text()
		require.NoError(t, err)
		want, err := two.Text()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), q)
	}
}

func TestWhatCouldBeReadInTwoWaysIsNotSigned(t *testing.T) {
	for name, change := range map[string]func(*sign.Request){
		"a method of two lines": func(r *sign.Request) { r.Method = "POST\n/" },
		"no method":             func(r *sign.Request) { r.Method = "" },
		"a path of two lines":   func(r *sign.Request) { r.Path = "/a\nb" },
		"a path with a query":   func(r *sign.Request) { r.Path = "/a?b=c" },
		"a relative path":       func(r *sign.Request) { r.Path = "a" },
		"a broken escape":       func(r *sign.Request) { r.Query = "a=%zz" },
		"a semicolon":           func(r *sign.Request) { r.Query = "a=1;b=2" },
		"a nonce of two lines":  func(r *sign.Request) { r.Nonce = "a\nb" },
		"no app":                func(r *sign.Request) { r.App = "" },
		"a key with a blank":    func(r *sign.Request) { r.Key = "K 1" },
	} {
		r := request()
		change(&r)
		_, err := r.Text()
		require.ErrorIs(t, err, sign.ErrRequest, name)
	}
}

func TestAHeaderComesBack(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		h := sign.Header{App: name.Draw(t, "app"), Key: name.Draw(t, "key"), Timestamp: rapid.Int64Min(0).Draw(t, "at"), Nonce: rapid.StringMatching(`[A-Za-z0-9._-]{16,64}`).Draw(t, "nonce"),
			Signature: rapid.SliceOfN(rapid.Byte(), 1, 512).Draw(t, "signature")}
		got, err := sign.Parse(h.String())
		require.NoError(t, err)
		require.Equal(t, h, got)
	})
}

func TestAHeaderThatDoesNotFitIsNamed(t *testing.T) {
	good := "Purselane app=shop, key=K1, timestamp=1795521600, nonce=0123456789abcdef, signature=AAAA"
	_, err := sign.Parse("purselane\tapp=shop")
	require.ErrorIs(t, err, sign.ErrHeader)
	_, err = sign.Parse("purselane nonce=0123456789abcdef,key=K1 ,\tapp=shop,timestamp=0,signature=AAAA")
	require.NoError(t, err, "any order, any blanks, any case of the scheme")
	for _, c := range []struct{ from, to, says string }{
		{"Purselane", "Bearer", "want Purselane"},
		{"Purselane", "", "want Purselane"},
		{"app=shop, ", "", "app is missing"},
		{"app=shop", "app=", "app: want letters"},
		{"app=shop", `app="shop"`, "app: want letters"},
		{"app=shop", "app=sh\xc3\xb6p", "app: want letters"},
		{"app=shop", "app=" + strings.Repeat("a", 65), "at most 64"},
		{"key=K1", "key=K1, key=K2", "key is there twice"},
		{"key=K1", "key=K1, alg=none", "a part that is not"},
		{"timestamp=1795521600", "timestamp=now", "Unix seconds"},
		{"timestamp=1795521600", "timestamp=01", "Unix seconds"},
		{"timestamp=1795521600", "timestamp=-1", "Unix seconds"},
		{"nonce=0123456789abcdef", "nonce=0123456789abcde", "15 characters"},
		{"signature=AAAA", "signature=AAAAA", "base64url"},
		{"signature=AAAA", "signature=AAB", "base64url"},
		{"signature=AAAA", "signature=AA==", "signature: want letters"},
		{"signature=AAAA", "signature=" + strings.Repeat("A", 2048), "at most 2048"},
	} {
		_, err := sign.Parse(strings.Replace(good, c.from, c.to, 1))
		require.ErrorIs(t, err, sign.ErrHeader, c.to)
		require.ErrorContains(t, err, c.says, c.to)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Purselane app=shop, key=K1, timestamp=1795521600, nonce=0123456789abcdef, signature=AAAA")
	f.Add("purselane app=a,key=b,timestamp=0,nonce=0123456789abcdef,signature=_-8")
	f.Add("Purselane ,,,=,=")
	f.Fuzz(func(t *testing.T, value string) {
		h, err := sign.Parse(value)
		if err != nil {
			require.ErrorIs(t, err, sign.ErrHeader)
			return
		}
		again, err := sign.Parse(h.String())
		require.NoError(t, err)
		require.Equal(t, h, again)
		_, err = sign.Request{Method: "GET", Timestamp: h.Timestamp, Nonce: h.Nonce, App: h.App, Key: h.Key}.Text()
		require.NoError(t, err, "what a header may say can be signed")
	})
}

func FuzzText(f *testing.F) {
	f.Add("/orders", "b=2&a=1")
	f.Add("", "a=%0A&a")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := request()
		r.Path, r.Query = path, query
		text, err := r.Text()
		if err != nil {
			require.ErrorIs(t, err, sign.ErrRequest)
			return
		}
		lines := strings.Split(string(text), "\n")
		require.Len(t, lines, 9)
		r.Query = lines[3]
		again, err := r.Text()
		require.NoError(t, err)
		require.Equal(t, string(text), string(again), "the sorted form is its own")
	})
}

func keyPEM(t *testing.T, bits int) (private, public []byte) {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	p8, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p8}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
}

func TestRSA(t *testing.T) {
	private, public := keyPEM(t, 2048)
	k, err := sign.ParseRSA(private)
	require.NoError(t, err)
	p, err := sign.ParsePublic(public)
	require.NoError(t, err)
	text, err := request().Text()
	require.NoError(t, err)
	signature, err := k.Sign(text)
	require.NoError(t, err)
	require.True(t, p.Verify(text, signature))
	signature[7] ^= 1
	require.False(t, p.Verify(text, signature))
	der, err := p.DER()
	require.NoError(t, err)
	_, err = sign.PublicOf(der)
	require.NoError(t, err)

	_, err = sign.ParsePublic(private)
	require.ErrorIs(t, err, sign.ErrKey, "a private key is not handed in")
	_, err = sign.ParseRSA(public)
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = sign.ParsePublic(nil)
	require.ErrorIs(t, err, sign.ErrKey)
	_, weak := keyPEM(t, 1024)
	_, err = sign.ParsePublic(weak)
	require.ErrorContains(t, err, "1024 bits")
	_, err = sign.RSA{}.Sign(text)
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = sign.RSAOf(nil)
	require.ErrorIs(t, err, sign.ErrKey)
}

func TestASecretIsMaskedAndComesBack(t *testing.T) {
	s := sign.NewSecret()
	require.NotEqual(t, s, sign.NewSecret())
	back, err := sign.ParseSecret(s.Reveal() + "\n")
	require.NoError(t, err)
	require.Equal(t, s, back)
	for _, said := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %s", s, s, s)} {
		require.NotContains(t, said, s.Reveal()[4:])
	}
	for _, bad := range []string{"", "psk_", s.Reveal()[4:], s.Reveal()[:30], s.Reveal() + "AAAA"} {
		_, err := sign.ParseSecret(bad)
		require.ErrorIs(t, err, sign.ErrKey, bad)
	}
}
