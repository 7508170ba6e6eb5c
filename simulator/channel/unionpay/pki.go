package unionpay

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
)

// PKI is what UnionPay and a merchant hold: certificates under one root.
type PKI struct {
	Root     *x509.Certificate
	Merchant adapter.Key
	Encrypt  *x509.Certificate

	OtherMerchant adapter.Key // of another merchant: genuine, and not to be believed

	signing  adapter.Key
	decrypts *rsa.PrivateKey
}

// NewPKI makes keys. They are the slow part of a simulator: share them.
func NewPKI(now time.Time) (*PKI, error) {
	root, err := newKey(now, 1, "UnionPay Root", nil)
	if err != nil {
		return nil, err
	}
	p := &PKI{Root: root.Cert}
	if p.signing, err = newKey(now, 69026276696, "041@8310000000083040@"+adapter.Holder+"@00040000:SIGN", &root); err != nil {
		return nil, err
	}
	encrypt, err := newKey(now, 68759622183, "041@8310000000083040@"+adapter.Holder+"@00040000:ENC", &root)
	if err != nil {
		return nil, err
	}
	p.Encrypt, p.decrypts = encrypt.Cert, encrypt.Signer.(*rsa.PrivateKey)
	if p.OtherMerchant, err = newKey(now, 68759663126, "041@Z12@777290058110049@00000001", &root); err != nil {
		return nil, err
	}
	p.Merchant, err = newKey(now, 68759663125, "041@Z12@777290058110048@00000001", &root)
	return p, err
}

// Roots is the pool that a merchant trusts.
func (p *PKI) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Root)
	return pool
}

func newKey(now time.Time, serial int64, name string, parent *adapter.Key) (adapter.Key, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return adapter.Key{}, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: parent == nil}
	issuer, by := c, adapter.Key{Signer: key}
	if parent != nil {
		issuer, by = parent.Cert, *parent
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), by.Signer)
	if err != nil {
		return adapter.Key{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return adapter.Key{Cert: cert, Signer: key}, err
}

// sign signs an answer or a notification as UnionPay does.
func (p *PKI) sign(f adapter.Form) adapter.Form {
	f["signPubKeyCert"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.signing.Cert.Raw}))
	if err := p.signing.Sign(f); err != nil {
		panic(err) // a key that was made here
	}
	return f
}
