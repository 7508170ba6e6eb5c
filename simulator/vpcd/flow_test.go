package vpcd_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
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
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/socket"
)

var (
	issuer   = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	terminal = ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
	number   = ids.CardNumber{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	at       = ep.DateTime{0x20, 0x26, 0x11, 0x24, 0x08, 0x30, 0x00}
)

func masters() personalise.Masters {
	return personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {1}, {Purpose: keys.Load, Version: 1}: {2}, {Purpose: keys.TAC, Version: 1}: {3},
	}
}

// plugIn puts a chip into a slot. It ends when the chip leaves, or when out is called.
func plugIn(t *testing.T, addr string, chip vpcd.Card) (out func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = vpcd.Slot{Addr: addr}.Run(ctx, chip)
	}()
	out = func() { cancel(); <-done }
	t.Cleanup(out)
	return out
}

// flow loads a card, purchases, tears a second purchase after the card's commit, and settles it by PROVE: all through
// whatever stands between the readers and the two slots. away waits until a slot has been empty for long enough.
func flow(t *testing.T, cards, sams reader.Reader, cardSlot, samSlot string, away func()) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	img, err := personalise.Card(masters(), personalise.CardSpec{Number: number, Issuer: issuer})
	require.NoError(t, err)
	chip, err := epcard.CreateFile(filepath.Join(dir, "card.json"), img, rand.Reader)
	require.NoError(t, err)
	defer chip.Close()
	samImg, err := personalise.PSAM(masters(), personalise.PSAMSpec{Terminal: terminal, Issuer: issuer, NextSerial: 1})
	require.NoError(t, err)
	samChip, err := psam.CreateFile(filepath.Join(dir, "psam.json"), samImg)
	require.NoError(t, err)
	defer samChip.Close()
	hsm := keys.NewSoft(masters())

	plugIn(t, samSlot, samChip)
	samCard, err := sams.Wait(ctx)
	require.NoError(t, err)
	defer samCard.Close(reader.Unpower)
	sam, err := ep.OpenPSAM(ctx, samCard, ep.PSAMTUnion)
	require.NoError(t, err)
	require.Equal(t, [6]byte(terminal), sam.TerminalNumber())

	// The first presentation carries a load (3 commands) and a purchase; the second is torn at its third command, DEBIT,
	// after the card has carried it out.
	out := plugIn(t, cardSlot, chip)
	session, err := cards.Wait(ctx)
	require.NoError(t, err)
	card, fci, err := ep.Select(ctx, session, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := ep.ParsePublic(fci.Public)
	require.NoError(t, err)
	load(t, ctx, card, hsm, public, money.Minor(5000))
	init, serial := purchase(t, ctx, card, sam, public)
	debit, err := card.Debit(ctx, serial.n, at, serial.mac1)
	require.NoError(t, err)
	require.NoError(t, sam.CheckMAC2(ctx, debit.MAC2))
	checkTAC(t, ctx, hsm, public, serial.n, debit.TAC)
	require.Equal(t, money.Minor(4800), chip.Balance())
	require.NoError(t, session.Close(reader.Leave))
	out()
	require.NoError(t, session.Removed(ctx))
	away()

	field := epcard.Present(chip, epcard.Tear{At: 3, After: true})
	out = plugIn(t, cardSlot, field)
	session, err = cards.Wait(ctx)
	require.NoError(t, err)
	card, _, err = ep.Select(ctx, session, ep.AIDTUnion)
	require.NoError(t, err)
	init, serial = purchase(t, ctx, card, sam, public)
	_, err = card.Debit(ctx, serial.n, at, serial.mac1)
	require.ErrorIs(t, err, apdu.ErrNoAnswer, "a card pulled during DEBIT")
	require.NoError(t, session.Removed(ctx))
	require.NoError(t, session.Close(reader.Reset))
	out()
	away()

	plugIn(t, cardSlot, chip)
	session, err = cards.Wait(ctx)
	require.NoError(t, err)
	card, _, err = ep.Select(ctx, session, ep.AIDTUnion)
	require.NoError(t, err)
	proof, err := card.Prove(ctx, ep.TypePurchase, init.Counter+1)
	require.NoError(t, err)
	require.NoError(t, sam.CheckMAC2(ctx, proof.MAC2))
	checkTAC(t, ctx, hsm, public, serial.n, proof.TAC)
	balance, err := card.Balance(ctx)
	require.NoError(t, err)
	require.Equal(t, money.Minor(4600), balance, "debited once")
	require.NoError(t, session.Close(reader.Leave))
}

func load(t *testing.T, ctx context.Context, card *ep.Card, hsm keys.HSM, public ep.Public, amount money.Amount) {
	init, err := card.InitLoad(ctx, 1, amount, terminal)
	require.NoError(t, err)
	key := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: init.Version, Algorithm: init.Algorithm}, Factors: public.Factors(2)}
	session := ep.LoadSession(init.Random, init.Counter)
	mac1, err := hsm.SessionMAC(ctx, key, session, ep.LoadMAC1(init.Balance, amount, ep.TypeLoad, terminal))
	require.NoError(t, err)
	require.Equal(t, init.MAC1, ep.MAC(mac1))
	mac2, err := hsm.SessionMAC(ctx, key, session, ep.LoadMAC2(amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	tac, err := card.CreditLoad(ctx, at, mac2)
	require.NoError(t, err)
	key.ID.Purpose = keys.TAC
	want, err := hsm.TAC(ctx, key, ep.LoadTAC(amount, init.Counter, amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(want), tac)
}

type started struct {
	n    uint32
	mac1 ep.MAC
}

var fare = money.Minor(200)

func purchase(t *testing.T, ctx context.Context, card *ep.Card, sam *ep.PSAM, public ep.Public) (ep.PurchaseInit, started) {
	init, err := card.InitPurchase(ctx, ep.TypePurchase, sam.KeyIndex(), fare, terminal)
	require.NoError(t, err)
	serial, mac1, err := sam.InitPurchase(ctx, keys.PurchaseRequest{
		Random: init.Random, Counter: init.Counter, Amount: fare, Type: byte(ep.TypePurchase), DateTime: at,
		Version: init.Version, Algorithm: init.Algorithm, Factors: public.Factors(2),
	})
	require.NoError(t, err)
	return init, started{serial, mac1}
}

func checkTAC(t *testing.T, ctx context.Context, hsm keys.HSM, public ep.Public, serial uint32, tac ep.MAC) {
	key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: public.Factors(2)}
	want, err := hsm.TAC(ctx, key, ep.PurchaseTAC(fare, ep.TypePurchase, terminal, serial, at))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(want), tac)
}

func TestLoadPurchaseAndATornPurchaseOverSockets(t *testing.T) {
	open := func() *socket.Reader {
		r, err := socket.Listen("127.0.0.1:0", socket.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return r
	}
	cards, sams := open(), open()
	flow(t, cards, sams, cards.Addr().String(), sams.Addr().String(), func() {})
}
