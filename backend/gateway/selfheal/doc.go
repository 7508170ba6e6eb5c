// Package selfheal joins what chooses channels to what watches them: a router for the gateway whose choices follow the health of channels, and who
// learns from each call. It reads memory only, so payments are routed while the store is away.
package selfheal
