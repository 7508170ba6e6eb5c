package wechat

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// window is how far the time of a message may be from ours.
const window = consts.FiveMinute * time.Second

// probe starts the signature of the messages by which WeChat Pay tests that a merchant verifies: they must fail, and change nothing.
const probe = "WECHATPAY/SIGNTEST/"

// proof is what the headers of a message say of its signature.
type proof struct{ serial, signature, timestamp, nonce string }

func proofOf(h http.Header) (proof, error) {
	var p proof
	for _, f := range []struct {
		name string
		to   *string
	}{
		{consts.WechatPaySerial, &p.serial}, {consts.WechatPaySignature, &p.signature},
		{consts.WechatPayTimestamp, &p.timestamp}, {consts.WechatPayNonce, &p.nonce},
	} {
		if *f.to = strings.TrimSpace(h.Get(f.name)); *f.to == "" {
			return proof{}, &channel.ForgedError{Why: "the header " + f.name + " is missing: it is not from WeChat Pay, or a proxy has dropped it"}
		}
	}
	return p, nil
}

// verify proves that WeChat Pay has signed a message at about now. The error is a *channel.ForgedError.
func (c *Channel) verify(ctx context.Context, h http.Header, body []byte, now time.Time) error {
	p, err := proofOf(h)
	if err != nil {
		return err
	}
	if strings.HasPrefix(p.signature, probe) {
		return &channel.ForgedError{Why: "a probe of WeChat Pay, which tests that signatures are verified here"}
	}
	seconds, err := strconv.ParseInt(p.timestamp, 10, 64)
	if err != nil {
		return &channel.ForgedError{Why: "its time is not a number of seconds"}
	}
	if gap := now.Unix() - seconds; gap >= int64(window/time.Second) || gap <= -int64(window/time.Second) {
		return &channel.ForgedError{Why: fmt.Sprintf("its time is %d seconds from ours, and 300 are too many: it is an old message sent again, or our clock is wrong", gap)}
	}
	if c.verifier.Verify(ctx, p.serial, answerText(p.timestamp, p.nonce, body), p.signature) == nil {
		return nil
	}
	return &channel.ForgedError{Why: c.why(p, body)}
}

// why says which key was taken for which, or what has become of the body, as far as it shows.
func (c *Channel) why(p proof, body []byte) string {
	signature, err := base64.StdEncoding.DecodeString(p.signature)
	if err != nil {
		return "the signature is not base64"
	}
	text := answerText(p.timestamp, p.nonce, body)
	if fits(&c.set.Key.PublicKey, text, signature) {
		return "verified with the merchant key instead of the platform key"
	}
	if p.serial == c.set.Serial {
		return "the serial is of the merchant's own certificate, not of the platform"
	}
	signedBy := ""
	for _, serial := range slices.Sorted(maps.Keys(c.platform)) {
		if fits(c.platform[serial], text, signature) {
			signedBy = serial
		}
	}
	key, known := c.platform[p.serial]
	switch {
	case signedBy != "":
		return fmt.Sprintf("the serial is of another platform certificate: the message names %s and is signed by %s", p.serial, signedBy)
	case !known && strings.HasPrefix(p.serial, keyIDPrefix) && c.set.PublicKey == nil:
		return fmt.Sprintf("signed with WeChat Pay's public key %s, but only platform certificates are set here: set the public key and its id", p.serial)
	case !known && !strings.HasPrefix(p.serial, keyIDPrefix) && len(c.set.Certificates) == 0:
		return fmt.Sprintf("signed with platform certificate %s, but only WeChat Pay's public key is set here: set the certificate until the merchant has changed over", p.serial)
	case !known:
		return fmt.Sprintf("the serial is of another platform certificate: %s is not among those set here (%s)", p.serial, strings.Join(slices.Sorted(maps.Keys(c.platform)), ", "))
	}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil && !bytes.Equal(compact.Bytes(), body) && fits(key, answerText(p.timestamp, p.nonce, compact.Bytes()), signature) {
		return "the body was written anew on the way, as some proxies do: the signature fits it without the added blanks. Pass the body through unchanged"
	}
	return "the signature does not fit: the body was changed on the way, or another key has signed"
}

func fits(key *rsa.PublicKey, text string, signature []byte) bool {
	digest := sha256.Sum256([]byte(text))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}
