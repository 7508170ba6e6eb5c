// Package desfire is a virtual MIFARE DESFire EV2 card with one application: a value file, a cyclic record file and a transaction
// MAC file, reached through AES secure messaging (docs/card-desfire.md).
//
// Start with [New] and an [Image], or [OpenFile] for a card that lives in a file. [Card.Transmit] takes any command; put the card
// into an epcard.Field to take it out at a chosen one.
//
// What a session writes stays in a buffer until CommitTransaction makes all of it true at once. Every error answer ends session and
// transaction, as loss of power does.
//
// Left out: everything else that DESFire can do. Such commands answer 911C.
package desfire
