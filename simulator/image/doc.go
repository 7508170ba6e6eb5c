// Package image keeps the memory of a simulated chip in a JSON file, so that a card keeps its balance and a PSAM its
// serial between runs.
//
// Start with [Create] and [Open]; [File.Save] replaces the whole file at once, so that a crash leaves either the state
// before a transaction or the state after it, as a chip's own roll-back does. The field types [Bytes] and [Key] read and
// write hexadecimal.
//
// An image holds the chip's keys in clear: it is for development, and its file is readable by its owner only.
package image
