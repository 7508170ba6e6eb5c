package gateway

import (
	"context"
	"strings"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// surplusAccount holds what was paid twice, or too late, until it has gone back, and what should have gone back and could not.
const surplusAccount books.Account = "suspense:surplus"

// online is the owner of a merchant's accounts for what is paid online. No acquirer's merchant can have its name (a dot is in no id), because what those have
// pending must be what their taps are worth.
func online(m ids.MerchantID) ids.MerchantID { return "online." + m }

// Pending and Available are a merchant's accounts for what is paid online.
func Pending(m ids.MerchantID) books.Account   { return books.MerchantPending(online(m)) }
func Available(m ids.MerchantID) books.Account { return books.MerchantAvailable(online(m)) }

// earns is the account that has the order's money, by what the order does.
func (c *change) earns() books.Account {
	switch c.typeOf() {
	case code.TopUp:
		if c.fills() {
			return books.HolderBalance(string(c.o.Payee))
		}
		return books.Funding
	case code.Transfer:
		if isHolder(c.o.Payee) {
			return books.HolderBalance(string(c.o.Payee))
		}
		return Available(c.o.Payee)
	case code.RedPacket: // what is not claimed; a share that is has left
		return Held(c.o.Merchant)
	}
	if c.o.State == string(order.Held) {
		return Held(c.o.Merchant)
	}
	return c.earned()
}

// fills reports a top-up of a holder's balance. Any other top-up is a card's, and the hooks of Config know what became of it.
func (c *change) fills() bool { return fills(c.o) }

func fills(o store.GatewayOrder) bool { return o.Payee != "" && orderOf(o).Type == code.TopUp }

// isHolder reports a payee that is an app's holder, as APP.NAME: no merchant's name has a dot.
func isHolder(payee ids.MerchantID) bool { return strings.Contains(string(payee), ".") }

// loads reports a top-up of a card.
func (c *change) loads() bool { return c.typeOf() == code.TopUp && c.o.Payee == "" }

// post writes an entry: gross leaves one account, and the channel has it less its fee, or gives it less what it gives back of its fee.
func (c *change) post(ctx context.Context, id, kind, context string, earner books.Account, channel string, gross, fee money.Amount, in bool) error {
	net, err := gross.Sub(fee)
	if err != nil {
		return err
	}
	day, err := c.tx.ClearingDay(ctx, c.at.In(c.s.cfg.Location))
	if err != nil {
		return err
	}
	lines := []books.Line{{Account: books.Channel(channel), Amount: net}, {Account: books.FeeChannel, Amount: fee}, {Account: earner, Amount: gross}}
	for i := range lines {
		if in != (i == 2) {
			continue
		}
		if lines[i].Amount, err = lines[i].Amount.Neg(); err != nil {
			return err
		}
	}
	return c.tx.Post(ctx, books.Entry{ID: id, Kind: kind, Day: day, Ref: c.o.ID + " " + context, Lines: lines})
}

func (c *change) postPaid(ctx context.Context, p *store.GatewayPayment, to books.Account, amount money.Amount) error {
	return c.post(ctx, "gateway:"+p.Number+":paid", books.KindPaidOnline, p.Context, to, p.Channel, amount, p.Fee, true)
}

// postOut books a refund, with what comes back of the merchant's fee, when it is ordered, and postBack books it back when the channel has refused it. What was set aside for a card is not made
// ready for one again: nobody knows what became of its load order meanwhile.
func (c *change) postOut(ctx context.Context, o *store.GatewayOperation) error {
	if err := c.giveFees(ctx, o); err != nil {
		return err
	}
	return c.post(ctx, "gateway:"+o.Number+":out", "gateway-"+o.Kind, o.Context, o.Source, o.Channel, o.Amount, o.Fee, false)
}
func (c *change) postBack(ctx context.Context, o *store.GatewayOperation) error {
	to := o.Source
	switch to {
	case books.Funding:
		to = surplusAccount
	case Pending(c.o.Merchant):
		to = c.earned()
	}
	if err := c.post(ctx, "gateway:"+o.Number+":back", books.KindBackOnline, o.Context, to, o.Channel, o.Amount, o.Fee, true); err != nil {
		return err
	}
	return c.keepFees(ctx, o)
}
