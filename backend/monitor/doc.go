// Package monitor is what operators watch beside the channels: the business as a whole, each app and merchant, and the accounts that money lies on. It reads the store in bounded
// queries and changes nothing; the console's pages draw it.
//
// Start with [New]. What is worth a look is found by rules that know nothing but the figures: [Business.Alerts], [Sales.Alerts] and [Accounts.Alerts].
package monitor
