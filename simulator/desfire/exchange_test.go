package desfire_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	driver "github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
)

func TestAWholePurchaseAndItsRecheck(t *testing.T) {
	for _, s := range variants() {
		card := newCard(t, blank(t, s))
		field := present(card)
		a, e, err := purchase(field, s, 2, 250, "bus 12, trip 7")
		require.NoError(t, err)
		require.Equal(t, commands, field.Commands())
		require.NoError(t, driver.Recheck(t.Context(), host(t), e))

		img := card.Image()
		require.Equal(t, money.Minor(750), img.Value)
		require.EqualValues(t, 42, img.TMC)
		require.Equal(t, string(e.TMV[:]), string(img.TMV))
		require.Equal(t, "bus 12, trip 7", strings.TrimRight(string(img.Records[0]), "\x00"))
		require.Equal(t, money.Minor(1000), a.Before)
		require.Equal(t, uid, a.UID)

		// The next one follows on.
		_, e2, err := purchase(present(card), s, 3, 250, "bus 12, trip 8")
		require.NoError(t, err)
		require.NoError(t, driver.Recheck(t.Context(), host(t), e2))
		require.NotEqual(t, e.TMV, e2.TMV)
		e.TMV = e2.TMV
		require.ErrorIs(t, driver.Recheck(t.Context(), host(t), e), keys.ErrBadMAC)
	}
}

// TestARecordThatWasReadIsUnderTheMAC: the newest record is read in the same transaction, the debit is prepared before it is sent, and the
// value is read back after it.
func TestARecordThatWasReadIsUnderTheMAC(t *testing.T) {
	for _, s := range variants() {
		card := newCard(t, blank(t, s))
		c, err := open(present(card), s, 2)
		require.NoError(t, err)
		_, err = c.Newest(t.Context())
		require.ErrorIs(t, err, driver.ErrBoundary, "no record yet")
		_, _, err = purchase(present(card), s, 3, 250, "one")
		require.NoError(t, err)

		field := present(card)
		c, err = open(field, s, 4)
		require.NoError(t, err)
		newest, err := c.Newest(t.Context())
		require.NoError(t, err)
		require.Equal(t, "one", strings.TrimRight(string(newest), "\x00"))
		sent := field.Commands()
		again, err := c.Newest(t.Context())
		require.NoError(t, err)
		require.Equal(t, newest, again)
		require.ErrorIs(t, c.Stage(t.Context()), driver.ErrOrder, "nothing is prepared")
		a, err := c.Prepare(t.Context(), money.Minor(250), []byte("two"))
		require.NoError(t, err)
		require.Equal(t, newest, a.Seen)
		_, err = c.ReadBack(t.Context())
		require.ErrorIs(t, err, driver.ErrOrder, "nothing is committed")
		_, err = c.Commit(t.Context(), a)
		require.ErrorIs(t, err, driver.ErrOrder, "nothing is staged")
		require.Equal(t, sent, field.Commands())
		require.NoError(t, c.Stage(t.Context()))
		e, err := c.Commit(t.Context(), a)
		require.NoError(t, err)
		require.NoError(t, driver.Recheck(t.Context(), host(t), e))
		now, err := c.ReadBack(t.Context())
		require.NoError(t, err)
		require.Equal(t, money.Minor(500), now)
		_, err = c.Newest(t.Context())
		require.ErrorIs(t, err, driver.ErrOrder)
		e.Seen = a.Record
		require.ErrorIs(t, driver.Recheck(t.Context(), host(t), e), keys.ErrBadMAC)
	}
}

func TestNothingIsTrueBeforeTheCommit(t *testing.T) {
	card := newCard(t, blank(t, settings))
	c, err := open(present(card), settings, 2)
	require.NoError(t, err)
	_, err = c.Begin(t.Context(), money.Minor(250), []byte("one"))
	require.NoError(t, err)
	require.True(t, card.Image() == blank(t, settings))

	// Opening the card again ends the transaction; the old handle cannot commit it.
	again, err := open(present(card), settings, 3)
	require.NoError(t, err)
	r, err := again.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, driver.Reading{UID: uid, Value: money.Minor(1000), TMC: 41}, r)
	require.True(t, card.Image() == blank(t, settings))
}

