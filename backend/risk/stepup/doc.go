// Package stepup lets a payer prove more by a one-time code. The gateway makes it and hands it to the operator's service, which knows how to reach the payer; what is
// kept is a keyed hash. Codes live shortly, and few wrong ones are taken.
package stepup
