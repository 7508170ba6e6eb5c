package purse

import "encoding/hex"

// Mark names the debit of an attempt as the card's trip records can: by SAM and time. Two debits of one card by one SAM in one second have
// one mark.
func (a Attempt) Mark() string { return MarkOf(a.SAM, a.Time) }

// MarkOf is Mark by its parts.
func MarkOf(sam, at []byte) string { return hex.EncodeToString(sam) + "/" + hex.EncodeToString(at) }
