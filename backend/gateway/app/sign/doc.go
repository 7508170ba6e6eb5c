// Package sign is how a caller of the gateway proves who it is: what of a request is signed, with what, and how the header says it. docs/gateway-apps.md is the page for callers.
//
// Start with [Request], [Secret.Sign] or [RSA.Sign], and [Header]. The package is pure: it reads no clock, no disk and no network, so that callers and gateway share it.
package sign
