// Package ec is the PBOC electronic cash (EC, qPBOC over contactless; JR/T 0025): its data objects, offline data authentication, a tap from SELECT to the
// last READ RECORD, a load over full PBOC with issuer scripts, and what the issuing host does about both, by 3DES or SM4. Its contract is docs/card-ec.md.
//
// Start with [Select] and [Card.Begin] for a tap, [Card.BeginOnline] for a load, and [Issuer] and [AuthoriseLoad] at the host.
//
// The package reads no clock, draws no random number and holds no key: the day and the unpredictable number come in, and keys are behind
// [Issuer]. Card numbers print masked, whatever holds them.
//
// A TC in the answer to GET PROCESSING OPTIONS is no debit yet. The card debits when it answers the READ RECORD of the last record, and
// older cards may have done so before: every loss after GET PROCESSING OPTIONS leaves the outcome unknown (EC facts 1 and 10).
package ec
