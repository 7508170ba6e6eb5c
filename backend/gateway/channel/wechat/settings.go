package wechat

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/signers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Settings are one merchant's account at WeChat Pay. Keys are handed in as such: where they are kept is the caller's business.
type Settings struct {
	MerchantID string // mchid
	AppID      string // of the official account, app or mini program that the merchant number is bound to
	Store      string // scene_info.store_info.id of payment codes; "" becomes "1"

	Key    *rsa.PrivateKey // of the merchant's API certificate
	Serial string          // of the merchant's API certificate, in hexadecimal capitals
	V3Key  string          // the API v3 key, 32 bytes

	// How WeChat Pay's signatures are verified: its public key with its id (new merchants), platform certificates (older ones), or both
	// while a merchant changes from one to the other.
	PublicKeyID  string // PUB_KEY_ID_…
	PublicKey    *rsa.PublicKey
	Certificates []*x509.Certificate

	Agreements Agreements // payers may agree to be debited; the zero value is no
	Transfers  Transfers  // for pay-outs; without a scene there are none

	Hosts []string         // tried in order while none can be dialled; nil: the primary and the backup host of WeChat Pay
	HTTP  channel.Doer     // nil: an *http.Client that waits 10 seconds and follows no redirect
	Now   func() time.Time // nil: time.Now
	Rand  io.Reader        // for nonces; nil: crypto/rand
}

// Zone is the zone of WeChat Pay's day and of the times in its bills.
var Zone = time.FixedZone("Asia/Shanghai", 8*60*60)

const keyIDPrefix = "PUB_KEY_ID_"

// Channel is the adapter. It is safe for concurrent use.
type Channel struct {
	set      Settings
	signer   auth.Signer
	verifier auth.Verifier
	platform map[string]*rsa.PublicKey // by serial or key id, to say which key was taken for which
	accept   string                    // the serial or key id that we ask the answers to be signed with
}

var (
	_ channel.Channel    = (*Channel)(nil)
	_ channel.Payouts    = (*Channel)(nil)
	_ channel.Agreements = (*Channel)(nil)
)

// New checks the settings and makes the adapter. Its errors name the setting that is wrong, and never hold a key.
func New(s Settings) (*Channel, error) {
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("WeChat Pay of merchant %q: %w", s.MerchantID, err)
	}
	c := &Channel{
		set:      s,
		signer:   &signers.SHA256WithRSASigner{MchID: s.MerchantID, CertificateSerialNo: s.Serial, PrivateKey: s.Key},
		platform: map[string]*rsa.PublicKey{},
	}
	certificates := map[string]*x509.Certificate{}
	for _, cert := range s.Certificates {
		serial := utils.GetCertificateSerialNumber(*cert)
		certificates[serial], c.platform[serial] = cert, cert.PublicKey.(*rsa.PublicKey)
	}
	getter := core.NewCertificateMap(certificates)
	switch {
	case s.PublicKey == nil:
		c.verifier = verifiers.NewSHA256WithRSAVerifier(getter)
		c.accept = getter.GetNewestSerial(context.Background())
	default:
		c.verifier = verifiers.NewSHA256WithRSACombinedVerifier(getter, s.PublicKeyID, *s.PublicKey)
		c.accept, c.platform[s.PublicKeyID] = s.PublicKeyID, s.PublicKey
	}
	return c, nil
}

// complete says what is missing or cannot be, and fills what may be left out.
func (s *Settings) complete() error {
	switch {
	case s.MerchantID == "":
		return errors.New("the merchant number (mchid) is missing")
	case s.AppID == "":
		return errors.New("the app id (appid) is missing")
	case s.Key == nil:
		return errors.New("the merchant's private key (apiclient_key.pem) is missing")
	case s.Serial == "":
		return errors.New("the serial of the merchant's API certificate is missing: openssl x509 -noout -serial -in apiclient_cert.pem prints it")
	case len(s.V3Key) != 32:
		return fmt.Errorf("the API v3 key has %d bytes, not 32", len(s.V3Key))
	case s.PublicKey == nil && len(s.Certificates) == 0:
		return errors.New("neither a WeChat Pay public key nor a platform certificate is set: no answer could be verified")
	case s.PublicKey != nil && !strings.HasPrefix(s.PublicKeyID, keyIDPrefix):
		return fmt.Errorf("the id of the WeChat Pay public key starts with %s, and %q does not", keyIDPrefix, s.PublicKeyID)
	case s.Transfers.Account != "" && s.Transfers.Account != "OPERATION" && s.Transfers.Account != "BASIC":
		return fmt.Errorf("account %q of transfers: want OPERATION or BASIC", s.Transfers.Account)
	case s.PublicKey != nil && s.PublicKey.Equal(&s.Key.PublicKey):
		return errors.New("what is set as WeChat Pay's public key is the merchant's own: take pub_key.pem of the merchant platform")
	}
	for _, cert := range s.Certificates {
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		if !ok {
			return errors.New("a platform certificate has no RSA key")
		}
		if key.Equal(&s.Key.PublicKey) {
			return errors.New("what is set as a platform certificate is the merchant's own (apiclient_cert.pem)")
		}
	}
	if err := s.Agreements.complete(); err != nil {
		return err
	}
	if s.Hosts == nil {
		s.Hosts = []string{consts.WechatPayAPIServer, consts.WechatPayAPIServerBackup}
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
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	if s.Store == "" {
		s.Store = "1"
	}
	if s.Transfers.Account == "" {
		s.Transfers.Account = "OPERATION"
	}
	return nil
}

// Capabilities are what every merchant of WeChat Pay can do; what a merchant has not applied for is refused with NO_AUTH.
func (c *Channel) Capabilities() channel.Capabilities {
	products := []channel.Product{channel.QR, channel.Code, channel.JSAPI, channel.H5, channel.App}
	if c.set.Transfers.Scene != "" {
		products = append(products, channel.Payout)
	}
	if c.set.Agreements.Plan != "" {
		products = append(products, channel.Agreement)
	}
	return channel.Capabilities{
		Products:     products,
		Payout:       c.set.Transfers.Scene != "",
		Agreements:   c.set.Agreements.Plan != "",
		Currencies:   []string{"CNY"},
		Close:        true,
		Refund:       true,
		RefundWindow: 365 * 24 * time.Hour,
		Bill:         true,
		DayZone:      Zone,
	}
}
