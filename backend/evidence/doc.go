// Package evidence writes a clearing day as one signed file, and checks such a file without a database.
//
// Start with [Export] and [Verify]. A file is a plain tar with nothing in it that is not fixed by the day: two exports of a closed day are the same bytes. The
// last two members are a manifest, which names every other one by its SHA-256, and an Ed25519 signature over it. docs/evidence.md is the page.
package evidence
