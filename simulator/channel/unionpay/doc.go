// Package unionpay is UnionPay's ACP gateway as a merchant sees it: it verifies signatures with the certificates that it issued, keeps cards,
// tokens, agreements, orders and pay-outs, debits two seconds after it has accepted, notifies, answers queries and makes the files ZM and ZME
// of each settlement day. What goes wrong is set in a Weather of simulator/channel.
//
// Two things are not as at the real one: the payer's page is [Sim.Visit] with what the payer does, and the codes of the agreement
// products follow docs/channel-unionpay.md.
//
// Start with [New].
package unionpay
