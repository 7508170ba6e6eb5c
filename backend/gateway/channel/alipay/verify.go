package alipay

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// answer is what stands around the signed part of an answer.
type answer struct {
	said json.RawMessage // the signed part, byte for byte as it came
	sign string
	sn   string // of the certificate that it is signed under; "" in key mode
}

// opened takes an answer apart. It proves nothing.
func opened(method string, body []byte) (answer, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil {
		return answer{}, &channel.ForgedError{Why: "it is no JSON object: something on the way has answered in Alipay's place"}
	}
	said, found := all[strings.ReplaceAll(method, ".", "_")+"_response"]
	if !found {
		said, found = all["error_response"]
	}
	if !found {
		return answer{}, &channel.ForgedError{Why: "it does not answer " + method}
	}
	a := answer{said: said}
	for name, to := range map[string]*string{"sign": &a.sign, "alipay_cert_sn": &a.sn} {
		if raw, there := all[name]; there && json.Unmarshal(raw, to) != nil {
			return answer{}, &channel.ForgedError{Why: name + " is no text"}
		}
	}
	return a, nil
}

// proven is the part of an answer that Alipay has signed. The error is a *channel.ForgedError.
func (c *Channel) proven(method string, body []byte) ([]byte, error) {
	a, err := opened(method, body)
	if err != nil {
		return nil, err
	}
	if a.sign == "" {
		return nil, &channel.ForgedError{Why: "it has no signature: Alipay does not sign where it does not know the app, or has no key of it"}
	}
	if err := c.verify(a.said, a.sign, a.sn, c.set.PublicKey == nil && a.sn == ""); err != nil {
		return nil, err
	}
	return a.said, nil
}

// hint is the code in an answer that proves nothing, for the operator who looks for what is wrong.
func hint(method string, body []byte) string {
	a, err := opened(method, body)
	var r refusal
	if err != nil || json.Unmarshal(a.said, &r) != nil || r.name() == "" || len(r.name()) > 64 {
		return ""
	}
	return fmt.Sprintf(" (it says %q)", r.name())
}

// verify proves that Alipay has signed a text. sn is the certificate that the message names, or ""; bare says that it had to name one.
func (c *Channel) verify(text []byte, signature, sn string, bare bool) error {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return &channel.ForgedError{Why: "the signature is not base64"}
	}
	for _, k := range c.keys {
		if (k.sn == sn || k.sn == "" || sn == "") && fits(k.PublicKey, text, raw) {
			return nil
		}
	}
	return &channel.ForgedError{Why: c.why(text, raw, sn, bare)}
}

// why says which key was taken for which, or what has become of the text, as far as it shows.
func (c *Channel) why(text, signature []byte, sn string, bare bool) string {
	if fits(&c.set.Key.PublicKey, text, signature) {
		return "verified with the merchant key instead of Alipay's"
	}
	var set []string
	for _, k := range c.keys {
		if fits(k.PublicKey, text, signature) {
			return fmt.Sprintf("it names certificate %s and is signed under %s", sn, k.sn)
		}
		set = append(set, k.sn)
	}
	switch {
	case c.set.PublicKey != nil && sn != "":
		return fmt.Sprintf("signed under Alipay's certificate %s, but only a public key is set here: the app is in certificate mode, set its certificates", sn)
	case bare:
		return "signed without a certificate, but only certificates are set here: the app is in key mode, set Alipay's public key"
	case sn != "" && !slices.Contains(set, sn):
		return fmt.Sprintf("signed under Alipay's certificate %s, which is not among those set here (%s): download it from the open platform", sn, strings.Join(set, ", "))
	}
	var compact bytes.Buffer
	if json.Compact(&compact, text) == nil && !bytes.Equal(compact.Bytes(), text) {
		for _, k := range c.keys {
			if fits(k.PublicKey, compact.Bytes(), signature) {
				return "the body was written anew on the way, as some proxies do: the signature fits it without the added blanks. Pass the body through unchanged"
			}
		}
	}
	return "the signature does not fit: the body was changed on the way, or another key has signed. Compare Alipay's key with the one that the open platform shows for this app"
}

func fits(key *rsa.PublicKey, text, signature []byte) bool {
	digest := sha256.Sum256(text)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}
