// Package edge is one terminal: it wires readers, the tap, the journal and the uplink, and keeps selling while any of
// them fails that it can do without.
//
// Start with [Open] and [Terminal.Present], which is one presentation of one card; [Terminal.Run] calls it for every card
// that the lanes' readers see, and runs the uplink. A till asks with [Terminal.Sell], and what became of a request is always
// answered by [Terminal.Sale].
//
// The package decides no fare and no money: package tap does. Here are only locks, limits, clocks, retries and who is told.
package edge
