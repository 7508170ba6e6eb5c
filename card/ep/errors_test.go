package ep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// command is one command of the library as a test sends it.
type command struct {
	name ep.CommandName
	send func(ctx context.Context, t apdu.Transmitter) error
	n    int // bytes of a good answer; -1: not one length
}

// purse returns a card that is selected already, without asking t.
func purse(ctx context.Context, t apdu.Transmitter) *ep.Card {
	first := true
	c, _, err := ep.Select(ctx, transmitFunc(func(ctx context.Context, command []byte) ([]byte, error) {
		if first {
			first = false
			return []byte{0x6F, 0x04, 0x84, 0x02, 0xA0, 0x00, 0x90, 0x00}, nil
		}
		return t.Transmit(ctx, command)
	}), ep.AIDTUnion)
	if err != nil {
		panic(err)
	}
	return c
}

type transmitFunc func(ctx context.Context, command []byte) ([]byte, error)

func (f transmitFunc) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return f(ctx, command)
}

// sam returns a PSAM that is open already.
func sam(ctx context.Context, t apdu.Transmitter) *ep.PSAM {
	opening := [][]byte{{0x90, 0x00}, {1, 2, 3, 4, 5, 6, 0x90, 0x00}, {0x90, 0x00}, {0x07, 0x90, 0x00}}
	p, err := ep.OpenPSAM(ctx, transmitFunc(func(ctx context.Context, command []byte) ([]byte, error) {
		if len(opening) > 0 {
			answer := opening[0]
			opening = opening[1:]
			return answer, nil
		}
		return t.Transmit(ctx, command)
	}), ep.PSAMTUnion)
	if err != nil {
		panic(err)
	}
	return p
}

var (
	one  = money.Minor(1)
	term = ep.TerminalNumber{1, 2, 3, 4, 5, 6}
	at   = ep.DateTime{0x20, 0x24, 0x01, 0x15, 0x08, 0x30, 0x00}
)

