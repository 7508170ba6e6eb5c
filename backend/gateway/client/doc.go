// Package client is for those who write callers of the gateway in Go: it signs requests and verifies webhooks. docs/gateway-apps.md and docs/webhooks.md are the pages; for other languages they say all that this package
// does.
//
// Start with [Signer], a transport for [http.Client], and [Receiver]. The examples of Signer pay, refund, reserve, withdraw, give away a red packet, bind a card and sign an agreement over the API of docs/gateway-api.md.
package client
