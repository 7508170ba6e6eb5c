// Package wechat speaks WeChat Pay API v3 for one merchant: native QR codes, pages inside WeChat (JSAPI), browsers (H5), apps and payment
// codes, with queries, closing, refunds, notifications and the bill of the day.
//
// Start with [New] and [Settings]. Signing, verifying and AES-GCM are done by the official library, github.com/wechatpay-apiv3/wechatpay-go;
// its client and its notification handler are not used, because they read the clock themselves, verify no answer that is an error, and take
// a nonce of any length. docs/channel-wechat.md describes keys, states and what goes wrong.
package wechat