func TestCallsOutOfOrderSendNothing(t *testing.T) {
	card := newCard(t, blank(t, settings))
	field := present(card)
	c, err := open(field, settings, 2)
	require.NoError(t, err)
	sent := field.Commands()
	_, err = c.Commit(t.Context(), driver.Attempt{})
	require.ErrorIs(t, err, driver.ErrOrder)
	require.ErrorIs(t, err, apdu.ErrNotSent)
	for _, amount := range []int64{-1, math.MaxInt32 + 1} {
		_, err = c.Begin(t.Context(), money.Minor(amount), []byte("one"))
		require.ErrorContains(t, err, "out of range")
	}
	for _, record := range []string{"", strings.Repeat("x", 17)} {
		_, err = c.Begin(t.Context(), money.Minor(1), []byte(record))
		require.ErrorContains(t, err, "record")
	}
	require.Equal(t, sent, field.Commands())

	a, err := c.Begin(t.Context(), money.Minor(1), []byte("one"))
	require.NoError(t, err)
	sent = field.Commands()
	_, err = c.Begin(t.Context(), money.Minor(1), []byte("two"))
	require.ErrorIs(t, err, driver.ErrOrder, "a second debit in one transaction")
	_, _, err = c.Recover(t.Context(), a)
	require.ErrorIs(t, err, driver.ErrOrder)
	other := a
	other.Amount = money.Minor(2)
	_, err = c.Commit(t.Context(), other)
	require.ErrorIs(t, err, driver.ErrOrder)
	require.Equal(t, sent, field.Commands())

	_, err = c.Commit(t.Context(), a)
	require.NoError(t, err)
	_, err = c.Commit(t.Context(), a)
	require.ErrorIs(t, err, driver.ErrOrder, "a second commit")
	_, err = c.Read(t.Context())
	require.ErrorIs(t, err, driver.ErrOrder, "a value from before the debit")
	require.Equal(t, money.Minor(999), card.Image().Value)
}

func TestWhatTheCardRefuses(t *testing.T) {
	cases := []struct {
		name   string
		img    func(m *desfire.Image)
		s      func(s *driver.Settings)
		amount int64
		want   error
	}{
		{"not enough money", nil, nil, 1001, driver.ErrBoundary},
		{"below a lower limit", func(m *desfire.Image) { m.Lower = money.Minor(500) }, nil, 501, driver.ErrBoundary},
		{"another application", nil, func(s *driver.Settings) { s.AID[0]++ }, 1, driver.ErrNoApplication},
		{"another key number", nil, func(s *driver.Settings) { s.KeyNumber++ }, 1, driver.ErrKey},
		{"another key", func(m *desfire.Image) { m.Key.Key[0]++ }, nil, 1, driver.ErrAuthentication},
		{"no value file", nil, func(s *driver.Settings) { s.ValueFile = 9 }, 1, driver.ErrNotFound},
		{"no record file", nil, func(s *driver.Settings) { s.RecordFile = 9 }, 1, driver.ErrNotFound},
		{"no transaction MAC file", nil, func(s *driver.Settings) { s.MACFile = 9 }, 1, driver.ErrNotFound},
		{"another command set", nil, func(s *driver.Settings) { s.ISOChaining = true }, 1, driver.ErrUnsupported},
		{"counter at the card's limit", func(m *desfire.Image) { m.TMCLimit = 41 }, nil, 1, driver.ErrPermission},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			img, s := blank(t, settings), settings
			if c.img != nil {
				c.img(&img)
			}
			if c.s != nil {
				c.s(&s)
			}
			card := newCard(t, img)
			a, _, err := purchase(present(card), s, 2, c.amount, "one")
			require.ErrorIs(t, err, c.want)
			require.Nil(t, a, "refused before the commit")
			require.True(t, card.Image() == img)
		})
	}
}

func TestAValueBelowZeroIsReadAsOne(t *testing.T) {
	img := blank(t, settings)
	img.Lower, img.Value = money.Minor(-500), money.Minor(-100)
	card := newCard(t, img)
	_, e, err := purchase(present(card), settings, 2, 400, "one")
	require.NoError(t, err)
	require.Equal(t, money.Minor(-100), e.Before)
	require.NoError(t, driver.Recheck(t.Context(), host(t), e))
	require.Equal(t, money.Minor(-500), card.Image().Value)
}

// TestTheCardRefusesAForgedCommand changes each bit of the commit, and sends commands twice and without a session.
func TestTheCardRefusesAForgedCommand(t *testing.T) {
	img := blank(t, settings)
	for bit := range 8 * 9 {
		card := newCard(t, img)
		wire := &tamper{to: card, request: func(n int, command []byte) {
			if n == commands {
				command[5+bit/8] ^= 1 << (bit % 8)
			}
		}}
		_, _, err := purchase(wire, settings, 2, 1, "one")
		require.ErrorIs(t, err, driver.ErrUnknown)
		require.ErrorIs(t, err, driver.ErrIntegrity)
		require.True(t, card.Image() == img, "bit %d", bit)
	}

	card := newCard(t, img)
	wire := &tamper{to: card}
	_, _, err := purchase(wire, settings, 2, 1, "one")
	require.NoError(t, err)
	after := card.Image()
	for _, command := range wire.commands[3:] {
		answer, err := card.Transmit(t.Context(), command)
		require.NoError(t, err)
		require.Contains(t, []string{"\x91\x1E", "\x91\xAE"}, string(answer), "a replayed command")
	}
	require.True(t, card.Image() == after)
}

