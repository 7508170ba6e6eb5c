// Package trace writes the steps of the payment pipeline as spans, one JSON line each, into a file of bounded size that turns over. The form is that of a span of
// OpenTelemetry with names of our own; docs/gateway-traces.md is the page. A span says which order, step and context code, how long and how it ended; nothing of a payer or
// a card is in it.
package trace
