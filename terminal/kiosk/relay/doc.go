// Package relay lets a kiosk load a card that lies elsewhere: at the back of a rider's phone, or in a second kiosk's field. Its contract is docs/relay.md.
//
// Start with [Server], which is a reader.Reader on the loading side, and with [Client.Carry], which carries its commands to the card on the other. The card's side
// calls and asks for the next command, so that it needs no address of its own.
//
// The relay decides nothing of a load. A command reaches the card once or not at all; where it is not known which, the loading side hears that no answer came, and
// the card tells at its next presentation.
package relay