// commands are all commands of the library, each by the function that sends it.
func commands() []command {
	oneFactor := keys.PurchaseRequest{Amount: one, Factors: make([][8]byte, 1)}
	return []command{
		{ep.CmdSelect, func(ctx context.Context, t apdu.Transmitter) error {
			_, _, err := ep.Select(ctx, t, ep.AIDTUnion)
			return err
		}, -1},
		{ep.CmdReadBinary, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadPublic(ctx)
			return err
		}, 30},
		{ep.CmdReadBinary, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadManagement(ctx)
			return err
		}, 60},
		{ep.CmdReadRecord, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadLog(ctx, 1)
			return err
		}, 23},
		{ep.CmdReadRecord, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadMetroTrip(ctx)
			return err
		}, 128},
		{ep.CmdReadRecord, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadBusTrip(ctx)
			return err
		}, 128},
		{ep.CmdReadBinary, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadHolder(ctx)
			return err
		}, 39},
		{ep.CmdReadRecord, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).ReadTripHistory(ctx, 1)
			return err
		}, 48},
		{ep.CmdGetBalance, func(ctx context.Context, t apdu.Transmitter) error { _, err := purse(ctx, t).Balance(ctx); return err }, 4},
		{ep.CmdGetBalance, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).BalanceOf(ctx, ep.OwnMoney)
			return err
		}, 4},
		{ep.CmdSelect, func(ctx context.Context, t apdu.Transmitter) error {
			_, _, err := ep.SelectFID(ctx, t, [2]byte{0x3F, 0x01})
			return err
		}, -1},
		{ep.CmdInternalAuthenticate, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).InternalAuthenticate(ctx, ep.WorkEncipher, 0, make([]byte, 8))
			return err
		}, 8},
		{ep.CmdInternalAuthenticate, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).InternalAuthenticate(ctx, ep.WorkMAC, 0, make([]byte, 9))
			return err
		}, 4},
		{ep.CmdAppendRecord, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).AppendRecordBy(ctx, ep.SFITripHistory, make([]byte, 48), ep.Line{})
		}, -1},
		{ep.CmdWriteKey, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).WriteKey(ctx, ep.NewKey{Type: ep.KeyLoad, Value: make([]byte, 16)})
		}, -1},
		{ep.CmdInitPurchase, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).InitPurchase(ctx, ep.TypePurchase, 1, one, term)
			return err
		}, 15},
		{ep.CmdInitPurchase, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).InitPurchase(ctx, ep.TypeComposite, 1, one, term)
			return err
		}, 15},
		{ep.CmdUpdateCache, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).CacheTripState(ctx, 1, [128]byte{})
		}, -1},
		{ep.CmdUpdateCache, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).CacheTripHistory(ctx, [48]byte{})
		}, -1},
		{ep.CmdDebit, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Debit(ctx, 1, at, ep.MAC{})
			return err
		}, 8},
		{ep.CmdInitLoad, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).InitLoad(ctx, 1, one, term)
			return err
		}, 16},
		{ep.CmdCreditLoad, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).CreditLoad(ctx, at, ep.MAC{})
			return err
		}, 4},
		{ep.CmdProve, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Prove(ctx, ep.TypePurchase, 1)
			return err
		}, 8},
		{ep.CmdInitSAM, func(ctx context.Context, t apdu.Transmitter) error {
			_, _, err := sam(ctx, t).InitPurchase(ctx, oneFactor)
			return err
		}, 8},
		{ep.CmdCreditSAM, func(ctx context.Context, t apdu.Transmitter) error { return sam(ctx, t).CheckMAC2(ctx, [4]byte{}) }, -1},
		{ep.CmdInitPurchase, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Deposit().InitPurchase(ctx, ep.TypeEDCash, 1, one, term)
			return err
		}, 15},
		{ep.CmdChallenge, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Challenge(ctx, 8)
			return err
		}, 8},
		{ep.CmdExternalAuthenticate, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).ExternalAuthenticate(ctx, 1, [8]byte{})
		}, -1},
		{ep.CmdVerify, func(ctx context.Context, t apdu.Transmitter) error { return purse(ctx, t).VerifyPIN(ctx, 0, pin) }, -1},
		{ep.CmdChangePIN, func(ctx context.Context, t apdu.Transmitter) error { return purse(ctx, t).ChangePIN(ctx, 0, pin, pin) }, -1},
		{ep.CmdReloadPIN, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, t).ReloadPIN(ctx, 0, pin, ep.MAC{})
		}, -1},
		{ep.CmdUnblockPIN, func(ctx context.Context, t apdu.Transmitter) error {
			same := func(_ context.Context, data []byte) ([]byte, error) { return data, nil }
			return purse(ctx, challenged{t}).UnblockPIN(ctx, 0, pin, same, noMAC)
		}, -1},
		{ep.CmdInitUnload, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Deposit().InitUnload(ctx, 1, one, term)
			return err
		}, 16},
		{ep.CmdDebitUnload, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).DebitUnload(ctx, at, ep.MAC{})
			return err
		}, 4},
		{ep.CmdInitLimit, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).Deposit().InitLimit(ctx, 1, term)
			return err
		}, 19},
		{ep.CmdUpdateLimit, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).UpdateLimit(ctx, one, at, ep.MAC{})
			return err
		}, 4},
		{ep.CmdGetMessage, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := purse(ctx, t).CityCode(ctx)
			return err
		}, 9},
		{ep.CmdGetMessage, func(ctx context.Context, t apdu.Transmitter) error {
			return sam(ctx, t).UseCityCode(ctx, ep.CityCode{})
		}, -1},
		{ep.CmdDeliveryKey, func(ctx context.Context, t apdu.Transmitter) error {
			_, err := sam(ctx, t).Maintenance(ep.MaintenanceKey{}, make([][8]byte, 1))(ctx, make([]byte, 4), nil)
			return err
		}, -1},
		{ep.CmdUpdateBinary, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, challenged{t}).UpdateBinary(ctx, ep.SFIPublic, 0, []byte{1}, noMAC)
		}, -1},
		{ep.CmdUpdateRecord, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, challenged{t}).UpdateRecord(ctx, ep.SFITripState, 1, []byte{1}, noMAC)
		}, -1},
		{ep.CmdBlock, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, challenged{t}).BlockApplication(ctx, false, noMAC)
		}, -1},
		{ep.CmdUnblock, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, challenged{t}).UnblockApplication(ctx, noMAC)
		}, -1},
		{ep.CmdBlockCard, func(ctx context.Context, t apdu.Transmitter) error {
			return purse(ctx, challenged{t}).BlockCard(ctx, noMAC)
		}, -1},
	}
}

var pin, _ = ep.ParsePIN("123456")

