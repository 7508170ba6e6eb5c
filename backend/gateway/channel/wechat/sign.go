package wechat

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
)

// requestText is what the merchant signs of a request. target is path and query as they are sent; body is "" for none.
func requestText(method, target string, seconds int64, nonce, body string) string {
	return fmt.Sprintf(consts.SignatureMessageFormat, method, target, seconds, nonce, body)
}

// answerText is what WeChat Pay signs of an answer or a notification. The body is taken as it came, byte for byte.
func answerText(timestamp, nonce string, body []byte) string {
	return timestamp + "\n" + nonce + "\n" + string(body) + "\n"
}

// pageText is what the merchant signs for a page inside WeChat (JSAPI).
func pageText(appID, timestamp, nonce, prepay string) string {
	return appID + "\n" + timestamp + "\n" + nonce + "\n" + "prepay_id=" + prepay + "\n"
}

// appText is what the merchant signs for an app.
func appText(appID, timestamp, nonce, prepay string) string {
	return appID + "\n" + timestamp + "\n" + nonce + "\n" + prepay + "\n"
}

// authorization is the value of the header of that name.
func (c *Channel) authorization(ctx context.Context, method, target, body string) (string, error) {
	nonce, err := c.nonce()
	if err != nil {
		return "", err
	}
	at := c.set.Now().Unix()
	signed, err := c.signer.Sign(ctx, requestText(method, target, at, nonce, body))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(consts.HeaderAuthorizationFormat, "WECHATPAY2-"+c.signer.Algorithm(), signed.MchID, nonce, at, signed.CertificateSerialNo, signed.Signature), nil
}

// pageParams are what a page inside WeChat hands to WeixinJSBridge.
func (c *Channel) pageParams(ctx context.Context, prepay string) (map[string]string, error) {
	nonce, err := c.nonce()
	if err != nil {
		return nil, err
	}
	at := strconv.FormatInt(c.set.Now().Unix(), 10)
	signed, err := c.signer.Sign(ctx, pageText(c.set.AppID, at, nonce, prepay))
	if err != nil {
		return nil, err
	}
	return map[string]string{"appId": c.set.AppID, "timeStamp": at, "nonceStr": nonce, "package": "prepay_id=" + prepay, "signType": "RSA", "paySign": signed.Signature}, nil
}

// appParams are what an app hands to WeChat.
func (c *Channel) appParams(ctx context.Context, prepay string) (map[string]string, error) {
	nonce, err := c.nonce()
	if err != nil {
		return nil, err
	}
	at := strconv.FormatInt(c.set.Now().Unix(), 10)
	signed, err := c.signer.Sign(ctx, appText(c.set.AppID, at, nonce, prepay))
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"appid": c.set.AppID, "partnerid": c.set.MerchantID, "prepayid": prepay, "package": "Sign=WXPay",
		"noncestr": nonce, "timestamp": at, "sign": signed.Signature,
	}, nil
}

// nonce is 32 characters of chance.
func (c *Channel) nonce() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(c.set.Rand, b); err != nil {
		return "", fmt.Errorf("a nonce: %w", err)
	}
	return hex.EncodeToString(b), nil
}
