// Package city is the demo: a whole scheme in one process, on real parts, through one compressed day.
//
// Start with [Open] and [City.Day]. Cards, PSAMs and riders are simulated; taps, journals, MQTT, the embedded broker, the
// database, the HTTP API and the clearing are the product's own, with durable commits. What the riders do is drawn from a
// seed and presented one after the other, and the clock stands between two presentations: the same seed gives the same
// figures, although records travel in the background.
//
// The story at the end does not believe the product: what a card debited is taken from the card itself, before and after each
// presentation, and held against the backend's books. Package town is the harder test; this one is to be watched.
package city
