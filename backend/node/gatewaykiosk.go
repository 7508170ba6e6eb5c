package node

import (
	"cmp"
	"slices"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/kiosksale"
)

// kioskSales sells loads at kiosks; nil where this process runs no gateway. The companies that take QR payments in the scheme's currency are offered, in the order
// of their accounts.
func (n *Node) kioskSales() *kiosksale.Service {
	if n.online == nil {
		return nil
	}
	c, g := n.cfg.Scheme, n.cfg.Scheme.Gateway
	currency := cmp.Or(c.Currency, "CNY") // as the gateway takes it
	var ways []code.Company
	for _, a := range g.Accounts {
		ch := n.cfg.Channels[a.ID]
		if ch == nil {
			continue
		}
		can := ch.Capabilities()
		if slices.Contains(can.Products, channel.QR) && slices.Contains(can.Currencies, currency) && !slices.Contains(ways, a.Company) {
			ways = append(ways, a.Company)
		}
	}
	return kiosksale.New(kiosksale.Config{Gateway: n.online.service, Products: g.Products, Companies: g.Companies, Ways: ways, Online: OnlineAgent, Currency: currency,
		MaxAmount: c.MaxLoad, MaxBalance: c.MaxBalance})
}
