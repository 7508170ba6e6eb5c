// Package holdings changes what holders have beside their cards by two persons' word: balances in the books, and points, which are in none.
//
// Start with [New]. One person asks, another one decides, and the change is made in the transaction of that decision. Points may expire; [Service.Run] takes
// them back then. Balances are filled by orders, too (package backend/gateway); docs/combined-payment.md says who has what.
package holdings
