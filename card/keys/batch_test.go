package keys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// straight hides what its door has beside HSM.
type straight struct{ keys.HSM }

func batchMasters() map[keys.ID]keys.Key {
	id := func(p keys.Purpose, version, algorithm byte) keys.ID {
		return keys.ID{Purpose: p, Version: version, Algorithm: algorithm}
	}
	return map[keys.ID]keys.Key{id(keys.TAC, 1, 0): ascending(0x60), id(keys.TAC, 2, 0): ascending(0x70), id(keys.TAC, 1, keys.AlgorithmSM4): ascending(0x80), id(keys.Load, 1, 0): ascending(0x50)}
}

// drawJobs draws jobs of every kind that is there, faulty ones too, in any order: many of one kind and few of another, right and wrong TACs,
// messages of any length, cards that come again.
func drawJobs(t *rapid.T, makes keys.HSM) []keys.TACJob {
	factor := func() [8]byte { return [8]byte{byte(rapid.IntRange(0, 20).Draw(t, "factor")), 3} }
	issuers := byte(rapid.SampledFrom([]int{1, 1, 2, 20}).Draw(t, "issuers")) // one: lanes share a level
	issuer := func() [8]byte { return [8]byte{factor()[0] % issuers, 9} }
	n := rapid.IntRange(0, 150).Draw(t, "jobs")
	common := rapid.IntRange(0, 9).Draw(t, "common") // of ten jobs, so many are of the most common kind
	jobs := make([]keys.TACJob, n)
	for i := range jobs {
		job := &jobs[i]
		job.Card.ID, job.Card.Factors = keys.ID{Purpose: keys.TAC, Version: 1}, [][8]byte{issuer(), factor()}
		if rapid.IntRange(0, 9).Draw(t, "kind") >= common {
			job.Card.ID = rapid.SampledFrom([]keys.ID{{Purpose: keys.TAC, Version: 1}, {Purpose: keys.TAC, Version: 2}, {Purpose: keys.TAC, Version: 3},
				{Purpose: keys.TAC, Version: 1, Algorithm: keys.AlgorithmSM4}, {Purpose: keys.Load, Version: 1}, {Purpose: keys.Load, Version: 9}}).Draw(t, "key")
			job.Card.Factors = nil
			for range rapid.SampledFrom([]int{1, 1, 2, 3, 0, 4}).Draw(t, "levels") {
				job.Card.Factors = append(job.Card.Factors, factor())
			}
		}
		job.Message = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "message")
		job.TAC, _ = makes.TAC(context.Background(), job.Card, job.Message)
		if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
			job.TAC[rapid.IntRange(0, 3).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
	}
	return jobs
}

// requireSameVerdicts holds one path's verdicts against another's: the same error, in the same words.
func requireSameVerdicts(t require.TestingT, jobs []keys.TACJob, want, got []error) {
	require.Len(t, want, len(jobs))
	require.Len(t, got, len(jobs))
	for i := range jobs {
		require.Equal(t, fmt.Sprint(want[i]), fmt.Sprint(got[i]), "job %d of %d: %v", i, len(jobs), jobs[i])
		for _, typed := range []error{keys.ErrBadMAC, keys.ErrUnknownKey} {
			require.Equal(t, errors.Is(want[i], typed), errors.Is(got[i], typed), "job %d", i)
		}
	}
}

