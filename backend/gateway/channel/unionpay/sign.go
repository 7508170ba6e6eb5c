package unionpay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Holder is the name that UnionPay's signing certificate bears, third between the @ of its common name.
const Holder = "中国银联股份有限公司"

// Key is the merchant's signing key. The signer may be a device.
type Key struct {
	Cert   *x509.Certificate
	Signer crypto.Signer // RSA, of Cert
}

// CertID is how a certificate is named on the wire: its serial number in decimals.
func CertID(c *x509.Certificate) string { return c.SerialNumber.String() }

// Sign puts the signature of f into it.
func (k Key) Sign(f Form) error {
	digest := f.digest()
	signature, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return errors.New("unionpay: the signing key does not sign: " + err.Error())
	}
	f["signature"] = base64.StdEncoding.EncodeToString(signature)
	return nil
}

// digest is what RSA signs: SHA-256 of the lower-case hexadecimal SHA-256 of the fields (signMethod 01 of version 5.1.0).
func (f Form) digest() [32]byte {
	sum := sha256.Sum256([]byte(f.signed()))
	return sha256.Sum256([]byte(hex.EncodeToString(sum[:])))
}

// VerifyWith checks the signature of f with a public key.
func VerifyWith(pub *rsa.PublicKey, f Form) bool {
	signature, err := base64.StdEncoding.DecodeString(f["signature"])
	digest := f.digest()
	return err == nil && rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], signature) == nil
}

// trust is how messages of UnionPay are proven: their own certificate, which a root that we hold vouches for.
type trust struct {
	roots    *x509.CertPool
	holder   string
	merchant *x509.Certificate
	encrypt  *x509.Certificate
}

// verify checks a message. The error is a [*channel.ForgedError] that names the key where one is taken for another.
func (t trust) verify(f Form, now time.Time) error {
	forged := func(why string) error { return &channel.ForgedError{Why: why} }
	if f["signature"] == "" {
		return forged("it bears no signature")
	}
	block, _ := pem.Decode([]byte(f["signPubKeyCert"]))
	if block == nil {
		return forged("it bears no certificate in signPubKeyCert")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return forged("signPubKeyCert is no certificate")
	}
	switch {
	case cert.Equal(t.merchant):
		return forged("signed with the merchant's certificate instead of UnionPay's")
	case t.encrypt != nil && cert.Equal(t.encrypt):
		return forged("signed with the certificate for encryption instead of the one for signing")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: t.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return forged("its certificate does not come from a root that we trust, or is out of date")
	}
	if parts := strings.Split(cert.Subject.CommonName, "@"); len(parts) < 3 || parts[2] != t.holder {
		return forged("its certificate is genuine but not UnionPay's own")
	}
	pub, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return forged("its certificate holds no RSA key")
	}
	if VerifyWith(pub, f) {
		return nil
	}
	if own, ok := t.merchant.PublicKey.(*rsa.PublicKey); ok && VerifyWith(own, f) {
		return forged("signed with the merchant key instead of UnionPay's")
	}
	return forged("the signature does not fit the fields: they were changed on the way, or another key signed")
}