func noMAC(context.Context, []byte, []byte) ([4]byte, error) { return [4]byte{}, nil }

// challenged answers GET CHALLENGE itself and leaves the rest to the card.
type challenged struct{ card apdu.Transmitter }

func (c challenged) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == 0x84 {
		return append(make([]byte, command[4]), 0x90, 0x00), nil
	}
	return c.card.Transmit(ctx, command)
}

// kinds are all kinds of answer.
var kinds = map[string]error{
	"no purse": ep.ErrNoPurse, "blocked": ep.ErrBlocked, "insufficient": ep.ErrInsufficient, "MAC": ep.ErrMAC, "key": ep.ErrKeyIndex, "order": ep.ErrOrder,
	"counter": ep.ErrCounterMax, "no proof": ep.ErrNoProof, "security": ep.ErrSecurity, "not found": ep.ErrNotFound, "memory": ep.ErrMemory,
	"PIN blocked": ep.ErrPINBlocked,
}

// TestStatusWords is purse facts chapter 11: what each status word means to each command. "-" is no kind.
func TestStatusWords(t *testing.T) {
	// What a word means to a command that is not in its exceptions.
	common := map[apdu.SW]string{
		0x6281: "memory", 0x6283: "blocked", 0x63C2: "security", 0x6400: "memory", 0x6581: "memory", 0x6700: "-", 0x6900: "order", 0x6901: "order",
		0x6981: "-", 0x6982: "security", 0x6983: "blocked", 0x6984: "order", 0x6985: "order", 0x6986: "order", 0x6987: "MAC", 0x6988: "MAC",
		0x6A80: "-", 0x6A81: "blocked", 0x6A82: "not found", 0x6A83: "not found", 0x6A84: "-", 0x6A86: "-", 0x6A88: "key", 0x6B00: "-",
		0x6D00: "no purse", 0x6E00: "no purse", 0x6F00: "-", 0x9301: "insufficient", 0x9302: "MAC", 0x9303: "blocked", 0x9401: "insufficient",
		0x9402: "counter", 0x9403: "key", 0x9406: "no proof", 0x9408: "blocked",
		// Words that no table has.
		0x6299: "-", 0x6999: "-", 0x9999: "-", 0x9404: "-", 0x0000: "-", 0xFFFF: "-", 0x9001: "-",
	}
	exceptions := map[ep.CommandName]map[apdu.SW]string{
		ep.CmdSelect:       {0x6A82: "no purse", 0x6985: "blocked"},
		ep.CmdInitPurchase: {0x6985: "blocked"},
		ep.CmdInitLoad:     {0x6985: "blocked"},
		ep.CmdInitUnload:   {0x6985: "blocked"},
		ep.CmdInitLimit:    {0x6985: "blocked"},
		ep.CmdVerify:       {0x6983: "PIN blocked"},
		ep.CmdChangePIN:    {0x6983: "PIN blocked"},

		ep.CmdExternalAuthenticate: {0x6983: "PIN blocked"},
		ep.CmdProve:                {0x6985: "no proof", 0x6A86: "no proof", 0x6A88: "no proof"},
	}
	for _, c := range commands() {
		t.Run(string(c.name), func(t *testing.T) {
			for sw, kind := range common {
				if k, ok := exceptions[c.name][sw]; ok {
					kind = k
				}
				err := c.send(t.Context(), &answers{t: t, give: []string{sw.String()}})
				var status *ep.StatusError
				require.ErrorAs(t, err, &status, "%v", sw)
				require.Equal(t, ep.StatusError{Command: c.name, SW: sw}, *status)
				require.ErrorContains(t, err, string(c.name))
				require.ErrorContains(t, err, sw.String())
				for name, is := range kinds {
					want := name == kind || name == "no proof" && c.name == ep.CmdProve
					require.Equal(t, want, errors.Is(err, is), "%v of %s is %q", sw, c.name, name)
				}
			}
		})
	}
}

