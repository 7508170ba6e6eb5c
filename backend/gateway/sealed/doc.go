// Package sealed keeps callers' secrets in the database so that whoever reads the database has none of them: each is sealed with AES-256-GCM under a key
// that lies in the scheme's key file, and bound to the row that it stands in.
//
// Start with [New], [Box.Seal] and [Box.Open]. A box has one key that seals and any number of older ones that still open.
package sealed
