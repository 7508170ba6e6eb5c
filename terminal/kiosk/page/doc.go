// Package page serves a kiosk's screens to a browser on the same machine: one page that shows the [session.View] it is sent, and sends back what the rider
// touches. It decides nothing and holds no card number.
//
// Start with [New]. Everything the page needs is in the binary; it asks no other host for anything.
package page
