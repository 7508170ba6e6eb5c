package ep_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// TestUnloadAndLimitVectors is purse facts 8.2: unload and overdraft limit under one-level keys.
func TestUnloadAndLimitVectors(t *testing.T) {
	factors := public82(t).Factors(1)
	term82, at82 := ep.TerminalNumber(unhex(t, "112233445566")), ep.DateTime(unhex(t, "20240115083000"))
	soft := keys.NewSoft(map[keys.ID]keys.Key{
		{Purpose: keys.Unload, Version: 1}: ascending(0x70), {Purpose: keys.Limit, Version: 1}: ascending(0x80), {Purpose: keys.TAC, Version: 1}: ascending(0x60),
	})
	amount := func(n int64) money.Amount { return money.Minor(n) }
	unload := ep.LoadSession([4]byte(unhex(t, "1A1B1C1D")), 4)
	limit := ep.LoadSession([4]byte(unhex(t, "2A2B2C2D")), 5)
	cases := []struct {
		name    string
		purpose keys.Purpose
		session [8]byte
		input   []byte
		bytes   int
		want    string
	}{
		{"unload MAC1", keys.Unload, unload, ep.UnloadMAC1(amount(0x1770), amount(100), term82), 15, "3F09BB27"},
		{"unload MAC2", keys.Unload, unload, ep.UnloadMAC2(amount(100), term82, at82), 18, "690F5CE3"},
		{"unload MAC3", keys.Unload, unload, ep.UnloadMAC3(amount(0x170C), 4, amount(100), term82, at82), 24, "11F2ADA7"},
		{"limit MAC1", keys.Limit, limit, ep.LimitMAC1(amount(0x170C), amount(0), term82), 14, "1F19DE99"},
		{"limit MAC2", keys.Limit, limit, ep.LimitMAC2(amount(1000), term82, at82), 17, "B65EF5C5"},
		{"limit TAC", keys.TAC, limit, ep.LimitTAC(amount(0x1AF4), 5, amount(1000), term82, at82), 23, "79235148"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Len(t, c.input, c.bytes)
			card := keys.Card{ID: keys.ID{Purpose: c.purpose, Version: 1}, Factors: factors}
			var got [4]byte
			var err error
			if c.purpose == keys.TAC {
				got, err = soft.TAC(t.Context(), card, c.input)
			} else {
				got, err = soft.SessionMAC(t.Context(), card, c.session, c.input)
			}
			require.NoError(t, err)
			require.Equal(t, c.want, upper(got[:]))
		})
	}
	whole := keys.TripleDES.WholeMAC(keys.Diversify(ascending(0x60), factors...), cases[5].input)
	require.Equal(t, "A12A7AF4", upper(whole[:]), "C2: the other reading of the limit's TAC")
	require.Panics(t, func() { ep.LimitMAC2(amount(1<<24), term82, at82) })
	require.Panics(t, func() { ep.LimitMAC2(amount(-1), term82, at82) })
}

// TestCityMAC1 is the published MAC1 of purse facts P2 with the card's 9-byte code.
func TestCityMAC1(t *testing.T) {
	input := ep.CityMAC1(money.Minor(0x1C37), ep.TypeComposite, ep.TerminalNumber(unhex(t, "000000000001")), ep.DateTime(unhex(t, "20110919204812")),
		ep.CityCode(unhex(t, "8588D32B7688D32B76")))
	require.Len(t, input, 27)
	got := keys.MAC8([8]byte(unhex(t, "45B5E6403E9995A8")), input)
	require.Equal(t, "303D735D", upper(got[:]))
}

