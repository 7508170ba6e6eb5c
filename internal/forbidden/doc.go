// Package forbidden looks for what must never be kept: full card numbers, card verification values, tracks, PIN blocks and keys, in whatever form they may lie in
// files: as text, packed decimal, hexadecimal, base64, UTF-16, in zip and gzip. docs/forbidden-data.md says what it finds and what it cannot. What it reports is masked.
package forbidden
