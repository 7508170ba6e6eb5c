package trace_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/trace"
	"github.com/purselane/purselane/internal/money"
)

func unhex(t require.TestingT, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err, s)
	return raw
}

// master is one of the published test keys: 16 ascending bytes.
func master(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

var host = keys.NewSoft(map[keys.ID]keys.Key{
	{Purpose: keys.Purchase, Version: 1}: master(0x40), {Purpose: keys.Load, Version: 1}: master(0x50), {Purpose: keys.TAC, Version: 1}: master(0x60),
})

var terminal = ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}

func golden(t *testing.T, name string) trace.Transcript {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	tr, err := trace.Parse(raw)
	require.NoError(t, err)
	require.Equal(t, string(raw), string(tr.Text()), "a golden transcript is as it would be written")
	require.Len(t, tr.Sessions, 1)
	return tr
}

// purchase is one plain purchase of 2.00, MAC1 and the checks of the answer by the keys.
func purchase(t *testing.T, card apdu.Transmitter) {
	ctx, amount, at, serial := t.Context(), money.Minor(200), ep.DateTime(unhex(t, "20240115083000")), uint32(0x123)
	purse, _, err := ep.Select(ctx, card, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := purse.ReadPublic(ctx)
	require.NoError(t, err)
	init, err := purse.InitPurchase(ctx, ep.TypePurchase, 1, amount, terminal)
	require.NoError(t, err)
	key := keys.Card{ID: keys.ID{Purpose: keys.Purchase, Version: init.Version, Algorithm: init.Algorithm}, Factors: public.Factors(1)}
	session := ep.PurchaseSession(init.Random, init.Counter, serial)
	mac1, err := host.SessionMAC(ctx, key, session, ep.PurchaseMAC1(amount, ep.TypePurchase, terminal, at))
	require.NoError(t, err)
	debit, err := purse.Debit(ctx, serial, at, mac1)
	require.NoError(t, err)
	mac2, err := host.SessionMAC(ctx, key, session, ep.PurchaseMAC2(amount))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(mac2), debit.MAC2)
	key.ID.Purpose = keys.TAC
	tac, err := host.TAC(ctx, key, ep.PurchaseTAC(amount, ep.TypePurchase, terminal, serial, at))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(tac), debit.TAC)
}

