// Package unionpay speaks UnionPay's ACP interface (version 5.1.0): quick payment by token, the redirect to net banking, debits under an
// agreement, pay-outs, voids and refunds, and the file of the day. A request is a form whose fields are sorted, hashed with SHA-256
// and signed with RSA.
//
// Three facts rule it. An answer of 00 says that a request was accepted, not that it was paid. A front return proves nothing: only a
// back notification or a query does. A query names the order and the very second of its request.
//
// Start with [New]. The contract is docs/channel-unionpay.md.
package unionpay
