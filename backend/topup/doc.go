// Package topup sells loads: it takes an order that an agent was paid for, moves the money towards one card when that
// card's MAC1 verifies, and settles every load whose answer was lost by the card's own word, never by guess.
//
// Start with the table of states in state.go, then [Service.Authorise] and [Service.Confirm], which are the two halves of
// one load; [Service.Resolve] is what happens when the second half is missing. Byte facts are JR/T 0025.2 load
// (INITIALIZE FOR LOAD, CREDIT FOR LOAD, GET TRANSACTION PROVE; purse facts 3.6, 3.10, 6.4, 6.5).
//
// What makes it safe: a card has one load session at a time, and each session belongs to one value of the card's online
// counter. So any number of MAC2 answers for one counter can credit the card once; and a card that proves by its MAC1
// that the counter has moved past an authorised load has been credited. Each move of an order is one transaction of the store,
// and each call may be repeated: a caller that lost the answer asks again.
//
// Electronic cash cards are loaded by script (ec.go): the same orders and states, with the card's ATC as counter.
//
// The package does not take money itself, talks to no card, and knows nothing of online payment channels.
package topup
