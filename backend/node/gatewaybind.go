package node

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/risk/outside"
	"github.com/purselane/purselane/backend/risk/stepup"
)

// forgetTyped has the vault forget what a payer has typed; nil where the scheme has no vault.
func (n *Node) forgetTyped() func(context.Context, string) error {
	if n.vault == nil {
		return nil
	}
	return n.vault.Forget
}

// phoneCodes are the codes of ours for cards that a channel binds without checking whose they are: sent by the service that sends those of risk. Nil where the scheme has none, or no
// vault.
func (n *Node) phoneCodes() (gateway.PhoneCodes, error) {
	c, r := n.cfg, n.cfg.Scheme.Gateway.Risk
	if n.vault == nil || r == nil || r.Codes == nil || c.Risk == nil {
		return nil, nil
	}
	sender, err := outside.New(r.Codes.URL, c.Risk.CodesKey, codeTimeout, c.Clock)
	if err != nil {
		return nil, fmt.Errorf("codes: %w", err)
	}
	codes, err := stepup.New(n.store, riskKey(c.TokenKey, "bind"), sender, c.Clock, nil)
	if err != nil {
		return nil, err
	}
	return stepup.Bindings{Codes: codes, Vault: n.vault}, nil
}
