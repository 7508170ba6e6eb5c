// Package acceptance holds tests that tell one story from end to end on real parts, each checked to the cent: a till, its card, the uplink, a backend,
// the books and the bank. It has no code of its own beside them.
//
// Start with the test of the shop (shop_test.go). Stories that must hold over readers and key doors are in package scenario, those that break things in
// packages town and city.
package acceptance
