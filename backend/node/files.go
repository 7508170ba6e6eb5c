package node

import (
	"net/http"

	"github.com/purselane/purselane/backend/settlement/delivery"
)

// files is what acquirers fetch of closed days, for the API to serve.
func (n *Node) files() http.Handler {
	c := n.cfg
	return delivery.Handler(delivery.Config{Store: n.store, Key: c.ReceiptKey, Who: c.Tokens.AgentOf, Clock: c.Clock, Log: c.Log})
}
