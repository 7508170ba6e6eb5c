// Package session is a load kiosk that riders use alone: a rider holds a card, chooses an amount, pays by QR code, and holds the card again.
//
// Start with the table in state.go: every state that a rider can see, what leads from one to another, and where the money is in each. [Kiosk] does the work of
// each state and says what came of it; the table says what is next. The page (package page) shows a [View] and hands in choices; it decides nothing.
//
// A sale is on disk before the backend is asked for it ([Journal]), and stays there until it is known to have ended: on the card, given back, or never
// paid. So a kiosk that was switched off finds what riders paid for, and so does the card that comes back tomorrow. docs/kiosk.md is the operator's page.
package session
