// Package kiosksale sells loads that a rider pays at a kiosk by QR code: a top-up order of the online gateway, with one payment over the company that the
// rider has chosen. What is paid becomes a load order (package topup), which the kiosk that sold it brings to the card.
//
// Start with [Service.Create]. The kiosk's agent owns what it sold; another agent's sale is as unknown as none. docs/kiosk.md is the operator's page.
package kiosksale
