// Package settlement closes clearing days and says who owes whom.
//
// Start with [Close]: it freezes what each tap of the day is worth, charges the merchants' fees, nets each acquirer and
// channel, posts the entries, and proves the day, all in one transaction. [Instruct] orders the payments at the bank;
// [ProposePay] and [Approve] note, by two persons, what was paid by hand. [Load] reads the report of a closed day again,
// byte for byte; docs/settlement.md describes it as the outside contract it is. For a day of any size there are [CloseDay]
// and [Write], which keep no file in memory.
//
// A clearing day is the day on which a record arrived, not the day of the tap. A closed day is never edited: what turns
// out later is an adjustment in a later day, the difference between what a tap is worth then and what earlier days settled.
//
// The deciding is pure and lies in shadowaccount/fee, netting and calendar, and in [Frozen.Report].
package settlement
