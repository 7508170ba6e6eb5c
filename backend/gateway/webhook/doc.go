// Package webhook tells callers of events over HTTPS, signed as Standard Webhooks 1.0 says (standardwebhooks.com). docs/webhooks.md is the page for receivers.
//
// Start with [Service.Take], which turns an event of the outbox into one message for each endpoint that wants it, and [Service.Step], which sends what is due. An endpoint that does not
// answer is asked again at growing intervals for a day ([Schedule]); then its message is a dead letter, until an officer or the caller has it sent again.
// Endpoints do not wait for each other. A message goes to public addresses only, unless a setting names others (guard.go).
package webhook
