package alipay

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"time"
)

// The methods of the API that are used.
const (
	methodQR            = "alipay.trade.precreate"
	methodCode          = "alipay.trade.pay"
	methodCreate        = "alipay.trade.create"
	methodApp           = "alipay.trade.app.pay"
	methodWap           = "alipay.trade.wap.pay"
	methodPage          = "alipay.trade.page.pay"
	methodQuery         = "alipay.trade.query"
	methodClose         = "alipay.trade.close"
	methodRefund        = "alipay.trade.refund"
	methodQueryRefund   = "alipay.trade.fastpay.refund.query"
	methodTransfer      = "alipay.fund.trans.uni.transfer"
	methodQueryTransfer = "alipay.fund.trans.common.query"
	methodSign          = "alipay.user.agreement.page.sign"
	methodQueryAgreed   = "alipay.user.agreement.query"
	methodUnsign        = "alipay.user.agreement.unsign"
	methodBill          = "alipay.data.dataservice.bill.downloadurl.query"
)

// signed are the parameters of a request, with the signature over all of them.
func (c *Channel) signed(method string, content any, notifyURL, returnURL string) (url.Values, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	v := url.Values{}
	for name, value := range map[string]string{
		"app_id": c.set.AppID, "method": method, "format": "JSON", "charset": "utf-8", "sign_type": "RSA2", "version": "1.0",
		"timestamp": c.set.Now().In(Zone).Format(time.DateTime), "biz_content": string(body), "notify_url": notifyURL, "return_url": returnURL,
		"app_cert_sn": c.appSN, "alipay_root_cert_sn": c.rootSN,
	} {
		if value != "" { // what is empty is not signed, and so not sent
			v.Set(name, value)
		}
	}
	signature, err := c.signer.SignValues(v)
	if err != nil {
		return nil, err
	}
	v.Set("sign", base64.StdEncoding.EncodeToString(signature))
	return v, nil
}
