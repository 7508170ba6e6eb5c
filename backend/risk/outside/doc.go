// Package outside speaks to the operator's own services for risk: the one that sends a code to a payer, and the one that knows who somebody is. Both are asked by a
// signed POST (Standard Webhooks) of JSON; docs/risk.md has the forms. Nothing of a person or a code is in an error.
package outside
