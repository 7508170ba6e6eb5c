//go:build pkcs11

package keys_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
)

// TestHSMServesACard loads a simulated card, buys with it, tears a purchase and proves it, with the host's side done by the device: what the
// test over pcscd does with the software.
func TestHSMServesACard(t *testing.T) {
	_, o := newToken(t)
	o.Cache = keys.CachePolicy{Cards: 8, Lifetime: time.Hour}
	d := openDevice(t, o)
	masters := deviceMasters()
	host := map[keys.ID]keys.Key{} // the backend has no purchase key
	for id, k := range masters {
		if id.Purpose == keys.Load || id.Purpose == keys.TAC {
			host[id] = k
		}
	}
	require.NoError(t, d.Put(t.Context(), host))

	ctx := t.Context()
	issuer, terminal := ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}, ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
	at := ep.DateTime{0x20, 0x26, 0x11, 0x24, 0x08, 0x30, 0x00}
	img, err := personalise.Card(masters, personalise.CardSpec{Number: ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Issuer: issuer})
	require.NoError(t, err)
	chip, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	samImage, err := personalise.PSAM(masters, personalise.PSAMSpec{Terminal: terminal, Issuer: issuer, NextSerial: 1})
	require.NoError(t, err)
	samChip, err := psam.New(samImage)
	require.NoError(t, err)
	samChip.Power(true)
	sam, err := ep.OpenPSAM(ctx, samChip, ep.PSAMTUnion)
	require.NoError(t, err)

	selectCard := func(tear epcard.Tear) (*ep.Card, ep.Public) {
		card, fci, err := ep.Select(ctx, epcard.Present(chip, tear), ep.AIDTUnion)
		require.NoError(t, err)
		public, err := ep.ParsePublic(fci.Public)
		require.NoError(t, err)
		return card, public
	}
	fare := money.Minor(200)
	begin := func(card *ep.Card, public ep.Public) (ep.PurchaseInit, uint32, ep.MAC) {
		init, err := card.InitPurchase(ctx, ep.TypePurchase, sam.KeyIndex(), fare, terminal)
		require.NoError(t, err)
		serial, mac1, err := sam.InitPurchase(ctx, keys.PurchaseRequest{Random: init.Random, Counter: init.Counter, Amount: fare, Type: byte(ep.TypePurchase),
			DateTime: at, Version: init.Version, Algorithm: init.Algorithm, Factors: public.Factors(2)})
		require.NoError(t, err)
		return init, serial, mac1
	}
	verify := func(public ep.Public, serial uint32, tac ep.MAC) {
		key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: public.Factors(2)}
		want, err := d.TAC(ctx, key, ep.PurchaseTAC(fare, ep.TypePurchase, terminal, serial, at))
		require.NoError(t, err)
		require.Equal(t, ep.MAC(want), tac)
	}

	// Load.
	card, public := selectCard(epcard.Tear{})
	amount := money.Minor(5000)
	init, err := card.InitLoad(ctx, 1, amount, terminal)
	require.NoError(t, err)
	key := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: init.Version, Algorithm: init.Algorithm}, Factors: public.Factors(2)}
	session := ep.LoadSession(init.Random, init.Counter)
	mac1, err := d.SessionMAC(ctx, key, session, ep.LoadMAC1(init.Balance, amount, ep.TypeLoad, terminal))
	require.NoError(t, err)
	require.Equal(t, init.MAC1, ep.MAC(mac1))
	mac2, err := d.SessionMAC(ctx, key, session, ep.LoadMAC2(amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	tac, err := card.CreditLoad(ctx, at, mac2)
	require.NoError(t, err)
	key.ID.Purpose = keys.TAC
	want, err := d.TAC(ctx, key, ep.LoadTAC(amount, init.Counter, amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(want), tac)

	// A purchase.
	_, serial, purchaseMAC := begin(card, public)
	debit, err := card.Debit(ctx, serial, at, purchaseMAC)
	require.NoError(t, err)
	require.NoError(t, sam.CheckMAC2(ctx, debit.MAC2))
	verify(public, serial, debit.TAC)

	// Another, torn after the card has carried DEBIT out: the third command.
	card, public = selectCard(epcard.Tear{At: 3, After: true})
	torn, serial, purchaseMAC := begin(card, public)
	_, err = card.Debit(ctx, serial, at, purchaseMAC)
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
	card, public = selectCard(epcard.Tear{})
	proof, err := card.Prove(ctx, ep.TypePurchase, torn.Counter+1)
	require.NoError(t, err)
	verify(public, serial, proof.TAC)
	require.Equal(t, money.Minor(4600), chip.Balance())
}
