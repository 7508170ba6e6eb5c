package epcard_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

const (
	initPurchase82  = "805001020B 01 000000C8 112233445566 0F"
	initComposite82 = "805003020B 01 000000C8 112233445566 0F"
	initLoad82      = "805000020B 01 00001388 112233445566 10"
	goodDebit82     = "805401000F 00000123 20240115083000 9726DC2C 08" // MAC1 for random A1B2C3D4, counter 0007, type 06
	badDebit82      = "805401000F 00000123 20240115083000 9726DC2D 08"
	anyCredit       = "805200000B 20240115083000 00000000 04"
)

// TestStateTable is purse facts 4.2, row by row: the commands before, the last command, its status word.
func TestStateTable(t *testing.T) {
	cases := []struct {
		name     string
		commands []string
		sw       apdu.SW
	}{
		{"DEBIT without INITIALIZE", []string{select82, goodDebit82}, 0x6901},
		{"CREDIT without INITIALIZE", []string{select82, anyCredit}, 0x6901},
		{"DEBIT after INITIALIZE FOR LOAD", []string{select82, initLoad82, goodDebit82}, 0x6901},
		{"CREDIT after INITIALIZE FOR PURCHASE", []string{select82, initPurchase82, anyCredit}, 0x6901},
		{"the matching DEBIT", []string{select82, initPurchase82, goodDebit82}, 0x9000},
		{"DEBIT of type 06 for a composite INITIALIZE has the wrong MAC1", []string{select82, initComposite82, goodDebit82}, 0x9302},
		{"a wrong MAC1", []string{select82, initPurchase82, badDebit82}, 0x9302},
		{"a second try after a wrong MAC1", []string{select82, initPurchase82, badDebit82, goodDebit82}, 0x6901},
		{"a second DEBIT", []string{select82, initPurchase82, goodDebit82, goodDebit82}, 0x6901},
		{"a wrong MAC2 of a load", []string{select82, initLoad82, anyCredit}, 0x9302},
		{"SELECT drops the transaction", []string{select82, initPurchase82, select82, goodDebit82}, 0x6901},
		{"READ drops it", []string{select82, initPurchase82, "00B095001E", goodDebit82}, 0x6901},
		{"GET BALANCE drops it", []string{select82, initPurchase82, "805C000204", goodDebit82}, 0x6901},
		{"PROVE drops it", []string{select82, initPurchase82, "805A000602 0008 08", goodDebit82}, 0x6901},
		{"an unknown command drops it", []string{select82, initPurchase82, "80FE0000", goodDebit82}, 0x6901},
		{"a command that is no APDU drops it", []string{select82, initPurchase82, "80", goodDebit82}, 0x6901},
		{"CREDIT in a purchase drops it", []string{select82, initPurchase82, anyCredit, goodDebit82}, 0x6901},
		{"a new INITIALIZE replaces it", []string{select82, initLoad82, initPurchase82, badDebit82}, 0x9302},
		{"6Cxx leaves it", []string{select82, initPurchase82, "805401000F 00000123 20240115083000 9726DC2C 04", goodDebit82}, 0x9000},
		{"cache outside a transaction", []string{select82, "80DC01D080" + entryTrip}, 0x6901},
		{"cache in a plain purchase", []string{select82, initPurchase82, "80DC01D080" + entryTrip}, 0x6901},
		{"cache in a composite purchase", []string{select82, initComposite82, "80DC01D080" + entryTrip}, 0x9000},
		{"cache of a short trip record", []string{select82, initComposite82, "80DC01D002 2701"}, 0x6700},
		{"cache of an unknown identifier", []string{select82, initComposite82, "80DC09D080" + entryTrip}, 0x6A83},
		{"cache under another's identifier", []string{select82, initComposite82, "80DC02D080" + entryTrip}, 0x6A80},
		{"cache of the log file", []string{select82, initComposite82, "80DC00C017" + entryTrip[:46]}, 0x6981},
		{"cache of a file that is not there", []string{select82, initComposite82, "80DC00E801 00"}, 0x6A82},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			img := image82(t, 1)
			img.OfflineCounter = 7
			card := newCard(t, img, bytes.NewReader(bytes.Repeat(unhex("A1B2C3D4"), 2)))
			var raw []byte
			for _, command := range c.commands {
				var err error
				raw, err = card.Transmit(context.Background(), unhex(command))
				require.NoError(t, err)
			}
			require.Equal(t, c.sw.String(), apdu.SW(uint16(raw[len(raw)-2])<<8|uint16(raw[len(raw)-1])).String())
		})
	}
}

func TestResetAndPowerDropTheTransaction(t *testing.T) {
	for name, drop := range map[string]func(*epcard.Card){
		"warm reset": func(c *epcard.Card) { c.Reset() },
		"power":      func(c *epcard.Card) { c.Power(false); c.Power(true) },
	} {
		t.Run(name, func(t *testing.T) {
			card := newCard(t, image82(t, 1), seeded(1))
			exchange(t, card, select82, fci82+"9000")
			_, err := send(card, unhex(initPurchase82))
			require.NoError(t, err)
			drop(card)
			exchange(t, card, goodDebit82, "6901")
			exchange(t, card, "805C000204", "6A82") // nothing selected
		})
	}
}

