package epcard_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
)

func drawSession(t *rapid.T) session {
	return session{
		kind:   rapid.SampledFrom([]ep.Type{ep.TypeLoad, ep.TypePurchase, ep.TypeComposite}).Draw(t, "kind"),
		amount: uint32(rapid.IntRange(0, 3000).Draw(t, "amount")),
		serial: rapid.Uint32().Draw(t, "serial"),
		trip:   rapid.Byte().Draw(t, "trip"),
		badMAC: rapid.IntRange(0, 9).Draw(t, "bad MAC") == 0,
	}
}

// proveAfter asks for the proof of the transaction of that kind which left its counter at after.
func proveAfter(to apdu.Transmitter, kind ep.Type, after uint16) ([]byte, error) {
	return send(to, withData("805A00"+string("0123456789"[kind/16])+string("0123456789"[kind%16]), binary.BigEndian.AppendUint16(nil, after)))
}

// TestATornCardIsOldOrNewAndSaysWhich runs random sessions with a tear at a random command. Whatever is torn, the card's
// whole memory is either what it was or what an untorn twin has, it is the new one exactly when the deciding command was
// carried out, and GET TRANSACTION PROVE tells the two apart.
func TestATornCardIsOldOrNewAndSaysWhich(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		img := image82(t, 2)
		img.LogCounter = rapid.SampledFrom([]epcard.LogCounter{epcard.LogBefore, epcard.LogAfter}).Draw(t, "log counter")
		loaded, debited := int64(0), int64(0)
		loads, debits := 0, 0
		var types []ep.Type // of committed transactions, oldest first
		seed := uint64(0)
		for range rapid.IntRange(1, 15).Draw(t, "sessions") {
			seed++
			s := drawSession(t)
			tear := epcard.Tear{
				At:      rapid.IntRange(0, s.commands()+1).Draw(t, "torn at"),
				After:   rapid.Bool().Draw(t, "after"),
				Noticed: rapid.Bool().Draw(t, "noticed"),
			}
			twin := newCard(t, img, seeded(seed))
			wantAnswer, wantErr := s.run(twin, img)

			card := newCard(t, img, seeded(seed))
			field := epcard.Present(card, tear)
			answer, err := s.run(field, img)

			torn := field.Gone()
			reached := !torn || tear.At > s.decisive() || tear.At == s.decisive() && tear.After
			committed := reached && wantErr == nil
			if !torn {
				require.Equal(t, wantErr, err)
				require.Equal(t, wantAnswer, answer)
			} else {
				unnoticed := tear.After || !tear.Noticed
				require.Equal(t, unnoticed, errors.Is(err, apdu.ErrNoAnswer))
				require.Equal(t, !unnoticed, errors.Is(err, apdu.ErrNotSent))
			}
			if committed {
				require.True(t, card.Image() == twin.Image(), "a committed card is its twin")
			} else {
				require.True(t, card.Image() == img, "an uncommitted card is unchanged")
			}

			// The terminal's question on the card's return.
			again := epcard.Present(card, epcard.Tear{})
			_, err = send(again, unhex(select82))
			require.NoError(t, err)
			after := img.OfflineCounter + 1
			if s.kind == ep.TypeLoad {
				after = img.OnlineCounter + 1
			}
			proof, err := proveAfter(again, s.kind, after)
			if committed {
				require.NoError(t, err)
				if s.kind == ep.TypeLoad {
					require.Equal(t, wantAnswer, proof[4:8], "TAC")
				} else {
					require.Equal(t, wantAnswer, slices.Concat(proof[4:8], proof[0:4]), "DEBIT answers TAC, MAC2; PROVE answers MAC2, TAC")
				}
			} else {
				require.Equal(t, statusError(0x9406), err)
			}

			if committed && s.kind == ep.TypeLoad {
				loaded, loads, types = loaded+int64(s.amount), loads+1, append(types, s.kind)
			} else if committed {
				debited, debits, types = debited+int64(s.amount), debits+1, append(types, s.kind)
			}
			img = card.Image()
			require.Equal(t, money.Minor(0x1770+loaded-debited), img.Balance)
			require.EqualValues(t, loads, img.OnlineCounter)
			require.EqualValues(t, debits, img.OfflineCounter)
			checkLog(t, card, types)
		}
	})
}

// checkLog wants the last ten transactions in the log, newest first.
func checkLog(t *rapid.T, card *epcard.Card, types []ep.Type) {
	log, err := card.Log()
	require.NoError(t, err)
	want := slices.Clone(types)
	slices.Reverse(want)
	want = want[:min(len(want), 10)]
	require.Len(t, log, len(want))
	for i, r := range log {
		require.Equal(t, want[i], r.Type)
	}
}

// TestOneProofPerCounter: a load does not erase the proof of a debit, nor a debit that of a load; the next of the same
// counter does.
func TestOneProofPerCounter(t *testing.T) {
	img := image82(t, 2)
	card := newCard(t, img, seeded(1))
	for _, s := range []session{
		{kind: ep.TypePurchase, amount: 1}, {kind: ep.TypeLoad, amount: 2}, {kind: ep.TypeComposite, amount: 3}, {kind: ep.TypeLoad, amount: 4},
	} {
		_, err := s.run(card, img)
		require.NoError(t, err)
	}
	cases := []struct {
		name  string
		kind  ep.Type
		after uint16
		want  error
	}{
		{"the last debit is proved", ep.TypeComposite, 2, nil},
		{"the last load is proved", ep.TypeLoad, 2, nil},
		{"the debit before it is gone", ep.TypePurchase, 1, statusError(0x9406)},
		{"the load before it is gone", ep.TypeLoad, 1, statusError(0x9406)},
		{"the type must be right", ep.TypePurchase, 2, statusError(0x9406)},
		{"the counter to come is not proved", ep.TypeComposite, 3, statusError(0x9406)},
		{"type zero proves nothing", 0, 0, statusError(0x9406)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := proveAfter(card, c.kind, c.after)
			require.Equal(t, c.want, err)
		})
	}
	// INIT and SELECT do not erase a proof (purse facts 3.10).
	_, err := send(card, unhex("805003020B 01 00000000 112233445566 0F"))
	require.NoError(t, err)
	_, err = proveAfter(card, ep.TypeComposite, 2)
	require.NoError(t, err)
}

func TestAFieldLosesTheCardWhereItIsTold(t *testing.T) {
	cases := []struct {
		name  string
		tear  epcard.Tear
		err   error
		moved bool
	}{
		{"before the command, unnoticed", epcard.Tear{At: 3}, apdu.ErrNoAnswer, false},
		{"before the command, noticed", epcard.Tear{At: 3, Noticed: true}, apdu.ErrNotSent, false},
		{"after the command", epcard.Tear{At: 3, After: true}, apdu.ErrNoAnswer, true},
		{"never", epcard.Tear{}, nil, true},
		{"after the session", epcard.Tear{At: 4}, nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			img := image82(t, 2)
			card := newCard(t, img, seeded(1))
			field := epcard.Present(card, c.tear)
			_, err := session{kind: ep.TypePurchase, amount: 100}.run(field, img)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.moved, card.OfflineCounter() == 1)
			require.Equal(t, 3, field.Commands())
			require.Equal(t, c.err != nil, field.Gone())
			field.Leave()
			_, err = send(field, unhex(select82))
			require.ErrorIs(t, err, apdu.ErrNotSent, "a card that left stays away")
		})
	}
}
