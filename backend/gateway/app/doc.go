// Package app keeps merchants' systems that call the gateway: who they are, on which terms, with which keys, and whether a request is theirs. docs/gateway-apps.md is the page for
// callers and officers.
//
// Start with [Service.Apply], [Service.Ask] and [Service.Verify]. What an app is and may do is changed by two persons who ask for the same thing; what only takes away (freezing, ending a
// key) takes one, because who sees a theft must not wait. States and moves are the table in state.go.
package app
