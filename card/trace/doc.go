// Package trace keeps what was said between a reader and a card: a transcript that people can read, with every command and field by its name, and
// that tests can play back.
//
// Start with [Recorder], which stands in front of a card, and [Player], which is the card again. [Transcript.Text] writes the form of
// docs/card-tools.md, [Parse] reads it. [Transcript.Masked] hides the card number and the card holder. PINs and written keys are hidden from the first: they
// are in no transcript. MACs and TACs are kept, because they are evidence and tell nothing of a key.
package trace
