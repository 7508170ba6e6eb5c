// Package bill matches a channel's bill of a day with what we have booked of it: payments and what was given back, row by row, and the sums. A [Matcher] is pure; [Day]
// reads the bill by the channel's adapter and our side from the store. docs/channel-bills.md is the page.
package bill
