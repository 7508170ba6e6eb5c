package trace_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/trace"
)

// obliging says 9000 to whatever it is asked, and gives a challenge.
type obliging struct{}

func (obliging) Transmit(_ context.Context, command []byte) ([]byte, error) {
	if command[1] == 0x84 {
		return []byte{1, 2, 3, 4, 0x90, 0}, nil
	}
	return []byte{0x90, 0}, nil
}

// TestNoSecretIsInATranscript sends every command that carries a PIN or a key, in clear and enciphered, and looks for each secret in the
// transcript, whole and masked: as it is, and as it went over the line.
func TestNoSecretIsInATranscript(t *testing.T) {
	rec := trace.Recorder{Now: func() time.Time { return time.Time{} }}
	card, ctx := ep.Selected(rec.Card(obliging{})), t.Context()
	pin := func(digits string) ep.PIN { p, err := ep.ParsePIN(digits); require.NoError(t, err); return p }
	control := master(0xB0)
	var sent [][]byte // what went over the line in the place of a secret
	line := ep.Line{
		MAC: func(_ context.Context, challenge, message []byte) ([4]byte, error) {
			return keys.TripleDES.SecureMAC(control, challenge, message)
		},
		Encipher: func(_ context.Context, data []byte) ([]byte, error) {
			out, err := keys.TripleDES.Encipher(control, data)
			sent = append(sent, out)
			return out, err
		},
	}
	var secrets [][]byte
	secret := func(raw []byte) []byte { secrets = append(secrets, raw); return raw }
	require.NoError(t, card.VerifyPIN(ctx, 0, pin("918273")))
	secret([]byte{0x91, 0x82, 0x73})
	require.NoError(t, card.ChangePIN(ctx, 0, pin("918273"), pin("645546")))
	secret([]byte{0x64, 0x55, 0x46})
	require.NoError(t, card.ReloadPIN(ctx, 0, pin("737291"), ep.MAC{}))
	secret([]byte{0x73, 0x72, 0x91})
	require.NoError(t, card.UnblockPIN(ctx, 0, pin("558866"), line.Encipher, line.MAC))
	secret([]byte{0x55, 0x88, 0x66})
	for i, kind := range []ep.KeyType{ep.KeyInternal, ep.KeyTAC, ep.KeyMaintenance, ep.KeyUnblock, ep.KeyReload, ep.KeyExternal, ep.KeyLimit, ep.KeyUnload, ep.KeyPurchase, ep.KeyLoad} {
		key := master(byte(i << 4))
		require.NoError(t, card.WriteKey(ctx, ep.NewKey{Type: kind, Value: secret(key[:])}))
		key = master(byte(i<<4) + 5)
		require.NoError(t, card.WriteKeyBy(ctx, ep.NewKey{Type: kind, Value: secret(key[:])}, line))
	}
	require.NoError(t, card.WriteKey(ctx, ep.NewKey{Type: ep.KeyPIN, Tries: 3, Value: secret([]byte{0x47, 0x11, 0x08})}))
	secret(control[:])

	whole := rec.Transcript()
	require.Len(t, sent, 11)
	for name, text := range map[string]string{"whole": string(whole.Text()), "masked": string(whole.Masked().Text())} {
		for _, s := range append(secrets, sent...) {
			require.NotContains(t, text, string(trace.BytesOf(s)), name)
			require.NotContains(t, strings.ToLower(text), strings.ToLower(string(trace.BytesOf(s))), name)
		}
		require.Contains(t, text, "# WRITE KEY type 3E, id 00")
		require.Contains(t, text, "# PIN UNBLOCK")
		require.Contains(t, text, "replay no")
	}
}

// TestWhatIsWrittenAboutAPersonIsMasked: EF 15 and EF 16 of a card that is issued, in clear and over the line.
func TestWhatIsWrittenAboutAPersonIsMasked(t *testing.T) {
	rec := trace.Recorder{Now: func() time.Time { return time.Time{} }}
	card, ctx := ep.Selected(rec.Card(obliging{})), t.Context()
	none := func(context.Context, []byte, []byte) ([4]byte, error) { return [4]byte{}, nil }
	public := unhex(t, "01011000FFFFFFFF0201 00010203040506070809 20240101 20341231 0000")
	require.NoError(t, card.UpdateBinary(ctx, ep.SFIPublic, 0, public, none))
	require.NoError(t, card.UpdateBinary(ctx, ep.SFIHolder, 2, []byte("Maria Doma"), none))
	require.NoError(t, card.UpdateBinary(ctx, ep.SFIManagement, 8, []byte{0, 1}, none))
	text := string(rec.Transcript().Masked().Text())
	require.NotContains(t, text, "0203040506")
	require.NotContains(t, text, string(trace.BytesOf([]byte("Maria"))))
	require.Contains(t, text, "04D69708060001", "EF 17 says nothing of a person")
	require.Contains(t, string(rec.Transcript().Text()), "00010203040506070809")
}

func TestTheNewCommandsByName(t *testing.T) {
	text := string(trace.Transcript{Sessions: []trace.Session{{
		{Command: "00880200080102030405060708", Answer: "A82A8CEB9000"},
		{Command: "04B0960004F09C8A1900", Answer: "6987"},
		{Command: "04B201F404F09C8A1900", Answer: "0011F09C8A199000"},
		{Command: "04E200F4060011F09C8A19", Answer: "9000"},
		{Command: "00E200F430" + trace.BytesOf(make([]byte, 48)), Answer: "6982"},
	}}}.Text())
	for _, says := range []string{
		"# INTERNAL AUTHENTICATE: MAC: challenge 0102030405060708", "answer A82A8CEB", "# READ BINARY EF 16: MAC F09C8A19", "# READ RECORD EF 1E, record 01: MAC F09C8A19",
		"data and MAC 0011F09C8A19", "# APPEND RECORD EF 1E, record 00: data 0011F09C8A19", "# APPEND RECORD EF 1E, record 00: kind 00",
	} {
		require.Contains(t, text, says)
	}
}
