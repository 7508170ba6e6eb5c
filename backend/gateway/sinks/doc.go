// Package sinks tells people and other systems what became of payment channels: [Webhook] by HTTPS, signed, and [Mail] by SMTP. Each is a handler of the outbox for one
// topic, and each topic has a relay of its own, so that one that hangs or fails holds up no other; what was not delivered comes again.
package sinks