// TestNoVerdictDependsOnThePath verifies jobs one by one, in lanes, with and without held keys, all at once and in parts.
func TestNoVerdictDependsOnThePath(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var doors [2]*keys.Soft
		doors[0] = keys.NewSoft(batchMasters())
		var err error
		doors[1], err = keys.NewCachedSoft(batchMasters(), keys.CachePolicy{Cards: 5, Lifetime: time.Hour})
		require.NoError(t, err)
		defer doors[1].Forget()
		if rapid.Bool().Draw(t, "another byte for SM4") { // then 04 is 3DES
			doors[0].UseSM4(9)
			doors[1].UseSM4(9)
		}
		jobs := drawJobs(t, doors[0])
		want := keys.VerifyTACs(context.Background(), straight{doors[0]}, jobs)
		for _, err := range want {
			switch {
			case err == nil:
				seen["good"]++
			case errors.Is(err, keys.ErrBadMAC):
				seen["bad"]++
			case errors.Is(err, keys.ErrUnknownKey):
				seen["unknown"]++
			default:
				seen["refused"]++
			}
		}
		for _, door := range doors {
			requireSameVerdicts(t, jobs, want, keys.VerifyTACs(context.Background(), door, jobs))
			var parts []error
			for part := range slices.Chunk(jobs, rapid.IntRange(1, 70).Draw(t, "part")) {
				parts = append(parts, keys.VerifyTACs(context.Background(), door, part)...)
			}
			requireSameVerdicts(t, jobs, want, parts)
		}
	})
	for _, verdict := range []string{"good", "bad", "unknown", "refused"} {
		require.Positive(t, seen[verdict], verdict)
	}
}

// TestEveryBitOfATACCounts: each lane's TAC is compared whole.
func TestEveryBitOfATACCounts(t *testing.T) {
	soft := keys.NewSoft(batchMasters())
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}, {2}}}
	jobs := make([]keys.TACJob, 33)
	for i := range jobs {
		jobs[i].TACRequest = keys.TACRequest{Card: card, Message: []byte{byte(i)}}
		jobs[i].TAC, _ = soft.TAC(t.Context(), card, jobs[i].Message)
		if i < 32 {
			jobs[i].TAC[i/8] ^= 1 << (i % 8)
		}
	}
	verdicts := keys.VerifyTACs(t.Context(), soft, jobs)
	for i, verdict := range verdicts[:32] {
		require.ErrorIs(t, verdict, keys.ErrBadMAC, "bit %d", i)
	}
	require.NoError(t, verdicts[32])
}

// TestTACsOfThePurseFacts: those of purse facts 8.2 for one level and two, in the middle of other cards.
func TestTACsOfThePurseFacts(t *testing.T) {
	soft := keys.NewSoft(batchMasters())
	serial, issuer := [8]byte{2, 3, 4, 5, 6, 7, 8, 9}, [8]byte{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	jobs := make([]keys.TACJob, 20)
	for i := range jobs {
		jobs[i].Card = keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{issuer, {byte(i)}}[i%2:]}
	}
	set := func(i int, factors [][8]byte, message string, tac [4]byte) {
		var raw hexBytes
		require.NoError(t, raw.UnmarshalText([]byte(message)))
		jobs[i].Card.Factors, jobs[i].Message, jobs[i].TAC = factors, raw, tac
	}
	set(7, [][8]byte{serial}, "000000C8061122334455660000012320240115083000", [4]byte{0xFC, 0x47, 0x73, 0xEA})
	set(12, [][8]byte{issuer, serial}, "0000012C091122334455660000020120240115083512", [4]byte{0xFD, 0x66, 0xFC, 0x1F})
	set(14, [][8]byte{issuer, serial}, "00000000091122334455660000020020240115080001", [4]byte{0x0F, 0x87, 0x91, 0x2B})
	verdicts := keys.VerifyTACs(t.Context(), soft, jobs)
	for i, verdict := range verdicts {
		if i == 7 || i == 12 || i == 14 {
			require.NoError(t, verdict, i)
		} else {
			require.ErrorIs(t, verdict, keys.ErrBadMAC, i)
		}
	}
}

func TestJobsDoNotPrintTheirCard(t *testing.T) {
	job := keys.TACJob{TACRequest: keys.TACRequest{Card: keys.Card{ID: keys.ID{Purpose: keys.TAC}, Factors: [][8]byte{{0xC7}}}, Message: []byte{0xC7}}, TAC: [4]byte{0xC7}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		require.Equal(t, "[TAC by [tac/00/00 key of a card, 1 levels]]", fmt.Sprintf(verb, job))
	}
	require.Equal(t, fmt.Sprint(job), job.LogValue().String())
	require.Equal(t, fmt.Sprint(job), job.TACRequest.LogValue().String())
}
