package ecdriver

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/ids"
)

// tokenLabel begins what is hashed, so that the key may serve nothing else by chance.
const tokenLabel = "purselane ec token 1"

// Token stands for a card where its number must not: the first 10 bytes of HMAC-SHA-256 by key over the label, the card number as
// certificates have it (10 bytes) and the sequence number as GET PROCESSING OPTIONS tells it (00 if it does not). Two cards share one by chance
// alone, once in 2^40 cards of one key.
func Token(key []byte, pan ec.PAN, psn byte) (n ids.CardNumber) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(tokenLabel))
	h.Write(pan[:])
	h.Write([]byte{psn})
	copy(n[:], h.Sum(nil))
	return n
}