// TestCommandsOnTheWire holds the commands of issuer and card holder against purse facts 3.3, 3.7 to 3.9 and 3.11.
func TestCommandsOnTheWire(t *testing.T) {
	damk := keys.Diversify(ascending(0x90), public82(t).Factors(1)...)
	mac := func(_ context.Context, challenge, message []byte) ([4]byte, error) {
		return keys.TripleDES.SecureMAC(damk, challenge, message)
	}
	fresh, err := ep.ParsePIN("1234")
	require.NoError(t, err)
	cases := []struct {
		name string
		send func(ctx context.Context, c *ep.Card) error
		wire []string
		give []string
	}{
		{"block", func(ctx context.Context, c *ep.Card) error { return c.BlockApplication(ctx, false, mac) },
			[]string{"0084000004", "841E000004E2F8EB27"}, []string{"112233449000", "9000"}},
		{"block for good", func(ctx context.Context, c *ep.Card) error { return c.BlockApplication(ctx, true, mac) },
			[]string{"0084000004", "841E00010426843F07"}, []string{"112233449000", "9000"}},
		{"unblock", func(ctx context.Context, c *ep.Card) error { return c.UnblockApplication(ctx, mac) },
			[]string{"0084000004", "8418000004563254A8"}, []string{"112233449000", "9000"}},
		{"challenge of 8 bytes", func(ctx context.Context, c *ep.Card) error {
			return c.With(ep.Settings{ChallengeLength: 8}).BlockApplication(ctx, false, mac)
		}, []string{"0084000008", "841E000004CD294C20"}, []string{"11223344556677889000", "9000"}},
		{"update binary", func(ctx context.Context, c *ep.Card) error {
			return c.UpdateBinary(ctx, ep.SFIManagement, 2, []byte{0, 1, 0}, mac)
		}, []string{"0084000004", "04D697020700010089D574F3"}, []string{"556677889000", "9000"}},
		{"verify", func(ctx context.Context, c *ep.Card) error { return c.VerifyPIN(ctx, 0, pin) }, []string{"0020000003123456"}, []string{"9000"}},
		{"change", func(ctx context.Context, c *ep.Card) error { return c.ChangePIN(ctx, 2, pin, fresh) }, []string{"805E010206123456FF1234"}, []string{"9000"}},
		{"reload", func(ctx context.Context, c *ep.Card) error {
			return c.ReloadPIN(ctx, 0, pin, ep.MAC(unhex(t, "17BB8F96")))
		}, []string{"805E00000712345617BB8F96"}, []string{"9000"}},
		{"ED balance", func(ctx context.Context, c *ep.Card) error { _, err := c.Deposit().Balance(ctx); return err }, []string{"805C000104"}, []string{"000000019000"}},
		{"ED cash", func(ctx context.Context, c *ep.Card) error {
			_, err := c.Deposit().InitPurchase(ctx, ep.TypeEDCash, 1, one, term)
			return err
		}, []string{"805002010B01000000010102030405060F"}, []string{upper(make([]byte, 15)) + "9000"}},
		{"ED unload", func(ctx context.Context, c *ep.Card) error {
			_, err := c.Deposit().InitUnload(ctx, 1, one, term)
			return err
		}, []string{"805005010B010000000101020304050610"}, []string{upper(make([]byte, 16)) + "9000"}},
		{"limit", func(ctx context.Context, c *ep.Card) error {
			init, err := c.Deposit().InitLimit(ctx, 1, term)
			if err != nil {
				return err
			}
			require.Equal(t, ep.LimitInit{Balance: money.Minor(0x170C), Counter: 5, Limit: money.Minor(0x0102), Version: 1, Random: [4]byte{0x2A, 0x2B, 0x2C, 0x2D}, MAC1: ep.MAC{0x1F, 0x19, 0xDE, 0x99}}, init)
			_, err = c.UpdateLimit(ctx, money.Minor(1000), at, ep.MAC(unhex(t, "B65EF5C5")))
			return err
		}, []string{"80500401070101020304050613", "805800000E0003E820240115083000B65EF5C504"}, []string{"0000170C 0005 000102 01 00 2A2B2C2D 1F19DE99 9000", "792351489000"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := &answers{t: t, give: c.give}
			require.NoError(t, c.send(t.Context(), purse(t.Context(), card)))
			require.Equal(t, c.wire, card.asked)
		})
	}
}

func TestWhatIsNotSent(t *testing.T) {
	card := &answers{t: t}
	c := purse(t.Context(), card)
	_, err := c.UpdateLimit(t.Context(), money.Minor(1<<24), at, ep.MAC{})
	require.ErrorContains(t, err, "limit")
	require.ErrorContains(t, c.UpdateBinary(t.Context(), ep.SFIHolder, 0, make([]byte, 252), noMAC), "in parts")
	require.Empty(t, card.asked)
	none := errors.New("no key")
	failing := func(context.Context, []byte, []byte) ([4]byte, error) { return [4]byte{}, none }
	card = &answers{t: t, give: []string{"112233449000"}}
	require.ErrorIs(t, purse(t.Context(), card).BlockCard(t.Context(), failing), none)
	require.Len(t, card.asked, 1, "a command without its MAC is not sent")
}

// TestPIN: four to twelve digits, packed, and never printed.
func TestPIN(t *testing.T) {
	for digits, want := range map[string]string{"1234": "1234", "12345": "12345F", "123456": "123456", "000000000000": "000000000000"} {
		p, err := ep.ParsePIN(digits)
		require.NoError(t, err)
		require.Equal(t, want, upper(p.Bytes()))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			require.Equal(t, "[PIN]", fmt.Sprintf(verb, p))
		}
		require.Equal(t, "[PIN]", p.LogValue().String())
		_, err = p.MarshalText()
		require.Error(t, err)
	}
	for _, digits := range []string{"", "123", "1234567890123", "12a4", "１２３４", "12 34"} {
		_, err := ep.ParsePIN(digits)
		require.ErrorIs(t, err, ep.ErrPINForm, "%q", digits)
	}
}

func TestTriesLeft(t *testing.T) {
	n, ok := (&ep.StatusError{Command: ep.CmdVerify, SW: 0x63C2}).TriesLeft()
	require.True(t, ok)
	require.Equal(t, 2, n)
	_, ok = (&ep.StatusError{Command: ep.CmdVerify, SW: 0x6983}).TriesLeft()
	require.False(t, ok)
}
