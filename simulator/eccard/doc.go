// Package eccard simulates electronic cash cards (qPBOC) with an issuer and a certification authority of their own: personalisation, GET PROCESSING OPTIONS with the
// EC rows of card risk management, the commit at the last READ RECORD, the stored last record, log, GET DATA and a balance set by issuer script (EC facts 7, 8, 10, 15, 18).
//
// Start with [NewIssuer] and [Issuer.Card]. Keys are made at run time and are test keys. A card may be torn at any command, before or after it does its work.
package eccard
