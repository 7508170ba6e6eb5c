//go:build pkcs11

package keys_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

// TestHSMBatchVerdicts: the device's batch says what its single calls say, and what software says of everything but SM4.
func TestHSMBatchVerdicts(t *testing.T) {
	_, o := newToken(t)
	o.Cache = keys.CachePolicy{Cards: 3, Lifetime: time.Hour}
	d := openDevice(t, o)
	masters := batchMasters()
	delete(masters, keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: keys.AlgorithmSM4})
	require.NoError(t, d.Put(t.Context(), masters))
	soft := keys.NewSoft(masters)
	rapid.Check(t, func(rt *rapid.T) {
		jobs := drawJobs(rt, soft)
		got := keys.VerifyTACs(context.Background(), d, jobs)
		requireSameVerdicts(rt, jobs, keys.VerifyTACs(context.Background(), straight{d}, jobs), got)
		for i, want := range keys.VerifyTACs(context.Background(), soft, jobs) {
			if want == nil || want == keys.ErrBadMAC {
				require.Equal(rt, want, got[i], "job %d", i)
			}
		}
	})
}

// TestHSMBatchDecidesNothingWithoutTheDevice: jobs that the device did not answer have its error, each of them.
func TestHSMBatchDecidesNothingWithoutTheDevice(t *testing.T) {
	_, o := newToken(t)
	d, err := keys.OpenDevice(o)
	require.NoError(t, err)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	jobs := make([]keys.TACJob, 70)
	for i := range jobs {
		jobs[i].Card = keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{byte(i % 2)}, {byte(i)}}}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, verdict := range keys.VerifyTACs(ended, d, jobs) {
		require.ErrorIs(t, verdict, context.Canceled)
	}
	require.NoError(t, d.Close())
	for _, verdict := range keys.VerifyTACs(t.Context(), d, jobs) {
		require.ErrorContains(t, verdict, "closed")
		require.NotErrorIs(t, verdict, keys.ErrBadMAC)
	}
}