// load is one load of 50.00.
func load(t *testing.T, card apdu.Transmitter) {
	ctx, amount, at := t.Context(), money.Minor(5000), ep.DateTime(unhex(t, "20240115083000"))
	purse, _, err := ep.Select(ctx, card, ep.AIDTUnion)
	require.NoError(t, err)
	public, err := purse.ReadPublic(ctx)
	require.NoError(t, err)
	init, err := purse.InitLoad(ctx, 1, amount, terminal)
	require.NoError(t, err)
	key := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: init.Version, Algorithm: init.Algorithm}, Factors: public.Factors(1)}
	mac2, err := host.SessionMAC(ctx, key, ep.LoadSession(init.Random, init.Counter), ep.LoadMAC2(amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	got, err := purse.CreditLoad(ctx, at, mac2)
	require.NoError(t, err)
	after, err := init.Balance.Add(amount)
	require.NoError(t, err)
	key.ID.Purpose = keys.TAC
	tac, err := host.TAC(ctx, key, ep.LoadTAC(after, init.Counter, amount, ep.TypeLoad, terminal, at))
	require.NoError(t, err)
	require.Equal(t, ep.MAC(tac), got)
}

// TestGoldenTranscriptsReplay plays a purchase and a load of the purse facts (8.2 and 8.3) and records them while they play: what comes out is
// what went in.
func TestGoldenTranscriptsReplay(t *testing.T) {
	for name, flow := range map[string]func(*testing.T, apdu.Transmitter){"purchase.trace": purchase, "load.trace": load} {
		t.Run(name, func(t *testing.T) {
			tr := golden(t, name)
			player, err := trace.NewPlayer(tr.Sessions[0])
			require.NoError(t, err)
			now := time.Unix(0, 0)
			rec := trace.Recorder{Now: func() time.Time { now = now.Add(time.Millisecond); return now }}
			flow(t, rec.Card(player))
			require.NoError(t, player.Done())
			require.Equal(t, tr, rec.Transcript())
		})
	}
}

func TestAPlayerWantsTheSameCommands(t *testing.T) {
	s := golden(t, "load.trace").Sessions[0]
	p, err := trace.NewPlayer(s)
	require.NoError(t, err)
	_, _, err = ep.Select(t.Context(), p, ep.AIDPBOC)
	require.ErrorIs(t, err, trace.ErrDiffers)
	require.ErrorIs(t, p.Done(), trace.ErrDiffers)

	p, err = trace.NewPlayer(s)
	require.NoError(t, err)
	purse, _, err := ep.Select(t.Context(), p, ep.AIDTUnion)
	require.NoError(t, err)
	require.ErrorIs(t, p.Done(), trace.ErrDiffers, "the rest was not sent")
	_, err = purse.Balance(t.Context())
	require.ErrorIs(t, err, trace.ErrDiffers)

	p, err = trace.NewPlayer(nil)
	require.NoError(t, err)
	require.NoError(t, p.Done())
	_, err = p.Transmit(t.Context(), []byte{0, 1, 2, 3})
	require.ErrorIs(t, err, trace.ErrDiffers)
	require.ErrorIs(t, err, apdu.ErrNotSent)
}

// card answers in turn.
type card []func() ([]byte, error)

func (c *card) Transmit(context.Context, []byte) ([]byte, error) {
	f := (*c)[0]
	*c = (*c)[1:]
	return f()
}

func says(raw []byte, err error) func() ([]byte, error) {
	return func() ([]byte, error) { return raw, err }
}

func TestFaultsReplayAsFaults(t *testing.T) {
	rec := trace.Recorder{Now: func() time.Time { return time.Time{} }}
	c := &card{says(nil, apdu.ErrNoAnswer), says([]byte{0x90}, nil), says(nil, apdu.ErrNotSent), says([]byte{0x90, 0}, nil)}
	said := rec.Card(c)
	for range 4 {
		said.Transmit(t.Context(), []byte{0x80, 0x5C, 0, 2, 4})
	}
	tr, err := trace.Parse(rec.Transcript().Text())
	require.NoError(t, err)
	require.Equal(t, rec.Transcript(), tr)
	p, err := trace.NewPlayer(tr.Sessions[0])
	require.NoError(t, err)
	for _, want := range []error{apdu.ErrNoAnswer, apdu.ErrNoAnswer, apdu.ErrNotSent, nil} {
		_, err := p.Transmit(t.Context(), []byte{0x80, 0x5C, 0, 2, 4})
		require.ErrorIs(t, err, want)
	}
	require.NoError(t, p.Done())
}

func TestAMaskedTranscriptTellsNoNumberAndSaysSo(t *testing.T) {
	tr := golden(t, "purchase.trace")
	masked := tr.Masked()
	text := string(masked.Text())
	for _, number := range []string{"00010203040506070809", "0203040506070809", "020304050607"} {
		require.Contains(t, string(tr.Text()), number)
		require.NotContains(t, text, number)
	}
	require.Contains(t, text, "replay no")
	require.Contains(t, text, "cannot be replayed")
	require.Contains(t, text, "EE888D06", "MACs are evidence and stay")
	_, err := trace.NewPlayer(masked.Sessions[0])
	require.ErrorIs(t, err, trace.ErrNotReplayable)
	back, err := trace.Parse([]byte(text))
	require.NoError(t, err)
	require.Equal(t, masked, back)
}

// TestPersonalAnswersAreHiddenWhole: an answer that should hold the number and has another form tells nothing either, over T=0 too.
func TestPersonalAnswersAreHiddenWhole(t *testing.T) {
	const holder, number = "4D6172696120446F6D61", "00010203040506070809"
	for name, session := range map[string]trace.Session{
		"the holder's file":       {{Command: "00B0960000", Answer: holder + "9000"}},
		"a cut EF 15":             {{Command: "00B095001E", Answer: "01011000FFFFFFFF0201" + number + "9000"}},
		"a broken FCI":            {{Command: "00A4040000", Answer: "6FFF84" + number + "9000"}},
		"a file of no name":       {{Command: "00B000001E", Answer: number + "9000"}},
		"EF 15 fetched over T=0":  {{Command: "00B095001E", Answer: "6114"}, {Command: "00C0000014", Answer: "01011000FFFFFFFF0201" + number + "9000"}},
		"what GET MESSAGE answer": {{Command: "80CA000009", Answer: number + "9000"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := string(trace.Transcript{Sessions: []trace.Session{session}}.Masked().Text())
			require.NotContains(t, text, number)
			require.NotContains(t, text, holder)
			require.Contains(t, text, "9000")
		})
	}
}

func TestAPINIsInNoTranscript(t *testing.T) {
	rec := trace.Recorder{Now: func() time.Time { return time.Time{} }}
	c := &card{says([]byte{0x90, 0}, nil), says([]byte{0x90, 0}, nil)}
	said := rec.Card(c)
	_, err := said.Transmit(t.Context(), unhex(t, "0020000003123456"))
	require.NoError(t, err)
	_, err = said.Transmit(t.Context(), unhex(t, "80D40100053E01123456"))
	require.NoError(t, err)
	text := string(rec.Transcript().Text())
	require.NotContains(t, text, "123456")
	require.Contains(t, text, "> 0020000003******\n")
	require.Contains(t, text, "replay no")
}

func TestWhatIsNoTranscript(t *testing.T) {
	const head = "purselane-trace 1\nreplay yes\n"
	for text, says := range map[string]string{
		"":                                          "want",
		"purselane-trace 2\nreplay yes\n":           "line 1",
		"purselane-trace 1\nreplay maybe\n":         "line 2",
		head + "> 805C000204\n":                     "before any command",
		head + "card\n< 9000 1us\n":                 "want a command",
		head + "card\n> 805C\n":                     "want 4 to 261 bytes",
		head + "card\n> 805c000204\n":               "capital",
		head + "card\n> 805C000204\n":               "neither answer nor fault",
		head + "card\n> 805C000204\n< 9000 1ms\n":   "microseconds",
		head + "card\n> 805C000204\n< 90 1us\n":     "want 2 to 258",
		head + "card\n> 805C000204\n! gone 1us\n":   "not-sent",
		head + "card\n> 805C000204\n< **9000 1us\n": "bytes say otherwise",
	} {
		_, err := trace.Parse([]byte(text))
		require.ErrorIs(t, err, trace.ErrForm, text)
		require.ErrorContains(t, err, says, text)
	}
}

// FuzzParse: what parses is written and read back the same, masked and not.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"purchase.trace", "load.trace"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte("purselane-trace 1\nreplay no\ncard\n> 00B0960000\n< **9000 1us\n> 00C00000FF\n! no-answer 3us\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tr, err := trace.Parse(raw)
		if err != nil {
			require.ErrorIs(t, err, trace.ErrForm)
			return
		}
		for _, v := range []trace.Transcript{tr, tr.Masked()} {
			back, err := trace.Parse(v.Text())
			require.NoError(t, err)
			require.Equal(t, v, back)
		}
	})
}
