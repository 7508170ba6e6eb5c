// Package desfire is a stored value on a MIFARE DESFire EV2 card (or DESFire Light): a value file and a record file that change
// together in one CommitTransaction, and a transaction MAC by which the host can check later what the card did. Only the AES
// secure messaging of EV2 is spoken.
//
// Start with [Open], then [Card.Read], [Card.Begin], [Card.Commit], and [Card.Recover] when the answer of Commit was lost. The host
// checks an [Evidence] with [Recheck]. docs/card-desfire.md has the bytes, their sources and what is not public.
//
// Sources, as the docstrings name them:
//   - MF2DLHX0: the public data sheet of DESFire Light, by what public code and notes quote from it;
//   - AN12196, AN12343, AN10922: public application notes;
//   - RFC 4493: AES-CMAC.
package desfire
