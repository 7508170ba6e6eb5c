package wire

import "github.com/purselane/purselane/internal/ids"

// Kinds of topic, the last level of pl/1/<terminal>/<kind>.
const (
	KindUp    = "up"    // envelopes, from the terminal
	KindHello = "hello" // signed hello on every connect, from the terminal
	KindState = "state" // retained device state and last will, from the terminal
	KindDown  = "down"  // receipts, to the terminal
	KindWant  = "want"  // retained desired configuration, to the terminal
)

// Topic is the MQTT topic of a terminal's kind. The 1 in it is the version of the topics' layout.
func Topic(t ids.TerminalID, kind string) string { return "pl/1/" + string(t) + "/" + kind }

// Subject is the same place as NATS names it. The two are one-to-one because a terminal id has no dot and no slash.
func Subject(t ids.TerminalID, kind string) string { return "pl.1." + string(t) + "." + kind }
