// Package identity asks whether a name, an ID number, a bank card and a telephone are one person's. Who is asked stands behind [Verifier], a port: a
// provider's program, a bank, or a simulator.
//
// There are three answers, and silence. [NotInDatabase] is no mismatch: some people are in no database that may be asked. An error is no answer at all:
// nothing is known then, and nobody may be called a fraud for it.
//
// [Service] keeps what a provider can do to us in bounds: a time-out, calls at once, a circuit breaker, and money: each call has a price and a day
// has a budget. An answer that has been paid for is remembered by a keyed hash and not asked for twice, even if it came too late for who asked.
// Nothing of a person is kept, printed or repeated in an error.
package identity
