package city

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	acquirer "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/backend/gateway/vault"
	"github.com/purselane/purselane/backend/node"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
)

// The city's bank: its terminal at the kiosk, and the riders' cards, which are made up.
const (
	bankTerminal = "KIOSK001"
	bankMerchant = "898340183980105"
	bankPrefix   = "622609"
	bankExpires  = "3012"
	bankBalance  = 1_000_00
	bankBins     = "purselane-bin,1,1\n" + bankPrefix + ",city,debit,unionpay,16,luhn\nend,1\n"
)

// openBank starts the acquirer, the vault where riders' cards lie, and the adapter between them.
func (c *City) openBank(o *online, tokenKey []byte) (*way, error) {
	mac, err := acquirer.NewSoftMAC(tokenKey[:16])
	if err != nil {
		return nil, err
	}
	weather, zone := sim.NewWeather(c.cfg.Seed), sampleScheme().Location()
	weather.Set(sim.Faults{CutAfter: answerLost})
	s := cardacquirer.New(cardacquirer.Config{Terminal: bankTerminal, Merchant: bankMerchant, Currency: "CNY", Number: "156", Zone: zone, MAC: mac, Clock: c.clock, Weather: weather})
	table, err := bin.Parse([]byte(bankBins))
	if err != nil {
		return nil, err
	}
	var bins bin.Current
	if err := bins.Use(table); err != nil {
		return nil, err
	}
	v, err := vault.New(vault.Config{Dir: filepath.Join(c.cfg.Dir, "vault"), Key: node.VaultKey(tokenKey), Store: c.node.Store(), Bins: &bins, Clock: c.clock})
	if err != nil {
		return nil, err
	}
	if o.bank, err = acquirer.New(acquirer.Settings{Terminal: bankTerminal, Merchant: bankMerchant, Currency: "CNY", Number: "156", Zone: zone, Ends: []acquirer.Dialer{s.Dial}, MAC: mac, Vault: v,
		Journal: c.node.Store().ChannelJournal("bank"), Files: s, Clock: c.clock, Enquiry: true}); err != nil {
		return nil, err
	}
	payer := func(ctx context.Context, r *rider) (channel.Payer, error) {
		number := bankCard(slices.Index(c.riders, r))
		s.AddCard(cardacquirer.Card{Number: number, Expires: bankExpires, Bank: "city", Balance: bankBalance})
		b, err := v.Keep(ctx, acquirer.Card{Number: number, Expires: bankExpires})
		return channel.Payer{Token: b.Token}, err
	}
	return &way{account: "bank", product: channel.Card, payer: payer, booked: s.Count}, nil
}

// bankCard is the number of a rider's bank card.
func bankCard(rider int) string {
	body := fmt.Sprintf("%s%09d", bankPrefix, rider+1)
	for d := '0'; ; d++ {
		if n := body + string(d); bin.Luhn(n) {
			return n
		}
	}
}
