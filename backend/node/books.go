package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
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
	nightly := ledger.Nightly{Store: n.store, Clock: n.cfg.Clock, Location: n.cfg.Scheme.Location(), Log: n.cfg.Log, Also: n.lookAtLevels}
	return nightly.Run(ctx, proveEvery)
}

// lookAtLevels raises alarms for own accounts that hold less than they should: a bank may send no statement for days.
func (n *Node) lookAtLevels(ctx context.Context) error {
	fresh, err := settlement.AlarmLow(ctx, n.store, n.cfg.Clock.Now())
	if err != nil {
		return err
	}
	for _, a := range fresh {
		n.cfg.Log.Warn("an own account holds less than it should: `purselane settle bank` lists them", "account", a.About, "alarm", a.What, "text", a.Text)
	}
	return nil
}
