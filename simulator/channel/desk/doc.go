// Package desk stands in for the people at the other end of simulated payment channels: at one page somebody pays a QR code or refuses to, shows a payment code, and says what is
// wrong with a channel. With it the gateway can be tried by hand, in a browser or with curl, and nothing leaves this machine.
//
// Channels are given as functions ([Channel]), so the desk knows none of them. UnionPay's own page, to which a merchant's shop sends payers, is [UnionPayPage].
package desk