// TestEveryStatusWordNamesItsCommand takes all of them.
func TestEveryStatusWordNamesItsCommand(t *testing.T) {
	for sw := range 0x10000 {
		e := &ep.StatusError{Command: ep.CmdDebit, SW: apdu.SW(sw)}
		if want := fmt.Sprintf("DEBIT FOR PURCHASE: %04X ", sw); !strings.HasPrefix(e.Error(), want) || len(e.Error()) == len(want) {
			t.Fatalf("%q: want %q and a meaning", e.Error(), want)
		}
		if sw1 := sw >> 8; e.NothingDone() && !(0x67 <= sw1 && sw1 <= 0x6E || sw1 == 0x93 || sw1 == 0x94) {
			t.Fatalf("%04X is no certain refusal", sw)
		}
	}
}

// TestNothingDone: an intent is dropped on these words alone, so each of them must be certain.
func TestNothingDone(t *testing.T) {
	cases := map[apdu.SW]bool{
		0x6700: true, 0x6901: true, 0x6982: true, 0x6985: true, 0x6A80: true, 0x6A81: true, 0x6A88: true, 0x6B00: true, 0x6D00: true, 0x6E00: true,
		0x9301: true, 0x9302: true, 0x9303: true, 0x9401: true, 0x9402: true, 0x9403: true, 0x9406: true, 0x9408: true,
		0x6281: false, 0x6283: false, 0x63C1: false, 0x6400: false, 0x6581: false, 0x6601: false, 0x6F00: false, 0x6FFF: false,
		0x9300: false, 0x9404: false, 0x9999: false, 0x0000: false, 0x9000: false,
	}
	for sw, want := range cases {
		require.Equal(t, want, (&ep.StatusError{Command: ep.CmdDebit, SW: sw}).NothingDone(), "%v", sw)
	}
}

// TestAnswersOfTheWrongLength: the card has done its work, and what it says cannot be used. That is neither a refusal nor a
// lost answer.
func TestAnswersOfTheWrongLength(t *testing.T) {
	for _, c := range commands() {
		if c.n < 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s, %d", c.name, c.n), func(t *testing.T) {
			good := make([]byte, c.n)
			require.NoError(t, c.send(t.Context(), &answers{t: t, give: []string{upper(good) + "9000"}}))
			for _, n := range []int{0, 1, c.n - 1, c.n + 1, 256} {
				if n > c.n && c.name == ep.CmdReadBinary {
					continue // longer files are cut to what all share
				}
				err := c.send(t.Context(), &answers{t: t, give: []string{upper(make([]byte, n)) + "9000"}})
				require.ErrorIs(t, err, ep.ErrMalformed, "%d bytes", n)
				var status *ep.StatusError
				require.False(t, errors.As(err, &status))
				require.NotErrorIs(t, err, apdu.ErrNotSent)
				require.NotErrorIs(t, err, apdu.ErrNoAnswer)
			}
		})
	}
}

// TestLostAnswersKeepTheirKind: money depends on the difference.
func TestLostAnswersKeepTheirKind(t *testing.T) {
	for _, c := range commands() {
		for _, kind := range []error{apdu.ErrNotSent, apdu.ErrNoAnswer} {
			err := c.send(t.Context(), &answers{t: t, errors: []error{fmt.Errorf("%w: gone", kind)}})
			require.ErrorIs(t, err, kind, c.name)
			require.ErrorContains(t, err, string(c.name))
			require.Equal(t, kind == apdu.ErrNotSent, errors.Is(err, apdu.ErrNotSent))
			require.Equal(t, kind == apdu.ErrNoAnswer, errors.Is(err, apdu.ErrNoAnswer))
		}
		err := c.send(t.Context(), &answers{t: t, give: []string{"6101", "6985"}})
		require.ErrorIs(t, err, apdu.ErrNoAnswer, "%s: a refused fetch is no refused command", c.name)
		err = c.send(t.Context(), transmitFunc(func(context.Context, []byte) ([]byte, error) { return []byte{0x61, 0x01}, nil }))
		require.ErrorIs(t, err, apdu.ErrNoAnswer, "%s: an endless card ends", c.name)
	}
}

func TestAmountsThatDoNotFitAreNotSent(t *testing.T) {
	for _, n := range []int64{-1, 1 << 32} {
		card := &answers{t: t}
		_, err := purse(t.Context(), card).InitPurchase(t.Context(), ep.TypePurchase, 1, money.Minor(n), term)
		require.ErrorContains(t, err, "does not fit four bytes")
		_, err = purse(t.Context(), card).InitLoad(t.Context(), 1, money.Minor(n), term)
		require.ErrorContains(t, err, "does not fit four bytes")
		require.Empty(t, card.asked)
	}
}
