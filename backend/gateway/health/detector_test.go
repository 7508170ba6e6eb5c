package health_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/health"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// feed gives a detector payments that fail with chance p, and returns how many it took to call a fault, 0 for none.
func feed(d *health.Detector, r *rand.Rand, n int, p float64, at *time.Time, every time.Duration) int {
	for i := 1; i <= n; i++ {
		*at = at.Add(every)
		if _, faulty := d.Observe(*at, r.Float64() < p); faulty {
			return i
		}
	}
	return 0
}

func TestADeadChannelShowsInItsLastFewPayments(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		d, at := health.NewDetector(health.Defaults()), noon
		require.Zero(t, feed(d, r, 5000, 0.03, &at, 100*time.Millisecond), "healthy")
		took := feed(d, r, 100, 1, &at, 100*time.Millisecond)
		require.NotZero(t, took)
		require.LessOrEqual(t, took, 9)
	}
}

func TestALossOfATenthOnTopIsTooMuchForNobody(t *testing.T) {
	for seed := range uint64(20) { // 3 % usual, 8 % now: within twice the usual and the margin
		r := rand.New(rand.NewPCG(seed, 2))
		d, at := health.NewDetector(health.Defaults()), noon
		require.Zero(t, feed(d, r, 20000, 0.03, &at, 100*time.Millisecond))
		require.Zero(t, feed(d, r, 20000, 0.08, &at, 100*time.Millisecond))
	}
}

func TestAPartialFaultIsFound(t *testing.T) {
	var took []int
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		d, at := health.NewDetector(health.Defaults()), noon
		require.Zero(t, feed(d, r, 2000, 0.03, &at, 100*time.Millisecond))
		n := feed(d, r, 2000, 0.4, &at, 100*time.Millisecond)
		require.NotZero(t, n)
		took = append(took, n)
	}
	sum := 0
	for _, n := range took {
		sum += n
	}
	require.Less(t, sum/len(took), 80, "%v", took)
}

func TestOldPaymentsProveNothing(t *testing.T) {
	s := health.Defaults()
	d := health.NewDetector(s)
	for i := range 40 { // one failure each hour is no outage of the channel's
		_, faulty := d.Observe(noon.Add(time.Duration(i)*time.Hour), true)
		require.False(t, faulty)
	}
}

func TestAFaultDoesNotBecomeUsualWhileItIsLookedFor(t *testing.T) {
	d := health.NewDetector(health.Defaults())
	at := noon
	for range 255 {
		at = at.Add(time.Second)
		d.Observe(at, true)
	}
	require.InDelta(t, health.Defaults().Usual, d.Usual(), 1e-9)
}

func TestTheWorstRateIsNeverUsual(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	d, at := health.NewDetector(health.Defaults()), noon
	for range 200000 { // below the worst: may become usual
		at = at.Add(time.Second)
		d.Observe(at, r.Float64() < 0.25)
	}
	require.InDelta(t, 0.25, d.Usual(), 0.03)
	require.NotZero(t, feed(d, r, 3000, 0.6, &at, time.Second))
}

// TestEvidenceIsTheExactTail checks the chance against a sum over big numbers done another way.
func TestEvidenceIsTheExactTail(t *testing.T) {
	d := health.NewDetector(health.Defaults())
	at := noon
	for range 30 {
		at = at.Add(time.Second)
		e, faulty := d.Observe(at, true)
		if !faulty {
			continue
		}
		require.Equal(t, e.Payments, e.Failed)
		require.Less(t, e.Chance, health.Defaults().Alpha)
		require.InEpsilon(t, math.Pow(0.09, float64(e.Failed)), e.Chance, 1e-9) // tolerated: twice 3 % and 3 %
		return
	}
	t.Fatal("no fault was found")
}

func TestBoundHoldsTheShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 500).Draw(t, "n")
		failed := rapid.IntRange(0, n).Draw(t, "failed")
		lo, hi := health.Bound(n, failed, 1.96)
		share := float64(n-failed) / float64(n)
		require.LessOrEqual(t, lo, share+1e-12)
		require.GreaterOrEqual(t, hi, share-1e-12)
		require.GreaterOrEqual(t, lo, 0.0)
		require.LessOrEqual(t, hi, 1.0)
	})
	lo, hi := health.Bound(0, 0, 1.96)
	require.Equal(t, []float64{0, 1}, []float64{lo, hi})
	lo, hi = health.Bound(100, 10, 1.96) // a table's value: 82.6 % to 94.5 %
	require.InDelta(t, 0.826, lo, 0.001)
	require.InDelta(t, 0.945, hi, 0.001)
}

// TestASlowDeathDoesNotBecomeUsual: failures that grow over ten minutes are found before a quarter of the payments fails.
func TestASlowDeathDoesNotBecomeUsual(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		d, at := health.NewDetector(health.Defaults()), noon
		require.Zero(t, feed(d, r, 6000, 0.02, &at, 100*time.Millisecond))
		began, found := at, 0.0
		for found == 0 && at.Sub(began) < 10*time.Minute {
			at = at.Add(100 * time.Millisecond)
			rate := 0.02 + 0.6*at.Sub(began).Minutes()/10
			if _, faulty := d.Observe(at, r.Float64() < rate); faulty {
				found = rate
			}
		}
		require.Positive(t, found)
		require.Less(t, found, 0.25, "seed %d", seed)
	}
}
