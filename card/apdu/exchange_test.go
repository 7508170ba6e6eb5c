package apdu_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/apdu"
)

// script is a card that wants exactly these commands and gives these answers; an answer may be an error.
type script struct {
	t     require.TestingT
	steps []step
	sent  int
}

type step struct {
	command string
	answer  string
	err     error
}

func (s *script) Transmit(_ context.Context, command []byte) ([]byte, error) {
	require.Less(s.t, s.sent, len(s.steps), "one command too many: %X", command)
	st := s.steps[s.sent]
	s.sent++
	require.Equal(s.t, strings.ReplaceAll(st.command, " ", ""), strings.ToUpper(hex.EncodeToString(command)))
	return unhex(s.t, st.answer), st.err
}

// debit is a command of case 4, the kind that money depends on.
var debit = apdu.Command{CLA: 0x80, INS: 0x54, P1: 1, Data: []byte{0xAA}, Le: 8}

const debitBytes = "80540100 01 AA 08"

func TestExchange(t *testing.T) {
	gone := fmt.Errorf("%w: unplugged", apdu.ErrNotSent)
	silent := fmt.Errorf("%w: timeout", apdu.ErrNoAnswer)
	cases := []struct {
		name  string
		steps []step
		data  string
		sw    apdu.SW
		is    error // with no answer
	}{
		{"at once", []step{{debitBytes, "01020304 9000", nil}}, "01020304", apdu.OK, nil},
		{"a refusal", []step{{debitBytes, "9302", nil}}, "", 0x9302, nil},
		{"data with a refusal", []step{{debitBytes, "6F00 6A81", nil}}, "6F00", 0x6A81, nil},
		{"61xx", []step{{debitBytes, "6104", nil}, {"00C0000004", "01020304 9000", nil}}, "01020304", apdu.OK, nil},
		{"6100 is 256", []step{{debitBytes, "6100", nil}, {"00C0000000", strings.Repeat("AA", 256) + "9000", nil}}, strings.Repeat("AA", 256), apdu.OK, nil},
		{"in two parts", []step{{debitBytes, "0102 6102", nil}, {"00C0000002", "0304 9000", nil}}, "01020304", apdu.OK, nil},
		{"6Cxx", []step{{debitBytes, "6C04", nil}, {"80540100 01 AA 04", "01020304 9000", nil}}, "01020304", apdu.OK, nil},
		{"data before 6Cxx is not the answer", []step{{debitBytes, "0102 6C04", nil}, {"80540100 01 AA 04", "01020304 9000", nil}}, "01020304", apdu.OK, nil},
		{"a refusal after 6Cxx", []step{{debitBytes, "6C04", nil}, {"80540100 01 AA 04", "9302", nil}}, "", 0x9302, nil},
		{"6Cxx of the fetch", []step{{debitBytes, "6108", nil}, {"00C0000008", "6C04", nil}, {"00C0000004", "01020304 9000", nil}}, "01020304", apdu.OK, nil},
		{"a warning with the data", []step{{debitBytes, "6104", nil}, {"00C0000004", "01020304 6283", nil}}, "01020304", 0x6283, nil},

		{"not sent", []step{{debitBytes, "", gone}}, "", 0, apdu.ErrNotSent},
		{"no answer", []step{{debitBytes, "", silent}}, "", 0, apdu.ErrNoAnswer},
		{"half an answer", []step{{debitBytes, "90", nil}}, "", 0, apdu.ErrNoAnswer},
		{"an empty answer", []step{{debitBytes, "", nil}}, "", 0, apdu.ErrNoAnswer},
		{"the fetch is not sent", []step{{debitBytes, "6104", nil}, {"00C0000004", "", gone}}, "", 0, apdu.ErrNoAnswer},
		{"the fetch is not answered", []step{{debitBytes, "6104", nil}, {"00C0000004", "", silent}}, "", 0, apdu.ErrNoAnswer},
		{"the fetch is refused", []step{{debitBytes, "6104", nil}, {"00C0000004", "6985", nil}}, "", 0, apdu.ErrNoAnswer},
		{"the fetch is refused by a word of the purse", []step{{debitBytes, "6104", nil}, {"00C0000004", "9302", nil}}, "", 0, apdu.ErrNoAnswer},
		{"the repeat is not sent", []step{{debitBytes, "6C04", nil}, {"80540100 01 AA 04", "", gone}}, "", 0, apdu.ErrNoAnswer},
		{"too much", []step{{debitBytes, strings.Repeat("AA", 256) + "6101", nil}, {"00C0000001", "BB 9000", nil}}, "", 0, apdu.ErrNoAnswer},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := &script{t: t, steps: c.steps}
			r, err := apdu.Exchange(t.Context(), card, debit)
			require.Equal(t, len(c.steps), card.sent)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				require.Zero(t, r)
				// Money depends on it: never both.
				require.False(t, errors.Is(err, apdu.ErrNotSent) && errors.Is(err, apdu.ErrNoAnswer), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.sw, r.SW)
			require.Equal(t, c.data, strings.ToUpper(hex.EncodeToString(r.Data)))
		})
	}
}

