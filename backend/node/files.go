package node

import (
	"net/http"

	"github.com/purselane/purselane/backend/settlement/delivery"
)

// withFiles puts what acquirers fetch of closed days beside the API: the same tokens, the same address.
func (n *Node) withFiles(api http.Handler) http.Handler {
	c := n.cfg
	mux := http.NewServeMux()
	mux.Handle("/v1/settlement/", delivery.Handler(delivery.Config{Store: n.store, Key: c.ReceiptKey, Who: c.Tokens.AgentOf, Clock: c.Clock, Log: c.Log}))
	mux.Handle("/", api)
	return mux
}
