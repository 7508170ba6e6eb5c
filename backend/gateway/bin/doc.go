// Package bin says of a card number which bank's it is, what kind of card, and whose scheme, by its first digits. It is pure.
//
// A [Table] is parsed from a file with a version; the longest prefix of 6 to 10 digits wins. A number that cannot be one ([ErrNumber]) and one
// that no prefix is known of ([ErrUnknown]) are kept apart: the first is the payer's typing, the second our table's age.
//
// No card number is kept, and none is in an error. [Find] looks for card numbers where none may be.
package bin
