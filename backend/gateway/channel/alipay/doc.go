// Package alipay speaks the Alipay open API for one merchant: QR codes, payment codes, mini programs, apps, and browsers on phones (wap)
// and on computers (page), with queries, closing, refunds, notifications and the bill of the day.
//
// Start with [New] and [Settings]. Texts are put together and signed by github.com/smartwalle/alipay/v3 and its nsign; its client is not
// used, because it reads the clock itself, believes an error that nobody has signed, and downloads certificates that a message names.
// docs/channel-alipay.md describes keys, states and what goes wrong.
package alipay
