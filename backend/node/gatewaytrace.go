package node

import (
	"path/filepath"

	"github.com/purselane/purselane/backend/gateway/trace"
)

// openTraces opens the file of the payments' steps; nil where the scheme wants none.
func (n *Node) openTraces() (*trace.File, error) {
	c := n.cfg
	if c.Scheme.Gateway.Traces == "" {
		return nil, nil
	}
	return trace.Open(trace.Config{Path: filepath.Join(c.Dir, c.Scheme.Gateway.Traces), Clock: c.Clock, Log: c.Log})
}

func (n *Node) closeTraces() error {
	if n.online == nil || n.online.trace == nil {
		return nil
	}
	return n.online.trace.Close()
}
