// Package route chooses the channel of a payment, in memory and in a few microseconds: it asks no database and no clock, so that payments find
// their way while either is away. A [Router] holds a [Plan] (accounts and rules, compiled once), what was learned of each account's success, what was spent of
// each limit, and the health of channels; [Router.Decide] orders the accounts that may take a payment, best first, and [Router.Explain] says why each
// one stands where it does.
//
// Three reasons to leave an account out are kept apart, because they ask for different remedies: it does not support what is asked (nobody's fault), it
// supports it but is faulty now (package health), or a limit is reached.
//
// The plan is published as a signed file too ([Seal], [Open]), which a process routes by when nothing else can be reached; how old it is, is always told.
package route
