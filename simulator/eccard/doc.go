// Package eccard simulates electronic cash cards with an issuer and a certification authority of their own: personalisation; qPBOC with card risk management, the commit at
// the last READ RECORD and the stored last record; transit files; full PBOC with GENERATE AC, issuer scripts and the load log; RSA and 3DES, or SM2 and SM4 (EC facts 7, 8,
// 10, 13, 15, 16, 18).
//
// Start with [NewIssuer] and [Issuer.Card] or [Issuer.Personalise]. Keys are made at run time and are test keys. A card may be torn at any command, before or after it does its work.
package eccard