func TestACommandThatDoesNotFitIsNotSent(t *testing.T) {
	card := &script{t: t}
	_, err := apdu.Exchange(t.Context(), card, apdu.Command{Data: make([]byte, 256)})
	require.ErrorIs(t, err, apdu.ErrNotSent)
}

// counting answers every command the same and counts them.
type counting struct {
	answer []byte
	sent   int
}

func (c *counting) Transmit(context.Context, []byte) ([]byte, error) { c.sent++; return c.answer, nil }

// TestAnEndlessCardEnds: a faulty card must not hold the gate.
func TestAnEndlessCardEnds(t *testing.T) {
	for _, answer := range []string{"6101", "6100", "6C01", "6C00", "AA 6101", "6C08"} {
		card := &counting{answer: unhex(t, answer)}
		_, err := apdu.Exchange(t.Context(), card, debit)
		require.ErrorIs(t, err, apdu.ErrNoAnswer, answer)
		require.NotErrorIs(t, err, apdu.ErrNotSent)
		require.LessOrEqual(t, card.sent, 5, answer)
	}
}

// answering gives drawn answers.
type answering struct{ answers [][]byte }

func (a *answering) Transmit(context.Context, []byte) ([]byte, error) {
	if len(a.answers) == 0 {
		return nil, fmt.Errorf("%w: gone", apdu.ErrNotSent)
	}
	next := a.answers[0]
	a.answers = a.answers[1:]
	return next, nil
}

// TestARefusalIsTheFirstWord: whatever a card answers, Exchange tells of a refusal only when no 61xx came before it, because
// a 61xx card has done its work.
func TestARefusalIsTheFirstWord(t *testing.T) {
	sw1 := rapid.SampledFrom([]byte{0x90, 0x61, 0x6C, 0x69, 0x93, 0x62, 0x6F})
	answer := rapid.Custom(func(t *rapid.T) []byte {
		return append(rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "data"), sw1.Draw(t, "SW1"), rapid.Byte().Draw(t, "SW2"))
	})
	rapid.Check(t, func(t *rapid.T) {
		answers := rapid.SliceOfN(answer, 0, 6).Draw(t, "answers")
		card := &answering{answers: answers}
		r, err := apdu.Exchange(t.Context(), card, debit)
		used := answers[:len(answers)-len(card.answers)]
		done := false
		for _, a := range used {
			done = done || a[len(a)-2] == 0x61
		}
		if len(used) > 0 {
			require.NotErrorIs(t, err, apdu.ErrNotSent)
		}
		if err == nil && done {
			require.Contains(t, []apdu.SW{0x90, 0x62, 0x63}, r.SW>>8)
			require.False(t, r.SW>>8 == 0x90 && r.SW != apdu.OK)
		}
	})
}
