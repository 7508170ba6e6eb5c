package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/purselane/purselane/backend/ledger"
)

// BooksKey is the key that the rows of accounts are sealed with. It is made from the scheme's token key, which never changes and lies in the sealed key file.
func BooksKey(tokenKey []byte) []byte {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-books-key-1"))
	return h.Sum(nil)
}

// proveEvery is how often it is asked whether a night's proof is due.
const proveEvery = time.Minute

// proveNightly proves the books each night until ctx ends.
func (n *Node) proveNightly(ctx context.Context) error {
	nightly := ledger.Nightly{Store: n.store, Clock: n.cfg.Clock, Location: n.cfg.Scheme.Location(), Log: n.cfg.Log}
	return nightly.Run(ctx, proveEvery)
}