func TestRefusals(t *testing.T) {
	cases := []struct {
		name    string
		change  func(*epcard.Image)
		command string
		sw      string
	}{
		{"an unknown key index", nil, "805001020B 02 00000001 112233445566 0F", "9403"},
		{"an unknown load key index", nil, "805000020B 02 00000001 112233445566 10", "9403"},
		{"one cent more than there is", nil, "805001020B 01 00001771 112233445566 0F", "9401"},
		{"counter at its maximum", func(m *epcard.Image) { m.OfflineCounter = 0xFFFF }, initPurchase82, "9402"},
		{"load counter at its maximum", func(m *epcard.Image) { m.OnlineCounter = 0xFFFF }, initLoad82, "9402"},
		{"a load the balance cannot take", nil, "805000020B 01 FFFFFFFF 112233445566 10", "6A80"},
		{"the ED purse", nil, "805001010B 01 00000001 112233445566 0F", "6A86"},
		{"unload", nil, "805005020B 01 00000001 112233445566 10", "6A86"},
		{"a short INITIALIZE", nil, "805001020A 01 00000001 1122334455 0F", "6700"},
		{"blocked for a time", func(m *epcard.Image) { m.Block = epcard.Temporary }, initPurchase82, "6985"},
		{"blocked for good", func(m *epcard.Image) { m.Block = epcard.Permanent }, "805C000204", "9303"},
		{"an EF that is not there", nil, "00B0960010", "6A82"},
		{"READ BINARY of a record file", nil, "00B0980010", "6981"},
		{"READ RECORD of a transparent file", nil, "00B201AC1E", "6981"},
		{"record 0", nil, "00B200C417", "6A83"},
		{"record 11 of ten", nil, "00B20BC417", "6A83"},
		{"READ BINARY past the end", nil, "00B0951E01", "6B00"},
		{"a wrong Le", nil, "00B0950020", "6C1E"},
		{"READ BINARY with no EF selected", nil, "00B0000010", "6986"},
		{"PROVE of nothing", nil, "805A000602 0001 08", "9406"},
		{"an unknown class", nil, "90B0950000", "6E00"},
		{"an unknown instruction", nil, "00FE0000", "6D00"},
		{"extended length", nil, "00B0950000001E", "6700"},
		{"SELECT of another application", nil, "00A4040008 A000000632010106 00", "6A82"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			img := image82(t, 2)
			if c.change != nil {
				c.change(&img)
			}
			card := newCard(t, img, seeded(1))
			_, err := card.Transmit(context.Background(), unhex(select82))
			require.NoError(t, err)
			exchange(t, card, c.command, c.sw)
			require.True(t, card.Image() == img, "a refusal changes nothing")
		})
	}
}

func TestDirectoryAndFiles(t *testing.T) {
	card := newCard(t, image82(t, 2), seeded(1))
	exchange(t, card, "00A404000E 315041592E5359532E4444463031", "6F15840E315041592E5359532E4444463031A503880101 9000")
	exchange(t, card, "00B2010C00", "6114 4F08A000000632010105 5008 4D4F545F545F4550 9000")
	exchange(t, card, "00A404000E 325041592E5359532E4444463031",
		"6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A00000063201010550084D4F545F545F4550870101 9000")
	exchange(t, card, "00A4000002 3F01", fci82+"9000")
	exchange(t, card, "00A4000002 0015", "9000")
	exchange(t, card, "00B0000A0A", "00010203040506070809 9000")
	exchange(t, card, "00A4000002 3F00", "6F15840E315041592E5359532E4444463031A503880101 9000")
	exchange(t, card, "00B095001E", "6A82")
}

func TestABlockedCardStillShowsItsFCI(t *testing.T) {
	card := newCard(t, image82(t, 2), seeded(1))
	require.NoError(t, card.SetBlock(epcard.Temporary))
	exchange(t, card, select82, fci82+"6A81")
	exchange(t, card, initPurchase82, "6985")
	require.NoError(t, card.SetBlock(epcard.Unblocked))
	exchange(t, card, select82, fci82+"9000")
	require.Error(t, card.SetBlock("perhaps"))
}

func TestNoRandomNumberNoTransaction(t *testing.T) {
	card := newCard(t, image82(t, 2), iotest.ErrReader(io.ErrUnexpectedEOF))
	exchange(t, card, select82, fci82+"9000")
	exchange(t, card, initPurchase82, "6F00")
	exchange(t, card, goodDebit82, "6901")
}

func TestACardKeepsItsBalanceBetweenRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.json")
	img := image82(t, 2)
	card, err := epcard.CreateFile(path, img, seeded(1))
	require.NoError(t, err)
	_, err = session{kind: ep.TypeComposite, amount: 250, trip: 7}.run(card, img)
	require.NoError(t, err)
	_, err = epcard.OpenFile(path, seeded(2))
	require.ErrorIs(t, err, image.ErrInUse)
	last := card.Image()
	require.NoError(t, card.Close())

	card, err = epcard.OpenFile(path, seeded(2))
	require.NoError(t, err)
	require.True(t, last == card.Image(), "every byte is back")
	require.Equal(t, money.Minor(0x1770-250), card.Balance())
	exchange(t, card, select82, fci82+"9000")
	_, err = proveAfter(card, ep.TypeComposite, 1)
	require.NoError(t, err, "a proof survives power loss")
	require.NoError(t, card.Close())
}

// TestACrashInTheMiddleOfACommit cuts the save at each step: the file holds the old card or the new one, and PROVE on the
// reopened card says which.
func TestACrashInTheMiddleOfACommit(t *testing.T) {
	for _, c := range []struct {
		step  string
		moved bool
	}{
		{image.StepWrite, false}, {image.StepSync, false}, {image.StepRename, false}, {image.StepSyncDir, true},
	} {
		t.Run("before "+c.step, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "card.json")
			img := image82(t, 2)
			card, err := epcard.CreateFile(path, img, seeded(1))
			require.NoError(t, err)
			card.SetFault(func(step string) error {
				if step == c.step {
					return errors.New("crash")
				}
				return nil
			})
			_, err = session{kind: ep.TypePurchase, amount: 100}.run(card, img)
			require.Equal(t, statusError(0x6581), err)
			inMemory := card.Image()
			require.NoError(t, card.Close())

			card, err = epcard.OpenFile(path, seeded(2))
			require.NoError(t, err)
			require.True(t, inMemory == card.Image(), "the running card and its file never differ")
			require.Equal(t, c.moved, card.OfflineCounter() == 1)
			exchange(t, card, select82, fci82+"9000")
			_, err = proveAfter(card, ep.TypePurchase, 1)
			require.Equal(t, c.moved, err == nil)
			require.NoError(t, card.Close())
		})
	}
}

func TestABadImageIsRefusedWithEveryFault(t *testing.T) {
	img := image82(t, 2)
	img.Public = img.Public[:29]
	img.LogCounter = "sometimes"
	img.Balance = money.Minor(-1)
	img.Trips[1] = "short"
	img.Deposit.Balance, img.Deposit.Limit = money.Minor(-1), money.Minor(1<<24)
	img.Deposit.OnlineProof = epcard.Proof{Type: ep.TypeEDLoad, MAC: "one"}
	img.PIN = epcard.PIN{Value: "\x12", Limit: 3, Left: 4}
	img.AuthKey = epcard.AuthKey{Left: 1}
	img.OfflineCounter, img.Settings = 1, epcard.Settings{SharedCounter: true, CityCode: "short", NoProof: 0x9000, Insufficient: 1}
	_, err := epcard.New(img, seeded(1))
	for _, part := range []string{
		"public", "log_counter", "balance", "trip record 2", "deposit.balance", "deposit.limit", "deposit.proof mac", "has_deposit", "pin: ", "auth_key", "shared_counter",
		"settings.city_code", "settings.no_proof", "settings.insufficient",
	} {
		require.ErrorContains(t, err, part)
	}
	img = image82(t, 2)
	img.HasDeposit = true
	_, err = epcard.New(img, seeded(1))
	require.ErrorContains(t, err, "pin: the deposit purse", "ED without a PIN")
}

// FuzzTransmit feeds a card any two commands after SELECT: it always answers, and only a committed transaction changes more
// of it than counts of tries.
func FuzzTransmit(f *testing.F) {
	for _, s := range []string{select82, initPurchase82, goodDebit82, initLoad82, anyCredit, "805A000602 0008 08", "00B201C500", "80DC00F030" + entryPlace, "",
		verify, wrongPIN, unload82, limit82, "0084000004", "04D6951808 20441231 00000000", unblock82, "805E010007 123456FF111111", "0082000008 0000000000000000"} {
		f.Add(unhex(initComposite82), unhex(s))
		f.Add(unhex(s), unhex(s))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		img := bankCard(t)
		card := newCard(t, img, seeded(1))
		for _, command := range [][]byte{unhex(select82), first, second} {
			raw, err := card.Transmit(context.Background(), command)
			require.NoError(t, err)
			_, err = apdu.ParseResponse(raw)
			require.NoError(t, err)
		}
		after := card.Image()
		require.NoError(t, after.Check())
		if after.OfflineCounter == img.OfflineCounter && after.OnlineCounter == img.OnlineCounter && after.Deposit == img.Deposit {
			after.PIN, after.AuthKey, after.MACFailures = img.PIN, img.AuthKey, img.MACFailures // tries are counted
			require.True(t, after == img)
		}
	})
}
