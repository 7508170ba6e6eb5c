// Package kiosk loads a card online: it stands between the card in the field and the backend that takes MAC1 and gives
// MAC2 (JR/T 0025.2 load; purse facts 3.6 and 3.10), or takes a cryptogram and gives the issuer's script (electronic cash; EC facts 15).
//
// Start with [Load], which is one presentation of one card, top to bottom. A card that leaves too early is presented again with
// the same request, here or anywhere: Load settles what is open, by the card's own word, before it begins anything new.
// So a rider pays once and gets the value once, whatever breaks.
//
// [Host] is the backend as Load sees it, [CashHost] one that loads electronic cash too, [NewHTTPHost] the real one. The package keeps nothing between two calls, takes no
// money, and asks nobody to present a card: that is the caller's.
package kiosk
