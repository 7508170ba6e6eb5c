package unionpay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

const (
	timeForm = "20060102150405" // in [Zone]
	yuan     = "156"            // ISO 4217 number of CNY
)

// errNoSecond: UnionPay knows a transaction by number and second, so the same number in another second would move money once more.
var errNoSecond = errors.New("unionpay: the request does not say when it was first sent: fill in Sent")

// request starts a message. Sent is the second that names it together with its order number.
func (a *Adapter) request(kind, sub, biz, order string, sent time.Time) Form {
	return Form{
		"version": Version, "encoding": "UTF-8", "signMethod": "01", "certId": CertID(a.s.Key.Cert),
		"txnType": kind, "txnSubType": sub, "bizType": biz, "channelType": "07", "accessType": "0",
		"merId": a.s.Merchant, "orderId": order, "txnTime": sent.In(Zone).Format(timeForm),
	}
}

// amount sets an amount, or says why UnionPay takes none such.
func (f Form) amount(m channel.Money) error {
	if m.Currency != "CNY" || m.Amount.Sign() <= 0 || m.Amount.Minor() > 999_999_999_999 {
		return fmt.Errorf("unionpay: %v %s cannot be asked for: CNY from 0.01 on, at most 12 digits: %w", m.Amount, m.Currency, channel.ErrNotSent)
	}
	f["txnAmt"], f["currencyCode"] = strconv.FormatInt(m.Amount.Minor(), 10), yuan
	return nil
}

// moving starts a message that moves an amount.
func (a *Adapter) moving(kind, sub, biz, order string, sent time.Time, m channel.Money) (Form, error) {
	if sent.IsZero() {
		return nil, errors.Join(errNoSecond, channel.ErrNotSent)
	}
	f := a.request(kind, sub, biz, order, sent)
	return f, f.amount(m)
}

// post signs f, posts it and verifies the answer. An error says nothing about the money unless it is [channel.ErrNotSent].
func (a *Adapter) post(ctx context.Context, url string, f Form, most int64) (Form, error) {
	if err := a.s.Key.Sign(f); err != nil {
		return nil, errors.Join(err, channel.ErrNotSent)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(f.Encode()))
	if err != nil {
		return nil, errors.Join(errors.New("unionpay: the address is no URL: check the account's setting"), channel.ErrNotSent)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	resp, err := a.s.HTTP.Do(req)
	if err != nil {
		if channel.NotSent(req, err) {
			return nil, fmt.Errorf("unionpay: no connection: %w", channel.ErrNotSent)
		}
		return nil, errors.New("unionpay: no answer: the connection broke or the time was up")
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, errors.New("unionpay: the answer broke off")
	case int64(len(body)) > most:
		return nil, errors.New("unionpay: the answer is longer than any real one")
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("unionpay: the gateway answered with HTTP status %d", resp.StatusCode)
	}
	answer, err := ParseAnswer(string(body))
	if err != nil {
		return nil, fmt.Errorf("unionpay: %w", err)
	}
	if err := a.trust.verify(answer, a.s.Clock.Now()); err != nil {
		return nil, err
	}
	for _, name := range []string{"merId", "orderId", "txnTime"} {
		if answer[name] != f[name] && f[name] != "" {
			return nil, fmt.Errorf("unionpay: the answer is to another request: its %s differs", name)
		}
	}
	return answer, nil
}

// back posts to the back-office address.
func (a *Adapter) back(ctx context.Context, f Form) (Form, error) {
	return a.post(ctx, a.s.Gateway+"/backTransReq.do", f, channel.MaxAnswer)
}

// secret encrypts a sensitive field with UnionPay's key.
func (a *Adapter) secret(text string) (string, error) {
	//nolint:staticcheck // PKCS #1 v1.5 is what UnionPay decrypts
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, a.s.Encrypt.PublicKey.(*rsa.PublicKey), []byte(text))
	if err != nil {
		return "", errors.Join(errors.New("unionpay: a sensitive field cannot be encrypted: it is too long"), channel.ErrNotSent)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// account sets the account number behind a reference, encrypted.
func (a *Adapter) account(ctx context.Context, f Form, ref string) error {
	number, err := a.s.Vault.Account(ctx, ref)
	if err != nil {
		return fmt.Errorf("unionpay: the vault does not open the account: %w", errors.Join(err, channel.ErrNotSent))
	}
	f["encryptCertId"] = CertID(a.s.Encrypt)
	f["accNo"], err = a.secret(number)
	return err
}

// readMoney reads an amount of a message. None is zero money.
func readMoney(amount, currency string) (channel.Money, error) {
	if amount == "" {
		return channel.Money{}, nil
	}
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || n < 0 || currency != "" && currency != yuan {
		return channel.Money{}, errors.New("unionpay: the amount is no sum of CNY")
	}
	return channel.Money{Amount: money.Minor(n), Currency: "CNY"}, nil
}

// message is a text that is safe to log.
func message(text string) string {
	text = strings.ToValidUTF8(text, "")
	if r := []rune(text); len(r) > 120 {
		return string(r[:120])
	}
	return text
}
