package alipay

import (
	"crypto"
	"crypto/md5"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"
	"github.com/smartwalle/nsign"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Gateway is where Alipay is asked.
const Gateway = "https://openapi.alipay.com/gateway.do"

// Settings are one app of one merchant at Alipay, in key mode (PublicKey) or in certificate mode (the certificates): never both. Keys are
// handed in as such: where they are kept is the caller's business.
type Settings struct {
	AppID    string
	SellerID string          // the merchant's user number (PID): 16 digits that start with 2088
	Key      *rsa.PrivateKey // of the app
	MiniApp  string          // the mini program in which payers pay (product jsapi); "" becomes AppID

	PublicKey *rsa.PublicKey // Alipay's, as the open platform shows it for this app

	AppCertificate   *x509.Certificate   // appCertPublicKey.crt
	RootCertificates []byte              // alipayRootCert.crt, as it is: PEM
	Certificates     []*x509.Certificate // alipayCertPublicKey_RSA2.crt; the new one beside the old one while it changes

	Agreements Agreements // payers may agree to be debited; the zero value is no

	Transfers bool // the merchant may send money out ("transfer to Alipay account"); an app in certificate mode only

	Gateway string           // "" becomes the constant of that name
	HTTP    channel.Doer     // nil: an *http.Client that waits 10 seconds and follows no redirect
	Now     func() time.Time // nil: time.Now
}

// Zone is the zone of Alipay's day and of all its times.
var Zone = time.FixedZone("Asia/Shanghai", 8*60*60)

// Channel is the adapter. It is safe for concurrent use.
type Channel struct {
	set    Settings
	signer nsign.Signer
	keys   []key // Alipay's
	appSN  string
	rootSN string
}

// key is one of Alipay's.
type key struct {
	sn string // of its certificate; "" in key mode
	*rsa.PublicKey
}

var (
	_ channel.Channel    = (*Channel)(nil)
	_ channel.Payouts    = (*Channel)(nil)
	_ channel.Agreements = (*Channel)(nil)
)

// New checks the settings and makes the adapter. Its errors name the setting that is wrong, and never hold a key.
func New(s Settings) (*Channel, error) {
	c := &Channel{}
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("Alipay of app %q: %w", s.AppID, err)
	}
	if s.PublicKey != nil {
		c.keys = []key{{"", s.PublicKey}}
	} else if err := c.certified(s); err != nil {
		return nil, fmt.Errorf("Alipay of app %q: %w", s.AppID, err)
	}
	for _, k := range c.keys {
		if k.Equal(&s.Key.PublicKey) {
			return nil, fmt.Errorf("Alipay of app %q: what is set as Alipay's key is the app's own: take Alipay's from the open platform", s.AppID)
		}
	}
	c.set = s
	c.signer = nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, s.Key, nil)), nsign.WithEncoder(&sdk.Encoder{}))
	return c, nil
}

// complete says what is missing or cannot be, and fills what may be left out.
func (s *Settings) complete() error {
	certificates := s.AppCertificate != nil || len(s.RootCertificates) > 0 || len(s.Certificates) > 0
	switch {
	case s.AppID == "":
		return errors.New("the app id is missing")
	case len(s.SellerID) != 16 || !strings.HasPrefix(s.SellerID, "2088"):
		return fmt.Errorf("the seller id (PID) has 16 digits and starts with 2088, and %q does not", s.SellerID)
	case s.Key == nil:
		return errors.New("the app's private key is missing")
	case s.Transfers && !certificates:
		return errors.New("transfers are set, and Alipay takes them in certificate mode only: set the certificates")
	case s.PublicKey == nil && !certificates:
		return errors.New("neither Alipay's public key nor its certificate is set: no answer could be verified")
	case s.PublicKey != nil && certificates:
		return errors.New("both Alipay's public key and certificates are set: an app is in key mode or in certificate mode")
	}
	if err := s.Agreements.complete(); err != nil {
		return err
	}
	if s.MiniApp == "" {
		s.MiniApp = s.AppID
	}
	if s.Gateway == "" {
		s.Gateway = Gateway
	}
	if s.HTTP == nil {
		s.HTTP = &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return nil
}

// certified takes the settings of certificate mode.
func (c *Channel) certified(s Settings) error {
	switch {
	case s.AppCertificate == nil:
		return errors.New("the app's certificate (appCertPublicKey.crt) is missing")
	case !s.Key.PublicKey.Equal(s.AppCertificate.PublicKey):
		return errors.New("the app's certificate is not of its private key")
	case len(s.Certificates) == 0:
		return errors.New("Alipay's certificate (alipayCertPublicKey_RSA2.crt) is missing: no answer could be verified")
	}
	for _, cert := range s.Certificates {
		public, ok := cert.PublicKey.(*rsa.PublicKey)
		if !ok {
			return errors.New("a certificate of Alipay has no RSA key")
		}
		c.keys = append(c.keys, key{SerialOf(cert), public})
	}
	c.appSN, c.rootSN = SerialOf(s.AppCertificate), serialOfRoots(s.RootCertificates)
	if c.rootSN == "" {
		return errors.New("the root certificates (alipayRootCert.crt) are missing, or none of them is of RSA")
	}
	return nil
}

// SerialOf is the name that Alipay gives a certificate: the MD5 of its issuer and its number.
func SerialOf(c *x509.Certificate) string {
	sum := md5.Sum([]byte(c.Issuer.String() + c.SerialNumber.String()))
	return hex.EncodeToString(sum[:])
}

// serialOfRoots joins the names of the roots that sign with RSA. The file also holds roots of SM2, which Go does not read.
func serialOfRoots(file []byte) string {
	var all []string
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return strings.Join(all, "_")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && (cert.SignatureAlgorithm == x509.SHA256WithRSA || cert.SignatureAlgorithm == x509.SHA1WithRSA) {
			all = append(all, SerialOf(cert))
		}
	}
}

// Capabilities are what a merchant of Alipay can do; what a merchant has not signed up for is refused.
func (c *Channel) Capabilities() channel.Capabilities {
	products := []channel.Product{channel.QR, channel.Code, channel.JSAPI, channel.H5, channel.App, channel.NetBank}
	if c.set.Transfers {
		products = append(products, channel.Payout)
	}
	if c.set.Agreements.Product != "" {
		products = append(products, channel.Agreement)
	}
	return channel.Capabilities{
		Products:     products,
		Payout:       c.set.Transfers,
		Agreements:   c.set.Agreements.Product != "",
		Currencies:   []string{"CNY"},
		Close:        true,
		Refund:       true,
		RefundWindow: 365 * 24 * time.Hour,
		Bill:         true,
		DayZone:      Zone,
	}
}
