// Package cardacquirer is an acquirer of bank cards behind ISO 8583: it wants a sign-on, verifies MACs, keeps cards, purchases, authorisations
// and refunds by their retrieval reference, answers repeats with the first answer, and writes a settlement file for each day.
//
// It serves any [net.Conn]: [Sim.Dial] makes one without a network, [Sim.Serve] takes a listener. What goes wrong is set in a Weather of
// simulator/channel; answers can be withheld and let go later ([Sim.Withhold], [Sim.LetGo]).
//
// Start with [New].
package cardacquirer
