// Package vault is where numbers of bank cards lie: sealed, in files of their own that only this process may read, and nowhere else. Everybody else
// knows a card by its token. What the first digits tell (bank, kind, scheme) is noted with the token in the database.
//
// A card that a terminal has read is held in memory only, for one payment, and so is what a payer types to bind a card. No CVV is kept: what has one and is not typed for that is refused.
//
// Start with [Vault]; [Vault.Handler] is its door. docs/gateway-serve.md is its page.
package vault