// TestAnErrorEndsTheTransaction: what was prepared before it can be committed no more.
func TestAnErrorEndsTheTransaction(t *testing.T) {
	for _, wrong := range [][]byte{{0x90, 0xDC, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {0x90, 0x01, 0, 0}, {0x00, 0xA4, 4, 0}, {0x90}, {0x90, 0xAF, 0, 0}} {
		img := blank(t, settings)
		card := newCard(t, img)
		c, err := open(present(card), settings, 2)
		require.NoError(t, err)
		a, err := c.Begin(t.Context(), money.Minor(250), []byte("one"))
		require.NoError(t, err)
		_, err = card.Transmit(t.Context(), wrong)
		require.NoError(t, err)
		_, err = c.Commit(t.Context(), a)
		require.ErrorIs(t, err, driver.ErrUnknown)
		require.ErrorIs(t, err, driver.ErrAuthentication)
		require.True(t, card.Image() == img)
	}
}

// TestALostAnswerEndsTheSession: nothing more is sent under it.
func TestALostAnswerEndsTheSession(t *testing.T) {
	wire := &tamper{to: newCard(t, blank(t, settings)), answer: func(n int, answer []byte) ([]byte, error) {
		if n == 5 {
			return nil, apdu.ErrNoAnswer
		}
		return answer, nil
	}}
	c, err := open(wire, settings, 2)
	require.NoError(t, err)
	_, err = c.Read(t.Context())
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
	_, err = c.Begin(t.Context(), money.Minor(1), []byte("one"))
	require.ErrorIs(t, err, driver.ErrSessionOver)
	require.Len(t, wire.commands, 5)
}

func TestACardLivesInItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.json")
	card, err := desfire.CreateFile(path, blank(t, settings), seeded(1))
	require.NoError(t, err)
	_, _, err = purchase(present(card), settings, 2, 250, "one")
	require.NoError(t, err)
	want := card.Image()
	require.NoError(t, card.Close())

	for _, step := range []string{image.StepWrite, image.StepSync, image.StepRename, image.StepSyncDir} {
		card, err = desfire.OpenFile(path, seeded(1))
		require.NoError(t, err)
		require.True(t, card.Image() == want)
		card.SetFault(func(s string) error {
			if s == step {
				return errors.New("crash")
			}
			return nil
		})
		a, _, err := purchase(present(card), settings, 3, 1, step)
		require.ErrorIs(t, err, driver.ErrUnknown)
		require.ErrorIs(t, err, driver.ErrMemory)
		require.NoError(t, card.Close())

		card, err = desfire.OpenFile(path, seeded(1))
		require.NoError(t, err)
		c, err := open(present(card), settings, 4)
		require.NoError(t, err)
		outcome, e, err := c.Recover(t.Context(), *a)
		require.NoError(t, err)
		if step == image.StepSyncDir {
			require.Equal(t, driver.Committed, outcome)
			require.NoError(t, driver.Recheck(t.Context(), host(t), e))
		} else {
			require.Equal(t, driver.NotCommitted, outcome)
			require.True(t, card.Image() == want)
		}
		want = card.Image()
		require.NoError(t, card.Close())
	}
}

func TestAnImageThatNoCardCanHave(t *testing.T) {
	for says, change := range map[string]func(m *desfire.Image){
		"UID of 6 bytes":    func(m *desfire.Image) { m.UID = m.UID[:6] },
		"TMV of 0 bytes":    func(m *desfire.Image) { m.TMV = "" },
		"outside its limit": func(m *desfire.Image) { m.Value = money.Minor(-1) },
		"above its limit":   func(m *desfire.Image) { m.TMCLimit = 40 },
		"record of 3 bytes": func(m *desfire.Image) { m.Records[4] = "abc" },
		"one number":        func(m *desfire.Image) { m.Settings.MACFile = 1 },
	} {
		img := blank(t, settings)
		change(&img)
		_, err := desfire.New(img, seeded(1))
		require.ErrorContains(t, err, says)
	}
}

// FuzzCommand: a card answers every command, and no command without the keys changes its memory.
func FuzzCommand(f *testing.F) {
	card := newCard(f, blank(f, settings))
	wire := &tamper{to: card}
	_, _, err := purchase(wire, settings, 2, 1, "one")
	require.NoError(f, err)
	for _, c := range wire.commands {
		f.Add(c)
	}
	f.Add([]byte{0x90, 0xC7, 0, 0, 0})
	f.Fuzz(func(t *testing.T, command []byte) {
		img := blank(t, settings)
		card := newCard(t, img)
		field := present(card)
		c, err := open(field, settings, 5)
		require.NoError(t, err)
		_, err = c.Begin(t.Context(), money.Minor(1), []byte("one"))
		require.NoError(t, err)
		answer, err := field.Transmit(t.Context(), command)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(answer), 2)
		require.True(t, card.Image() == img)
	})
}

var _ epcard.Powered = (*desfire.Card)(nil)
